//! The table of who may do what: a decision for profile, caller, permission and target.

mod changes;
mod kinds;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use aikit_core::{
    Context,
    context::Caller,
    services::{Decision, Permission, Policy, Target},
};
use serde::Deserialize;
use url::Url;

use self::kinds::{is_kept_by_aikit, is_key_file, is_of_the_system};
use super::{
    address::{Zone, zone},
    hosts::HostRule,
};

/// Who uses this process.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// One user on their own machine.
    Notebook,
    /// Many users, remote; what is not known to be a notebook is this.
    #[default]
    Served,
}

/// The policy of a session.
#[derive(Clone, Debug)]
pub struct TablePolicy {
    profile: Profile,
    roots: Vec<PathBuf>,
    hosts: Vec<HostRule>,
    model_hosts: Vec<HostRule>,
    writable: Vec<PathBuf>,
    remembered: Arc<changes::Remembered>,
}

impl TablePolicy {
    /// A policy that lets files below `roots` (absolute, links resolved; the working directory
    /// first) be read, the working directory be written, and that knows the allow list `hosts`.
    pub fn new(profile: Profile, roots: Vec<PathBuf>, hosts: Vec<HostRule>) -> Self {
        Self {
            profile,
            writable: roots.first().cloned().into_iter().collect(),
            remembered: Arc::default(),
            roots,
            hosts,
            model_hosts: Vec::new(),
        }
    }

    /// The same policy with hosts that serve models: those of the providers and those that the
    /// owner of the process configured. A script may name others, which `hosts` must allow.
    #[must_use]
    pub fn with_model_hosts(mut self, hosts: Vec<HostRule>) -> Self {
        self.model_hosts = hosts;
        self
    }

    /// The same policy with folders that may be written beside the working directory; they are
    /// among the roots.
    #[must_use]
    pub fn with_write_roots(mut self, folders: impl IntoIterator<Item = PathBuf>) -> Self {
        self.writable.extend(folders);
        self
    }

    /// What would be decided, as a sentence; nothing is done or recorded.
    pub fn explain(&self, cx: &Context, permission: Permission, target: Target<'_>) -> String {
        let who = format!(
            "`{}` for caller `{}`",
            permission.name(),
            cx.caller().name()
        );
        match self.decide(cx, permission, target) {
            Decision::Allow => format!("{who} is allowed"),
            Decision::Ask(action) => format!("{who} needs an approval: {action}"),
            Decision::Deny { rule, hint } => format!("{who} is denied: {rule}; {hint}"),
        }
    }

    fn decide_read(&self, caller: Caller, target: Target<'_>) -> Decision {
        let Target::Path(path) = target else {
            return Decision::Allow;
        };
        if !self.roots.iter().any(|root| path.starts_with(root)) {
            return self.outside(path);
        }
        if is_kept_by_aikit(path) {
            return deny(
                format!(
                    "no tool reads `{}`: it holds what aikit keeps",
                    path.display()
                ),
                "use `State`, `Session`, `Artifact` or `RAG`, which know whose it is",
            );
        }
        if caller == Caller::Agent && is_of_the_system(path) {
            return deny(
                format!(
                    "agents may not read `{}`: it shows this machine",
                    path.display()
                ),
                "read it yourself and give the agent the part it needs",
            );
        }
        match (caller, self.profile) {
            (Caller::Agent, profile) if is_key_file(path) => match profile {
                Profile::Notebook => Decision::Ask(format!(
                    "the agent wants to read `{}`, which may hold keys",
                    path.display()
                )),
                Profile::Served => deny(
                    format!("agents may not read `{}`: it may hold keys", path.display()),
                    "read the file yourself and give the agent the part it needs",
                ),
            },
            _ => Decision::Allow,
        }
    }

    fn decide_network(
        &self,
        caller: Caller,
        permission: Permission,
        target: Target<'_>,
    ) -> Decision {
        let Target::Url {
            url,
            addresses,
            body_bytes,
        } = target
        else {
            return if self.profile == Profile::Served && self.hosts.is_empty() {
                deny(
                    "the network is closed: no host is on the allow list",
                    self.hosts_hint("HOST"),
                )
            } else {
                Decision::Allow
            };
        };
        let Some((host, port)) = host_and_port(url) else {
            return names_no_host(url);
        };
        let place = (&*host, port);
        let mut denials = addresses.iter().filter_map(|it| {
            let listed = allows(&self.hosts, place, *it);
            self.refuse_address(caller, place, *it, listed)
        });
        match (denials.next(), permission, caller) {
            (Some(denial), ..) => denial,
            (None, Permission::NetworkWrite, Caller::Agent) => {
                let data = match body_bytes {
                    None => "data".to_owned(),
                    Some(1) => "data (1 byte)".to_owned(),
                    Some(count) => format!("data ({count} bytes)"),
                };
                let action = format!("the agent wants to send {data} to `{host}`, port {port}");
                Decision::Ask(action)
            }
            _ => Decision::Allow,
        }
    }

    /// Whoever runs, a model was chosen by the code of the owner: an agent's request to it is
    /// not the agent's choice.
    fn decide_model(&self, target: Target<'_>) -> Decision {
        let Target::Url { url, addresses, .. } = target else {
            return Decision::Allow;
        };
        let Some((host, port)) = host_and_port(url) else {
            return names_no_host(url);
        };
        let place = (&*host, port);
        let mut denials = addresses.iter().filter_map(|it| {
            let listed = allows(&self.hosts, place, *it) || allows(&self.model_hosts, place, *it);
            self.refuse_address(Caller::User, place, *it, listed)
        });
        denials.next().unwrap_or(Decision::Allow)
    }

    /// Why the address may not be connected to, if it may not.
    fn refuse_address(
        &self,
        caller: Caller,
        (host, port): (&str, u16),
        address: IpAddr,
        listed: bool,
    ) -> Option<Decision> {
        let zone = zone(address);
        if zone == Zone::Forbidden {
            return Some(deny(
                format!(
                    "`{host}` stands for {address}, a link-local, metadata or reserved address"
                ),
                "no setting allows these addresses; use the public address of the service",
            ));
        }
        let what = match (listed, self.profile, zone, caller) {
            (true, ..)
            | (_, Profile::Notebook, Zone::Public, _)
            | (_, Profile::Notebook, Zone::Loopback, Caller::User) => return None,
            (_, Profile::Served, ..) => "a host outside the allow list",
            (_, _, Zone::Loopback, _) => "this machine, which agents reach by the allow list only",
            _ => "a private address outside the allow list",
        };
        Some(deny(
            format!("`{host}`, port {port}, stands for {address}, {what}"),
            self.hosts_hint(host),
        ))
    }

    /// How `host` gets on the allow list.
    fn hosts_hint(&self, host: &str) -> String {
        match self.profile {
            Profile::Notebook => format!(
                "add `{host}` to `hosts` in the section `[security]` of `aikit.toml`; for one \
                 run, set `AIKIT_SECURITY__HOSTS={host}`"
            ),
            // A file of the project could be a tenant's.
            Profile::Served => {
                format!("who runs the server can allow it with `AIKIT_SECURITY__HOSTS={host}`")
            }
        }
    }

    /// How the folder of `path` gets among those that may be read.
    fn outside(&self, path: &Path) -> Decision {
        let parent = path.parent().unwrap_or(path);
        // Only on the user's own machine: elsewhere the hint would tell what there is.
        let is_folder = self.profile == Profile::Notebook && path.is_dir();
        let folder = if is_folder { path } else { parent }.display();
        let hint = match self.profile {
            Profile::Notebook => format!(
                "add `{folder}` to `roots` in the section `[security]` of `aikit.toml`; for one \
                 run, set `AIKIT_SECURITY__ROOTS={folder}`"
            ),
            Profile::Served => {
                format!("who runs the server can allow it with `AIKIT_SECURITY__ROOTS={folder}`")
            }
        };
        let path = path.display();
        deny(
            format!("`{path}` is outside the working directory and the listed roots"),
            hint,
        )
    }
}

fn allows(rules: &[HostRule], (host, port): (&str, u16), address: IpAddr) -> bool {
    rules
        .iter()
        .any(|rule| rule.allows_name(host, port) || rule.allows_address(address, port))
}

fn names_no_host(url: &str) -> Decision {
    deny(
        format!("`{url}` names no host"),
        "give an absolute http or https URL",
    )
}

impl Policy for TablePolicy {
    fn decide(&self, cx: &Context, permission: Permission, target: Target<'_>) -> Decision {
        match permission {
            Permission::FileRead => self.decide_read(cx.caller(), target),
            Permission::FileWrite => self.decide_write(cx, target),
            Permission::Process => self.decide_process(cx, target),
            Permission::Network | Permission::NetworkWrite => {
                self.decide_network(cx.caller(), permission, target)
            }
            Permission::Model => self.decide_model(target),
            other => deny(
                format!("no rule grants `{}`", other.name()),
                "this version has no setting for it",
            ),
        }
    }

    fn scope(&self, permission: Permission, target: Target<'_>) -> Option<String> {
        changes::scope(permission, target)
    }

    fn remember(&self, _: Permission, target: Target<'_>) {
        self.remembered.add(target);
    }
}

fn deny(rule: impl Into<String>, hint: impl Into<String>) -> Decision {
    Decision::Deny {
        rule: rule.into(),
        hint: hint.into(),
    }
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use aikit_core::context::Overrides;

    use super::*;

    /// What the table says, in one letter: allow, ask, deny.
    fn decide(
        profile: Profile,
        caller: Caller,
        permission: Permission,
        target: Target<'_>,
    ) -> char {
        let hosts = ["api.example.org", "10.0.0.0/8", "localhost:8080"];
        let hosts = hosts
            .iter()
            .map(|it| HostRule::parse(it).unwrap())
            .collect();
        let policy = TablePolicy::new(profile, vec![PathBuf::from("/work")], hosts);
        let overrides = Overrides {
            caller: Some(caller),
            ..Overrides::default()
        };
        match policy.decide(&Context::create(overrides), permission, target) {
            Decision::Allow => 'a',
            Decision::Ask(_) => '?',
            Decision::Deny { hint, .. } => {
                assert!(!hint.is_empty());
                'd'
            }
        }
    }

    /// The four columns of the table: notebook user and agent, served user and agent.
    fn row(permission: Permission, target: Target<'_>) -> String {
        let columns = [
            (Profile::Notebook, Caller::User),
            (Profile::Notebook, Caller::Agent),
            (Profile::Served, Caller::User),
            (Profile::Served, Caller::Agent),
        ];
        let decide = |(profile, caller)| decide(profile, caller, permission, target);
        columns.into_iter().map(decide).collect()
    }

    #[test]
    fn files_are_decided_as_the_table_says() {
        let cases = [
            ("/work/notes.md", "aaaa"),
            ("/work/deep/er/data.csv", "aaaa"),
            ("/work/.env", "a?ad"),
            ("/work/.env.local", "a?ad"),
            ("/work/server.PEM", "a?ad"),
            ("/work/.ssh/config", "a?ad"),
            ("/work/environment.md", "aaaa"),
            ("/work/.git/config", "a?ad"),
            ("/work/.docker/config.json", "a?ad"),
            ("/work/config.json", "aaaa"),
            ("/work/.aikit/aikit.db", "dddd"),
            ("/work/.AIKIT/rag/a.db-wal", "dddd"),
            ("/workshop/notes.md", "dddd"),
            ("/etc/passwd", "dddd"),
        ];
        for (path, expected) in cases {
            let row = row(Permission::FileRead, Target::Path(Path::new(path)));
            assert_eq!(row, expected, "{path}");
        }
    }

    #[test]
    fn a_hint_opens_no_more_than_was_asked_for() {
        let policy = TablePolicy::new(Profile::Notebook, Vec::new(), Vec::new());
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("a.txt")] {
            let target = Target::Path(&path);
            let decision = policy.decide(&Context::default(), Permission::FileRead, target);
            let Decision::Deny { hint, .. } = decision else {
                panic!("{decision:?}");
            };
            let expected = format!("AIKIT_SECURITY__ROOTS={}`", folder.path().display());
            assert!(hint.ends_with(&expected), "{hint}");
        }
    }

    #[test]
    fn addresses_are_decided_as_the_table_says() {
        let cases = [
            ("https://example.com/", "93.184.215.14", "aadd", "a?dd"),
            ("https://api.example.org/", "93.184.215.14", "aaaa", "a?a?"),
            ("http://api.example.org/", "192.168.0.9", "aaaa", "a?a?"),
            ("http://localhost:9000/", "127.0.0.1", "addd", "addd"),
            ("http://localhost:8080/", "127.0.0.1", "aaaa", "a?a?"),
            ("http://10.1.1.1/", "10.1.1.1", "aaaa", "a?a?"),
            ("http://router/", "192.168.0.1", "dddd", "dddd"),
            ("http://169.254.169.254/", "169.254.169.254", "dddd", "dddd"),
            ("http://api.example.org/", "169.254.169.254", "dddd", "dddd"),
            ("http://[fe80::1]/", "fe80::1", "dddd", "dddd"),
        ];
        for (url, address, reading, sending) in cases {
            let addresses = [address.parse().unwrap()];
            let target = Target::Url {
                url,
                addresses: &addresses,
                body_bytes: Some(9),
            };
            assert_eq!(row(Permission::Network, target), reading, "GET {url}");
            assert_eq!(row(Permission::NetworkWrite, target), sending, "POST {url}");
        }
    }

    #[test]
    fn a_question_before_sending_names_host_and_size() {
        let policy = TablePolicy::new(Profile::Notebook, Vec::new(), Vec::new());
        let agent = Context::create(Overrides {
            caller: Some(Caller::Agent),
            ..Overrides::default()
        });
        let addresses = ["93.184.215.14".parse().unwrap()];
        for (body_bytes, data) in [
            (None, "data"),
            (Some(0), "data (0 bytes)"),
            (Some(1), "data (1 byte)"),
            (Some(70_000), "data (70000 bytes)"),
        ] {
            let target = Target::Url {
                url: "https://example.com/path?query",
                addresses: &addresses,
                body_bytes,
            };
            let decision = policy.decide(&agent, Permission::NetworkWrite, target);
            let Decision::Ask(action) = decision else {
                panic!("{decision:?}");
            };
            let expected = format!("the agent wants to send {data} to `example.com`, port 443");
            assert_eq!(action, expected);
        }
    }

    #[test]
    fn one_forbidden_address_among_many_forbids_the_host() {
        let addresses = [
            "93.184.215.14".parse().unwrap(),
            "169.254.1.1".parse().unwrap(),
        ];
        let target = Target::Url {
            url: "https://example.com/",
            addresses: &addresses,
            body_bytes: None,
        };
        assert_eq!(row(Permission::Network, target), "dddd");
    }

    #[test]
    fn an_explanation_names_the_rule_and_the_setting() {
        let policy = TablePolicy::new(Profile::Notebook, vec![PathBuf::from("/work")], Vec::new());
        let target = Target::Path(Path::new("/data/x.csv"));
        let text = policy.explain(&Context::default(), Permission::FileRead, target);
        assert!(text.contains("outside the working directory"), "{text}");
        assert!(text.contains("add `/data` to `roots`"), "{text}");
    }

    #[test]
    fn a_served_session_without_hosts_has_no_network() {
        let policy = TablePolicy::new(Profile::Served, Vec::new(), Vec::new());
        let decision = policy.decide(&Context::default(), Permission::Network, Target::Any);
        assert!(matches!(decision, Decision::Deny { .. }), "{decision:?}");
    }
}

//! The table of who may do what: a decision for profile, caller, permission and target.

mod changes;
mod kinds;
mod network;
mod remembered;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use aikit_core::{
    Context,
    context::Caller,
    services::{Decision, Permission, Policy, Target},
};
use serde::Deserialize;

use self::kinds::{is_kept_by_aikit, is_key_file, is_of_the_system};
use super::hosts::HostRule;

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
    remembered: Arc<remembered::Remembered>,
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
        self.scope_of(permission, target)
    }

    fn remember(&self, cx: &Context, _: Permission, target: Target<'_>) {
        self.keep(cx, target);
    }
}

fn deny(rule: impl Into<String>, hint: impl Into<String>) -> Decision {
    Decision::Deny {
        rule: rule.into(),
        hint: hint.into(),
    }
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
    pub(super) fn row(permission: Permission, target: Target<'_>) -> String {
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
            ("/work/conf/secrets.yaml", "a?ad"),
            ("/work/conf/Credentials.json", "a?ad"),
            ("/work/secrets.md", "aaaa"),
            ("/work/tokens.py", "aaaa"),
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

//! The rules for the network.

use std::net::IpAddr;

use aikit_core::{
    context::Caller,
    services::{Decision, Permission, Sending, Target},
};
use url::Url;

use super::{Profile, TablePolicy, deny};
use crate::security::{
    address::{Zone, zone},
    hosts::HostRule,
};

impl TablePolicy {
    pub(super) fn decide_network(
        &self,
        caller: Caller,
        permission: Permission,
        target: Target<'_>,
    ) -> Decision {
        let Target::Url {
            url,
            addresses,
            sending,
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
                Decision::Ask(describe_sending(url, &host, port, sending))
            }
            _ => Decision::Allow,
        }
    }

    /// Whoever runs, a model was chosen by the code of the owner: an agent's request to it is
    /// not the agent's choice.
    pub(super) fn decide_model(&self, target: Target<'_>) -> Decision {
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
}

fn allows(rules: &[HostRule], (host, port): (&str, u16), address: IpAddr) -> bool {
    rules
        .iter()
        .any(|rule| rule.allows_name(host, port) || rule.allows_address(address, port))
}

/// The host comes first: in a long address it is what matters most.
fn describe_sending(url: &str, host: &str, port: u16, sending: Option<Sending<'_>>) -> String {
    let Some(sending) = sending else {
        return format!("the agent wants to send data to `{host}`, port {port}");
    };
    let data = match sending.body.len() {
        0 => "no data".to_owned(),
        1 => "1 byte".to_owned(),
        count => format!("{count} bytes"),
    };
    let method = sending.method;
    format!("the agent wants to send {data} to `{host}`, port {port}, with {method} to `{url}`")
}

fn names_no_host(url: &str) -> Decision {
    deny(
        format!("`{url}` names no host"),
        "give an absolute http or https URL",
    )
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let url = Url::parse(url).ok()?;
    Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use aikit_core::{Context, context::Overrides, services::Policy as _};

    use super::{super::tests::row, *};

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
                sending: Some(Sending {
                    method: "POST",
                    headers: &[],
                    body: b"some data",
                }),
            };
            assert_eq!(row(Permission::Network, target), reading, "GET {url}");
            assert_eq!(row(Permission::NetworkWrite, target), sending, "POST {url}");
        }
    }

    #[test]
    fn a_question_before_sending_names_method_address_and_size() {
        let policy = TablePolicy::new(Profile::Notebook, Vec::new(), Vec::new());
        let agent = Context::create(Overrides {
            caller: Some(Caller::Agent),
            ..Overrides::default()
        });
        let addresses = ["93.184.215.14".parse().unwrap()];
        let body = vec![b'x'; 70_000];
        for (sent, expected) in [
            (None, "send data to `example.com`, port 443"),
            (
                Some(("DELETE", 0)),
                "send no data to `example.com`, port 443, with DELETE to \
                 `https://example.com/path?query`",
            ),
            (
                Some(("PUT", 1)),
                "send 1 byte to `example.com`, port 443, with PUT to \
                 `https://example.com/path?query`",
            ),
            (
                Some(("POST", 70_000)),
                "send 70000 bytes to `example.com`, port 443, with POST to \
                 `https://example.com/path?query`",
            ),
        ] {
            let target = Target::Url {
                url: "https://example.com/path?query",
                addresses: &addresses,
                sending: sent.map(|(method, bytes)| Sending {
                    method,
                    headers: &[],
                    body: &body[..bytes],
                }),
            };
            let decision = policy.decide(&agent, Permission::NetworkWrite, target);
            let Decision::Ask(action) = decision else {
                panic!("{decision:?}");
            };
            assert_eq!(action, format!("the agent wants to {expected}"));
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
            sending: None,
        };
        assert_eq!(row(Permission::Network, target), "dddd");
    }
}

//! The allow list of hosts: names, names below a domain, addresses and networks.

use std::net::IpAddr;

use aikit_core::{Error, ErrorKind, Result};

use super::address::unmap;

/// One entry of the allow list, for every port or for one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HostRule {
    pattern: Pattern,
    port: Option<u16>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Pattern {
    Name(String),
    Below(String),
    Network(IpAddr, u8),
}

impl HostRule {
    /// Reads `example.org`, `*.example.org`, `10.0.0.5`, `10.0.0.0/8` or `[fd00::]/8`, each of
    /// the first three also with `:port`.
    ///
    /// # Errors
    ///
    /// `config` when the text is none of these.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(
                ErrorKind::Config,
                format!("`{text}` is not a host, a network or an address"),
            )
            .with_hint(
                "write a name, `*.example.org`, an address or a network such as `10.0.0.0/8`",
            )
        };
        let text = text.trim().to_lowercase();
        if let Some((address, length)) = text.split_once('/') {
            let address = parse_address(address).ok_or_else(wrong)?;
            let length: u8 = length.parse().map_err(|_| wrong())?;
            if length > bits(address).1 {
                return Err(wrong());
            }
            let pattern = Pattern::Network(address, length);
            return Ok(Self {
                pattern,
                port: None,
            });
        }
        if let Some(address) = parse_address(&text) {
            return Ok(Self {
                pattern: exactly(address),
                port: None,
            });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().map_err(|_| wrong())?)),
            None => (&*text, None),
        };
        let pattern = match (parse_address(host), host.strip_prefix("*.")) {
            (Some(address), _) => exactly(address),
            (None, Some(domain)) if is_name(domain) => Pattern::Below(domain.to_owned()),
            (None, None) if is_name(host) => Pattern::Name(host.to_owned()),
            _ => return Err(wrong()),
        };
        Ok(Self { pattern, port })
    }

    /// Whether the rule allows the host by its name, whatever its addresses.
    pub fn allows_name(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches('.').to_lowercase();
        let named = match &self.pattern {
            Pattern::Name(name) => host == *name,
            Pattern::Below(domain) => host
                .strip_suffix(domain.as_str())
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            Pattern::Network(..) => false,
        };
        named && self.port.is_none_or(|it| it == port)
    }

    /// Whether the rule allows the address.
    pub fn allows_address(&self, address: IpAddr, port: u16) -> bool {
        let Pattern::Network(network, length) = self.pattern else {
            return false;
        };
        let ((network, size), (address, other)) = (bits(network), bits(unmap(address)));
        let shift = u32::from(size - length);
        size == other
            && network.checked_shr(shift) == address.checked_shr(shift)
            && self.port.is_none_or(|it| it == port)
    }
}

fn exactly(address: IpAddr) -> Pattern {
    Pattern::Network(address, bits(address).1)
}

fn parse_address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    bare.unwrap_or(text).parse().ok().map(unmap)
}

/// The address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || it == '-' || it == '_')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_allow_what_they_name_and_nothing_else() {
        let cases = [
            ("example.org", "example.org", true),
            ("example.org", "EXAMPLE.ORG.", true),
            ("example.org", "www.example.org", false),
            ("example.org", "badexample.org", false),
            ("*.example.org", "www.example.org", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", "badexample.org", false),
            ("example.org:8080", "example.org", false),
            ("example.org:443", "example.org", true),
        ];
        for (rule, host, expected) in cases {
            let allowed = HostRule::parse(rule).unwrap().allows_name(host, 443);
            assert_eq!(allowed, expected, "{rule} {host}");
        }
        let cases = [
            ("10.0.0.0/8", "10.200.1.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1:443", "127.0.0.1", true),
            ("127.0.0.1:80", "127.0.0.1", false),
            ("0.0.0.0/0", "9.9.9.9", true),
            ("0.0.0.0/0", "fd00::1", false),
            ("[::1]:443", "::1", true),
            ("fd00::/8", "fd12::9", true),
            ("127.0.0.1", "::ffff:127.0.0.1", true),
        ];
        for (rule, address, expected) in cases {
            let rule_read = HostRule::parse(rule).unwrap();
            let allowed = rule_read.allows_address(address.parse().unwrap(), 443);
            assert_eq!(allowed, expected, "{rule} {address}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "http://example.org",
            "10.0.0.0/33",
            "a b",
            "*.*",
            "example.org:x",
            "*",
        ] {
            let error = HostRule::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
        }
    }
}

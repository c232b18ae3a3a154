//! Whom OTLP goes to: an address with a host, headers that HTTP can carry, and nobody else.

use aikit_core::{
    Context, Error, ErrorKind, Result,
    services::{Decision, Permission, Policy, Target},
};
use url::Url;

/// Host and port of an address.
pub(super) fn place(url: &str) -> Result<(String, u16)> {
    let wrong = || {
        // It may hold a password.
        Error::new(
            ErrorKind::Config,
            "the address of the telemetry receiver is no http URL",
        )
        .with_hint("write it as `http://127.0.0.1:4318`")
    };
    // A parser of URLs takes the next part for the host where there is none.
    let (_, host) = url.split_once("://").ok_or_else(wrong)?;
    if host.is_empty() || host.starts_with(['/', '\\', '?', '#', ':', '@']) {
        return Err(wrong());
    }
    let url = Url::parse(url).map_err(|_| wrong())?;
    let is_http = matches!(url.scheme(), "http" | "https");
    match (url.host_str(), url.port_or_known_default()) {
        (Some(host), Some(port)) if is_http => Ok((host.to_owned(), port)),
        _ => Err(wrong()),
    }
}

/// Refuses a header that would end early, or begin another one.
///
/// Source: RFC 9110, sections 5.1 and 5.5.
pub(super) fn check_header(name: &str, value: &str) -> Result<()> {
    let wrong = |what: String, hint: &str| {
        let message = format!("the telemetry header {what}");
        Err(Error::new(ErrorKind::Config, message).with_hint(hint))
    };
    let is_token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    if name.is_empty() || !name.bytes().all(is_token) {
        let shown = name.escape_debug().to_string();
        return wrong(
            format!("`{shown}` has no valid name"),
            "use letters, digits and `-`",
        );
    }
    // The value may be a key, so it is not shown.
    if value.bytes().any(|it| it != b'\t' && it.is_ascii_control()) {
        return wrong(
            format!("`{name}` has a line end or another control character in its value"),
            "take it out; a key that was read from a file often ends with one",
        );
    }
    Ok(())
}

/// Lets requests to the configured receiver out, and no others: redirects included.
#[derive(Debug)]
pub(super) struct OnlyThere(pub(super) Vec<(String, u16)>);

impl Policy for OnlyThere {
    fn decide(&self, _cx: &Context, _permission: Permission, target: Target<'_>) -> Decision {
        match target {
            Target::Any => Decision::Allow,
            Target::Url { url, .. } if place(url).is_ok_and(|it| self.0.contains(&it)) => {
                Decision::Allow
            }
            _ => Decision::Deny {
                rule: "telemetry goes to its receiver alone".to_owned(),
                hint: "name the address that the receiver redirects to".to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_header_is_one_line() {
        for (url, host) in [
            ("http://127.0.0.1:4318/v1/traces", Some("127.0.0.1")),
            ("https://[::1]/v1/traces", Some("[::1]")),
            ("http:/v1/traces", None),
            ("http:///v1/traces", None),
            ("http://:4318/v1/traces", None),
            ("ftp://a/v1/traces", None),
            ("a", None),
        ] {
            let found = place(url).ok().map(|(host, _)| host);
            assert_eq!(found.as_deref(), host, "{url}");
        }
        check_header("x-api-key", "Bearer a\tb ü").unwrap();
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a\n", "x"),
            ("a", "x\r\nb: y"),
            ("a", "\0"),
        ] {
            let error = check_header(name, value).unwrap_err();
            assert!(
                error.kind() == ErrorKind::Config && error.hint().is_some(),
                "{error}"
            );
        }
    }
}

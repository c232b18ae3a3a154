//! Keeps secrets out of cassettes: known values, members whose names say it, and what looks so.

use std::sync::{LazyLock, PoisonError, RwLock};

use aikit_core::{Value, tape::TapeCall, value::Map};
use regex::Regex;

/// What stands where a secret was.
pub(super) const HIDDEN: &str = "***";

/// Shorter values would be found in ordinary text.
const SECRET_CHARS_MIN: usize = 6;

/// Names of members, headers and variables that hold secrets, in lower case; a name that ends so.
const SECRET_NAMES: [&str; 17] = [
    "api_key",
    "api-key",
    "apikey",
    "authorization",
    "cookie",
    "password",
    "secret",
    "token",
    "access_key",
    "passwd",
    "pwd",
    "passphrase",
    "private_key",
    "private-key",
    "credential",
    "credentials",
    "pgpass",
];

/// Forms of keys and tokens: of `OpenAI` and Anthropic, Google, AWS, `GitHub`, `GitLab`, Slack,
/// Hugging Face, Groq, `xAI`, JSON Web Tokens, `Bearer …`, private keys, and keys in addresses.
static FORMS: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r"\bsk-[A-Za-z0-9_-]{16,}",
        r"\bAIza[A-Za-z0-9_-]{30,}",
        r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
        r"\bgh[opsur]_[A-Za-z0-9]{30,}",
        r"\bgithub_pat_[A-Za-z0-9_]{30,}",
        r"\bglpat-[A-Za-z0-9_-]{20,}",
        r"\bxox[abprs]-[A-Za-z0-9-]{10,}",
        r"\bhf_[A-Za-z0-9]{30,}",
        r"\bgsk_[A-Za-z0-9]{30,}",
        r"\bxai-[A-Za-z0-9]{30,}",
        r"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
        r"(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}",
        r"(?s:-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----)",
        r"(?i:[?&](?:api_?key|key|token|access_token|password|secret)=)[^&\s\x22#]+",
    ];
    #[expect(clippy::expect_used, reason = "the expression is a literal")]
    Regex::new(&forms.join("|")).expect("the forms are an expression")
});

/// What stands before a secret and stays, so that the line can be read, and the secret: who asks in
/// addresses, headers of a name that says it, members of JSON in a text.
static PAIRS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    let forms = [
        r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s:@\x22']+:[^/\s@\x22']+(@)".to_owned(),
        r"(?i)(\bauthorization\\?[\x22']?\s*[:=]\s*\\?[\x22']?(?:basic|digest|token)\s+)[a-z0-9+/=._~-]+()"
            .to_owned(),
        format!(
            r"(?i)(\\?[\x22'][\w-]*(?:{})\\?[\x22']\s*:\s*\\?[\x22'])[^\x22'\\]+()",
            SECRET_NAMES.join("|")
        ),
    ];
    #[expect(clippy::expect_used, reason = "the expressions are literals")]
    forms.map(|form| Regex::new(&form).expect("the form is an expression"))
});

/// Replaces secrets in what is recorded, and in what is looked for.
#[derive(Default)]
pub(super) struct Scrubber {
    /// Longest first: one secret may hold another.
    secrets: RwLock<Vec<String>>,
}

// By hand: it holds nothing but secrets.
impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrubber").finish_non_exhaustive()
    }
}

/// Whether a member, a header or a variable of this name holds a secret.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_NAMES.iter().any(|it| name.ends_with(it))
}

impl Scrubber {
    /// Remembers a value.
    pub(super) fn hide(&self, secret: &str) {
        let secret = secret.trim();
        if secret.chars().count() < SECRET_CHARS_MIN {
            return;
        }
        let mut secrets = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        if !secrets.iter().any(|it| it == secret) {
            secrets.push(secret.to_owned());
            secrets.sort_by_key(|it| std::cmp::Reverse(it.len()));
        }
    }

    /// A call without secrets.
    pub(super) fn call(&self, call: TapeCall) -> TapeCall {
        TapeCall {
            kind: call.kind,
            request: self.value(call.request),
        }
    }

    /// Data without secrets.
    pub(super) fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Bytes(bytes) => match std::str::from_utf8(&bytes) {
                Ok(text) => Value::Bytes(self.text(text.to_owned()).into()),
                Err(_) => Value::Bytes(bytes),
            },
            Value::List(items) => items.into_iter().map(|it| self.value(it)).collect(),
            Value::Map(map) => Value::Map(self.members(map)),
            other => other,
        }
    }

    fn members(&self, map: Map) -> Map {
        let scrub = |(name, value): (String, Value)| {
            let value = match value {
                other if is_secret_name(&name) && is_something(&other) => Value::from(HIDDEN),
                other => self.value(other),
            };
            (self.text(name), value)
        };
        map.into_iter().map(scrub).collect()
    }

    fn text(&self, mut text: String) -> String {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets.iter() {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), HIDDEN);
            }
        }
        let shown = FORMS.replace_all(&text, |found: &regex::Captures<'_>| {
            let whole = &found[0];
            // What names the secret stays, so that the line can be read.
            let kept = whole.find(['=', ' ']).filter(|_| !whole.starts_with('-'));
            format!("{}{HIDDEN}", kept.map_or("", |at| &whole[..=at]))
        });
        let mut shown = shown.into_owned();
        for pair in PAIRS.iter() {
            if pair.is_match(&shown) {
                shown = pair.replace_all(&shown, "${1}***${2}").into_owned();
            }
        }
        shown
    }
}

/// Whether a value could be a secret: yes and no, and what is empty, are none.
fn is_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::String(text) => !text.is_empty(),
        Value::Bytes(bytes) => !bytes.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_wherever_they_stand() {
        let scrubber = Scrubber::default();
        scrubber.hide("hunter2-hunter2");
        scrubber.hide("short");
        let header = |name: &str, text: &str| Value::map([(name, Value::from(text))]);
        let cases = [
            (Value::from("use hunter2-hunter2, short"), "use ***, short"),
            (Value::from("k sk-abcdefghijklmnop1234 k"), "k *** k"),
            (Value::from("Bearer abcdefgh12345678"), "Bearer ***"),
            (
                Value::from("https://x.org/?key=abc&q=1"),
                "https://x.org/?key=***&q=1",
            ),
            (Value::from("a token of thanks"), "a token of thanks"),
            ("https://ada:pw1@x.org/a".into(), "https://***@x.org/a"),
            ("https://x.org/@ada:b@c".into(), "https://x.org/@ada:b@c"),
            (
                "-H 'Authorization: Basic YWRhOnB3MQ=='".into(),
                "-H 'Authorization: Basic ***'",
            ),
            ("basic information".into(), "basic information"),
            (
                r#"{"api_key": "abc", "a": "b"}"#.into(),
                r#"{"api_key": "***", "a": "b"}"#,
            ),
            (
                r#"{\"db_password\":\"abc\"}"#.into(),
                r#"{\"db_password\":\"***\"}"#,
            ),
            ("'pgpass': 'abc'".into(), "'pgpass': '***'"),
        ];
        for (value, expected) in cases {
            let shown = scrubber.value(value);
            assert_eq!(shown, Value::from(expected));
            assert_eq!(scrubber.value(shown.clone()), shown, "hidden twice");
        }
        let names = [
            "passwd",
            "PWD",
            "passphrase",
            "private_key",
            "credentials",
            "pgpass",
            "pin_token",
        ];
        let values = [
            Value::Int(1234),
            Value::Float(0.5),
            Value::List(vec![Value::from("a")]),
            Value::map([("user", Value::from("ada"))]),
            Value::Bytes("abc".into()),
            Value::from("x"),
        ];
        for (name, value) in names
            .iter()
            .flat_map(|it| values.iter().map(move |v| (*it, v)))
        {
            let shown = scrubber.value(Value::map([(name, value.clone())]));
            assert_eq!(shown, header(name, "***"), "{name}: {value}");
        }
        for nothing in [Value::Null, Value::Bool(true), Value::from("")] {
            let member = Value::map([("secret", nothing)]);
            assert_eq!(scrubber.value(member.clone()), member);
        }
        for name in ["Authorization", "x-api-key", "access_token", "Set-Cookie"] {
            let shown = scrubber.value(header(name, "anything"));
            assert_eq!(shown, header(name, "***"), "{name}");
        }
        let usage = Value::map([("input_tokens", Value::Int(3))]);
        assert_eq!(scrubber.value(usage.clone()), usage);
        let nested = Value::List(vec![Value::Bytes("=hunter2-hunter2".into())]);
        let expected = Value::List(vec![Value::Bytes("=***".into())]);
        assert_eq!(scrubber.value(nested), expected);
        assert!(!format!("{scrubber:?}").contains("hunter2"));
    }
}

//! Secrets: whatever form they have, none is in the file of a cassette.

use aikit_components::{
    config::Variables,
    models::cassette::Mode,
    registry::{Components, Setup},
    security::policy::Profile,
};
use aikit_core::{
    Value,
    context::Principal,
    tape::{Tape, TapeCall},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;

/// Names of members under which anything is a secret.
const SECRET_MEMBERS: [&str; 19] = [
    "api_key",
    "apiKey",
    "X-Api-Key",
    "authorization",
    "Set-Cookie",
    "password",
    "passwd",
    "DB_PWD",
    "passphrase",
    "secret",
    "clientSecret",
    "access_token",
    "refresh_token_2",
    "private_key",
    "credentials",
    "pgpass",
    "connection_string",
    "db_pass",
    "auth",
];

/// Texts in which what stands in the braces is a secret.
const SECRET_TEXTS: [&str; 18] = [
    "https://user:{}@example.org/x",
    "https://{}@example.org",
    "postgres://ada:{}/?#x@db/x",
    "https://example.org/?a=1&access_token={}&b=2",
    "https://example.org/?X-Amz-Signature={}",
    "curl -H 'X-Auth-Token: {}' x",
    "Authorization: Basic {}",
    "Authorization: Bearer {}",
    "Cookie: session={}; a=b",
    "export SERVICE_TOKEN={}",
    "PASSWORD='{}'",
    "password = \"{}\"",
    "--api-key {} --now",
    "machine example.org login ada password {}",
    "Server=x;User=a;Password={};",
    "{'secret': '{}'}",
    "secrets: {}\n",
    "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
];

/// Values that hold secrets, and these.
#[derive(Default)]
struct Planted {
    secrets: Vec<String>,
    values: Vec<Value>,
}

impl Planted {
    fn secret(&mut self) -> String {
        let secret = format!("planted-{}-secret", self.secrets.len());
        self.secrets.push(secret.clone());
        secret
    }

    /// A member with each kind of value, as data, as JSON in a text, and as that in JSON in a text.
    fn member(&mut self, name: &str) {
        for held in [
            json!(self.secret()),
            json!([self.secret()]),
            json!({"a": {"b": [self.secret()]}}),
        ] {
            let member = json!({ name: held, "a": 1 });
            let text = member.to_string();
            let twice = json!({ "body": text }).to_string();
            self.values.push(Value::from_json(member));
            self.values.extend([text.into(), twice.into()]);
        }
        let bytes = Value::Bytes(self.secret().into_bytes().into());
        self.values.push(Value::map([(name, bytes)]));
    }
}

#[test]
fn no_planted_secret_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let variables = [
        ("OPENAI_API_KEY", "planted-in-the-environment"),
        ("MYSQL_PWD", "planted-mysql"),
        ("PWD", "/home/ada"),
    ];
    let components = Components::assemble(Setup {
        profile: Profile::Notebook,
        working_directory: folder.path().to_owned(),
        variables: Variables::of(variables),
        ask: None,
        principal: Principal::default(),
    })
    .unwrap();
    let deck = &components.deck;
    deck.insert(&path, Mode::Record, true).unwrap();
    Tape::hide(&**deck, "plan7");
    let mut planted = Planted::default();
    for name in SECRET_MEMBERS {
        planted.member(name);
    }
    for text in SECRET_TEXTS {
        let text = text.replace("{}", &planted.secret());
        planted.values.push(text.into());
    }
    for text in [
        "YWRhOnBsYW50ZWQtaW4tYmFzaWM=",
        "sk-ant-plantedplantedplanted",
        "plan7",
        variables[0].1,
        variables[1].1,
    ] {
        planted
            .values
            .push(format!("say Basic {text} to it").into());
        planted.secrets.push(text.to_owned());
    }
    let number = 7_301_945;
    let numbers = [
        Value::map([("pin_code", Value::Int(number))]),
        format!("{{\"password\":{number}}}").into(),
    ];
    planted.values.extend(numbers);
    planted.secrets.push(number.to_string());
    assert!(planted.secrets.len() >= 30, "{}", planted.secrets.len());
    for value in planted.values {
        let request = Value::map([("args", value.clone())]);
        let call = TapeCall {
            kind: "tool",
            request,
        };
        deck.find(&call).unwrap();
        let outcome = Value::map([("answer", value)]);
        deck.keep(call, outcome);
    }
    deck.eject(true).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    for secret in &planted.secrets {
        let bytes = STANDARD.encode(secret);
        for form in [secret, &bytes] {
            let at = text.find(form.as_str());
            let around = at.map(|at| &text[at.saturating_sub(80)..at + form.len()]);
            assert_eq!(around, None, "`{secret}` is in the file");
        }
    }
    assert!(text.contains("\"***\"") && text.contains("://***@example.org/x"));
}

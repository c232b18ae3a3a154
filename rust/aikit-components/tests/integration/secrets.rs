//! Secrets: whatever form they have, none is in the file of a cassette.

use aikit_components::{
    config::Variables,
    models::cassette::{Deck, Mode},
    registry::{Components, Setup},
    security::policy::Profile,
};
use aikit_core::{
    Value,
    context::Principal,
    tape::{Found, Tape, TapeCall},
};
use base64::{
    Engine as _, alphabet,
    engine::{
        GeneralPurpose, GeneralPurposeConfig,
        general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    },
};
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
        let Found::Missing(number) = deck.find(&call).unwrap() else {
            panic!("a recording gives nothing");
        };
        let outcome = Value::map([("answer", value)]);
        deck.keep(number, call, outcome);
    }
    deck.eject(true).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_none(&text, &planted.secrets);
    assert!(text.contains("\"***\"") && text.contains("://***@example.org/x"));
}

/// Fails where one of the secrets is in a text, in base64 too.
fn assert_none(text: &str, secrets: &[String]) {
    let decoded = decoded(text);
    for secret in secrets {
        let at = text.find(secret.as_str());
        let around = at.map(|at| &text[at.saturating_sub(80)..at + secret.len()]);
        assert_eq!(around, None, "`{secret}` is in the file");
        let is_secret = |it: &[u8]| it == secret.as_bytes();
        let within = decoded.windows(secret.len()).any(is_secret);
        assert!(!within, "`{secret}` is in base64 in the file");
    }
}

/// What stands in base64 in a text: every part that could be so, read from each of the four
/// letters with which a group can begin.
fn decoded(text: &str) -> Vec<u8> {
    let lenient = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let engine = GeneralPurpose::new(&alphabet::STANDARD, lenient);
    let standard = text.replace('-', "+").replace('_', "/");
    let is_other = |it: char| !(it.is_ascii_alphanumeric() || "+/".contains(it));
    let mut found = Vec::new();
    for part in standard.split(is_other) {
        for start in 0..part.len().min(4) {
            let letters = (part.len() - start) / 4 * 4;
            let group = &part[start..start + letters];
            found.extend(engine.decode(group).unwrap_or_default());
            found.push(0);
        }
    }
    found
}

#[test]
fn secrets_among_bytes_and_in_base64_are_hidden() {
    let secret = "planted-in-the-environment".to_owned();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let deck = Deck::default();
    deck.hide(&secret);
    deck.insert(&path, Mode::Record, true).unwrap();
    for before in 0..4 {
        for after in 0..4 {
            let mut bytes = vec![b'b'; before];
            bytes.extend_from_slice(secret.as_bytes());
            bytes.extend(vec![b'a'; after]);
            let image = format!("data:x;base64,{}", STANDARD.encode(&bytes));
            let address = URL_SAFE_NO_PAD.encode(&bytes);
            bytes.insert(0, 0xff);
            bytes.push(0xfe);
            let values = [image.into(), address.into(), Value::Bytes(bytes.into())];
            tell(&deck, "tool", Value::List(values.into()));
        }
    }
    deck.eject(true).unwrap();
    assert_none(&std::fs::read_to_string(&path).unwrap(), &[secret]);
}

/// Records a call and its answer.
fn tell(deck: &Deck, kind: &'static str, answer: Value) {
    let request = Value::map([("args", Value::Null)]);
    let call = TapeCall { kind, request };
    let Found::Missing(number) = deck.find(&call).unwrap() else {
        panic!("a recording gives nothing");
    };
    deck.keep(number, call, Value::map([("answer", answer)]));
}

#[test]
fn secrets_in_the_pieces_of_an_answer_are_hidden() {
    let secret = "planted-in-the-environment";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let deck = Deck::default();
    deck.hide(secret);
    let form = "sk-ant-planted-0123456789";
    let pieces = |kind: &str, text: &str, length: usize| -> Vec<Value> {
        let letters: Vec<char> = text.chars().collect();
        let part = |it: &[char]| Value::map([(kind, Value::from(it.iter().collect::<String>()))]);
        letters.chunks(length).map(part).collect()
    };
    let error = json!({"kind": "io", "message": "broken"});
    for end in [
        Some((
            "response",
            json!({"message": {"role": "assistant", "parts": []}}),
        )),
        Some(("error", error)),
        None,
    ] {
        for length in [1, 3, 10] {
            let said = pieces(
                "text",
                &format!("it is {secret}, and {form}: keep it"),
                length,
            );
            let thought = pieces("reasoning", &format!("{form} or {secret}"), length);
            // Both at once.
            let (mut said, mut thought) = (said.into_iter(), thought.into_iter());
            let mut all: Vec<Value> = Vec::new();
            while said.len() + thought.len() > 0 {
                all.extend(said.next());
                all.extend(thought.next());
            }
            let mut answer = vec![("pieces", Value::List(all))];
            answer.extend(end.clone().map(|(name, end)| (name, Value::from_json(end))));
            deck.insert(&path, Mode::Record, true).unwrap();
            tell(&deck, "chat", Value::map(answer));
            deck.eject(true).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let line: serde_json::Value =
                serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
            let pieces = line["answer"]["pieces"].as_array().unwrap();
            let whole = |kind: &str| -> String {
                pieces.iter().filter_map(|it| it[kind].as_str()).collect()
            };
            assert_eq!(whole("text"), "it is ***, and ***: keep it");
            assert_eq!(whole("reasoning"), "*** or ***");
        }
    }
    // One that broke off inside of a secret.
    deck.insert(&path, Mode::Record, true).unwrap();
    let left = pieces("text", "it is planted-in-the", 4);
    tell(&deck, "chat", Value::map([("pieces", Value::List(left))]));
    deck.eject(true).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("plan"), "{text}");
}

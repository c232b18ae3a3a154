//! What is hidden, and what stays.

use super::*;

fn check(scrubber: &Scrubber, value: Value, expected: &Value) {
    let shown = scrubber.value(value);
    assert_eq!(&shown, expected);
    assert_eq!(&scrubber.value(shown.clone()), expected, "hidden twice");
}

#[test]
fn secrets_are_replaced_wherever_they_stand() {
    let scrubber = Scrubber::default();
    scrubber.hide("hunter2-hunter2");
    scrubber.hide("a \"quoted\" one");
    scrubber.hide("short");
    let cases = [
        ("use hunter2-hunter2, short", "use ***, short"),
        (r#"{"a": "a \"quoted\" one"}"#, r#"{"a": "***"}"#),
        ("https://x.org/a%20%22quoted%22%20one", "https://x.org/***"),
        ("k sk-abcdefghijklmnop1234 k", "k *** k"),
        ("Bearer abcdefgh12345678", "Bearer ***"),
        ("https://x.org/?key=abc&q=1", "https://x.org/?key=***&q=1"),
        (
            "https://x.org/?token=abc&q=1",
            "https://x.org/?token=***&q=1",
        ),
        ("https://ada:pw1@x.org/a", "https://***@x.org/a"),
        ("https://abc@x.org/a", "https://***@x.org/a"),
        ("postgres://ada:p/w?1#@x.org/a", "postgres://***@x.org/a"),
        ("say Basic YWRhOnB3MQ== to it", "say Basic *** to it"),
        (
            "-H 'Authorization: Basic YWRhOnB3MQ=='",
            "-H 'Authorization: ***'",
        ),
        ("X-Api-Key: abc\nAccept: */*", "X-Api-Key: ***\nAccept: */*"),
        (
            r#"{"api_key": "abc", "a": "b"}"#,
            r#"{"api_key": "***", "a": "b"}"#,
        ),
        (r#"{"pin": 1234, "a": 1}"#, r#"{"pin": "***", "a": 1}"#),
        (
            r#"{"tokens": 3, "secret": null}"#,
            r#"{"tokens": 3, "secret": null}"#,
        ),
        (
            r#"{"secrets": ["a]", {"b": 1}], "c": 2}"#,
            r#"{"secrets": "***", "c": 2}"#,
        ),
        (
            r#"{\"db_password\":\"a\\\"bc\",\"a\":1}"#,
            r#"{\"db_password\":\"***\",\"a\":1}"#,
        ),
        (
            r#"{\"password\": {\"a\": 1}}"#,
            r#"{\"password\": \"***\"}"#,
        ),
        ("'pgpass': 'abc'", "'pgpass': '***'"),
        ("export API_KEY=abc\nA=b", "export API_KEY=***\nA=b"),
        ("password = \"abc\"", "password = \"***\""),
        ("passwd = abc\n", "passwd = ***\n"),
        ("run --token abc --now", "run --token *** --now"),
        ("login ada password abc", "login ada password ***"),
        (
            "Server=x;Password=abc;Port=1",
            "Server=x;Password=***;Port=1",
        ),
    ];
    for (text, expected) in cases {
        check(&scrubber, text.into(), &expected.into());
    }
}

#[test]
fn pairs_records_and_bytes_are_looked_into() {
    let scrubber = Scrubber::default();
    scrubber.hide("hunter2-hunter2");
    let pair = Value::List(vec!["Authorization".into(), "x".into()]);
    let hidden = Value::List(vec!["Authorization".into(), HIDDEN.into()]);
    check(&scrubber, pair, &hidden);
    let named = |value: &str| {
        Value::map([
            ("name", Value::from("DB_PASS")),
            ("value", Value::from(value)),
        ])
    };
    check(&scrubber, named("x"), &named(HIDDEN));
    let nested = Value::List(vec![Value::Bytes("=hunter2-hunter2".into())]);
    let expected = Value::List(vec![Value::Bytes("=***".into())]);
    check(&scrubber, nested, &expected);
    assert!(!format!("{scrubber:?}").contains("hunter2"));
}

#[test]
fn what_is_no_secret_stays() {
    let scrubber = Scrubber::default();
    for text in [
        "a token of thanks",
        "basic information, Basic English",
        "https://x.org/@ada:b@c",
        "https://x.org:8080/a",
        "write to ada@x.org",
        "api_key=api_key, token=next(tokens), password=os.environ[\"A\"]",
        "token = next(tokens) + 1",
        "The password is long; a secret: none",
        "password: str\ntoken: string\n",
        "echo $TOKEN; curl -u ada:$PASSWORD",
        "PWD=/home/ada\nOLDPWD=/home",
        "pinned, passed, author, keyboard = 1",
        "{\"input_tokens\": 3, \"max_tokens\": 4, \"passed\": 5}",
        "",
    ] {
        check(&scrubber, text.into(), &text.into());
    }
    for nothing in [Value::Null, Value::Bool(true), Value::from("")] {
        let member = Value::map([("secret", nothing)]);
        check(&scrubber, member.clone(), &member);
    }
}

#[test]
fn members_are_hidden_by_their_names_whatever_they_hold() {
    let scrubber = Scrubber::default();
    let values = [
        Value::Int(1234),
        Value::Float(0.5),
        Value::List(vec![Value::from("a")]),
        Value::map([("user", Value::from("ada"))]),
        Value::Bytes("abc".into()),
        Value::from("x"),
    ];
    for name in [
        "Authorization",
        "Set-Cookie",
        "accessToken",
        "access_tokens",
        "api_key_2",
        "auth",
        "clientSecret",
        "connection-string",
        "credentials",
        "db_pass",
        "mysql_pwd",
        "passphrase",
        "passwd",
        "pgpass",
        "pin_token",
        "private.key",
        "pwd",
        "secret key",
        "x-api-key",
    ] {
        for value in &values {
            let member = Value::map([(name, value.clone())]);
            check(
                &scrubber,
                member,
                &Value::map([(name, Value::from(HIDDEN))]),
            );
        }
    }
    for name in [
        "PWD",
        "OLDPWD",
        "input_tokens",
        "max_tokens",
        "passed",
        "author",
        "pass",
    ] {
        let member = Value::map([(name, values[0].clone())]);
        check(&scrubber, member.clone(), &member);
    }
    assert!(is_secret_variable("MYSQL_PWD") && !is_secret_variable("OLDPWD"));
}

#[test]
fn what_was_typed_unseen_is_hidden_however_short_it_is() {
    let scrubber = Scrubber::default();
    scrubber.hide_typed("1234");
    scrubber.hide_typed("7");
    let cases = [
        ("1234", "***"),
        ("7", "***"),
        ("the code is 1234.", "the code is ***."),
        ("12345 birds, 7 owls", "12345 birds, 7 owls"),
        (r#"{"answer":"7"}"#, r#"{"answer":"***"}"#),
        (r#"{\"answer\":\"7\"}"#, r#"{\"answer\":\"***\"}"#),
    ];
    for (text, expected) in cases {
        check(&scrubber, text.into(), &expected.into());
    }
}

//! What is hidden in records: secrets that were told, and what has their form.

use super::*;

#[test]
fn a_known_secret_is_hidden_wherever_it_stands() {
    let lines = lines(Level::Info, Format::Json);
    hide("s3cr3t-value");
    hide("short");
    let nested = Value::map([("deep", Value::from(vec!["x s3cr3t-value y"]))]);
    get().info("with s3cr3t-value in it, short", fields("nested", nested));
    tracing::info!(error = "s3cr3t-value", "m");
    let written = lines.take();
    assert!(
        written
            .iter()
            .all(|it| !it.contains("s3cr3t-value") && it.contains(HIDDEN))
    );
    assert!(written[0].contains("short"));
}

#[test]
fn a_secret_in_a_long_text_is_hidden_before_the_text_is_cut() {
    let lines = lines(Level::Info, Format::Json);
    let secret = "s3cr3t-of-sixty-characters-and-more-0123456789-0123456789-0123456789";
    hide(secret);
    let (head, tail) = ("x".repeat(140), "y".repeat(300));
    // Across the place of the cut, at the end, and in an error that quotes it.
    for text in [format!("{head}{secret}{tail}"), format!("{tail}{secret}")] {
        tracing::info!(text, "m");
        let error = crate::Error::invalid_args(format!("no file `{text}`"));
        tracing::info!(%error, "m");
        for line in lines.take() {
            for part in [&secret[..12], &secret[secret.len() - 12..]] {
                assert!(!line.contains(part), "{line}");
            }
            assert!(line.contains(HIDDEN), "{line}");
        }
    }
}

#[test]
fn names_of_fields_and_components_hide_no_secret_either() {
    let lines = lines(Level::Info, Format::Json);
    hide("n4me-of-field");
    let nested = Value::map([(
        "a n4me-of-field",
        Value::map([("n4me-of-field", Value::Int(1))]),
    )]);
    let mut all = fields("n4me-of-field", 1_i64);
    all.insert("rows".to_owned(), Value::Int(3));
    all.insert("nested".to_owned(), Value::from(vec![nested]));
    get().info("m", all);
    let written = &lines.json()[0];
    assert_eq!((&written[HIDDEN], &written["rows"]), (&1.into(), &3.into()));
    assert_eq!(written["nested"][0]["a ***"][HIDDEN], 1);
    for_component("n4me-of-field").info("m", Map::new());
    assert_eq!(lines.json()[0]["target"], "aikit.***");
}

#[test]
fn fields_of_a_host_are_hidden_by_their_names_and_those_of_aikit_are_not() {
    // The only test that sets one: the first stays.
    const SECRET: [&str; 3] = ["api_key", "session_id", "user_id"];
    set_scrubber(Scrubber {
        may_hold: |text| SECRET.iter().any(|it| text.contains(it)),
        hide: |name, _| SECRET.contains(&name).then(|| HIDDEN.to_owned()),
    });
    let lines = lines(Level::Info, Format::Json);
    let own: ContextFields = Arc::new(|_| {
        let mut own = Fields::new();
        own.set("api_key", Value::from("k"));
        own.set("user_id", Value::from("u"));
        own
    });
    let metadata = Map::from_iter([("session_id".to_owned(), Value::from("s1"))]);
    let cx = Context::create(Overrides {
        metadata,
        ..Overrides::default()
    });
    for all in [
        vec![Arc::clone(&own), default_context_fields()],
        vec![default_context_fields(), own],
    ] {
        configure(Settings {
            context_fields: Some(compose_context_fields(all)),
            ..Settings::default()
        });
        cx.run_sync(|| get().info("m", Map::new()));
        let written = &lines.json()[0];
        for (name, expected) in [
            ("api_key", HIDDEN),
            ("user_id", HIDDEN),
            ("session_id", "s1"),
        ] {
            assert_eq!(written[name], expected, "{name}");
        }
    }
}

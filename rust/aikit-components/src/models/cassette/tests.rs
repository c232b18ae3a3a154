//! The deck: what goes into which cassette, and how each ends.

use super::*;

/// Makes a call as its caller does.
fn made(deck: &Deck, call: &TapeCall, outcome: Value) {
    match deck.find(call).unwrap() {
        tape::Found::Missing(number) => deck.keep(number, call.clone(), outcome),
        tape::Found::Recorded(outcome) => panic!("{outcome:?} was recorded"),
    }
}

fn recorded(outcome: Value) -> tape::Found {
    tape::Found::Recorded(outcome)
}

fn call(number: i64) -> TapeCall {
    TapeCall {
        kind: "tool",
        request: Value::Int(number),
    }
}

fn answer(text: &str) -> Value {
    Value::map([("answer", Value::from(text))])
}

#[test]
fn a_full_cassette_is_an_error_and_what_it_holds_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let mut deck = Deck::default();
    for (entries, bytes) in [(2, 10_000), (100, 120)] {
        deck.room = Room { entries, bytes };
        deck.insert(&path, Mode::Record, true).unwrap();
        for number in 0..2 {
            made(&deck, &call(number), answer("a"));
        }
        // The one before whose call there was room has acted; all after it are not made, and
        // who ends the recording is told.
        let number = deck.beginning().unwrap().number;
        deck.keep(number, call(2), answer(&"long".repeat(10)));
        let (found, ended) = (deck.find(&call(3)), deck.eject(true));
        assert!(
            ended
                .as_ref()
                .is_err_and(|it| it.message().contains("1 call "))
        );
        for error in [found.unwrap_err(), ended.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
            assert!(error.hint().is_some_and(|it| it.contains("another one")));
        }
        deck.insert(&path, Mode::Replay, true).unwrap();
        assert_eq!(deck.find(&call(1)).unwrap(), recorded(answer("a")));
        assert_eq!(deck.eject(true).unwrap().unused, 1);
    }
}

#[test]
fn the_clock_can_be_read_while_a_miss_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let deck = Arc::new(Deck::default());
    deck.insert(&path, Mode::Record, true).unwrap();
    made(&deck, &call(1), answer("a"));
    deck.eject(true).unwrap();
    deck.insert(&path, Mode::Replay, true).unwrap();
    let key = Key::of("tool", &Value::Int(2));
    let found = deck.lock().as_mut().unwrap().find("tool", &key).unwrap();
    // All that the lock is held for is done.
    assert!(clock(&deck).now() > 0);
    let Found::Miss(miss) = found else {
        panic!("{found:?}");
    };
    assert_eq!(miss.error(&call(2)).kind(), ErrorKind::CassetteMiss);
}

#[test]
fn each_cassette_begins_randomness_once_and_a_replay_as_its_recording() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let deck = Deck::default();
    assert_eq!(deck.beginning(), None);
    let begun = |mode| {
        deck.insert(&path, mode, true).unwrap();
        let beginning = deck.beginning().unwrap();
        assert_eq!(deck.beginning(), Some(beginning));
        deck.eject(true).unwrap();
        beginning
    };
    let recorded = begun(Mode::Record);
    let replayed = begun(Mode::Replay);
    assert_eq!(replayed.seed, recorded.seed);
    assert_ne!(replayed.number, recorded.number);
    assert_ne!(begun(Mode::Record).seed, recorded.seed);
}

#[test]
fn a_call_goes_into_the_cassette_under_which_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let deck = Deck::default();
    let begin = |name: &str| deck.insert(&place(name), Mode::Record, true).unwrap();
    let before = deck.find(&call(0)).unwrap();
    assert_eq!(before, tape::Found::Missing(0));
    let one = begin("one.cassette");
    deck.keep(0, call(0), answer("began without a cassette"));
    let tape::Found::Missing(number) = deck.find(&call(1)).unwrap() else {
        panic!("a recording gives nothing");
    };
    assert_eq!(number, one.number);
    assert_eq!(deck.eject_only(one.number, true).unwrap().entries, 0);
    let two = begin("two.cassette");
    deck.keep(number, call(1), answer("began in another one"));
    // Whoever began the first one leaves the second one in.
    for keep in [false, true] {
        let error = deck.eject_only(one.number, keep).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{error}");
    }
    assert!(deck.holds(two.number) && !deck.holds(one.number));
    made(&deck, &call(2), answer("a"));
    assert_eq!(deck.eject_only(two.number, true).unwrap().entries, 1);
}

#[test]
fn what_ends_while_the_file_is_written_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let deck = Deck::default();
    let path = folder.path().join("x.cassette");
    deck.insert(&path, Mode::Record, true).unwrap();
    made(&deck, &call(1), answer("a"));
    let ending = deck.begin_ending(None, None).unwrap().unwrap();
    made(&deck, &call(2), answer("late"));
    let report = deck.write_ending(&ending).unwrap();
    assert_eq!((report.entries, report.late), (1, 1));
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[test]
fn what_was_hidden_while_recording_is_found_by_whoever_does_not_know_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let asked = |text: &str| TapeCall {
        kind: "tool",
        request: Value::map([("prompt", Value::from(text))]),
    };
    let recording = Deck::default();
    recording.hide("postgres");
    recording.insert(&path, Mode::Record, true).unwrap();
    Tape::hide(&recording, "2024");
    for text in [
        "events of 2024",
        "use postgresql",
        "events of 2024",
        "postgres",
    ] {
        made(&recording, &asked(text), answer(text));
    }
    recording.eject(true).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains("2024\"") && !text.contains("postgres"),
        "{text}"
    );
    let deck = Deck::default();
    deck.insert(&path, Mode::Replay, true).unwrap();
    // The one with the most in common, then in order, and each once.
    for (text, outcome) in [
        ("use postgresql", "use ***ql"),
        ("events of 2024", "events of ***"),
        ("events of 2024", "events of ***"),
        ("postgres", "***"),
    ] {
        let found = deck.find(&asked(text)).unwrap();
        assert_eq!(found, recorded(answer(outcome)), "{text}");
    }
    assert!(deck.find(&asked("events of 2024")).is_err());
    assert_eq!(deck.eject(true).unwrap().unused, 0);
    deck.insert(&path, Mode::Replay, false).unwrap();
    for _ in 0..3 {
        let found = deck.find(&asked("use postgresql")).unwrap();
        assert!(matches!(found, tape::Found::Recorded(_)), "{found:?}");
    }
    deck.eject(true).unwrap();
    // What was typed for one cassette is not hidden in the next one.
    let path = folder.path().join("next.cassette");
    recording.insert(&path, Mode::Record, true).unwrap();
    made(&recording, &asked("events of 2024"), answer("a"));
    recording.eject(true).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("events of 2024"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_folder_that_leads_elsewhere_in_the_end_is_not_written() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let inside = folder.path().join("sub");
    let path = inside.join("x.cassette");
    let deck = Deck::default();
    deck.insert(&path, Mode::Record, true).unwrap();
    std::fs::rename(&inside, folder.path().join("before")).unwrap();
    std::os::unix::fs::symlink(outside.path(), &inside).unwrap();
    let error = deck.eject(true).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    // One that was made anew where it was is no other one.
    std::fs::remove_file(&inside).unwrap();
    assert_eq!(deck.eject(true).unwrap().path, path);
}

//! The file of a cassette: what is in it, what is not, and what when it cannot be written.

use super::*;

#[test]
fn a_question_is_asked_once_and_what_is_typed_unseen_is_in_no_file() {
    #[derive(Debug)]
    struct Person;
    impl aikit_core::services::Ask for Person {
        fn ask<'a>(
            &'a self,
            _: &'a Context,
            question: aikit_core::services::Question,
        ) -> BoxFuture<'a, Result<String>> {
            let answer = if question.secret { "1234" } else { "blue" };
            Box::pin(async move { Ok(answer.to_owned()) })
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let assemble = |ask| {
        Components::assemble(Setup {
            profile: Profile::Notebook,
            working_directory: folder.path().to_owned(),
            variables: Variables::of(std::iter::empty::<(&str, &str)>()),
            ask,
            principal: Principal::default(),
        })
        .unwrap()
    };
    let ask = |components: &Components, secret: bool| {
        let tool = components.tools.find("ask_user").unwrap();
        let cx = components.tool_context();
        let args = Value::map([
            ("question", Value::from("which?")),
            ("secret", Value::from(secret)),
        ]);
        wait(async move { tools::invoke(&cx, &tool, args).await })
    };
    let answer = |text: &str| Value::map([("answer", Value::from(text))]);
    let recording = assemble(Some(Arc::new(Person) as _));
    recording.deck.insert(&path, Mode::Record, true).unwrap();
    assert_eq!(ask(&recording, false).unwrap(), answer("blue"));
    assert_eq!(ask(&recording, true).unwrap(), answer("1234"));
    recording.deck.eject(true).unwrap();
    // The first line has random digits.
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.lines().skip(1).all(|it| !it.contains("1234")));
    let replaying = assemble(None);
    replaying.deck.insert(&path, Mode::Replay, true).unwrap();
    assert_eq!(ask(&replaying, false).unwrap(), answer("blue"));
    assert_eq!(ask(&replaying, true).unwrap(), answer("***"));
    replaying.deck.eject(true).unwrap();
}

#[test]
fn a_recording_that_cannot_be_written_is_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let components = components(folder.path(), &[]);
    let (cx, deck) = (components.tool_context(), &components.deck);
    std::fs::write(folder.path().join("file"), "").unwrap();
    let below_a_file = folder.path().join("file/x.cassette");
    assert!(deck.insert(&below_a_file, Mode::Record, true).is_err());
    let tool = Counter::make(vec![Permission::Network]);
    deck.insert(&path, Mode::Record, true).unwrap();
    count(&cx, &tool, &[]).unwrap();
    std::fs::create_dir(&path).unwrap();
    for _ in 0..2 {
        let error = deck.eject(true).unwrap_err();
        assert!(error.hint().unwrap().contains("still in"), "{error}");
    }
    // It goes on, and can be ended at another place or, when that is mended, at its own.
    count(&cx, &tool, &[]).unwrap();
    let store = folder.path().join(".aikit/x.cassette");
    assert_eq!(deck.eject_to(&store).unwrap_err().kind(), ErrorKind::Denied);
    let other = folder.path().join("other.cassette");
    let report = deck.eject_to(&other).unwrap();
    assert_eq!((&report.path, report.entries), (&other, 2));
    assert_eq!(std::fs::read_to_string(&other).unwrap().lines().count(), 3);
    deck.insert(&other, Mode::Replay, true).unwrap();
    let error = deck.eject_to(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{error}");
    assert_eq!(deck.eject(true).unwrap().unused, 2);

    std::fs::remove_dir(&path).unwrap();
    deck.insert(&path, Mode::Record, true).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(deck.eject(true).is_err());
    std::fs::remove_dir(&path).unwrap();
    assert_eq!(deck.eject(true).unwrap().entries, 0);
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 3, "nothing is left beside");
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_said_before_anything_is_recorded() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o500)).unwrap();
    let components = components(folder.path(), &[]);
    let path = closed.join("x.cassette");
    // Whoever may write everywhere can write there as well.
    if std::fs::write(closed.join("probe"), "").is_err() {
        let error = components
            .deck
            .insert(&path, Mode::Record, true)
            .unwrap_err();
        assert!(error.hint().unwrap().contains("can be written"), "{error}");
    }
    let device = Path::new("/dev/null/x.cassette");
    assert!(components.deck.insert(device, Mode::Record, true).is_err());
    assert!(components.deck.eject(true).is_err(), "none is in");
}

#[test]
fn what_aikit_draws_for_itself_is_not_of_the_cassette() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let components = components(folder.path(), &[]);
    let clock = components.context.clock();
    let drawn = || {
        let mut bytes = [0; 8];
        clock.random(&mut bytes);
        bytes
    };
    components.deck.insert(&path, Mode::Record, true).unwrap();
    let first = drawn();
    let (cx, tool) = (
        components.tool_context(),
        components.tools.find("write_file").unwrap(),
    );
    let args = Value::map([("path", Value::from("a.txt")), ("content", "a".into())]);
    wait(async move { tools::invoke(&cx, &tool, args).await }).unwrap();
    assert!((0.0..1.0).contains(&clock.jitter()) && !clock.uuid().is_nil());
    let second = drawn();
    components.deck.eject(true).unwrap();
    components.deck.insert(&path, Mode::Replay, true).unwrap();
    assert_eq!([drawn(), drawn()], [first, second]);
    components.deck.eject(true).unwrap();
}

#[test]
fn an_outside_that_was_refused_replays_without_a_question() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let components = components(folder.path(), &[]);
    let cx = components.tool_context();
    let run = || {
        let outside = Value::map([("path", Value::from("/etc/hostname"))]);
        let inside = Value::map([("path", Value::from("kept.txt"))]);
        let answers = [
            calling("delete_file", outside),
            calling("delete_file", inside),
            Value::from("done"),
        ];
        let options = ModelOptions {
            extra: [("answers".to_owned(), answers.into_iter().collect())].into(),
            ..ModelOptions::default()
        };
        let models = components.services.models().unwrap();
        let model = models.chat(Some("scripted:test"), options).unwrap();
        let mut options = aikit_components::agents::AgentOptions::new(model);
        options.tools = vec![components.tools.find("delete_file").unwrap()];
        let agent = aikit_components::agents::Agent::new(options).unwrap();
        let cx = cx.clone();
        let run = wait(async move { agent.run(&cx, "clean up").await }).unwrap();
        let uses = run.steps.iter().flat_map(|it| &it.tool_calls);
        uses.map(|it| it.result.clone()).collect::<Vec<_>>()
    };
    let kept = folder.path().join("kept.txt");
    std::fs::write(&kept, "x").unwrap();
    components.deck.insert(&path, Mode::Record, true).unwrap();
    let recorded = run();
    let kind = |result: &Value| {
        let kind = result.get("error")?.get("kind")?.as_str()?;
        Some(kind.to_owned())
    };
    // Nobody is there to approve.
    let kinds: Vec<_> = recorded.iter().map(|it| kind(it).unwrap()).collect();
    assert_eq!(kinds, ["denied", "approval_needed"]);
    assert_eq!(components.deck.eject(true).unwrap().entries, 5);
    // What it would meet now is another thing.
    std::fs::remove_file(&kept).unwrap();
    components.deck.insert(&path, Mode::Replay, true).unwrap();
    assert_eq!(run(), recorded);
    assert_eq!(components.deck.eject(true).unwrap().unused, 0);
}

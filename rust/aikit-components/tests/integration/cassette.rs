//! Cassettes: what is recorded against a live server is given again with the network closed.

mod file;

use std::{path::Path, sync::Arc, time::Duration};

use aikit_components::{
    config::Variables,
    models::{self, cassette::Mode},
    registry::{Components, Setup},
    security::policy::Profile,
    tools,
};
use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    context::{Overrides, Principal},
    model::{ChatEvent, ChatModel, ChatResponse},
    services::{ModelOptions, Permission},
    tool::{DynTool, ToolContext, ToolSpec},
};
use futures::{StreamExt as _, future::BoxFuture};
use serde_json::json;

use crate::support::{
    asking, calling,
    server::{HELLO, Reply, Server},
    wait,
};

const KEY: &str = "a-very-secret-key";

fn components(folder: &Path, variables: &[(&str, &str)]) -> Components {
    Components::assemble(Setup {
        profile: Profile::Notebook,
        working_directory: folder.to_owned(),
        variables: Variables::of(variables.iter().copied()),
        ask: None,
        principal: Principal::default(),
    })
    .unwrap()
}

fn model(components: &Components, server: Option<&Server>) -> Arc<dyn ChatModel> {
    let options = ModelOptions {
        base_url: server.map(|it| it.base_url.clone()),
        api_key: server.map(|_| KEY.to_owned()),
        ..ModelOptions::default()
    };
    let models = components.services.models().unwrap();
    models
        .chat(Some("openai-compatible:tiny"), options)
        .unwrap()
}

fn complete(cx: &ToolContext, model: &Arc<dyn ChatModel>, prompt: &str) -> Result<ChatResponse> {
    let (cx, model, request) = (cx.clone(), Arc::clone(model), asking(prompt));
    wait(async move { models::complete(&cx, &model, request).await })
}

fn stream(cx: &ToolContext, model: &Arc<dyn ChatModel>, prompt: &str) -> Vec<ChatEvent> {
    let (cx, model, request) = (cx.clone(), Arc::clone(model), asking(prompt));
    wait(async move {
        let events = models::stream(&cx, &model, request);
        events.map(Result::unwrap).collect().await
    })
}

fn event(content: &str) -> Vec<u8> {
    let choice = json!({"index": 0, "delta": {"content": content}, "finish_reason": null});
    let chunk = json!({"id": "1", "object": "chat.completion.chunk", "model": "tiny-2",
        "choices": [choice]});
    format!("data: {chunk}\n\n").into_bytes()
}

fn vectors() -> String {
    json!({"object": "list", "model": "e", "data": [
        {"object": "embedding", "index": 0, "embedding": [0.1, -0.25]}]})
    .to_string()
}

fn embed(components: &Components, server: Option<&Server>) -> Result<Vec<Vec<f32>>> {
    let options = ModelOptions {
        base_url: server.map(|it| it.base_url.clone()),
        ..ModelOptions::default()
    };
    let models = components.services.models()?;
    let model = models.embedding("openai-compatible:e", options)?;
    let cx = components.context.clone();
    wait(async move { models::embed(&cx, &model, vec!["a".to_owned()]).await })
}

/// A tool that touches the outside, and counts how often.
#[derive(Debug)]
struct Counter {
    spec: ToolSpec,
    calls: std::sync::atomic::AtomicI64,
}

impl Counter {
    fn make(permissions: Vec<Permission>) -> Arc<Self> {
        Self::limited(permissions, None)
    }

    fn limited(permissions: Vec<Permission>, timeout: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            spec: ToolSpec {
                name: "count_calls".to_owned(),
                summary: "Counts.".to_owned(),
                permissions,
                asks: false,
                input_schema: Value::map([("type", Value::from("object"))]),
                output_schema: None,
                timeout,
                origin: "test",
            },
            calls: std::sync::atomic::AtomicI64::new(0),
        })
    }
}

impl DynTool for Counter {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn check(&self, _: &Value) -> Result<()> {
        Ok(())
    }

    fn call<'a>(&'a self, _: &'a ToolContext, args: Value) -> BoxFuture<'a, Result<Value>> {
        let before = self.calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Box::pin(async move {
            if args.get("wait").is_some() {
                std::future::pending::<()>().await;
            }
            match args.get("fail") {
                Some(kind) => {
                    let named = kind.as_str().and_then(ErrorKind::from_code);
                    let kind = named.unwrap_or(ErrorKind::ToolFailed);
                    Err(Error::new(kind, "as asked").with_hint("no"))
                }
                None => Ok(Value::Int(before + 1)),
            }
        })
    }
}

fn count(cx: &ToolContext, tool: &Arc<Counter>, args: &[(&str, Value)]) -> Result<Value> {
    let tool: Arc<dyn DynTool> = Arc::clone(tool) as _;
    let (cx, args) = (cx.clone(), Value::map(args.iter().cloned()));
    wait(async move { tools::invoke(&cx, &tool, args).await })
}

#[test]
fn what_was_recorded_is_given_again_with_the_network_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let end = b"data: [DONE]\n\n".to_vec();
    let pieces = [event("one "), event("two"), end];
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    let server = Server::start(vec![
        Reply::json(200, HELLO),
        Reply::events(&pieces),
        Reply::json(401, &format!(r#"{{"error": {{"message": "no {KEY}"}}}}"#)),
        Reply::json(200, &vectors()),
    ]);
    let secret = [("SERVICE_TOKEN", "tok-1234567890")];
    let recorded = {
        let components = components(folder.path(), &secret);
        components.deck.insert(&path, Mode::Auto, true).unwrap();
        let (cx, model) = (components.tool_context(), model(&components, Some(&server)));
        let answer = complete(&cx, &model, "hi, my token is tok-1234567890").unwrap();
        let streamed = stream(&cx, &model, "count");
        let refused = complete(&cx, &model, "refused").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ModelAuth);
        let rows = embed(&components, Some(&server)).unwrap();
        let report = components.deck.eject(true).unwrap();
        assert_eq!((report.mode, report.entries), (Mode::Record, 4));
        (answer, streamed, rows)
    };
    drop(server);
    let text = std::fs::read_to_string(&path).unwrap();
    for hidden in [KEY, "tok-1234567890"] {
        assert!(!text.contains(hidden), "{text}");
    }
    assert_eq!(text.lines().count(), 5);

    // Without a server, a network, an address or a key.
    let components = components(folder.path(), &secret);
    components.network.close();
    components.deck.insert(&path, Mode::Auto, true).unwrap();
    let (cx, model) = (components.tool_context(), model(&components, None));
    let (answer, streamed, rows) = recorded;
    // In another order than that of the recording.
    assert_eq!(embed(&components, None).unwrap(), rows);
    assert_eq!(stream(&cx, &model, "count"), streamed);
    let again = complete(&cx, &model, "hi, my token is tok-1234567890");
    assert_eq!(again.unwrap(), answer);
    let refused = complete(&cx, &model, "refused").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ModelAuth);
    let missed = complete(&cx, &model, "hi, my name is Ada").unwrap_err();
    assert_eq!(missed.kind(), ErrorKind::CassetteMiss);
    let shown = missed.message();
    assert!(
        shown.contains("asked:    user: hi, my name is Ada"),
        "{shown}"
    );
    assert!(
        shown.contains("recorded: user: hi, my token is ***"),
        "{shown}"
    );
    let report = components.deck.eject(true).unwrap();
    assert_eq!((report.mode, report.unused), (Mode::Replay, 0));
    // Without the cassette, nothing leaves.
    let server = Server::start(vec![Reply::json(200, HELLO)]);
    let model = self::model(&components, Some(&server));
    let closed = complete(&cx, &model, "hi").unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Denied, "{closed}");
    assert!(closed.message().contains("no_network"), "{closed}");
    components.network.open();
    assert!(complete(&cx, &model, "hi").is_ok());
}

#[test]
fn tools_that_touch_the_outside_are_recorded_and_others_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let components = components(folder.path(), &[]);
    let cx = components.tool_context();
    let (outside, inside) = (
        Counter::make(vec![Permission::Network]),
        Counter::make(Vec::new()),
    );
    let fail = [("fail", Value::Bool(true))];
    components.deck.insert(&path, Mode::Record, true).unwrap();
    for expected in [1, 2] {
        assert_eq!(count(&cx, &outside, &[]).unwrap(), Value::Int(expected));
        assert_eq!(count(&cx, &inside, &[]).unwrap(), Value::Int(expected));
    }
    assert!(count(&cx, &outside, &fail).is_err());
    assert_eq!(components.deck.eject(true).unwrap().entries, 3);

    components.deck.insert(&path, Mode::Replay, true).unwrap();
    let failed = count(&cx, &outside, &fail).unwrap_err();
    assert_eq!(
        (failed.kind(), failed.hint()),
        (ErrorKind::ToolFailed, Some("no"))
    );
    for expected in [1, 2] {
        assert_eq!(count(&cx, &outside, &[]).unwrap(), Value::Int(expected));
        assert_eq!(count(&cx, &inside, &[]).unwrap(), Value::Int(expected + 2));
    }
    let often = count(&cx, &outside, &[]).unwrap_err();
    assert_eq!(often.kind(), ErrorKind::CassetteMiss);
    assert!(often.message().contains("2 times"), "{often}");
    components.deck.eject(true).unwrap();

    // Without `strict` what is missing is done.
    components.deck.insert(&path, Mode::Replay, false).unwrap();
    let other = [("other", Value::Int(1))];
    assert_eq!(count(&cx, &outside, &other).unwrap(), Value::Int(4));
    for expected in [1, 2, 2] {
        assert_eq!(count(&cx, &outside, &[]).unwrap(), Value::Int(expected));
    }
    components.deck.eject(true).unwrap();
}

#[test]
fn a_miss_ends_the_run_of_an_agent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let components = components(folder.path(), &[]);
    let cx = components.tool_context();
    let tool = Counter::make(vec![Permission::Network]);
    components.deck.insert(&path, Mode::Record, true).unwrap();
    let agent = |text: &str| {
        let call = calling("count_calls", Value::map([("text", Value::from(text))]));
        let answers = Value::List(vec![call, Value::from("done")]);
        let options = ModelOptions {
            extra: [("answers".to_owned(), answers)].into(),
            ..ModelOptions::default()
        };
        let models = components.services.models().unwrap();
        let model = models.chat(Some("scripted:test"), options).unwrap();
        let mut options = aikit_components::agents::AgentOptions::new(model);
        options.tools = vec![Arc::clone(&tool) as _];
        aikit_components::agents::Agent::new(options).unwrap()
    };
    let run = |text: &str, prompt: &'static str| {
        let (agent, cx) = (agent(text), cx.clone());
        wait(async move { agent.run(&cx, prompt).await })
    };
    assert_eq!(run("a", "go").unwrap().output, "done");
    components.deck.eject(true).unwrap();
    // The model's answers come from the cassette, whatever this script says.
    components.deck.insert(&path, Mode::Replay, true).unwrap();
    assert_eq!(run("b", "go").unwrap().output, "done");
    assert_eq!(
        run("b", "stop").unwrap_err().kind(),
        ErrorKind::CassetteMiss
    );
    components.deck.eject(true).unwrap();
}

#[test]
fn a_stream_that_was_left_plays_as_far_as_it_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let pieces = [event("one "), event("two"), b"data: [DONE]\n\n".to_vec()];
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    let server = Server::start(vec![Reply::events(&pieces)]);
    let components = components(folder.path(), &[]);
    let (cx, model) = (components.tool_context(), model(&components, Some(&server)));
    let first = || {
        let (cx, model) = (cx.clone(), Arc::clone(&model));
        wait(async move {
            let mut events = models::stream(&cx, &model, asking("count"));
            let first = events.next().await.unwrap().unwrap();
            (first, events)
        })
    };
    components.deck.insert(&path, Mode::Record, true).unwrap();
    let (recorded, rest) = first();
    drop(rest);
    components.deck.eject(true).unwrap();
    components.deck.insert(&path, Mode::Replay, true).unwrap();
    let (replayed, rest) = first();
    assert_eq!(replayed, recorded);
    let last = wait(async move { rest.collect::<Vec<_>>().await }).pop();
    let error = last.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CassetteMiss, "{error}");
    components.deck.eject(true).unwrap();
}

#[test]
fn time_stands_still_and_randomness_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let components = components(folder.path(), &[]);
    let seen = |mode| {
        components.deck.insert(&path, mode, true).unwrap();
        let clock = Context::child(&components.context, Overrides::default());
        let clock = clock.clock();
        let random = |length: usize| {
            let mut bytes = vec![0; length];
            clock.random(&mut bytes);
            bytes
        };
        let seen = (clock.now(), random(4), random(40), clock.now());
        assert!(clock.wall() >= seen.0 && clock.uuid() != clock.uuid());
        components.deck.eject(true).unwrap();
        seen
    };
    let recorded = seen(Mode::Record);
    assert_eq!(recorded.0, recorded.3);
    assert_ne!(recorded.1, recorded.2[..4]);
    assert_eq!(seen(Mode::Replay), recorded);
    assert_ne!(seen(Mode::Record).1, recorded.1);
}

#[test]
fn one_cassette_is_in_at_a_time_and_what_is_not_kept_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let components = components(folder.path(), &[]);
    let deck = &components.deck;
    assert_eq!(deck.eject(true).unwrap_err().kind(), ErrorKind::InvalidArgs);
    let missing = deck.insert(&path, Mode::Replay, true).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.hint().is_some());
    let other = folder.path().join("notes.md");
    std::fs::write(&other, "as it was").unwrap();
    let refused = deck.insert(&other, Mode::Record, true).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgs, "{refused}");
    let store = folder.path().join(".aikit/aikit.db");
    let refused = deck.insert(&store, Mode::Record, true).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied, "{refused}");
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "as it was");
    let before = "{\"aikit_cassette\":1}";
    std::fs::write(&path, before).unwrap();
    deck.insert(&path, Mode::Record, true).unwrap();
    let second = deck.insert(&path, Mode::Record, true).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Conflict);
    deck.eject(false).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    deck.insert(&path, Mode::Record, true).unwrap();
    drop(components);
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept.starts_with("{\"aikit_cassette\":1,"), "{kept}");
}

#[test]
fn a_provider_without_a_key_answers_from_a_cassette_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let server = Server::start(vec![Reply::json(200, HELLO)]);
    let url = [
        ("OPENAI_API_KEY", KEY),
        ("OPENAI_BASE_URL", &*server.base_url),
    ];
    let named = |components: &Components| {
        let models = components.services.models().unwrap();
        models.chat(Some("openai:tiny"), ModelOptions::default())
    };
    let recording = components(folder.path(), &url);
    recording.deck.insert(&path, Mode::Record, true).unwrap();
    let cx = recording.tool_context();
    let answer = complete(&cx, &named(&recording).unwrap(), "hi").unwrap();
    recording.deck.eject(true).unwrap();

    let replaying = components(folder.path(), &[]);
    assert_eq!(
        named(&replaying).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    replaying.deck.insert(&path, Mode::Replay, true).unwrap();
    let (cx, model) = (replaying.tool_context(), named(&replaying).unwrap());
    assert_eq!(complete(&cx, &model, "hi").unwrap(), answer);
    replaying.deck.eject(true).unwrap();
    let error = complete(&cx, &model, "hi").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("OPENAI_API_KEY"), "{error}");
}

#[test]
fn a_refusal_and_a_limit_are_recorded_and_a_stop_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let components = components(folder.path(), &[]);
    let cx = components.tool_context();
    let tool = Counter::make(vec![Permission::Network]);
    let kinds = ["denied", "approval_needed", "timeout"];
    let fail = |kind: &str| count(&cx, &tool, &[("fail", Value::from(kind))]).unwrap_err();
    components.deck.insert(&path, Mode::Record, true).unwrap();
    for kind in kinds.iter().chain(&["cancelled", "interrupted"]) {
        assert_eq!(fail(kind).kind().code(), *kind);
    }
    assert_eq!(components.deck.eject(true).unwrap().entries, kinds.len());
    components.deck.insert(&path, Mode::Replay, true).unwrap();
    for kind in kinds {
        assert_eq!(fail(kind).kind().code(), kind);
    }
    assert_eq!(fail("cancelled").kind(), ErrorKind::CassetteMiss);
    components.deck.eject(true).unwrap();
}

#[test]
fn the_time_limit_of_a_tool_is_recorded_and_that_of_its_caller_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.cassette");
    let components = components(folder.path(), &[]);
    let cx = components.tool_context();
    let waits = [("wait", Value::Bool(true))];
    let soon = Some(Duration::from_millis(1));
    let (limited, endless) = (
        Counter::limited(vec![Permission::Network], soon),
        Counter::make(vec![Permission::Network]),
    );
    let hurried = cx.with_context(cx.context.child(Overrides {
        timeout: soon,
        ..Overrides::default()
    }));
    components.deck.insert(&path, Mode::Record, true).unwrap();
    let left = count(&hurried, &endless, &waits).unwrap_err();
    assert_eq!(left.kind(), ErrorKind::Timeout);
    let recorded = count(&cx, &limited, &waits).unwrap_err();
    assert_eq!(recorded.kind(), ErrorKind::Timeout);
    assert_eq!(components.deck.eject(true).unwrap().entries, 1);
    components.deck.insert(&path, Mode::Replay, true).unwrap();
    // The tool would wait for ever.
    let replayed = count(&cx, &endless, &waits).unwrap_err();
    assert_eq!(replayed.to_value(), recorded.to_value());
    components.deck.eject(true).unwrap();
}

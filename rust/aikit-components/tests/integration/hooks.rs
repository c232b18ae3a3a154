//! Where components ask hooks, and what each answer does to a tool, a model, a step of an agent, an
//! ingest, a search, a refusal of the policy.

use std::sync::{Arc, Mutex};

use aikit_components::{
    agents::{Agent, AgentOptions},
    models,
    rag::{IngestOptions, Rag, RagOptions, Record, SearchOptions, Source},
    tools::Registry,
};
use aikit_core::{
    Context, ErrorKind, Result, Value,
    context::Caller,
    hook::{Hook, HookAction, HookOptions, HookPoint},
    model::EmbeddingModel,
    tool::ToolContext,
};
use futures::future::BoxFuture;

use crate::{
    session::{self, Setup},
    support::{asking, calling, hook, hook_with, scripted, tool_context, wait},
};

/// A hook that notes the points it was asked at.
#[derive(Debug, Default)]
pub(crate) struct Noting(Mutex<Vec<(String, Value)>>);

impl Hook for Noting {
    fn call<'a>(&'a self, _: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        let point = data.get("point").and_then(Value::as_str).unwrap();
        let fields = HookPoint::from_name(point).unwrap().shows();
        for field in data.as_map().unwrap().keys() {
            assert!(fields.contains(&field.as_str()), "{point} shows `{field}`");
        }
        let noted = (point.to_owned(), data.clone());
        self.0.lock().unwrap().push(noted);
        Box::pin(async { Ok(HookAction::Continue) })
    }
}

impl Noting {
    pub(crate) fn at_all_points(cx: &Context) -> Arc<Self> {
        let noting = Arc::new(Self::default());
        let points: aikit_core::hook::Points = HookPoint::ALL.iter().copied().collect();
        let options = HookOptions {
            required: true,
            ..HookOptions::named("noting")
        };
        cx.hooks()
            .register(points, options, noting.clone())
            .unwrap();
        noting
    }

    /// The points since the last time.
    pub(crate) fn points(&self) -> Vec<String> {
        let noted = std::mem::take(&mut *self.0.lock().unwrap());
        noted.into_iter().map(|(point, _)| point).collect()
    }
}

fn map(pairs: &[(&str, Value)]) -> Value {
    Value::map(pairs.iter().cloned())
}

#[test]
fn a_modified_argument_is_checked_and_used() {
    let cx = tool_context();
    let count = Registry::with_built_ins().find("count_words").unwrap();
    let invoke = {
        let (cx, count) = (cx.clone(), Arc::clone(&count));
        move || {
            let (cx, count) = (cx.clone(), Arc::clone(&count));
            let args = map(&[("text", Value::from("a b c"))]);
            wait(async move { aikit_components::tools::invoke(&cx, &count, args).await })
        }
    };
    let words = |value: &Value| value.get("words").cloned();
    let other = map(&[("text", Value::from("a"))]);
    hook(
        &cx,
        HookPoint::ToolBefore,
        HookAction::modify("args", other),
    );
    assert_eq!(words(&invoke().unwrap()), Some(Value::Int(1)));
    // What the tool does not take never reaches it: the hook has failed, and the call goes on.
    let wrong = map(&[("none", Value::Int(1))]);
    hook(
        &cx,
        HookPoint::ToolBefore,
        HookAction::modify("args", wrong),
    );
    assert_eq!(words(&invoke().unwrap()), Some(Value::Int(3)));
    let told = cx.context.hooks().list()[0].last_error.clone().unwrap();
    assert!(
        told.contains("hook `fixed` at `tool.before` failed"),
        "{told}"
    );
}

#[test]
fn a_failed_tool_is_told_and_a_hook_answers_for_it() {
    let cx = tool_context();
    let read = Registry::with_built_ins().find("read_file").unwrap();
    let seen = hook(
        &cx,
        HookPoint::ToolError,
        HookAction::Replace(Value::from("nothing")),
    );
    let args = map(&[("path", Value::from("a.txt"))]);
    let answered = wait(async move { aikit_components::tools::invoke(&cx, &read, args).await });
    assert_eq!(answered.unwrap(), Value::from("nothing"));
    let seen = seen.seen.lock().unwrap();
    let error = seen[0].get("error").unwrap();
    assert_eq!(error.get("kind"), Some(&Value::from("denied")));
    assert_eq!(error.get("retryable"), Some(&Value::Bool(false)));
    let needed = seen[0].get("permissions").unwrap();
    assert_eq!(needed, &Value::List(vec![Value::from("file_read")]));
}

#[test]
fn a_changed_request_is_what_the_model_gets() {
    let cx = tool_context();
    let message = map(&[
        ("role", Value::from("user")),
        ("content", Value::from("other")),
    ]);
    let messages = Value::List(vec![message]);
    hook(
        &cx,
        HookPoint::ModelBefore,
        HookAction::modify("messages", messages),
    );
    let expected = map(&[
        ("expect", Value::from("other")),
        ("text", Value::from("yes")),
    ]);
    let model = scripted(vec![expected]).unwrap();
    let answer = wait(async move { models::complete(&cx, &model, asking("hi")).await });
    assert_eq!(answer.unwrap().message.to_text(), "yes");
}

#[test]
fn a_whole_answer_can_be_given_back_as_it_was_shown() {
    let first = tool_context();
    let seen = hook(&first, HookPoint::ModelAfter, HookAction::Continue);
    let model = scripted(vec![Value::from("hello there")]).unwrap();
    let asked = {
        let model = Arc::clone(&model);
        wait(async move { models::complete(&first, &model, asking("hi")).await })
    };
    let shown = seen.seen.lock().unwrap()[0]
        .get("response")
        .cloned()
        .unwrap();
    let second = tool_context();
    hook(&second, HookPoint::ModelBefore, HookAction::Replace(shown));
    let (texts, answer) = crate::support::stream(second, model);
    let (asked, answer) = (asked.unwrap(), answer.unwrap());
    assert_eq!(texts.concat(), "hello there");
    assert_eq!(answer.message, asked.message);
    // Nothing was sent, so nothing was used.
    assert_eq!((answer.usage.requests, asked.usage.requests), (0, 1));
}

#[derive(Debug)]
struct Lengths;

impl EmbeddingModel for Lengths {
    fn name(&self) -> &'static str {
        "test:lengths"
    }

    fn embed<'a>(
        &'a self,
        _: &'a Context,
        texts: Vec<String>,
    ) -> BoxFuture<'a, Result<Vec<Vec<f32>>>> {
        let lengths = texts
            .iter()
            .map(|text| vec![f32::from(u8::try_from(text.len()).unwrap())]);
        let lengths = lengths.collect();
        Box::pin(async { Ok(lengths) })
    }
}

#[test]
fn embeddings_have_the_points_of_models() {
    let embed = |action: HookAction, point| {
        let cx = tool_context();
        let seen = hook(&cx, point, action);
        let model: Arc<dyn EmbeddingModel> = Arc::new(Lengths);
        let texts = vec!["a".to_owned(), "bcd".to_owned()];
        let vectors = wait(async move { models::embed(&cx.context, &model, texts).await });
        let operation = seen.seen.lock().unwrap()[0].get("operation").cloned();
        assert_eq!(operation, Some(Value::from("embeddings")));
        vectors.unwrap()
    };
    let list = |numbers: &[f32]| -> Value {
        let vectors = numbers.iter().map(|it| Value::List(vec![Value::from(*it)]));
        vectors.collect()
    };
    let (before, after) = (HookPoint::ModelBefore, HookPoint::ModelAfter);
    assert_eq!(embed(HookAction::Continue, before), [[1.0], [3.0]]);
    let texts: Value = ["xx", "y"].into_iter().map(Value::from).collect();
    assert_eq!(
        embed(HookAction::modify("texts", texts), before),
        [[2.0], [1.0]]
    );
    assert_eq!(
        embed(HookAction::Replace(list(&[7.0, 8.0])), before),
        [[7.0], [8.0]]
    );
    assert_eq!(
        embed(HookAction::Replace(list(&[7.0])), after),
        [[1.0], [3.0]]
    );
}

fn agent(answers: Vec<Value>) -> Agent {
    let tools = vec![Registry::with_built_ins().find("count_words").unwrap()];
    Agent::new(AgentOptions {
        tools,
        ..AgentOptions::new(scripted(answers).unwrap())
    })
    .unwrap()
}

fn counting() -> Value {
    calling("count_words", map(&[("text", Value::from("a b"))]))
}

fn run(cx: &ToolContext, answers: Vec<Value>) -> Result<aikit_core::agent::AgentRun> {
    let (cx, agent) = (cx.clone(), agent(answers));
    wait(async move { agent.run(&cx, "go").await })
}

#[test]
fn a_run_passes_the_points_of_agent_step_model_and_tool() {
    let cx = tool_context();
    let noting = Noting::at_all_points(&cx.context);
    let run = run(&cx, vec![counting(), Value::from("two")]).unwrap();
    assert_eq!(run.output, "two");
    let expected = "agent.before agent.step.before model.before model.after tool.before \
                    tool.after agent.step.after agent.step.before model.before model.after \
                    agent.step.after agent.after";
    let expected: Vec<&str> = expected.split_whitespace().collect();
    assert_eq!(noting.points(), expected);
}

#[test]
fn a_step_is_answered_changed_and_made_again() {
    // In place of a step: nothing of it stays, and the run is over.
    let cx = tool_context();
    let shown = hook(
        &cx,
        HookPoint::AgentStepBefore,
        HookAction::Replace(Value::from("instead")),
    );
    let done = run(&cx, vec![]).unwrap();
    assert_eq!((done.output.as_str(), done.steps.len()), ("instead", 1));
    assert_eq!(done.messages.len(), 2);
    let step = shown.seen.lock().unwrap()[0].get("step").cloned();
    assert_eq!(step, Some(Value::Int(1)));

    // After the last step: the answer, wherever it stands.
    let cx = tool_context();
    let better = HookAction::modify("result", Value::from("better"));
    hook(&cx, HookPoint::AgentStepAfter, better);
    let done = run(&cx, vec![Value::from("good")]).unwrap();
    assert_eq!(done.output, "better");
    assert_eq!(done.messages[1].to_text(), "better");
    assert_eq!(done.steps[0].text, "better");

    // Made again: what it used counts, what it said does not.
    let cx = tool_context();
    let retry = HookAction::from_value(map(&[("retry", map(&[("max", Value::Int(1))]))]));
    hook(&cx, HookPoint::AgentStepAfter, retry.unwrap());
    let done = run(&cx, vec![Value::from("bad"), Value::from("good")]).unwrap();
    assert_eq!((done.output.as_str(), done.messages.len()), ("good", 2));
    assert_eq!((done.steps.len(), done.usage.requests), (1, 2));
}

#[test]
fn other_messages_are_for_one_step_alone() {
    let cx = tool_context();
    let message = map(&[("content", Value::from("shorter"))]);
    let messages = Value::List(vec![message]);
    hook(
        &cx,
        HookPoint::AgentStepBefore,
        HookAction::modify("messages", messages),
    );
    let expected = map(&[
        ("expect", Value::from("shorter")),
        ("text", Value::from("yes")),
    ]);
    let done = run(&cx, vec![expected]).unwrap();
    assert_eq!(done.output, "yes");
    assert_eq!(done.messages[0].to_text(), "go");
}

#[test]
fn an_error_after_a_run_tells_what_was_done() {
    let cx = tool_context();
    hook(&cx, HookPoint::AgentAfter, HookAction::stop("not that"));
    let error = run(&cx, vec![Value::from("good")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let output = error.run().unwrap().get("output");
    assert_eq!(output, Some(&Value::from("good")));
}

fn record(id: &str, text: &str) -> Source {
    Source::Record(Record {
        id: id.to_owned(),
        text: text.to_owned(),
        ..Record::default()
    })
}

#[test]
fn ingest_and_search_have_points() {
    let cx = tool_context();
    let noting = Noting::at_all_points(&cx.context);
    let index = wait(async move { Rag::open(&Context::default(), RagOptions::default()).await });
    let index = index.unwrap();
    let ingest = |source: Source| {
        let (index, cx) = (index.clone(), cx.clone());
        wait(async move {
            index
                .ingest(&cx, vec![source], IngestOptions::default())
                .await
                .unwrap()
        })
    };
    let search = |query: &str| {
        let (index, cx, query) = (index.clone(), cx.clone(), query.to_owned());
        wait(async move {
            let hits = index.search(&cx, &query, SearchOptions::default()).await;
            hits.unwrap()
        })
    };
    assert_eq!(ingest(record("owl", "Owls hunt mice.")).added, 1);
    assert_eq!(search("owls").len(), 1);
    let expected = [
        "rag.ingest.before",
        "rag.ingest.after",
        "rag.retrieve.before",
        "rag.retrieve.after",
    ];
    assert_eq!(noting.points(), expected);

    let metadata = map(&[("kind", Value::from("bird"))]);
    hook(
        &cx,
        HookPoint::RagIngestBefore,
        HookAction::modify("metadata", metadata),
    );
    ingest(record("eagle", "Eagles hunt fish."));
    hook(
        &cx,
        HookPoint::RagRetrieveBefore,
        HookAction::modify("query", Value::from("eagles")),
    );
    let hits = search("something else");
    assert_eq!(hits[0].source, "eagle");
    assert_eq!(hits[0].metadata.get("kind"), Some(&Value::from("bird")));
    hook(&cx, HookPoint::RagRetrieveAfter, HookAction::Skip);
    assert!(search("eagles").is_empty());
    hook(&cx, HookPoint::RagIngestBefore, HookAction::Skip);
    assert_eq!(ingest(record("fox", "Foxes.")).added, 0);
    assert_eq!(
        cx.context
            .hooks()
            .list()
            .iter()
            .map(|it| it.failures)
            .sum::<u64>(),
        0
    );
}

#[test]
fn a_refusal_of_the_policy_is_observed_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "KEY=1").unwrap();
    let cx = session::open(
        folder.path(),
        Setup {
            caller: Caller::Agent,
            served: true,
            ..Setup::default()
        },
    );
    let noting = Noting::at_all_points(&cx.context);
    // It cannot let the action happen.
    hook(
        &cx,
        HookPoint::SecurityViolation,
        HookAction::Replace(Value::from("allowed")),
    );
    let args = map(&[("path", Value::from(".env"))]);
    let error = session::invoke(&cx, "read_file", args).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let noted = noting.0.lock().unwrap();
    let violation = noted
        .iter()
        .find(|(point, _)| point == "security.violation");
    let (_, data) = violation.unwrap();
    assert_eq!(data.get("permission"), Some(&Value::from("file_read")));
    assert_eq!(data.get("caller"), Some(&Value::from("agent")));
    assert_eq!(data.get("decision"), Some(&Value::from("deny")));
    assert!(
        data.get("rule")
            .and_then(Value::as_str)
            .unwrap()
            .contains(".env")
    );
}

#[test]
fn a_limit_of_an_agent_is_told_once() {
    let cx = tool_context();
    let noting = Noting::at_all_points(&cx.context);
    let error = run(&cx, vec![counting(); 30]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let noted = noting.0.lock().unwrap();
    let told: Vec<_> = noted
        .iter()
        .filter(|(point, _)| point == "limit.exceeded")
        .collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].1.get("subject"), Some(&Value::from("agent.step")));
}

#[test]
fn arguments_that_a_hook_spoils_are_the_hook_s_fault_and_wrong_ones_reach_no_hook() {
    let words = |cx: &ToolContext, args: Value| session::invoke(cx, "count_words", args);
    let good = || map(&[("text", Value::from("a b"))]);
    let bad = map(&[("text", Value::Int(1))]);
    for required in [false, true] {
        let cx = tool_context();
        let answer = HookAction::modify("args", bad.clone());
        let seen = hook_with(&cx, HookPoint::ToolBefore, answer, required);
        let answered = words(&cx, good());
        let told = cx.context.hooks().list()[0].last_error.clone().unwrap();
        assert!(
            told.starts_with("hook `fixed` at `tool.before` failed: `count_words`: `text`"),
            "{told}"
        );
        if required {
            let error = answered.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgs);
            assert_eq!(error.message(), told);
        } else {
            // As if it had answered nothing.
            assert_eq!(answered.unwrap().get("words"), Some(&Value::Int(2)));
        }
        assert_eq!(seen.seen.lock().unwrap().len(), 1);
        let error = words(&cx, bad.clone()).unwrap_err();
        assert!(error.message().starts_with("`count_words`"), "{error}");
        assert_eq!(seen.seen.lock().unwrap().len(), 1);
    }
}

//! Agents: the loop with scripted models and tools, its limits, events, hooks and ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aikit_components::agents::{Agent, AgentOptions, Input};
use aikit_core::{
    Error, ErrorKind, Result, Value,
    agent::{AgentRun, Limits},
    context::{Caller, Overrides},
    graph::Status,
    hook::{HookAction, HookPoint},
    model::{ChatModel, Role},
    tool::{DynTool, ToolContext, ToolSpec},
};
use futures::future::BoxFuture;
use serde_json::json;
use tokio::sync::Barrier;

use crate::support::{calling, counted, hook, scripted, tool_context, wait};

/// What a test tool does.
#[derive(Debug)]
pub(crate) enum Deed {
    /// Adds `left` and `right`.
    Add,
    /// Fails.
    Fail,
    /// Waits until as many calls are there, then answers its own number.
    Meet(Barrier, AtomicUsize),
    /// Never answers.
    Wait,
}

#[derive(Debug)]
struct TestTool {
    spec: ToolSpec,
    deed: Deed,
}

impl DynTool for TestTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn check(&self, args: &Value) -> Result<()> {
        let known = ["left", "right"];
        let given = args.as_map().into_iter().flatten();
        for (name, value) in given {
            if !known.contains(&name.as_str()) || value.as_i64().is_none() {
                let message = format!("`{}`: argument `{name}` does not fit", self.spec.name);
                return Err(Error::invalid_args(message).with_hint(self.spec.usage()));
            }
        }
        Ok(())
    }

    fn call<'a>(&'a self, cx: &'a ToolContext, args: Value) -> BoxFuture<'a, Result<Value>> {
        Box::pin(async move {
            assert_eq!(cx.context.caller(), Caller::Agent);
            let number = |key: &str| args.get(key).and_then(Value::as_i64).unwrap_or_default();
            match &self.deed {
                Deed::Add => Ok(Value::Int(number("left") + number("right"))),
                Deed::Fail => Err(Error::new(ErrorKind::ToolFailed, "the tool broke")),
                Deed::Meet(barrier, most) => {
                    most.fetch_add(1, Ordering::SeqCst);
                    barrier.wait().await;
                    Ok(Value::Int(number("left")))
                }
                Deed::Wait => std::future::pending().await,
            }
        })
    }
}

pub(crate) fn tool(name: &str, deed: Deed) -> Arc<dyn DynTool> {
    let schema = json!({"type": "object", "additionalProperties": false,
        "properties": {"left": {"type": "integer"}, "right": {"type": "integer"}}});
    let spec = ToolSpec {
        name: name.to_owned(),
        summary: "A tool of a test.".to_owned(),
        permissions: Vec::new(),
        asks: false,
        input_schema: Value::from_json(schema),
        output_schema: None,
        timeout: None,
        origin: "test",
    };
    Arc::new(TestTool { spec, deed })
}

pub(crate) fn agent(answers: Vec<Value>, tools: Vec<Arc<dyn DynTool>>) -> Agent {
    limited(answers, tools, Limits::default())
}

fn limited(answers: Vec<Value>, tools: Vec<Arc<dyn DynTool>>, limits: Limits) -> Agent {
    Agent::new(AgentOptions {
        instructions: "be exact".to_owned(),
        tools,
        limits,
        ..AgentOptions::new(scripted(answers).unwrap())
    })
    .unwrap()
}

fn run(agent: Agent, input: impl Into<Input>) -> Result<AgentRun> {
    run_in(tool_context(), agent, input)
}

fn run_in(cx: ToolContext, agent: Agent, input: impl Into<Input>) -> Result<AgentRun> {
    let input = input.into();
    wait(async move { agent.run(&cx, input).await })
}

/// What had been done when a run failed.
pub(crate) fn run_of(error: &Error) -> AgentRun {
    error.run().unwrap().clone().deserialize().unwrap()
}

fn add(left: i64, right: i64) -> Value {
    let arguments = [("left", Value::Int(left)), ("right", Value::Int(right))];
    calling("add", Value::map(arguments))
}

fn expecting(words: &str, text: &str) -> Value {
    Value::map([("expect", Value::from(words)), ("text", Value::from(text))])
}

#[test]
fn an_agent_uses_a_tool_and_answers() {
    let cx = tool_context();
    let context = cx.context.clone();
    let agent = agent(
        vec![add(2, 3), expecting("5", "it is 5")],
        vec![tool("add", Deed::Add)],
    );
    let run = run_in(cx, agent, "2 + 3?").unwrap();
    assert_eq!((run.output.as_str(), run.steps.len()), ("it is 5", 2));
    let roles: Vec<_> = run.messages.iter().map(|it| it.role).collect();
    assert_eq!(
        roles,
        [Role::User, Role::Assistant, Role::Tool, Role::Assistant]
    );
    let used = &run.steps[0].tool_calls[0];
    assert_eq!(
        (used.name.as_str(), &used.result, used.is_error),
        ("add", &Value::Int(5), false)
    );
    assert_eq!(run.usage.requests, 2);
    let node = context.graph().all()[0].clone();
    assert_eq!(
        (&*node.name, node.status()),
        ("agent agent", Status::Completed)
    );
    assert_eq!(counted(&node, "usage.requests"), Value::Float(2.0));
    // A step is a procedure below the run, and what it does stands below it.
    let nodes = context.graph().all();
    let below: Vec<_> = nodes[1..]
        .iter()
        .map(|it| (&*it.name, it.parent.as_ref().map_or("", |it| &*it.name)))
        .collect();
    let (step, chat) = ("agent step", "chat scripted:test");
    let expected = [
        (step, "agent agent"),
        (chat, step),
        ("tool:add", step),
        (step, "agent agent"),
        (chat, step),
    ];
    assert_eq!(below, expected);
}

#[test]
fn a_conversation_goes_on() {
    let agent = agent(
        vec![Value::from("I am Ada"), expecting("again", "Ada")],
        vec![],
    );
    let first = run(agent.clone(), "who?").unwrap();
    let input = Input {
        prompt: "again?".to_owned(),
        history: first.messages,
        session: None,
    };
    let second = run(agent, input).unwrap();
    assert_eq!((second.output.as_str(), second.messages.len()), ("Ada", 4));
}

#[test]
fn what_a_model_does_wrong_is_told_to_it() {
    let cases = [
        (calling("subtract", Value::Null), "no tool named `subtract`"),
        (
            calling("add", Value::from("{\"left\": ")),
            "not a JSON object",
        ),
        (
            calling("add", Value::map([("middle", Value::Int(1))])),
            "middle",
        ),
        (calling("fail", Value::Null), "the tool broke"),
    ];
    for (wrong, told) in cases {
        let tools = vec![tool("add", Deed::Add), tool("fail", Deed::Fail)];
        let run = run(agent(vec![wrong, expecting(told, "sorry")], tools), "go").unwrap();
        assert_eq!(run.output, "sorry", "{told}");
        assert!(run.steps[0].tool_calls[0].is_error, "{told}");
    }
}

#[test]
fn requests_stop_before_the_one_too_many() {
    let limits = Limits {
        requests: 2,
        ..Limits::default()
    };
    let answers = vec![add(1, 1), add(2, 2), Value::from("never asked for")];
    let error = run(limited(answers, vec![tool("add", Deed::Add)], limits), "go").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(error.message().contains("2 `requests`"), "{error}");
    let run = run_of(&error);
    assert_eq!((run.usage.requests, run.messages.len()), (2, 5));
    assert_eq!(run.steps[1].tool_calls[0].result, Value::Int(4));
}

#[test]
fn tool_calls_stop_before_the_one_too_many() {
    let limits = Limits {
        tool_calls: 1,
        ..Limits::default()
    };
    let answers = vec![add(1, 1), add(2, 2)];
    let error = run(limited(answers, vec![tool("add", Deed::Add)], limits), "go").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    let done = run_of(&error);
    assert_eq!((done.steps.len(), done.steps[1].tool_calls.len()), (2, 0));
    let limits = Limits {
        tool_calls: 1,
        ..Limits::default()
    };
    let answers = vec![add(1, 1), Value::from("2")];
    let answered = limited(answers, vec![tool("add", Deed::Add)], limits);
    assert_eq!(run(answered, "go").unwrap().output, "2");
}

#[test]
fn time_is_a_limit_too() {
    let limits = Limits {
        seconds: Some(0.05),
        ..Limits::default()
    };
    let agent = limited(
        vec![calling("wait", Value::Null)],
        vec![tool("wait", Deed::Wait)],
        limits,
    );
    let error = run(agent, "go").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    assert_eq!(run_of(&error).usage.requests, 1);
}

#[test]
fn an_error_of_the_model_carries_what_was_done() {
    let error = run(agent(vec![add(1, 1)], vec![tool("add", Deed::Add)]), "go").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Model);
    let run = run_of(&error);
    assert_eq!((run.usage.requests, run.messages.len()), (1, 3));
}

#[test]
fn four_tools_run_at_once_and_their_results_keep_the_order() {
    let call = |left: i64| {
        let arguments = Value::map([("left", Value::Int(left))]);
        Value::map([("name", Value::from("meet")), ("arguments", arguments)])
    };
    let calls = Value::map([("tool_calls", (0..8).map(call).collect())]);
    let meet = tool("meet", Deed::Meet(Barrier::new(4), AtomicUsize::new(0)));
    let run = run(agent(vec![calls, Value::from("done")], vec![meet]), "go").unwrap();
    let results: Vec<_> = run.steps[0]
        .tool_calls
        .iter()
        .map(|it| it.result.clone())
        .collect();
    assert_eq!(results, (0..8).map(Value::Int).collect::<Vec<_>>());
}

#[test]
fn a_started_run_tells_its_events_in_order_and_can_be_asked_for_its_result() {
    let agent = agent(
        vec![add(2, 3), Value::from("it is 5")],
        vec![tool("add", Deed::Add)],
    );
    let (events, result) = wait(async move {
        let handle = agent.start(&tool_context(), "go");
        let result = handle.result().await;
        let mut events = Vec::new();
        while let Some(event) = handle.event(events.len() as u64).await {
            events.push(event);
        }
        (events, result)
    });
    let run: AgentRun = result.unwrap().deserialize().unwrap();
    assert_eq!(run.output, "it is 5");
    let told: Vec<_> = events
        .iter()
        .filter(|it| it.kind.name().starts_with("agent."))
        .map(|it| {
            let step = it.data.get("step").and_then(Value::as_i64).unwrap();
            (it.kind.name(), step)
        })
        .collect();
    let expected = [
        ("agent.usage", 1),
        ("agent.tool.call", 1),
        ("agent.tool.result", 1),
        ("agent.text.delta", 2),
        ("agent.text.delta", 2),
        ("agent.text.delta", 2),
        ("agent.usage", 2),
    ];
    assert_eq!(told, expected);
    let texts = events.iter().filter_map(|it| it.data.get("text")?.as_str());
    assert_eq!(texts.collect::<String>(), "it is 5");
}

#[test]
fn a_hook_stops_an_agent_answers_for_it_or_changes_its_output() {
    let cx = tool_context();
    hook(&cx, HookPoint::AgentBefore, HookAction::stop("closed"));
    let error = run_in(cx, agent(vec![], vec![]), "go").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);

    let cx = tool_context();
    let seen = hook(
        &cx,
        HookPoint::AgentBefore,
        HookAction::Replace(Value::from("instead")),
    );
    let run = run_in(cx, agent(vec![], vec![]), "go").unwrap();
    assert_eq!((run.output.as_str(), run.messages.len()), ("instead", 2));
    assert_eq!(
        seen.seen.lock().unwrap()[0].get("input"),
        Some(&Value::from("go"))
    );

    let cx = tool_context();
    hook(
        &cx,
        HookPoint::AgentAfter,
        HookAction::Replace(Value::from("better")),
    );
    let run = run_in(cx, agent(vec![Value::from("good")], vec![]), "go").unwrap();
    assert_eq!(run.output, "better");
}

#[test]
fn a_hook_that_stops_a_tool_is_told_to_the_model() {
    let cx = tool_context();
    hook(&cx, HookPoint::ToolBefore, HookAction::stop("not that"));
    let answers = vec![add(1, 1), expecting("not that", "fine")];
    let run = run_in(cx, agent(answers, vec![tool("add", Deed::Add)]), "go").unwrap();
    assert_eq!(run.output, "fine");
}

#[test]
fn an_agent_is_a_tool_of_another() {
    let inner = Agent::new(AgentOptions {
        name: "expert".to_owned(),
        ..AgentOptions::new(scripted(vec![expecting("colour", "blue")]).unwrap())
    });
    let expert = inner.unwrap().as_tool("Knows colours.");
    assert_eq!(
        (expert.spec().name.as_str(), expert.spec().origin),
        ("expert", "agent")
    );
    let ask = calling(
        "expert",
        Value::map([("prompt", Value::from("which colour?"))]),
    );
    let cx = tool_context();
    let context = cx.context.clone();
    let run = run_in(
        cx,
        agent(vec![ask, expecting("blue", "it is blue")], vec![expert]),
        "go",
    );
    let run = run.unwrap();
    assert_eq!((run.output.as_str(), run.usage.requests), ("it is blue", 2));
    let node = &context.graph().all()[0];
    assert_eq!(counted(node, "usage.requests"), Value::Float(3.0));
}

#[test]
fn an_agent_that_cannot_work_is_refused() {
    let model = || -> Arc<dyn ChatModel> { scripted(vec![]).unwrap() };
    let twice = vec![tool("add", Deed::Add), tool("add", Deed::Fail)];
    let limits = |requests, seconds| Limits {
        requests,
        seconds,
        ..Limits::default()
    };
    let options = || AgentOptions::new(model());
    let cases = [
        (
            AgentOptions {
                name: "my agent".to_owned(),
                ..options()
            },
            "my agent",
        ),
        (
            AgentOptions {
                tools: twice,
                ..options()
            },
            "two tools named `add`",
        ),
        (
            AgentOptions {
                limits: limits(0, None),
                ..options()
            },
            "`requests`",
        ),
        (
            AgentOptions {
                limits: limits(1, Some(-1.0)),
                ..options()
            },
            "`seconds`",
        ),
    ];
    for (options, words) in cases {
        let error = Agent::new(options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(
            error.message().contains(words) && error.hint().is_some(),
            "{error}"
        );
    }
}

#[test]
fn a_deadline_of_the_caller_is_not_a_limit_of_the_agent() {
    let limits = Limits {
        seconds: Some(100.0),
        ..Limits::default()
    };
    let agent = limited(
        vec![calling("wait", Value::Null)],
        vec![tool("wait", Deed::Wait)],
        limits,
    );
    let cx = tool_context();
    let short = cx.context.child(Overrides {
        timeout: Some(Duration::from_millis(50)),
        ..Overrides::default()
    });
    let error = run_in(cx.with_context(short), agent, "go").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

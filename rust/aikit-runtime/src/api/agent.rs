//! `Agent`: a model with instructions, tools and limits, run until it answers.

use std::sync::Arc;

use aikit_components::{
    agents::{Agent, AgentOptions, Input, shown},
    security::approval::FunctionApprover,
};
use aikit_core::{
    Error, Result, Value,
    agent::{AgentRun, Limits},
    context::Approver,
    event::Event,
    graph::Tree,
    model::Message,
    procedure::Handle,
    tool::DynTool,
    value::Map,
};
use futures::stream;

use super::{
    ApiClass, ApiFunction, ApiModule, Appearance, Args, Call, Kind, Param, Return, Session, model,
    optional, ready, required, sessions, tool,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    classes: &[CLASS],
    ..ApiModule::new(
        "Agent",
        "Agents: a model with instructions, tools and limits.",
    )
};

const LIMITS: &[Param] = &[
    optional(
        "requests",
        Kind::Integer,
        "Most requests to the model; 10 when left out.",
    ),
    optional(
        "tool_calls",
        Kind::Integer,
        "Most tool calls; 20 when left out.",
    ),
    optional(
        "seconds",
        Kind::Number,
        "Longest time in seconds; no limit when left out.",
    ),
];

const OPTIONS: &[Param] = &[
    optional(
        "model",
        model::MODEL,
        "The model; the configured one when left out.",
    ),
    optional(
        "instructions",
        Kind::String,
        "What the model is told before the conversation.",
    ),
    optional(
        "tools",
        Kind::List(&tool::TOOL),
        "Tools: names, groups such as `text`, functions, `Tool`s.",
    )
    .listed_or("Tool", "list", tool::GROUPS),
    optional("limits", Kind::Options(LIMITS), "Bounds of one run."),
    optional(
        "approve",
        Kind::Function,
        "Decides instead of the user: gets `{tool, args, action, detail, always, digest}`, gives \
         true, false, `yes`, `no` or `always`.",
    ),
    optional(
        "name",
        Kind::String,
        "Name in events and messages: letters, digits, `_`, `-`.",
    ),
];

const HISTORY: &[Param] = &[
    optional(
        "history",
        Kind::List(&Kind::Table),
        "The conversation so far: `messages` of an earlier run.",
    ),
    optional(
        "session",
        Kind::Object(sessions::NAME),
        "The session whose conversation is continued, in place of a history.",
    ),
];

const PROMPT: Param = required("prompt", Kind::String, "What the user says.");

const MORE: Param = optional("options", Kind::Options(HISTORY), "How to run.");

/// Name of the class.
const NAME: &str = "Agent";

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "One configured agent; it keeps nothing between runs.",
    constructor: Some(ApiFunction {
        name: "Agent",
        summary: "Makes an agent.",
        params: &[required(
            "options",
            Kind::Options(OPTIONS),
            "What it is made of.",
        )],
        returns: "an `Agent`",
        example: "Agent{model = Model('scripted:demo', {answers = {'hello'}})}.name",
        call: Call::Host(|session, args| ready(make(session, args))),
    }),
    methods: &[
        ApiFunction {
            name: "run",
            summary: "Runs until the model answers without asking for tools.",
            params: &[PROMPT, MORE],
            returns: "a record with `output`, `messages`, `usage`, `steps`, `finish_reason`",
            example: "Agent{model = Model('scripted:demo', {answers = {'hello'}})}:run('hi').output",
            call: Call::Host(|session, args| Box::pin(run(session.clone(), args))),
        },
        ApiFunction {
            name: "stream",
            summary: "Runs and tells what happens meanwhile.",
            params: &[PROMPT, MORE],
            returns: "a stream of events with `kind` (`agent.text.delta`, `agent.tool.call`, …) and \
                      `data`, ended by `{kind = 'done', run = …}`",
            example: "for event in Agent{model = Model('scripted:demo', {answers = {'hello'}})}\
                      :stream('hi') do print(event.kind) end",
            call: Call::Host(|session, args| ready(stream_run(session, args))),
        },
        ApiFunction {
            name: "as_tool",
            summary: "Makes a tool of the agent, for another agent.",
            params: &[required("summary", Kind::String, "What it is good for.")],
            returns: "a `Tool`",
            example: "Agent{model = Model('scripted:demo', {answers = {'hello'}}), name = 'greeter'}\
                      :as_tool('Greets.').name",
            call: Call::Host(|session, args| ready(as_tool(session, args))),
        },
    ],
    fields: &[("name", "Its name."), ("model", "Name of its model.")],
};

fn make(session: &Session, mut args: Args) -> Result<Return> {
    let mut given = args.options("options");
    let mut options = AgentOptions::new(model::resolve(session, given.take("model"))?);
    if let Some(name) = given.string("name") {
        options.name = name;
    }
    options.instructions = given.string("instructions").unwrap_or_default();
    let cx = args.cx.clone();
    options.tools = tool::resolve(session, &cx, given.items("tools"))?;
    options.limits = limits(given.options("limits"))?;
    let approve = given.function("approve");
    options.approver = approve.map(|it| Arc::new(FunctionApprover::new(it)) as Arc<dyn Approver>);
    let fields = Map::from_iter([
        ("name".to_owned(), Value::from(options.name.as_str())),
        ("model".to_owned(), Value::from(options.model.name())),
    ]);
    session.insert(NAME, fields, Arc::new(Agent::new(options)?))
}

fn limits(mut given: Args) -> Result<Limits> {
    let mut limits = Limits::default();
    if let Some(requests) = given.size("requests")? {
        limits.requests = requests as u64;
    }
    if let Some(tool_calls) = given.size("tool_calls")? {
        limits.tool_calls = tool_calls as u64;
    }
    limits.seconds = given.number("seconds");
    Ok(limits)
}

fn input(session: &Session, args: &mut Args) -> Result<Input> {
    let mut given = args.options("options");
    let continued = sessions::argument(session, given.take("session"))?;
    let history = given.items("history").into_iter();
    let history: Result<Vec<Message>> = history
        .map(|item| item.into_value().unwrap_or_default().deserialize())
        .collect();
    let history = history.map_err(|error| {
        Error::invalid_args(format!("`history`: {}", error.message()))
            .with_hint("pass `messages` of an earlier run")
    })?;
    Ok(Input {
        prompt: args.required_string("prompt")?,
        history,
        session: continued,
    })
}

async fn run(session: Session, mut args: Args) -> Result<Return> {
    let agent = session.object::<Agent>(args.this)?;
    let input = input(&session, &mut args)?;
    let done: AgentRun = agent.run(&session.tool_context(&args.cx), input).await?;
    let value = Value::from_serialize(&done)?;
    let Some(pid) = done.pid else {
        return Ok(Return::Value(value));
    };
    // Now, while its executions are kept: the graph is of all that the cell calls, which leaves old
    // ones out, and would live as long as the run. What is written of the tree can wait.
    let (tree, output) = (Tree::below(args.cx.graph(), pid), done.output);
    let appearance = Appearance::new(move || Ok(shown::bundle(&output, &tree)));
    Ok(Return::Shown(value, appearance))
}

fn stream_run(session: &Session, mut args: Args) -> Result<Return> {
    let agent = session.object::<Agent>(args.this)?;
    let input = input(session, &mut args)?;
    let handle = agent.start(&session.tool_context(&args.cx), input);
    session.insert_stream(stream::unfold(Some((handle, 0)), next))
}

/// The next event of a run; after the last one its result.
async fn next(state: Option<(Handle, u64)>) -> Option<(Result<Value>, Option<(Handle, u64)>)> {
    let (handle, after) = state?;
    if let Some(event) = handle.event(after).await {
        let sequence = event.sequence;
        return Some((Ok(describe(&event)), Some((handle, sequence))));
    }
    let ended = handle.result().await;
    let ended = ended.map(|run| Value::map([("kind", Value::from("done")), ("run", run)]));
    Some((ended, None))
}

fn describe(event: &Event) -> Value {
    Value::map([
        ("kind", Value::from(event.kind.name())),
        ("source", event.source.clone().into()),
        ("data", event.data.clone()),
    ])
}

fn as_tool(session: &Session, mut args: Args) -> Result<Return> {
    let agent = session.object::<Agent>(args.this)?;
    let tool: Arc<dyn DynTool> = agent.as_tool(args.required_string("summary")?);
    tool::hand_out(session, tool)
}

//! The work whose instructions `overhead.py` counts: runs of an agent and calls of a tool, with and
//! without records written as JSON lines, and what tracing adds to a call where nobody listens.
//!
//! ```text
//! tracing agent|tools|idle|bare COUNT [FILE [LEVEL]]
//! ```

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::{
    fs::OpenOptions,
    future::{Ready, poll_fn, ready},
    hint::black_box,
    pin::pin,
    sync::Arc,
};

use aikit_components::{
    agents::{Agent, AgentOptions, Input},
    config::Variables,
    registry::{Components, Setup},
    security::policy::Profile,
    tools,
};
use aikit_core::{
    Error, ErrorKind, Result, Value,
    context::Principal,
    logger::{self, Format, Level, Output, Settings},
    model::ChatModel,
    services::ModelOptions,
    telemetry,
    tool::ToolContext,
};
use futures::FutureExt as _;

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1).filter(|it| it != "--bench");
    let Some(work) = words.next() else {
        println!("tracing: run `python benches/tracing/overhead.py`, which counts instructions");
        return Ok(());
    };
    let count: u32 = words.next().and_then(|it| it.parse().ok()).unwrap_or(1);
    if let Some(file) = words.next() {
        let file = OpenOptions::new().create(true).append(true).open(file);
        logger::install();
        logger::configure(Settings {
            level: Some(words.next().map_or(Ok(Level::Info), |it| it.parse())?),
            format: Some(Format::Json),
            output: Some(Output::file(file?)),
            ..Settings::default()
        });
    }
    match work.as_str() {
        "agent" => run_agents(count),
        "tools" => call_tools(count),
        "idle" => {
            stand_idle(count);
            Ok(())
        }
        "bare" => {
            stand_bare(count);
            Ok(())
        }
        other => Err(Error::invalid_args(format!("there is no work `{other}`"))),
    }
}

/// A tool that computes in place: were it to wait for a thread, its wait would be counted.
const TOOL: &str = "count_words";

fn arguments() -> Value {
    Value::map([("text", Value::from("to be or not to be"))])
}

fn context() -> Result<ToolContext> {
    let components = Components::assemble(Setup {
        profile: Profile::Notebook,
        working_directory: std::env::current_dir()?,
        variables: Variables::none(),
        ask: None,
        principal: Principal::default(),
    })?;
    Ok(components.tool_context())
}

/// A future that never waits, so that no other thread has a part in what is counted.
fn at_once<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let waits = || Error::new(ErrorKind::Internal, "the work waits");
    future.now_or_never().ok_or_else(waits)?
}

/// Runs in which a model asks for one tool and then answers.
fn run_agents(count: u32) -> Result<()> {
    let cx = context()?;
    let call = Value::map([("name", Value::from(TOOL)), ("arguments", arguments())]);
    let asks = Value::map([("tool_calls", Value::List(vec![call]))]);
    let round = [asks, Value::from("There are six.")];
    let answers = (0..count).flat_map(|_| round.clone()).collect::<Vec<_>>();
    let options = ModelOptions {
        extra: [("answers".to_owned(), Value::List(answers))]
            .into_iter()
            .collect(),
        ..ModelOptions::default()
    };
    let model: Arc<dyn ChatModel> = cx
        .services
        .models()?
        .chat(Some("scripted:bench"), options)?;
    let agent = Agent::new(AgentOptions {
        tools: vec![tools::Registry::with_built_ins().find(TOOL)?],
        ..AgentOptions::new(model)
    })?;
    for _ in 0..count {
        let input = Input {
            prompt: "How many words are there?".to_owned(),
            ..Input::default()
        };
        black_box(at_once(agent.run(&cx, input))?);
    }
    Ok(())
}

fn call_tools(count: u32) -> Result<()> {
    let cx = context()?;
    let tool = tools::Registry::with_built_ins().find(TOOL)?;
    let args = arguments();
    for _ in 0..count {
        black_box(at_once(tools::invoke(&cx, &tool, args.clone()))?);
    }
    Ok(())
}

/// Exactly what a procedure does for those who trace, where there are none.
fn stand_idle(count: u32) {
    let work = async {
        for number in 0..count {
            black_box(telemetry::is_on());
            black_box(telemetry::is_on());
            let name = black_box("tool:count_words");
            let traced = tracing::span_enabled!(tracing::Level::DEBUG)
                .then(|| tracing::debug_span!("procedure", name, pid = number));
            let mut running = pin!(step(number));
            poll_fn(|context| {
                let _entered = traced.as_ref().map(tracing::Span::enter);
                running.as_mut().poll(context)
            })
            .await;
            black_box(tracing::enabled!(tracing::Level::DEBUG));
        }
    };
    black_box(work.now_or_never());
}

/// The same without it.
fn stand_bare(count: u32) {
    let work = async {
        for number in 0..count {
            black_box("tool:count_words");
            step(number).await;
        }
    };
    black_box(work.now_or_never());
}

fn step(number: u32) -> Ready<u32> {
    ready(black_box(number))
}

//! `execute`: runs a cell and tells everybody about it.

use std::{fmt::Display, sync::Arc, time::Duration};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    context::Overrides,
    engine::{Cell, run_cell},
    markup,
    value::Map,
};

use super::{Desk, Request, input::FrontEnd, subshell::Shell};
use crate::{
    capture::CellOutput,
    history::Entry,
    wire::{
        Object,
        display::{ExecuteResult, bundle},
        execute::{ExecuteError, ExecuteInput, ExecuteReply, ExecuteRequest, ExpressionAnswer},
        status::{ExecutionState, Failure},
    },
};

/// How much of a wrong user expression an error shows, in characters.
const EXPRESSION_CHARS_MAX: usize = 40;

/// A cell that ended; its reply is not sent yet.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) request: Request,
    pub(crate) shell: Arc<Shell>,
    reply: ExecuteReply,
    /// How long the cell took.
    pub(crate) ran_for: Duration,
    /// Whether the cells that wait must not run.
    pub(crate) stops_queue: bool,
}

/// Runs the cell `asked` by `request` in its shell.
pub(crate) async fn run(
    desk: &Desk,
    shell: Arc<Shell>,
    request: Request,
    asked: &ExecuteRequest,
) -> Finished {
    let clock = desk.context.clock();
    let started = clock.monotonic();
    desk.publish_state(&request, ExecutionState::Busy);
    let is_empty = asked.code.trim().is_empty();
    let counts = asked.store_history && !asked.silent && !is_empty;
    let execution_count = shell.execution_count() + u32::from(counts);
    shell.set_execution_count(execution_count);
    if !asked.silent {
        let input = ExecuteInput {
            code: asked.code.clone(),
            execution_count,
        };
        desk.publish(&request, &input.into());
    }
    let output = output(desk, &request, asked.silent);
    let result = if is_empty {
        Ok(None)
    } else {
        let cell = Cell {
            code: asked.code.clone(),
            name: shell.cell_name(execution_count),
            shell: shell.id.clone(),
        };
        let front_end = asked
            .allow_stdin
            .then(|| front_end(&shell, &request, &output));
        execute(desk, &shell, &request, cell, (output.clone(), front_end)).await
    };
    output.flush();
    if counts {
        let text = result
            .as_ref()
            .ok()
            .and_then(Option::as_ref)
            .and_then(plain_text);
        desk.shells.keep(
            &shell,
            Entry {
                number: execution_count,
                input: asked.code.clone(),
                output: text,
            },
        );
    }
    let stops_queue = result.is_err() && asked.stop_on_error;
    if !asked.silent {
        publish_result(&output, execution_count, &result);
    }
    let reply = match result {
        Ok(_) => ExecuteReply::Ok {
            execution_count,
            payload: Vec::new(),
            user_expressions: evaluate(desk, &shell, &request, &asked.user_expressions).await,
        },
        Err(error) => ExecuteReply::Error {
            execution_count,
            error: Failure::from(&error),
        },
    };
    desk.end_cell(&shell);
    Finished {
        request,
        shell,
        reply,
        ran_for: clock.monotonic().saturating_sub(started),
        stops_queue,
    }
}

/// Tells the client that its cell ended.
pub(crate) fn finish(desk: &Desk, finished: Finished) {
    desk.reply(&finished.request, &finished.reply.into());
    desk.publish_state(&finished.request, ExecutionState::Idle);
}

/// Answers a cell that is not run, because one before it failed.
pub(crate) fn abort(desk: &Desk, shell: &Shell, request: &Request) {
    let execution_count = shell.execution_count();
    desk.answer_at_once(
        request,
        Some(&ExecuteReply::Aborted { execution_count }.into()),
    );
}

/// Answers a cell that is not run, because of `error`.
pub(crate) fn refuse(desk: &Desk, shell: &Shell, request: &Request, error: &Error) {
    let reply = ExecuteReply::Error {
        execution_count: shell.execution_count(),
        error: Failure::from(error),
    };
    desk.answer_at_once(request, Some(&reply.into()));
}

fn output(desk: &Desk, request: &Request, silent: bool) -> CellOutput {
    let (sockets, clock) = (Arc::clone(&desk.sockets), Arc::clone(desk.context.clock()));
    CellOutput::new(sockets, clock, request.message.raw_header.clone(), silent)
}

fn front_end(shell: &Shell, request: &Request, output: &CellOutput) -> FrontEnd {
    FrontEnd {
        identities: request.message.identities.clone(),
        parent: request.message.raw_header.clone(),
        output: output.clone(),
        asking: Arc::clone(&shell.asking),
    }
}

fn publish_result(output: &CellOutput, execution_count: u32, result: &Result<Option<Map>>) {
    match result {
        Ok(Some(value)) => {
            let (data, metadata) = (bundle(value), Object::new());
            output.publish(
                &ExecuteResult {
                    execution_count,
                    data,
                    metadata,
                }
                .into(),
            );
        }
        Ok(None) => {}
        Err(error) => output.publish(&ExecuteError(Failure::from(error)).into()),
    }
}

/// Runs a cell under a Context of its own, which an interrupt cancels.
async fn execute(
    desk: &Desk,
    shell: &Shell,
    request: &Request,
    cell: Cell,
    (output, front_end): (CellOutput, Option<FrontEnd>),
) -> Result<Option<Map>> {
    let identity = || Some(desk.context.clock().uuid().simple().to_string());
    let header = &request.message.header;
    // Stands on every span and record of the cell, so that they are found by what a front end has.
    let named = [
        ("message_id", &header.msg_id),
        ("session_id", &header.session),
    ];
    let named = named.map(|(name, value)| (name.to_owned(), Value::from(value.as_str())));
    let overrides = Overrides {
        request_id: identity(),
        // A cell is a trace: a session's would never end.
        trace_id: identity(),
        metadata: Map::from_iter(named),
        ..Overrides::default()
    };
    let root = desk.context.root_child(overrides);
    let sink = Arc::new(output.clone());
    let outcome = run_cell(&*desk.engine, &root, cell, sink, |cx| {
        output.follow(cx);
        let header = request.message.raw_header.clone();
        desk.start(shell, cx.clone(), header, front_end)
    })
    .await;
    root.recent().push(Arc::clone(root.graph()));
    outcome
}

/// Evaluates the request's expressions, silently. An interrupt is one of the request: those behind
/// the interrupted one are not evaluated either.
async fn evaluate(desk: &Desk, shell: &Shell, request: &Request, expressions: &Object) -> Object {
    let mut answers = Object::new();
    let mut interrupted = None;
    for (name, expression) in expressions {
        if let Some(error) = &interrupted {
            let answer = ExpressionAnswer::Error(Failure::from(error));
            answers.insert(name.clone(), answer.to_json());
            continue;
        }
        let Some(code) = expression.as_str() else {
            let answer = ExpressionAnswer::Error(Failure::from(&no_text(name, expression)));
            answers.insert(name.clone(), answer.to_json());
            continue;
        };
        let cell = Cell {
            code: code.to_owned(),
            name: format!("user_expressions `{name}`"),
            shell: shell.id.clone(),
        };
        let output = output(desk, request, true);
        let answer = match execute(desk, shell, request, cell, (output, None)).await {
            Ok(value) => ExpressionAnswer::Ok {
                data: value.as_ref().map(bundle).unwrap_or_default(),
                metadata: Object::new(),
            },
            Err(error) => {
                let answer = ExpressionAnswer::Error(Failure::from(&error));
                interrupted = Some(error).filter(|it| it.kind() == ErrorKind::Interrupted);
                answer
            }
        };
        answers.insert(name.clone(), answer.to_json());
    }
    answers
}

/// What is answered to an expression that is no text.
fn no_text(name: &str, expression: &impl Display) -> Error {
    let shown = markup::shorten(&expression.to_string(), EXPRESSION_CHARS_MAX);
    let message = format!("the user expression `{name}` must be a text, not `{shown}`");
    Error::invalid_args(message).with_hint("send its code, such as `\"1 + 1\"`")
}

fn plain_text(bundle: &Map) -> Option<String> {
    bundle
        .get("text/plain")
        .and_then(Value::as_str)
        .map(str::to_owned)
}

//! `Replay`: cassettes of what models and tools answered.

use std::sync::Arc;

use aikit_components::{
    models::cassette::{Mode, Report},
    security::place,
};
use aikit_core::{Result, Value, io, script::Callable};

use super::{
    ApiFunction, ApiModule, Arg, Args, Call, Kind, Param, Return, Session, optional, required,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    ..ApiModule::new(
        "Replay",
        "Cassettes: record what models and tools answer, and give it again without a network.",
    )
};

const PATH: Param = required(
    "path",
    Kind::String,
    "File below the working directory, such as `run.cassette`.",
);

const BODY: Param = optional(
    "fn",
    Kind::Function,
    "What to do with the cassette; without it, until `Replay.stop`.",
);

const STRICT: Param = optional(
    "options",
    Kind::Options(&[optional(
        "strict",
        Kind::Boolean,
        "Whether a call that was not recorded is an error (the default) or made for real.",
    )]),
    "How to replay.",
);

const STOP: Param = optional(
    "options",
    Kind::Options(&[optional(
        "keep",
        Kind::Boolean,
        "Whether what was recorded is written, the default.",
    )]),
    "How to end.",
);

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "record",
        summary: "Makes calls and records them; the file is written at the end, whole.",
        params: &[PATH, BODY],
        returns: "what the function gives, or nothing",
        example: "Replay.record('run.cassette', function() return 1 end)",
        call: Call::Host(|session, args| Box::pin(begin(session.clone(), args, Mode::Record))),
    },
    ApiFunction {
        name: "replay",
        summary: "Answers models, tools that touch the outside and questions from the file, without a \
                  key; tools of one's own, addresses that an index reads and, with `strict = \
                  false`, what is missing run for real.",
        params: &[PATH, STRICT, BODY],
        returns: "what the function gives, or nothing",
        example: "Replay.record('run.cassette', function() end); \
                  Replay.replay('run.cassette', {strict = true}, function() return 2 end)",
        call: Call::Host(|session, args| Box::pin(begin(session.clone(), args, Mode::Replay))),
    },
    ApiFunction {
        name: "auto",
        summary: "Replays when the file is there, else records.",
        params: &[PATH, STRICT, BODY],
        returns: "what the function gives, or nothing",
        example: "Replay.auto('run.cassette', {}, function() return 3 end)",
        call: Call::Host(|session, args| Box::pin(begin(session.clone(), args, Mode::Auto))),
    },
    ApiFunction {
        name: "stop",
        summary: "Takes the cassette out; a recording is written.",
        params: &[STOP],
        returns: "a record with `path`, `mode`, `entries`, `unused`",
        example: "Replay.record('run.cassette'); print(Replay.stop().entries)",
        call: Call::Host(|session, args| Box::pin(stop(session.clone(), args))),
    },
];

async fn begin(session: Session, mut args: Args, mode: Mode) -> Result<Return> {
    let given = args.required_string("path")?;
    let strict = args.options("options").value("strict");
    let strict = strict.as_bool().unwrap_or(true);
    let body = match args.take("fn") {
        Some(Arg::Callable(body)) => Some(body),
        _ => None,
    };
    let path = place::below(&session.components().working_directory, &given)?;
    if mode != Mode::Replay
        && let Some(policy) = session.components().services.policy.as_deref()
    {
        place::refuse_denied(&args.cx, policy, &path)?;
    }
    // Files are read and tried on a thread that may wait.
    let (deck, cx) = (Arc::clone(&session.components().deck), args.cx.clone());
    io::spawn_blocking(move || {
        deck.insert(&path, mode, strict)?;
        // Whoever stopped waiting meanwhile takes nothing out.
        cx.check().inspect_err(|_| drop(deck.eject(false)))
    })
    .await?;
    match body {
        Some(body) => within(&session, &args, body).await,
        None => Ok(Return::Value(Value::Null)),
    }
}

/// Calls the function and takes the cassette out, however it ends.
async fn within(session: &Session, args: &Args, body: Arc<dyn Callable>) -> Result<Return> {
    /// A call that is dropped half-way must not leave its cassette in.
    struct Guard<'a>(Option<&'a Session>);

    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            if let Some(session) = self.0.take() {
                drop(session.components().deck.eject(false));
            }
        }
    }

    let mut guard = Guard(Some(session));
    let outcome = args.cx.within(body.call(&args.cx, Vec::new())).await;
    let outcome = outcome.and_then(|answer| answer);
    guard.0 = None;
    let ended = eject(session, outcome.is_ok()).await;
    let answer = outcome?;
    ended?;
    Ok(Return::Value(answer))
}

/// Takes the cassette out, on a thread that may wait: a recording is written.
async fn eject(session: &Session, keep: bool) -> Result<Report> {
    let deck = Arc::clone(&session.components().deck);
    io::spawn_blocking(move || deck.eject(keep)).await
}

async fn stop(session: Session, mut args: Args) -> Result<Return> {
    let keep = args.options("options").value("keep");
    let keep = keep.as_bool().unwrap_or(true);
    let report = eject(&session, keep).await?;
    Ok(Return::Value(report.to_value()))
}

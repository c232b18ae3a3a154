//! `Replay`: cassettes of what models and tools answered.

use std::{path::PathBuf, sync::Arc};

use aikit_components::{
    models::cassette::{Deck, Mode, Report},
    security::place,
};
use aikit_core::{
    Context, Error, Result, Value,
    io::{self, AbortOnDrop},
    script::Callable,
};

use super::{
    ApiFunction, ApiModule, Arg, Args, Call, Kind, Param, Return, Session, optional, required,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    ..ApiModule::new(
        "Replay",
        "Cassettes: record what models and tools answer, and give it again without asking them.",
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
    Kind::Options(&[
        optional(
            "keep",
            Kind::Boolean,
            "Whether what was recorded is written, the default.",
        ),
        optional(
            "path",
            Kind::String,
            "File below the working directory that is written instead of the one that was begun with.",
        ),
    ]),
    "How to end.",
);

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "record",
        summary: "Makes calls and records them; the file is written at the end, whole. It replaces a \
                  cassette, no other file.",
        params: &[PATH, BODY],
        returns: "what the function gives, or nothing",
        example: "Replay.record('run.cassette', function() return 1 end)",
        call: Call::Host(|session, args| Box::pin(begin(session.clone(), args, Mode::Record))),
    },
    ApiFunction {
        name: "replay",
        summary: "Answers models, tools that touch the outside and questions from the file, without a \
                  key; the script itself, tools that only compute or are one's own, \
                  `Model.check`, addresses that an index reads and, with `strict = false`, what \
                  is missing run for real.",
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
        summary: "Takes the cassette out; a recording is written. One that cannot be written stays in.",
        params: &[STOP],
        returns: "a record with `path`, `mode`, `entries`, `unused`, and `late`: calls that ended while the file was written",
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
    let place = Place::new(&session, given);
    // A task of its own: the code of a script that is stopped is not polled again, and only much
    // later dropped, so the cassette would be left in until then.
    let cx = args.cx.clone();
    let task = io::spawn(async move {
        let (deck, checked) = (Arc::clone(&session.components().deck), cx.clone());
        // Files are read and tried on a thread that may wait.
        let inserted = io::spawn_blocking(move || {
            let path = place.check(&checked, mode)?;
            let begun = deck.insert(&path, mode, strict)?;
            Ok(Inserted(Some((deck, begun.number))))
        });
        let inserted = cx.within(inserted).await??;
        if let Some(body) = body {
            let within = within(&cx, body, inserted);
            return cx.run(within).await;
        }
        inserted.leave();
        Ok(Return::Value(Value::Null))
    });
    let _guard = AbortOnDrop(task.abort_handle());
    let ended = |error| Error::internal("a replay ended unexpectedly").with_source(error);
    task.await.map_err(ended)?
}

/// A file that a script names for a cassette.
struct Place {
    session: Session,
    given: String,
}

impl Place {
    fn new(session: &Session, given: String) -> Self {
        let session = session.clone();
        Self { session, given }
    }

    /// Its path, where the script may use it so.
    fn check(&self, cx: &Context, mode: Mode) -> Result<PathBuf> {
        let components = self.session.components();
        let path = place::below(&components.working_directory, &self.given)?;
        if mode != Mode::Replay
            && let Some(policy) = components.services.policy.as_deref()
        {
            place::refuse_denied(cx, policy, &path)?;
        }
        Ok(path)
    }
}

/// A cassette that was put in, which whoever stops waiting for that or for what is done with it
/// does not leave in.
struct Inserted(Option<(Arc<Deck>, u64)>);

impl Inserted {
    /// Leaves it in.
    fn leave(mut self) -> Option<(Arc<Deck>, u64)> {
        self.0.take()
    }
}

impl Drop for Inserted {
    fn drop(&mut self) {
        if let Some((deck, number)) = self.0.take() {
            // Whoever took it out may have put in another one, which is none of ours.
            drop(deck.eject_only(number, false));
        }
    }
}

/// Calls the function and takes the cassette out, however it ends, unless the function did.
async fn within(cx: &Context, body: Arc<dyn Callable>, inserted: Inserted) -> Result<Return> {
    let outcome = cx.within(body.call(cx, Vec::new())).await;
    // What failed is forgotten, at once: nothing is written.
    let answer = outcome.and_then(|answer| answer)?;
    if let Some((deck, number)) = inserted
        .leave()
        .filter(|(deck, number)| deck.holds(*number))
    {
        io::spawn_blocking(move || deck.eject_only(number, true)).await?;
    }
    Ok(Return::Value(answer))
}

/// Takes the cassette out, on a thread that may wait: a recording is written.
async fn eject(session: &Session, keep: bool) -> Result<Report> {
    let deck = Arc::clone(&session.components().deck);
    io::spawn_blocking(move || deck.eject(keep)).await
}

async fn stop(session: Session, mut args: Args) -> Result<Return> {
    let mut options = args.options("options");
    let keep = options.value("keep").as_bool().unwrap_or(true);
    let Some(given) = options.string("path") else {
        let report = eject(&session, keep).await?;
        return Ok(Return::Value(report.to_value()));
    };
    if !keep {
        let message = format!("`path` is `{given}`, and `keep` is false");
        return Err(Error::invalid_args(message).with_hint("leave one of them out"));
    }
    let place = Place::new(&session, given);
    let report = io::spawn_blocking(move || {
        let path = place.check(&args.cx, Mode::Record)?;
        place.session.components().deck.eject_to(&path)
    });
    Ok(Return::Value(report.await?.to_value()))
}

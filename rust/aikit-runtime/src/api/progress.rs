//! `progress`: a bar that shows how far a loop or a job is.

use super::{ApiFunction, ApiModule, Call, Kind, optional, required};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    call: Some(PROGRESS),
    ..ApiModule::new("progress", "Shows how far a loop or a job is.")
};

/// Options of a bar.
const OPTIONS: Kind = Kind::Options(&[
    optional("label", Kind::String, "What is being done."),
    optional(
        "total",
        Kind::Integer,
        "Steps in all; those of a list are known. Without it there is a counter, no bar.",
    ),
]);

const PROGRESS: ApiFunction = ApiFunction {
    name: "progress",
    summary: "Shows how far a loop or a job is: a bar in a notebook and in a terminal, nothing \
              where nobody looks.",
    params: &[
        required(
            "work",
            Kind::Anything,
            "What a loop goes through: a list, a number of steps, or an iterator function. Or the \
             options alone, for a job that says by itself how far it is.",
        ),
        optional("options", OPTIONS, "Label and total."),
    ],
    returns: "for a loop, an iterator: `for index, item in progress(list)`, `for index in \
              progress(10)`, `for ... in progress(iterator)`. For options, a bar with \
              `:advance(steps)`, `:update(done)` and `:close()`",
    example: "for index, name in progress({'a', 'b'}, {label = 'Files'}) do sleep(0.01) end",
    call: Call::Engine,
};

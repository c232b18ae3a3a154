//! `Stream`: changes each item, looks at each item, reads several sources as one.

use super::{ApiFunction, ApiModule, Call, Kind, Param, required};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    ..ApiModule::new(
        "Stream",
        "Sources of items, which may wait: streams and iterators, changed, watched and merged.",
    )
};

const SOURCE: Param = required(
    "source",
    Kind::Anything,
    "A stream, an iterator function as for `for … in`, or a list.",
);

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "map",
        summary: "Gives what a function makes of each item.",
        params: &[
            SOURCE,
            required("fn", Kind::Function, "Takes an item, gives the new one."),
        ],
        returns: "an iterator with `:next()` and `:close()`",
        example: "for item in Stream.map({'a', 'b'}, string.upper) do print(item) end",
        call: Call::Engine,
    },
    ApiFunction {
        name: "tap",
        summary: "Gives the items as they are, after a function has seen each.",
        params: &[SOURCE, required("fn", Kind::Function, "Takes an item.")],
        returns: "an iterator with `:next()` and `:close()`",
        example: "for item in Stream.tap({'a', 'b'}, print) do print(item) end",
        call: Call::Engine,
    },
    ApiFunction {
        name: "merge",
        summary: "Reads several sources as one, each in a task of its own: items in the order in \
                  which they arrive; the first error ends all.",
        params: &[required(
            "sources",
            Kind::Anything,
            "A list of sources; or a table of them by name, whose items are then \
             `{source = name, value = item}`.",
        )],
        returns: "an iterator with `:next()` and `:close()`, which stops the sources",
        example: "for item in Stream.merge{a = {1, 2}, b = {3}} do print(item.source, item.value) end",
        call: Call::Engine,
    },
    ApiFunction {
        name: "is_async_iterable",
        summary: "Says whether a value can be read item by item, with waits between: a stream, an \
                  iterator function.",
        params: &[required("value", Kind::Anything, "Any value.")],
        returns: "true or false",
        example: "Stream.is_async_iterable(Stream.map({1}, print))",
        call: Call::Engine,
    },
];

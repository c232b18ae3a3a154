//! `display`: shows values and rich representations of them.

use super::{ApiFunction, ApiModule, Call, Kind, Param, optional, required};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    call: Some(DISPLAY),
    ..ApiModule::new(
        "display",
        "Shows a value, or representations of it by media type.",
    )
};

/// Options of everything that displays.
pub(super) const OPTIONS: Kind = Kind::Options(&[
    optional(
        "display_id",
        Kind::String,
        "Identity by which it can be replaced later.",
    ),
    optional("metadata", Kind::Table, "Metadata of the representations."),
]);

/// Options of a table.
const TABLE: Kind = Kind::Options(&[
    optional(
        "columns",
        Kind::List(&Kind::String),
        "Which columns, in which order; all when left out.",
    ),
    optional(
        "display_id",
        Kind::String,
        "Identity by which it can be replaced later.",
    ),
    optional("metadata", Kind::Table, "Metadata of the representations."),
]);

const DISPLAY: ApiFunction = ApiFunction {
    name: "display",
    summary: "Shows a value; a table whose keys are media types is shown as these.",
    params: &[
        required("value", Kind::Anything, "What to show."),
        optional("options", OPTIONS, "How to show it."),
    ],
    returns: "a handle with `:update(value)`",
    example: "display({['text/markdown'] = '**bold**', ['text/plain'] = 'bold'})",
    call: Call::Engine,
};

const TEXT: &[Param] = &[
    required("text", Kind::String, "The source."),
    optional("options", OPTIONS, "How to show it."),
];

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "html",
        summary: "Shows HTML.",
        params: TEXT,
        returns: "a handle with `:update(value)`",
        example: "display.html('<b>bold</b>')",
        call: Call::Engine,
    },
    ApiFunction {
        name: "markdown",
        summary: "Shows Markdown.",
        params: TEXT,
        returns: "a handle with `:update(value)`",
        example: "display.markdown('**bold**')",
        call: Call::Engine,
    },
    ApiFunction {
        name: "latex",
        summary: "Shows a formula.",
        params: TEXT,
        returns: "a handle with `:update(value)`",
        example: "display.latex('$e^{i\\\\pi}$')",
        call: Call::Engine,
    },
    ApiFunction {
        name: "svg",
        summary: "Shows a drawing.",
        params: TEXT,
        returns: "a handle with `:update(value)`",
        example: "display.svg('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')",
        call: Call::Engine,
    },
    ApiFunction {
        name: "json",
        summary: "Shows data as a tree.",
        params: &[
            required("value", Kind::Anything, "The data."),
            optional("options", OPTIONS, "How to show it."),
        ],
        returns: "a handle with `:update(value)`",
        example: "display.json({a = {1, 2}})",
        call: Call::Engine,
    },
    ApiFunction {
        name: "table",
        summary: "Shows a list of records as a table; long texts are cut, in what is shown.",
        params: &[
            required(
                "records",
                Kind::List(&Kind::Table),
                "Tables with text keys.",
            ),
            optional("options", TABLE, "How to show it."),
        ],
        returns: "a handle with `:update(value)`",
        example: "display.table({{name = 'a', size = 1}, {name = 'b', size = 2}})",
        call: Call::Engine,
    },
    ApiFunction {
        name: "png",
        summary: "Shows an image.",
        params: &[
            required("bytes", Kind::String, "The bytes of a PNG file."),
            optional("options", OPTIONS, "How to show it."),
        ],
        returns: "a handle with `:update(value)`",
        example: "local hex = '89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49\
                  444154789c636000000002000148afa4710000000049454e44ae426082' \
                  display.png((hex:gsub('%x%x', function(b) return string.char(tonumber(b, 16)) end)))",
        call: Call::Engine,
    },
];

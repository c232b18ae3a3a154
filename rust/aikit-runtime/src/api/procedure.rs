//! `Procedure`: functions with tracking, middleware, a time limit, a schema and a handle.

use super::{ApiClass, ApiFunction, ApiModule, Kind, Param, optional, required, row};

/// The module `Procedure`.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[PROCEDURE, STREAM, HANDLE, HANDLE_VIEW],
    ..ApiModule::new(
        "Procedure",
        "Functions with tracking, middleware, a time limit, a schema and a handle.",
    )
};

const TIMEOUT: Param = optional(
    "timeout",
    Kind::Number,
    "Longest time of a call in seconds; 0 for no limit.",
);
const BOUNDARY: Param = optional(
    "boundary",
    Kind::String,
    "When a call begins a new execution: `auto`, `always`, `child` or `never`.",
)
.one_of(&["auto", "always", "child", "never"]);

const CREATE: &[Param] = &[
    required(
        "fn",
        Kind::Function,
        "The function; also at position 1 of the table.",
    ),
    optional(
        "name",
        Kind::String,
        "Its name; that of the variable that holds the function when left out.",
    ),
    optional("schema", Kind::Any, "JSON Schema of the first argument."),
    optional(
        "middleware",
        Kind::Anything,
        "A list of middleware as for `use`, outermost first, or a pipeline.",
    ),
    TIMEOUT,
    optional("metadata", Kind::Table, "Data that middleware sees."),
    BOUNDARY,
    optional(
        "context",
        super::context::OPTIONS,
        "What its Context has other than the caller's.",
    ),
    optional(
        "generator",
        Kind::Boolean,
        "Whether it hands values out with `coroutine.yield`, one each time and never `nil`.",
    ),
];

const ARGUMENTS: &[Param] = &[optional("arguments", Kind::Rest, "Passed to the function.")];
const PROCEDURES: &[Param] = &[optional(
    "procedures",
    Kind::Rest,
    "Procedures, in their order.",
)];
const MIDDLEWARE: &[Param] = &[optional(
    "middleware",
    Kind::Rest,
    "Functions `(args, envelope, next)`, outermost first: `args` is a list, `next()` goes on with \
     the same and `next{…}` with others, `envelope` has `operation_name`, `source_type`, `pid`, \
     `metadata`, `context` and, when somebody holds one, the `handle`. A pipeline counts as its parts.",
)];

const PIPE: ApiFunction = row(
    "pipe",
    "Makes a procedure that passes the values of each to the next.",
    PROCEDURES,
    "a `Procedure`; of one, that one itself",
    "Procedure.pipe(Procedure.create{name = 'same', function(x) return x end})",
);

const FUNCTIONS: &[ApiFunction] = &[
    row(
        "create",
        "Makes a procedure of a function. Each call is a node in the graph, has a span, events and \
         metrics, and ends with its Context.",
        &[required(
            "options",
            Kind::Options(CREATE),
            "The function, and what stands around it.",
        )],
        "a `Procedure`, which is called like the function",
        "shout = Procedure.create{name = 'shout', function(text) return text:upper() end} print(shout('hi'))",
    ),
    PIPE,
    row(
        "pipeline",
        "Bundles middleware that belongs together.",
        MIDDLEWARE,
        "a pipeline, for `use` and for `middleware`",
        "Procedure.pipeline(function(args, envelope, next) return next() end)",
    ),
    row(
        "factory",
        "Makes a function like `Procedure.create` whose procedures have some middleware from the \
         beginning.",
        &[
            required(
                "middleware",
                Kind::Anything,
                "A list of middleware, or a pipeline.",
            ),
            optional(
                "options",
                Kind::Options(&[optional(
                    "hook",
                    Kind::Boolean,
                    "Whether its procedures are hooks: their `source_type` is `hook`.",
                )]),
                "What its procedures are.",
            ),
        ],
        "a function",
        "make = Procedure.factory{function(args, envelope, next) return next() end}",
    ),
    row(
        "guard",
        "Makes middleware that lets a call go on or denies it.",
        &[
            required(
                "allows",
                Kind::Function,
                "Gets arguments and envelope; answers whether.",
            ),
            optional("name", Kind::String, "Name for the message."),
        ],
        "middleware that raises an error of kind `denied`",
        "Procedure.guard(function(args) return args[1] ~= nil end, 'given')",
    ),
    row(
        "track",
        "Calls a function as a procedure.",
        &[
            required(
                "name",
                Kind::String,
                "Name in the graph, in spans and in events.",
            ),
            required(
                "fn",
                Kind::Either(&[Kind::Function, Kind::Options(&[TIMEOUT, BOUNDARY])]),
                "The function, after a table of options if some differ; further arguments are \
                 passed to it.",
            ),
            optional("arguments", Kind::Rest, "Passed to the function."),
        ],
        "what the function gives",
        "Procedure.track('load', function() return Context.node().name end)",
    ),
    row(
        "is_procedure",
        "Whether a value is a procedure.",
        &[optional("value", Kind::Anything, "Any value.")],
        "a boolean",
        "Procedure.is_procedure(print)",
    ),
    row(
        "double",
        "Makes a procedure for tests that gives scripted answers and records its calls.",
        &[
            required("name", Kind::String, "Its name."),
            required(
                "answers",
                Kind::List(&Kind::Anything),
                "A list with one answer for each call; a function is called with the arguments.",
            ),
        ],
        "a `Procedure`, and the list of the arguments of its calls",
        "double, calls = Procedure.double('fetch', {1, 2})",
    ),
];

const PROCEDURE: ApiClass = ApiClass {
    name: "Procedure",
    summary: "A function with what stands around its calls; every change gives a new one.",
    constructor: None,
    methods: &[
        row(
            "run",
            "Calls it, like `procedure(…)`; of a generator it gives what that returns.",
            ARGUMENTS,
            "what the function gives",
            "Procedure.create{name = 'a', function() return 1 end}:run()",
        ),
        row(
            "start",
            "Starts it beside the caller; the seed's name for it, `with_handle`, is an alias.",
            ARGUMENTS,
            "a `Handle`",
            "Procedure.create{name = 'a', function() return 1 end}:start():result()",
        ),
        row(
            "stream",
            "Calls a generator: `for chunk in procedure:stream(…) do`; leaving early ends it as \
             cancelled when the stream is closed.",
            ARGUMENTS,
            "a `ProcedureStream`",
            "for n in Procedure.create{name = 'n', generator = true, function() coroutine.yield(1) end}:stream() do print(n) end",
        ),
        row(
            "use",
            "Adds middleware inside of what is there; `with_middleware` is an alias.",
            MIDDLEWARE,
            "a new `Procedure`",
            "Procedure.create{name = 'a', print}:use(function(args, envelope, next) return next() end)",
        ),
        row(
            "with_timeout",
            "Limits the time of a call.",
            &[optional(
                "seconds",
                Kind::Number,
                "Longest time; 0 and `nil` mean no limit.",
            )],
            "a new `Procedure`",
            "Procedure.create{name = 'a', print}:with_timeout(5)",
        ),
        row(
            "with_metadata",
            "Adds data that middleware sees.",
            &[required("metadata", Kind::Table, "The data.")],
            "a new `Procedure`",
            "Procedure.create{name = 'a', print}:with_metadata({topic = 'bees'})",
        ),
        row(
            "with_context",
            "Gives each call a Context that differs from the caller's.",
            &[required(
                "options",
                super::context::OPTIONS,
                "As for `Context.child`.",
            )],
            "a new `Procedure`",
            "Procedure.create{name = 'a', print}:with_context({tick = 1})",
        ),
        PIPE,
    ],
    fields: &[
        ("name", "Name in the graph, in spans and in events."),
        ("metadata", "What middleware sees."),
    ],
};

const STREAM: ApiClass = ApiClass {
    name: "ProcedureStream",
    summary: "What a generator hands out: `for chunk in stream do`.",
    constructor: None,
    methods: &[row(
        "close",
        "Ends the generator, and the call as cancelled if it had not ended.",
        &[],
        "nothing",
        "stream = Procedure.create{name = 'n', generator = true, function() coroutine.yield(1) end}:stream() stream:close()",
    )],
    fields: &[(
        "returned",
        "What the generator returned; `nil` before its end.",
    )],
};

const CANCEL: ApiFunction = row(
    "cancel",
    "Asks the work to end; its result is then an error of kind `cancelled`.",
    &[optional("reason", Kind::String, "Why.")],
    "nothing",
    "handle = Procedure.create{name = 'a', function() return 1 end}:start() handle:cancel('not wanted')",
);

const EVENTS: ApiFunction = row(
    "events",
    "The events until now.",
    &[],
    "a list of tables with `kind`, `data`, `sequence`, `time`, `source`",
    "handle = Procedure.create{name = 'a', function() return 1 end}:start() handle:result() print(#handle:events())",
);

const ON: ApiFunction = row(
    "on",
    "Calls a function with each event of a name, those until now included; `result` and the end of \
     the cell wait until it has had them. A function that fails is told on standard error, and \
     called again with the next event.",
    &[
        required(
            "kind",
            Kind::String,
            "The name, such as `stream.chunk`, or `*`.",
        ),
        required("fn", Kind::Function, "Gets the event."),
    ],
    "nothing",
    "handle = Procedure.create{name = 'a', function() return 1 end}:start() handle:on('procedure.end', function(event) print(event.kind) end) handle:result()",
);

const DROPPED: (&str, &str) = (
    "dropped",
    "How many events are kept no more: the oldest, beyond 65536. Who comes too late for them gets \
     an event `events.lost` with their `count` instead.",
);

const USED: (&str, &str) = (
    "usage",
    "What the work has used of models until now: `input_tokens`, `output_tokens`, `requests`, \
     `cost_usd`.",
);

const HANDLE_VIEW: ApiClass = ApiClass {
    name: "HandleView",
    summary: "What middleware sees of the handle of its call, as `envelope.handle`: \
              `for event in view do` gives its events.",
    constructor: None,
    methods: &[CANCEL, EVENTS, ON],
    fields: &[DROPPED, USED],
};

const HANDLE: ApiClass = ApiClass {
    name: "Handle",
    summary: "Stands for a started procedure: `for event in handle do` gives its events, those \
              until now included, and `handle()` the next one. Dropping it cancels the work.",
    constructor: None,
    methods: &[
        row(
            "result",
            "Waits for the result.",
            &[],
            "what the function gives",
            "handle = Procedure.create{name = 'a', function() return 1 end}:start() print(handle:result())",
        ),
        CANCEL,
        EVENTS,
        ON,
    ],
    fields: &[
        ("trace_id", "W3C trace id of the work."),
        ("status", "`running`, `completed`, `failed` or `cancelled`."),
        ("is_finished", "Whether the work has ended."),
        DROPPED,
        USED,
    ],
};

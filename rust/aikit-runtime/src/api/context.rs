//! `Context`: what flows with a call, and who called whom.

use super::{ApiClass, ApiFunction, ApiModule, Kind, Param, graph, optional, required, row};

/// The module `Context`.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[CONTEXT, graph::CLASS, NODE],
    ..ApiModule::new(
        "Context",
        "What flows with a call: identities, user, deadline, cancellation, metrics.",
    )
};

/// What a Context is made with.
pub(super) const OPTIONS: Kind = Kind::Options(&[
    optional(
        "metadata",
        Kind::Table,
        "Data of the application; added to the parent's.",
    ),
    optional(
        "request_id",
        Kind::String,
        "Identity of the request, 1 to 256 bytes.",
    ),
    optional(
        "trace_id",
        Kind::String,
        "W3C trace id: 32 lower-case hexadecimal digits.",
    ),
    optional(
        "traceparent",
        Kind::String,
        "Header of a caller elsewhere (W3C trace context): goes on with its trace, below its span.",
    ),
    optional(
        "timeout",
        Kind::Number,
        "Seconds until the deadline; a parent's earlier one stays.",
    ),
    optional(
        "roles",
        Kind::List(&Kind::String),
        "Roles to keep of those that the user has.",
    ),
    optional(
        "tick",
        Kind::Integer,
        "Number of the step of a loop, from 1.",
    ),
]);

const OVERRIDES: &[Param] = &[optional("options", OPTIONS, "What differs.")];

const NAME: &[Param] = &[required("name", Kind::String, "The name; dots nest it.")];
const NAME_AND_AMOUNT: &[Param] = &[
    required("name", Kind::String, "The name; dots nest it."),
    required("amount", Kind::Number, "What is added."),
];
const NAME_AND_VALUE: &[Param] = &[
    required("name", Kind::String, "The name; dots nest it."),
    required("value", Kind::Number, "The new number."),
];
const PROCEDURE_NAME: &[Param] = &[required("name", Kind::String, "Name of a procedure.")];
const USAGE: &[Param] = &[required(
    "used",
    Kind::Options(&[
        optional("input_tokens", Kind::Number, "Tokens sent."),
        optional("output_tokens", Kind::Number, "Tokens received."),
        optional("requests", Kind::Number, "Calls of models."),
        optional("cost_usd", Kind::Number, "Money in US dollars."),
    ]),
    "What a call of a model used.",
)];
const EVENT: &[Param] = &[
    required("kind", Kind::String, "Dotted name."),
    optional("data", Kind::Any, "What belongs to the event."),
    optional(
        "source",
        Kind::String,
        "Who publishes it; the current procedure without one.",
    ),
];

const CREATE: ApiFunction = row(
    "create",
    "Makes a Context with identities and a graph of its own, for the same user.",
    OVERRIDES,
    "a `Context`",
    "Context.create{metadata = {topic = 'bees'}, timeout = 10}",
);
const GET: ApiFunction = row(
    "get",
    "The current Context.",
    &[],
    "a `Context`",
    "Context.get().request_id",
);
const TRY_GET: ApiFunction = row(
    "try_get",
    "The current Context; in a script there always is one.",
    &[],
    "a `Context`",
    "Context.try_get()",
);
const CHILD: ApiFunction = row(
    "child",
    "Makes a Context below this one, or the current one. It shares events, channels, graph and \
     cancellation and owns its metrics: what is added counts in the procedure around too, what is \
     set does not. Roles and deadline can be narrowed only.",
    OVERRIDES,
    "a `Context`",
    "Context.child{timeout = 5}",
);
const FORK: ApiFunction = row(
    "fork",
    "Runs a function in a child of this Context, or of the current one.",
    &[
        required("options", OPTIONS, "What differs; `{}` for nothing."),
        required(
            "fn",
            Kind::Anything,
            "A function or a procedure; further arguments are passed to it.",
        ),
        optional("arguments", Kind::Rest, "Passed to the function."),
    ],
    "what the function gives",
    "Context.fork({tick = 1}, function() return Context.get().tick end)",
);
const EMIT: ApiFunction = row(
    "emit",
    "Publishes an event.",
    EVENT,
    "nothing",
    "Context.emit('app.saved', {name = 'a'})",
);
const ADD_METRIC: ApiFunction = row(
    "add_metric",
    "Adds to a counter of the current procedure.",
    NAME_AND_AMOUNT,
    "nothing",
    "Context.add_metric('pages.read', 3)",
);
const SET_METRIC: ApiFunction = row(
    "set_metric",
    "Replaces a counter of the current procedure.",
    NAME_AND_VALUE,
    "nothing",
    "Context.set_metric('latency_ms', 250)",
);
const GET_METRIC: ApiFunction = row(
    "get_metric",
    "A counter of the current procedure.",
    NAME,
    "the number; 0 when nothing was added",
    "Context.get_metric('pages.read')",
);
const METRICS: ApiFunction = row(
    "metrics",
    "All counters of the current procedure.",
    &[],
    "a table; dots in names make tables in tables",
    "Context.metrics()",
);
const ADD_USAGE: ApiFunction = row(
    "add_usage",
    "Adds what a call of a model used.",
    USAGE,
    "nothing",
    "Context.add_usage{input_tokens = 100, output_tokens = 50}",
);
const GET_USAGE: ApiFunction = row(
    "usage",
    "What calls of models used.",
    &[],
    "a table with `input_tokens`, `output_tokens`, `requests`, `cost_usd`",
    "Context.usage().input_tokens",
);
const IS_STANDALONE: ApiFunction = row(
    "is_standalone",
    "Whether nothing was called by another procedure here.",
    &[],
    "a boolean",
    "Context.is_standalone()",
);
const IS_WITHIN: ApiFunction = row(
    "is_within",
    "Whether the current procedure or a caller of it has that name.",
    PROCEDURE_NAME,
    "a boolean",
    "Context.is_within('cell')",
);
const HAS_ANCESTOR_NAMED: ApiFunction = row(
    "has_ancestor_named",
    "Whether a caller of the current procedure, or a caller's caller, has that name.",
    PROCEDURE_NAME,
    "a boolean",
    "Context.has_ancestor_named('cell')",
);
const ORIGIN_NAME: ApiFunction = row(
    "origin_name",
    "Name of the procedure that this chain of calls began with.",
    &[],
    "text; `nil` outside of a procedure",
    "Context.origin_name()",
);
const EXECUTION_INFO: ApiFunction = row(
    "execution_info",
    "Where the current procedure stands.",
    &[],
    "a table with `pid`, `parent_pid`, `root_pid`, `name`, `origin_name`, `is_standalone`, \
     `depth`, `execution_id`; `nil` outside of a procedure",
    "Context.execution_info()",
);
const NODE_OF: ApiFunction = row(
    "node",
    "The current procedure's node.",
    &[],
    "a `Node` or `nil`",
    "Context.node()",
);
const ORIGIN: ApiFunction = row(
    "origin",
    "The node of the procedure that this chain of calls began with.",
    &[],
    "a `Node` or `nil`",
    "Context.origin()",
);
const GRAPH_OF: ApiFunction = row(
    "graph",
    "The graph: who called whom, by the identities of nodes.",
    &[],
    "a `Graph`",
    "Context.graph():count()",
);
const ROOT: ApiFunction = row(
    "root",
    "The first node of the graph.",
    &[],
    "a `Node` or `nil`",
    "Context.root()",
);
const NODES: ApiFunction = row(
    "nodes",
    "The nodes of the graph, in the order of their beginnings.",
    &[],
    "a list of `Node`",
    "for _, node in ipairs(Context.nodes()) do print(node.name, node.status) end",
);
const RECENT: ApiFunction = row(
    "recent",
    "The root nodes of the last 256 cells that ended, oldest first; none outside of a notebook.",
    &[],
    "a list of `Node`",
    "for _, node in ipairs(Context.recent()) do print(node.name, node.status) end",
);
const FIND_NODE: ApiFunction = row(
    "find_node",
    "Finds a node of the graph.",
    &[required("pid", Kind::String, "Its identity.")],
    "a `Node` or `nil`",
    "Context.find_node('p1')",
);
const COUNT: ApiFunction = row(
    "count",
    "How many executions the graph has seen, those left out included.",
    &[],
    "a number",
    "Context.count()",
);
const CLEAR: ApiFunction = row(
    "clear",
    "Forgets the nodes of the graph; what runs goes on.",
    &[],
    "nothing",
    "Context.clear()",
);
const CHECK: ApiFunction = row(
    "check",
    "Fails when the Context was cancelled or its deadline has passed.",
    &[],
    "nothing",
    "Context.check()",
);

// What is asked of the current Context by the module and of any by its handle, written once.
macro_rules! with_shared {
    ($($own:expr),+ $(,)?) => {
        &[
            $($own,)+
            CHILD,
            FORK,
            EMIT,
            CHECK,
            ADD_METRIC,
            SET_METRIC,
            GET_METRIC,
            METRICS,
            ADD_USAGE,
            GET_USAGE,
            IS_STANDALONE,
            IS_WITHIN,
            HAS_ANCESTOR_NAMED,
            ORIGIN_NAME,
            EXECUTION_INFO,
            NODE_OF,
            ORIGIN,
            GRAPH_OF,
            ROOT,
            NODES,
            RECENT,
            FIND_NODE,
            COUNT,
            CLEAR,
        ]
    };
}

const FUNCTIONS: &[ApiFunction] = with_shared![
    CREATE,
    GET,
    TRY_GET,
    row(
        "run",
        "Runs a function with a Context as the current one; the end of the Context ends it.",
        &[
            required("context", Kind::Anything, "A Context."),
            required(
                "fn",
                Kind::Anything,
                "A function or a procedure; further arguments are passed to it.",
            ),
            optional("arguments", Kind::Rest, "Passed to the function."),
        ],
        "what the function gives",
        "Context.run(Context.create{}, function() return Context.get().trace_id end)",
    ),
    row(
        "is_context",
        "Whether a value is a Context.",
        &[optional("value", Kind::Anything, "Any value.")],
        "a boolean",
        "Context.is_context(Context.get())",
    ),
];

const CONTEXT: ApiClass = ApiClass {
    name: "Context",
    summary: "What flows with a call.",
    constructor: None,
    methods: with_shared![
        row(
            "run",
            "Runs a function with this Context as the current one; its end ends the function.",
            &[
                required(
                    "fn",
                    Kind::Anything,
                    "A function or a procedure; further arguments are passed to it.",
                ),
                optional("arguments", Kind::Rest, "Passed to the function."),
            ],
            "what the function gives",
            "Context.create{}:run(function() return Context.get().trace_id end)",
        ),
        row(
            "cancel",
            "Cancels everything that runs in this Context and below it; the first reason stays.",
            &[optional("reason", Kind::String, "Why.")],
            "nothing",
            "Context.child{}:cancel('not wanted')",
        ),
    ],
    fields: &[
        ("request_id", "Identity of the request."),
        ("trace_id", "W3C trace id: 32 hexadecimal digits."),
        (
            "execution_id",
            "Identity of what belongs together for those who watch.",
        ),
        ("user", "On whose behalf: `id`, `tenant_id`, `roles`."),
        (
            "caller",
            "`user`, or `agent` when a model chose what is done.",
        ),
        ("metadata", "Data of the application; a copy."),
        (
            "tick",
            "Number of the step of the agent or the loop, from 1.",
        ),
        (
            "remaining",
            "Seconds until the deadline; `nil` without one.",
        ),
        ("is_cancelled", "Whether it was cancelled."),
    ],
};

const NODE: ApiClass = ApiClass {
    name: "Node",
    summary: "One execution of a procedure.",
    constructor: None,
    methods: &[
        row(
            "parent",
            "Its caller.",
            &[],
            "a `Node` or `nil`",
            "Procedure.track('step', function() return Context.node():parent() end)",
        ),
        row(
            "children",
            "Those it called.",
            &[],
            "a list of `Node`",
            "Procedure.track('step', function() return Context.node():children() end)",
        ),
        row(
            "has_ancestor",
            "Whether a caller, or a caller's caller, fits.",
            &[required(
                "fn",
                Kind::Function,
                "Gets a node and answers whether it fits.",
            )],
            "a boolean",
            "Procedure.track('step', function() return Context.node():has_ancestor(function(node) return node.name == 'cell' end) end)",
        ),
        ADD_METRIC,
        SET_METRIC,
        GET_METRIC,
        row(
            "merge_metrics",
            "Adds counters by name; the usage of a handle does not count them again.",
            &[required("metrics", Kind::Table, "Names and amounts.")],
            "nothing",
            "Procedure.track('step', function() Context.node():merge_metrics({pages = 2}) end)",
        ),
        row(
            "text",
            "The tree of what it called in lines; a cell shows it so that parts can be folded.",
            &[],
            "a string",
            "Procedure.track('step', function() return Context.node():text() end)",
        ),
        row(
            "svg",
            "The tree beside the time that each execution took, as a drawing.",
            &[],
            "a string",
            "Procedure.track('step', function() return #Context.node():svg() end)",
        ),
        METRICS,
    ],
    fields: &[
        ("pid", "Its identity, unique in the process."),
        ("parent_pid", "Its caller's."),
        ("name", "Name of the procedure."),
        ("status", "`running`, `completed`, `failed` or `cancelled`."),
        ("started", "Seconds since 1970-01-01 UTC."),
        (
            "completed",
            "Seconds since 1970-01-01 UTC; `nil` while it runs.",
        ),
        ("error", "Why it failed, if it did."),
        ("depth", "Callers above it; 0 for a root."),
    ],
};

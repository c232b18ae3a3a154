//! `Graph`: the executions of one root call.

use super::{ApiClass, Kind, Param, required, row};

const PID: Param = required("pid", Kind::String, "Identity of a node.");

/// The class of what `Context.graph` gives.
pub(super) const CLASS: ApiClass = ApiClass {
    name: "Graph",
    summary: "Who called whom below one root call. A node that is not kept has no relatives.",
    constructor: None,
    methods: &[
        row(
            "get",
            "Finds a node.",
            &[PID],
            "a `Node` or `nil`",
            "Context.graph():get('p1')",
        ),
        row(
            "parent",
            "The caller of a node.",
            &[PID],
            "a `Node` or `nil`",
            "Context.graph():parent('p1')",
        ),
        row(
            "children",
            "Those that a node called, in the order of their beginnings.",
            &[PID],
            "a list of `Node`",
            "Context.graph():children('p1')",
        ),
        row(
            "has_ancestor",
            "Whether a caller of a node, or a caller's caller, fits.",
            &[
                PID,
                required(
                    "fn",
                    Kind::Function,
                    "Gets a node and answers whether it fits.",
                ),
            ],
            "a boolean",
            "Context.graph():has_ancestor('p1', function(node) return node.name == 'cell' end)",
        ),
        row(
            "has_ancestor_named",
            "Whether a caller of a node, or a caller's caller, has that name.",
            &[PID, required("name", Kind::String, "Name of a procedure.")],
            "a boolean",
            "Context.graph():has_ancestor_named('p1', 'cell')",
        ),
        row(
            "root",
            "The first node.",
            &[],
            "a `Node` or `nil`",
            "Context.graph():root()",
        ),
        row(
            "all",
            "Its nodes, in the order of their beginnings.",
            &[],
            "a list of `Node`",
            "#Context.graph():all()",
        ),
        row(
            "count",
            "How many executions it has seen, those left out included.",
            &[],
            "a number",
            "Context.graph():count()",
        ),
        row(
            "text",
            "The tree of its executions in lines; a cell shows it so that parts can be folded.",
            &[],
            "a string",
            "print(Context.graph():text())",
        ),
        row(
            "svg",
            "The tree beside the time that each execution took, as a drawing.",
            &[],
            "a string",
            "display.svg(Context.graph():svg())",
        ),
        row(
            "clear",
            "Forgets its nodes; what runs goes on.",
            &[],
            "nothing",
            "Context.graph():clear()",
        ),
    ],
    fields: &[],
};

//! Where in the tree of calls a Context stands.

use std::sync::Arc;

use super::Context;
use crate::{
    Value,
    graph::{Pid, ProcedureNode},
};

/// Where an execution stands; all names and identities are those of its graph.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExecutionInfo {
    /// The current execution.
    pub pid: Pid,
    /// Its caller.
    pub parent_pid: Option<Pid>,
    /// The procedure the chain began with.
    pub root_pid: Pid,
    /// Name of the current procedure.
    pub name: Arc<str>,
    /// Name of the procedure the chain began with.
    pub origin_name: Arc<str>,
    /// Whether the current procedure is the one the chain began with.
    pub is_standalone: bool,
    /// Callers above it in its graph; 0 for a root.
    pub depth: usize,
    /// Identity of the execution, unique beyond the process; see [`Context::execution_id`].
    pub execution_id: String,
}

impl Context {
    /// Identity of the execution that the calls here belong to: the request's and the one of the
    /// procedure that began it. Absent outside of one. See
    /// [`Boundary`](crate::tracker::Boundary).
    pub fn execution_id(&self) -> Option<String> {
        self.execution().map(|it| self.id_of(it.pid))
    }

    /// Identity of the execution around this one, when it is a child of one.
    pub fn parent_execution_id(&self) -> Option<String> {
        self.execution()?.parent.map(|pid| self.id_of(pid))
    }

    fn id_of(&self, pid: Pid) -> String {
        format!("{}-{pid}", self.request_id())
    }

    /// Whether nothing was called by another procedure here: outside of one, or in the procedure
    /// that its chain of calls began with.
    pub fn is_standalone(&self) -> bool {
        match (self.node(), self.origin()) {
            (Some(node), Some(origin)) => Arc::ptr_eq(node, origin),
            _ => true,
        }
    }

    /// Whether the current procedure or a caller of it has that name.
    pub fn is_within(&self, name: &str) -> bool {
        self.node()
            .is_some_and(|node| &*node.name == name || self.has_ancestor_named(name))
    }

    /// Name of the procedure this chain of calls began with.
    pub fn origin_name(&self) -> Option<&str> {
        self.origin().map(|origin| &*origin.name)
    }

    /// Whether a caller of the current procedure, or a caller's caller, has that name.
    pub fn has_ancestor_named(&self, name: &str) -> bool {
        let is_it = |node: &ProcedureNode| &*node.name == name;
        self.node().is_some_and(|node| node.has_ancestor(is_it))
    }

    /// Where the current execution stands; absent outside of one.
    pub fn execution_info(&self) -> Option<ExecutionInfo> {
        let (node, origin) = (self.node()?, self.origin()?);
        Some(ExecutionInfo {
            pid: node.pid,
            parent_pid: node.parent.as_ref().map(|parent| parent.pid),
            root_pid: origin.pid,
            name: Arc::clone(&node.name),
            origin_name: Arc::clone(&origin.name),
            is_standalone: self.is_standalone(),
            depth: node.depth(),
            execution_id: self.execution_id().unwrap_or_default(),
        })
    }
}

impl ExecutionInfo {
    /// As data, with the names of the fields; pids as text.
    pub fn to_value(&self) -> Value {
        Value::map([
            ("pid", Value::from(self.pid.to_string())),
            (
                "parent_pid",
                self.parent_pid.map(|pid| pid.to_string()).into(),
            ),
            ("root_pid", Value::from(self.root_pid.to_string())),
            ("name", Value::from(&*self.name)),
            ("origin_name", Value::from(&*self.origin_name)),
            ("is_standalone", Value::Bool(self.is_standalone)),
            ("depth", Value::from(self.depth)),
            ("execution_id", Value::from(self.execution_id.as_str())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracker::{Execution, Operation};

    #[test]
    fn a_call_knows_where_it_stands() {
        let outside = Context::default();
        assert!(outside.is_standalone() && outside.execution_info().is_none());
        assert!(!outside.is_within("outer") && !outside.has_ancestor_named("outer"));
        assert_eq!(
            (outside.origin_name(), outside.execution_id()),
            (None, None)
        );

        let begin = |cx: &Context, name: &str| Execution::begin(cx, &Operation::new(name)).unwrap();
        let outer = begin(&outside, "outer");
        let middle = begin(outer.context(), "middle");
        let inner = begin(middle.context(), "inner");
        for (execution, depth, above) in [
            (&outer, 0, &[][..]),
            (&middle, 1, &["outer"]),
            (&inner, 2, &["outer", "middle"]),
        ] {
            let (cx, node) = (execution.context(), execution.node());
            assert_eq!(cx.origin_name(), Some("outer"));
            assert_eq!(cx.is_standalone(), depth == 0);
            assert!(cx.is_within(&node.name) && !cx.has_ancestor_named(&node.name));
            for name in ["outer", "middle", "inner", "another"] {
                let is_above = above.contains(&name);
                assert_eq!(
                    cx.has_ancestor_named(name),
                    is_above,
                    "{name} above {node:?}"
                );
                assert_eq!(
                    cx.is_within(name),
                    is_above || *name == *node.name,
                    "{name}"
                );
            }
            let expected = ExecutionInfo {
                pid: node.pid,
                parent_pid: node.parent.as_ref().map(|it| it.pid),
                root_pid: outer.node().pid,
                name: Arc::clone(&node.name),
                origin_name: Arc::clone(&outer.node().name),
                is_standalone: depth == 0,
                depth,
                execution_id: format!("{}-{}", outside.request_id(), outer.node().pid),
            };
            assert_eq!(cx.execution_info(), Some(expected));
        }
        let shown = inner.context().execution_info().unwrap().to_value();
        let expected = [
            ("name", "inner".to_owned()),
            ("origin_name", "outer".to_owned()),
            ("parent_pid", middle.node().pid.to_string()),
            ("root_pid", outer.node().pid.to_string()),
        ];
        for (name, value) in expected {
            assert_eq!(shown.get(name), Some(&Value::from(value)), "{name}");
        }
        assert_eq!(shown.get("depth"), Some(&Value::Int(2)));
    }
}

//! Graphs and nodes as Lua values: who called whom.

use std::sync::Arc;

use aikit_core::{
    Error, Value as Data,
    graph::{Pid, ProcedureGraph, ProcedureNode, Tree},
    metrics::Sums,
    value::Map,
};
use mlua::{
    AnyUserData, Function, IntoLuaMulti as _, Lua, MetaMethod, MultiValue, Table, UserData,
    UserDataFields, UserDataMethods, Value,
};

use super::{
    convert,
    error::{self, IntoLua as _},
    handle::LuaHandle,
    outline::read,
    state::State,
};
use crate::api::with_article;

/// The executions of one root call.
#[derive(Clone, Debug)]
pub(super) struct GraphHandle(pub(super) Arc<ProcedureGraph>);

impl GraphHandle {
    /// A node of it.
    pub(super) fn node(&self, node: Arc<ProcedureNode>) -> NodeHandle {
        let graph = self.clone();
        NodeHandle { node, graph }
    }

    /// The node of that identity.
    pub(super) fn get(&self, pid: &str) -> Option<NodeHandle> {
        Some(self.node(self.0.get(Pid::parse(pid)?)?))
    }

    /// The first execution without a caller.
    pub(super) fn root(&self) -> Option<NodeHandle> {
        Some(self.node(self.0.root()?))
    }

    /// Every node, in the order of their beginnings.
    pub(super) fn all(&self) -> Vec<NodeHandle> {
        let nodes = self.0.all().into_iter();
        nodes.map(|node| self.node(node)).collect()
    }

    fn children(&self, pid: Pid) -> Vec<NodeHandle> {
        let nodes = self.0.children(pid).into_iter();
        nodes.map(|node| self.node(node)).collect()
    }
}

impl UserData for GraphHandle {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("get", |lua, this, given: MultiValue| {
            let pid: String = read("Graph", "get", lua, given)?;
            Ok(this.get(&pid))
        });
        methods.add_method("parent", |lua, this, given: MultiValue| {
            let pid: String = read("Graph", "parent", lua, given)?;
            let parent = Pid::parse(&pid).and_then(|pid| this.0.parent(pid));
            Ok(parent.map(|node| this.node(node)))
        });
        methods.add_method("children", |lua, this, given: MultiValue| {
            let pid: String = read("Graph", "children", lua, given)?;
            let children = Pid::parse(&pid).map(|pid| this.children(pid));
            Ok(children.unwrap_or_default())
        });
        methods.add_method("has_ancestor", |lua, this, given: MultiValue| {
            let (pid, predicate): (String, Function) = read("Graph", "has_ancestor", lua, given)?;
            this.get(&pid)
                .map_or(Ok(false), |node| node.has_ancestor(lua, &predicate))
        });
        methods.add_method("has_ancestor_named", |lua, this, given: MultiValue| {
            let (pid, name): (String, String) = read("Graph", "has_ancestor_named", lua, given)?;
            Ok(Pid::parse(&pid).is_some_and(|pid| this.0.has_ancestor_named(pid, &name)))
        });
        methods.add_method("root", |_, this, ()| Ok(this.root()));
        methods.add_method("all", |_, this, ()| Ok(this.all()));
        methods.add_method("count", |_, this, ()| Ok(this.0.count()));
        methods.add_method("text", |_, this, ()| Ok(Tree::of(&this.0).text()));
        methods.add_method("svg", |_, this, ()| Ok(Tree::of(&this.0).svg()));
        methods.add_method("clear", |_, this, ()| {
            this.0.clear();
            Ok(())
        });
        methods.add_meta_method(MetaMethod::Eq, |_, this, other: mlua::UserDataRef<Self>| {
            Ok(Arc::ptr_eq(&this.0, &other.0))
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            Ok(format!("graph ({} executions)", this.0.count()))
        });
    }
}

/// What a graph, a node or the handle of started work is shown as; `None` for anything else.
pub(super) fn bundle(userdata: &AnyUserData) -> Option<Map> {
    if let Ok(graph) = userdata.borrow::<GraphHandle>() {
        return Some(Tree::of(&graph.0).bundle());
    }
    if let Ok(node) = userdata.borrow::<NodeHandle>() {
        return Some(node.tree().bundle());
    }
    let handle = userdata.borrow::<LuaHandle>().ok()?;
    Some(handle.tree().bundle())
}

/// One execution of a procedure.
#[derive(Clone, Debug)]
pub(super) struct NodeHandle {
    node: Arc<ProcedureNode>,
    /// Keeps the children, which the node alone does not.
    graph: GraphHandle,
}

impl NodeHandle {
    fn tree(&self) -> Tree {
        Tree::below(&self.graph.0, self.node.pid)
    }

    fn has_ancestor(&self, lua: &Lua, predicate: &Function) -> mlua::Result<bool> {
        let state = State::current()?;
        for node in self.node.ancestors() {
            let node = self.graph.node(Arc::clone(node)).into_lua_multi(lua)?;
            let is_it = state.call(predicate, node)?.pop_front();
            if is_it.is_some_and(|it| !it.is_nil() && it != Value::Boolean(false)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What `merge_metrics` was given.
fn sums_of(given: &Table) -> mlua::Result<Sums> {
    let given = match convert::to_value(&Value::Table(given.clone())).into_lua()? {
        Data::Map(given) => given,
        // An empty table.
        Data::List(list) if list.is_empty() => Map::new(),
        other => {
            let found = with_article(other.type_name());
            let message = format!("`Node:merge_metrics`: `metrics` is {found}");
            let hint = "give a table of numbers by the names of the metrics";
            return Err(error::to_lua(Error::invalid_args(message).with_hint(hint)));
        }
    };
    given
        .iter()
        .map(|(name, sum)| match sum.as_f64() {
            Some(number) => Ok((name.clone(), number)),
            None => Err(not_a_sum(name, sum)),
        })
        .collect()
}

fn not_a_sum(name: &str, found: &Data) -> mlua::Error {
    let found = with_article(found.type_name());
    let message = format!("the metric `{name}` is {found}");
    error::to_lua(Error::invalid_args(message).with_hint("give a number for each name"))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of this century fit in 53 bits"
)]
fn unix_seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

impl UserData for NodeHandle {
    fn add_fields<F: UserDataFields<Self>>(fields: &mut F) {
        fields.add_field_method_get("pid", |_, this| Ok(this.node.pid.to_string()));
        fields.add_field_method_get("parent_pid", |_, this| {
            Ok(this.node.parent.as_ref().map(|it| it.pid.to_string()))
        });
        fields.add_field_method_get("name", |_, this| Ok(this.node.name.to_string()));
        fields.add_field_method_get("status", |_, this| Ok(this.node.status().name()));
        fields.add_field_method_get("started", |_, this| Ok(unix_seconds(this.node.started)));
        fields.add_field_method_get("completed", |_, this| {
            Ok(this.node.completed().map(unix_seconds))
        });
        fields.add_field_method_get("error", |_, this| Ok(this.node.error()));
        fields.add_field_method_get("depth", |_, this| Ok(this.node.depth()));
    }

    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("parent", |_, this, ()| {
            Ok(this.node.parent.clone().map(|it| this.graph.node(it)))
        });
        methods.add_method("children", |_, this, ()| {
            Ok(this.graph.children(this.node.pid))
        });
        methods.add_method("has_ancestor", |lua, this, given: MultiValue| {
            let predicate: Function = read("Node", "has_ancestor", lua, given)?;
            this.has_ancestor(lua, &predicate)
        });
        methods.add_method("add_metric", |lua, this, given: MultiValue| {
            let (name, amount): (String, f64) = read("Node", "add_metric", lua, given)?;
            this.node.add_metric(&name, amount).into_lua()
        });
        methods.add_method("set_metric", |lua, this, given: MultiValue| {
            let (name, value): (String, f64) = read("Node", "set_metric", lua, given)?;
            this.node.set_metric(&name, value).into_lua()
        });
        methods.add_method("get_metric", |lua, this, given: MultiValue| {
            let name: String = read("Node", "get_metric", lua, given)?;
            Ok(this.node.get_metric(&name))
        });
        methods.add_method("merge_metrics", |lua, this, given: MultiValue| {
            let sums: Table = read("Node", "merge_metrics", lua, given)?;
            let sums = sums_of(&sums)?;
            this.node.metrics.merge_sums(&sums).into_lua()?;
            Ok(())
        });
        methods.add_method("text", |_, this, ()| Ok(this.tree().text()));
        methods.add_method("svg", |_, this, ()| Ok(this.tree().svg()));
        methods.add_method("metrics", |lua, this, ()| {
            convert::to_lua(lua, &this.node.metrics.to_nested())
        });
        methods.add_meta_method(MetaMethod::Eq, |_, this, other: mlua::UserDataRef<Self>| {
            Ok(this.node.pid == other.node.pid)
        });
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| {
            let (node, status) = (&this.node, this.node.status().name());
            Ok(format!("node {} `{}` ({status})", node.pid, node.name))
        });
    }
}

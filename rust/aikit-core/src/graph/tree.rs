//! What people see of a graph: the tree of its executions, as text, as HTML and as a drawing.

mod html;
mod svg;
mod text;

use std::{collections::HashMap, fmt::Write as _, sync::Arc};

use super::{Pid, ProcedureGraph, ProcedureNode, Status};
use crate::{Value, clock::UnixMicros, markup, value::Map};

/// Most executions that are shown.
const ROWS_MAX: usize = 500;
/// Longest name, in characters.
const NAME_CHARS_MAX: usize = 80;
/// Longest error, in characters.
const ERROR_CHARS_MAX: usize = 200;
/// Most metrics of a row beside what models used.
const METRICS_MAX: usize = 3;

/// The executions of a graph, or of a part of one, as they were when it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    rows: Vec<Row>,
    /// How many executions are not shown.
    left_out: usize,
}

/// One execution.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    /// How many callers stand above.
    level: usize,
    name: String,
    status: Status,
    started: UnixMicros,
    completed: Option<UnixMicros>,
    /// What it used and counted.
    counts: Vec<String>,
    error: Option<String>,
}

impl Tree {
    /// Everything that the graph keeps; at most 500 executions, callers before those they called.
    pub fn of(graph: &ProcedureGraph) -> Self {
        let nodes = graph.all();
        let folded = graph.count().saturating_sub(nodes.len());
        let mut tree = Self::from_nodes(&nodes, None);
        tree.left_out += folded;
        tree
    }

    /// One execution of the graph and what it called; empty when the graph does not keep it.
    pub fn below(graph: &ProcedureGraph, pid: Pid) -> Self {
        // What it called has begun later; of a loop over thousands each looks at its own only.
        Self::from_nodes(&graph.since(pid), Some(pid))
    }

    fn from_nodes(nodes: &[Arc<ProcedureNode>], top: Option<Pid>) -> Self {
        let known: HashMap<Pid, &Arc<ProcedureNode>> =
            nodes.iter().map(|it| (it.pid, it)).collect();
        let mut children: HashMap<Pid, Vec<&Arc<ProcedureNode>>> = HashMap::new();
        let mut roots = Vec::new();
        for node in nodes {
            match node
                .parent
                .as_ref()
                .filter(|it| known.contains_key(&it.pid))
            {
                Some(parent) => children.entry(parent.pid).or_default().push(node),
                // Its caller is not kept, or it has none.
                None => roots.push(node),
            }
        }
        if let Some(top) = top {
            roots = known.get(&top).copied().into_iter().collect();
        }
        let mut tree = Self {
            rows: Vec::new(),
            left_out: 0,
        };
        // Not by recursion: a chain of calls may be as long as the graph is.
        let mut left: Vec<_> = roots.into_iter().rev().map(|it| (0, it)).collect();
        while let Some((level, node)) = left.pop() {
            if tree.rows.len() < ROWS_MAX {
                tree.rows.push(Row::new(level, node));
            } else {
                tree.left_out += 1;
            }
            let called = children.get(&node.pid).map_or(&[][..], Vec::as_slice);
            left.extend(called.iter().rev().map(|it| (level + 1, *it)));
        }
        tree
    }

    /// The tree in lines, without an end of line at its end.
    pub fn text(&self) -> String {
        text::draw(self)
    }

    /// The tree in HTML: parts that can be folded, and no script.
    pub fn html(&self) -> String {
        html::draw(self)
    }

    /// The tree beside the time that each execution took, as a drawing.
    pub fn svg(&self) -> String {
        svg::draw(self)
    }

    /// What a front end is given.
    pub fn bundle(&self) -> Map {
        Map::from_iter([
            ("text/html".to_owned(), Value::from(self.html())),
            ("text/plain".to_owned(), self.text().into()),
        ])
    }

    /// What is said where something is not shown.
    fn more(&self) -> Option<String> {
        (self.left_out > 0).then(|| format!("… {} more executions", self.left_out))
    }
}

impl Row {
    fn new(level: usize, node: &ProcedureNode) -> Self {
        let error = node.error();
        Self {
            level,
            name: markup::shorten(&node.name, NAME_CHARS_MAX),
            status: node.status(),
            started: node.started,
            completed: node.completed(),
            counts: counts(node),
            error: error.map(|it| markup::shorten(&it, ERROR_CHARS_MAX)),
        }
    }

    /// A sign for the status.
    const fn sign(&self) -> char {
        match self.status {
            Status::Running => '▸',
            Status::Completed => '✓',
            Status::Failed => '✗',
            Status::Cancelled => '◌',
        }
    }

    /// How long it took, what it used; how it stands where it has not ended well.
    fn facts(&self) -> String {
        let duration = self.completed.map(|it| duration(it - self.started));
        let status = match self.status {
            Status::Completed => None,
            other => Some(other.name().to_owned()),
        };
        let facts: Vec<String> = status
            .into_iter()
            .chain(duration)
            .chain(self.counts.iter().cloned())
            .collect();
        facts.join(" · ")
    }
}

fn counts(node: &ProcedureNode) -> Vec<String> {
    let metrics = node.metrics.to_value();
    let metric = |name: &str| metrics.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    let (input, output) = (metric("usage.input_tokens"), metric("usage.output_tokens"));
    let mut counts = Vec::new();
    if input > 0.0 || output > 0.0 {
        counts.push(format!("{input} → {output} tokens"));
    }
    let cost = metric("usage.cost_usd");
    if cost > 0.0 {
        counts.push(format!("${cost:.4}"));
    }
    let own = metrics.as_map().into_iter().flatten();
    let own = own.filter(|(name, _)| !name.starts_with("usage.") && !name.starts_with("tool."));
    let own = own.filter_map(|(name, sum)| {
        let (name, sum) = (markup::shorten(name, 40), sum.as_f64()?);
        Some(format!("{name} {sum}"))
    });
    counts.extend(own.take(METRICS_MAX));
    counts
}

/// `1.6 ms`, `2.35 s`, `3:20 min`.
fn duration(micros: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
    let seconds = micros.max(0) as f64 / 1e6;
    let mut text = String::new();
    let _ = if seconds < 0.000_95 {
        write!(text, "{:.0} µs", seconds * 1e6)
    } else if seconds < 0.095 {
        write!(text, "{:.1} ms", seconds * 1e3)
    } else if seconds < 0.95 {
        write!(text, "{:.0} ms", seconds * 1e3)
    } else if seconds < 99.5 {
        write!(text, "{seconds:.2} s")
    } else {
        let whole = micros / 1_000_000;
        write!(text, "{}:{:02} min", whole / 60, whole % 60)
    };
    text
}

#[cfg(test)]
mod tests;

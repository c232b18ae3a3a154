//! What a run looks like where people see it: the answer, and how it came about.

use aikit_core::{Value, graph::Tree, markup::escape, value::Map};

/// The bundle of a run with that answer and those executions.
pub fn bundle(output: &str, tree: &Tree) -> Map {
    let html = format!(
        "<div><div style=\"white-space:pre-wrap\">{}</div>{}</div>",
        escape(output),
        tree.html()
    );
    let text = format!("{output}\n\n{}", tree.text());
    Map::from_iter([
        ("text/html".to_owned(), Value::from(html)),
        ("text/plain".to_owned(), text.into()),
    ])
}

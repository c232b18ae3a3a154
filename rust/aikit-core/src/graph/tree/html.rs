//! The tree in HTML: parts that can be folded.
//!
//! Without scripts, classes and style sheets, so that every front end shows it, and without colours
//! of its own but for failures, so that it can be read on a light and on a dark page.

use std::fmt::Write as _;

use super::{Row, Status, Tree};
use crate::markup::escape;

/// Levels that are open at first.
const OPEN_MAX: usize = 3;
/// Deepest level that is drawn; what is below stands there as well.
const LEVELS_MAX: usize = 30;

pub(super) fn draw(tree: &Tree) -> String {
    let mut html = "<div>".to_owned();
    if tree.rows.is_empty() && tree.left_out == 0 {
        html.push_str("no executions");
    }
    let mut open = 0;
    for (position, row) in tree.rows.iter().enumerate() {
        let level = row.level.min(LEVELS_MAX);
        while open > level {
            html.push_str("</div></details>");
            open -= 1;
        }
        let next = tree.rows.get(position + 1);
        let has_children = next.is_some_and(|it| it.level.min(LEVELS_MAX) > level);
        let line = line(row);
        if has_children {
            let is_open = level < OPEN_MAX || holds_failure(&tree.rows[position + 1..], level);
            let mark = if is_open { " open" } else { "" };
            let _ = write!(
                html,
                "<details{mark}><summary>{line}</summary><div style=\"margin-left:1.5em\">"
            );
            open += 1;
        } else {
            let _ = write!(html, "<div>{line}</div>");
        }
    }
    for _ in 0..open {
        html.push_str("</div></details>");
    }
    if let Some(more) = tree.more() {
        let _ = write!(html, "<div>{}</div>", escape(&more));
    }
    html.push_str("</div>");
    html
}

/// Whether something below a row has failed.
fn holds_failure(rows: &[Row], level: usize) -> bool {
    let mut below = rows.iter().take_while(|it| it.level > level);
    below.any(|it| it.status == Status::Failed)
}

fn line(row: &Row) -> String {
    let sign = match row.status {
        Status::Failed => format!("<span style=\"color:#d1242f\">{}</span>", row.sign()),
        Status::Completed => format!("<span style=\"color:#2da44e\">{}</span>", row.sign()),
        _ => row.sign().to_string(),
    };
    let facts = row.facts();
    let mut line = format!("{sign} <b>{}</b>", escape(&row.name));
    if !facts.is_empty() {
        let _ = write!(line, " <small>{}</small>", escape(&facts));
    }
    if let Some(error) = &row.error {
        let _ = write!(
            line,
            "<br><small style=\"color:#d1242f\">{}</small>",
            escape(error)
        );
    }
    line
}

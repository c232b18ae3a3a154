//! The tree beside a bar for the time of each execution.

use std::fmt::Write as _;

use super::{Status, Tree};
use crate::markup::{escape, shorten};

const ROW_HEIGHT: usize = 20;
/// As wide as the output of a notebook beside the list of files.
const WIDTH: f64 = 820.0;
/// Where the bars begin, and how wide they are at most.
const BARS_LEFT: f64 = 280.0;
const BARS_WIDTH: f64 = 220.0;
/// Room for a name, in pixels.
const NAMES_WIDTH: usize = 280;
const INDENT: usize = 14;
/// Deepest level that is drawn; what is below stands there as well.
const LEVELS_MAX: usize = 12;
/// Most rows of a drawing.
const ROWS_MAX: usize = 200;
const LETTER_WIDTH: usize = 7;
/// Longest text behind a bar, in characters.
const FACTS_CHARS_MAX: usize = 50;
/// Grey, which can be read on a light and on a dark page.
const INK: &str = "#757575";

pub(super) fn draw(tree: &Tree) -> String {
    let rows = &tree.rows[..tree.rows.len().min(ROWS_MAX)];
    let hidden = tree.rows.len() - rows.len() + tree.left_out;
    let height = ROW_HEIGHT * (rows.len() + usize::from(hidden > 0 || rows.is_empty())) + 8;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\" \
         fill=\"{INK}\" role=\"img\"><title>executions</title>"
    );
    let first = rows.iter().map(|it| it.started).min().unwrap_or(0);
    let ends = rows.iter().map(|it| it.completed.unwrap_or(it.started));
    let last = ends.max().unwrap_or(first).max(first + 1);
    let share = |time: i64| part(time - first, last - first);
    for (position, row) in rows.iter().enumerate() {
        let top = ROW_HEIGHT * position + 4;
        let (left, baseline) = (8 + INDENT * row.level.min(LEVELS_MAX), top + 14);
        let color = match row.status {
            Status::Failed => "#d1242f",
            Status::Completed => "#2da44e",
            Status::Cancelled => "#bf8700",
            Status::Running => "#0969da",
        };
        let room = (NAMES_WIDTH - left) / LETTER_WIDTH;
        let name = escape(&shorten(&row.name, room.max(8)));
        let _ = write!(
            svg,
            "<text x=\"{left}\" y=\"{baseline}\"><tspan fill=\"{color}\">{}</tspan> {name}</text>",
            row.sign()
        );
        let begin = BARS_WIDTH.mul_add(share(row.started), BARS_LEFT);
        // What still runs goes on to the end.
        let end = BARS_WIDTH.mul_add(share(row.completed.unwrap_or(last)), BARS_LEFT);
        let width = (end - begin).max(2.0);
        let opacity = if row.completed.is_none() {
            "0.4"
        } else {
            "0.8"
        };
        let _ = write!(
            svg,
            "<rect x=\"{begin:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"12\" rx=\"2\" \
             fill=\"{color}\" opacity=\"{opacity}\"/>",
            top + 4
        );
        let facts = shorten(row.error.as_ref().unwrap_or(&row.facts()), FACTS_CHARS_MAX);
        let _ = write!(
            svg,
            "<text x=\"{:.0}\" y=\"{baseline}\" font-size=\"11\">{}</text>",
            BARS_LEFT + BARS_WIDTH + 8.0,
            escape(&facts)
        );
    }
    let last_line = match hidden {
        0 if rows.is_empty() => "no executions".to_owned(),
        0 => String::new(),
        hidden => format!("… {hidden} more executions"),
    };
    if !last_line.is_empty() {
        let _ = write!(
            svg,
            "<text x=\"8\" y=\"{}\">{last_line}</text>",
            height - 10
        );
    }
    svg.push_str("</svg>");
    svg
}

#[expect(
    clippy::cast_precision_loss,
    reason = "it is drawn, nothing is counted"
)]
const fn part(part: i64, whole: i64) -> f64 {
    part as f64 / whole as f64
}

//! A list of records as an HTML table.

use std::fmt::Write as _;

use indexmap::IndexSet;
use mlua::{Table, Value};

use super::text::{self, Budget, MEMBERS_MAX};

/// Most rows of an HTML table.
const ROWS_MAX: usize = 200;
/// Longest text of a cell, and longest name of a column, in bytes.
const CELL_BYTES_MAX: usize = 4 << 10;

/// A list of records as an HTML table; `None` when it is something else, or too wide for one.
pub(super) fn html(table: &Table) -> Option<String> {
    let mut budget = Budget::new();
    let first: Value = table.raw_get(1).ok()?;
    let length = first.as_table().and_then(|_| length(table, &mut budget))?;
    let mut columns = IndexSet::new();
    let mut records = Vec::new();
    for position in 1..=length.min(ROWS_MAX) {
        let record: Table = table.raw_get(position).ok()?;
        add_columns(&mut columns, &record, &mut budget)?;
        records.push(record);
    }
    let mut html = "<table><thead><tr>".to_owned();
    for column in &columns {
        cell(&mut html, "th", column, &mut budget)?;
    }
    html.push_str("</tr></thead><tbody>");
    let mut count = 0;
    for record in records {
        // A row that is not whole is left out.
        let Some(row) = row(&record, &columns, &mut budget) else {
            break;
        };
        html.push_str(&row);
        count += 1;
    }
    html.push_str("</tbody></table>");
    if length > count {
        let _ = write!(html, "<p>… {} more rows</p>", length - count);
    }
    Some(html)
}

/// How many items a table has, when it has nothing else.
fn length(table: &Table, budget: &mut Budget) -> Option<usize> {
    let length = table.raw_len();
    for (key, _) in table.pairs::<Value, Value>().flatten() {
        let position = usize::try_from(key.as_integer()?).ok()?;
        if !budget.take_node() || !(1..=length).contains(&position) {
            return None;
        }
    }
    Some(length)
}

fn add_columns(columns: &mut IndexSet<String>, record: &Table, budget: &mut Budget) -> Option<()> {
    let mut names = Vec::new();
    for (key, _) in record.pairs::<Value, Value>().flatten() {
        let name = key.as_string()?;
        let is_too_much = names.len() == MEMBERS_MAX || name.as_bytes().len() > CELL_BYTES_MAX;
        if is_too_much || !budget.take_node() {
            return None;
        }
        names.push(name.to_str().ok()?.to_owned());
    }
    names.sort();
    columns.extend(names);
    (1..=MEMBERS_MAX).contains(&columns.len()).then_some(())
}

fn row(record: &Table, columns: &IndexSet<String>, budget: &mut Budget) -> Option<String> {
    let mut row = "<tr>".to_owned();
    for column in columns {
        let value: Value = record.raw_get(column.as_str()).ok()?;
        let shown = match &value {
            Value::Nil => String::new(),
            Value::String(text) if text.as_bytes().len() > CELL_BYTES_MAX => {
                text::beginning(text, CELL_BYTES_MAX) + "…"
            }
            Value::String(text) => text.to_string_lossy(),
            other => text::within(budget, CELL_BYTES_MAX, other),
        };
        cell(&mut row, "td", &shown, budget)?;
    }
    row.push_str("</tr>");
    Some(row)
}

/// Writes one cell; `None` when it is too much.
fn cell(html: &mut String, element: &str, text: &str, budget: &mut Budget) -> Option<()> {
    let text = escape(text);
    let cell = format!("<{element}>{text}</{element}>");
    budget.take_bytes(cell.len());
    if !budget.take_node() {
        return None;
    }
    html.push_str(&cell);
    Some(())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

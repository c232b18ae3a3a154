//! A list of records as a table: in HTML, and as text for a terminal.

use std::fmt::Write as _;

use aikit_core::{Error, Result, markup::escape};
use indexmap::IndexSet;
use mlua::{Table, Value};

use super::{
    state::State,
    text::{self, Budget, MEMBERS_MAX},
};

/// Most rows of an HTML table.
const ROWS_MAX: usize = 200;
/// Longest text of a cell, and longest name of a column, in bytes.
const CELL_BYTES_MAX: usize = 4 << 10;
/// Longest text of a cell of an HTML table, in characters: a table is looked over, not read.
const HTML_CHARS_MAX: usize = 200;
/// Longest text of a cell where columns are aligned, in characters.
const CELL_CHARS_MAX: usize = 60;
/// Most names of columns that an error lists.
const NAMES_MAX: usize = 20;

/// Columns that come first, where a table has all of one line.
const KNOWN: &[&[&str]] = &[
    &["score", "source", "text"],
    &["name", "usable", "lacks"],
    &["name"],
];

/// A list of records as an HTML table; `None` when it is something else, or too wide for one.
/// `wanted` names its columns; without it they are all there, in a meaningful order.
pub(super) fn html(table: &Table, wanted: Option<&[String]>) -> Option<String> {
    let mut budget = Budget::new();
    let Found {
        length,
        columns,
        records,
    } = find(table, wanted, &mut budget)?;
    let aligned = aligned(&records, &columns);
    let mut html = "<table><thead><tr>".to_owned();
    for (column, alignment) in columns.iter().zip(&aligned) {
        cell(&mut html, alignment.head, column, &mut budget)?;
    }
    html.push_str("</tr></thead><tbody>");
    let mut count = 0;
    for record in records {
        // A row that is not whole is left out.
        let Some(row) = row(&record, (&columns, &aligned), &mut budget) else {
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

/// The tags of the cells of a column. Front ends differ in where they put texts and numbers, so
/// each cell says it: numbers are compared by their last digits, texts are read from their first
/// letter.
#[derive(Debug)]
struct Alignment {
    is_number: bool,
    head: &'static str,
    cell: &'static str,
}

const OF_TEXTS: Alignment = Alignment {
    is_number: false,
    head: "th style=\"text-align:left\"",
    cell: "td style=\"text-align:left\"",
};

/// The head needs no word of it: Jupyter puts it there.
const OF_NUMBERS: Alignment = Alignment {
    is_number: true,
    head: "th",
    cell: "td style=\"text-align:right\"",
};

/// How the columns are aligned: one of numbers has nothing else.
fn aligned(records: &[Table], columns: &IndexSet<String>) -> Vec<&'static Alignment> {
    let alignment = |column: &String| {
        let mut values = records
            .iter()
            .filter_map(|record| record.raw_get::<Value>(column.as_str()).ok())
            .filter(|it| !it.is_nil())
            .peekable();
        let is_number =
            values.peek().is_some() && values.all(|it| it.is_number() || it.is_integer());
        if is_number { &OF_NUMBERS } else { &OF_TEXTS }
    };
    columns.iter().map(alignment).collect()
}

/// The same as lines with aligned columns.
pub(super) fn plain(table: &Table, wanted: Option<&[String]>) -> Option<String> {
    let mut budget = Budget::new();
    let found = find(table, wanted, &mut budget)?;
    let aligned = aligned(&found.records, &found.columns);
    let mut rows = vec![
        found
            .columns
            .iter()
            .map(|it| one_line(it))
            .collect::<Vec<_>>(),
    ];
    for record in &found.records {
        let cells = found.columns.iter().map(|column| {
            let value: Value = record.raw_get(column.as_str()).ok()?;
            Some(one_line(&shown(&value, &mut budget)))
        });
        // A row that is not whole is left out.
        let Some(cells) = cells.collect() else { break };
        rows.push(cells);
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|it| it.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..found.columns.len()).map(width).collect();
    let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    let left_out = found.length - (rows.len() - 1);
    rows.insert(1, rule);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).zip(&aligned);
        let cells = cells.map(|((it, width), alignment)| {
            if alignment.is_number {
                format!("{it:>width$}")
            } else {
                format!("{it:width$}")
            }
        });
        let cells: Vec<String> = cells.collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end_matches('\n').len());
    if left_out > 0 {
        let _ = write!(text, "\n… {left_out} more rows");
    }
    Some(text)
}

/// A text without line ends and control characters, cut where it is long.
fn one_line(text: &str) -> String {
    let flat = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it });
    shorten(flat.collect(), CELL_CHARS_MAX)
}

/// The beginning of a text that is longer than `most` characters.
fn shorten(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The records of a list, and the columns they have.
struct Found {
    length: usize,
    columns: IndexSet<String>,
    records: Vec<Table>,
}

/// What keeps a list from being a table, for an error.
pub(super) fn problem(table: &Table) -> String {
    for (index, record) in table.sequence_values::<Table>().flatten().enumerate() {
        for (key, _) in record.pairs::<Value, Value>().flatten() {
            if !key.is_string() {
                let key = text::of(&key);
                return format!("row {} has the key `{key}`, which is no text", index + 1);
            }
        }
    }
    format!("its rows have no columns, or more than {MEMBERS_MAX}")
}

/// Refuses columns that no row has, as misspelt ones. A list without rows has any column.
///
/// # Errors
///
/// `invalid_args`, with the columns there are.
pub(super) fn check_columns(table: &Table, wanted: &[String]) -> Result<()> {
    let mut budget = Budget::new();
    let Some(found) = find(table, None, &mut budget) else {
        return Ok(());
    };
    let mut missing: Vec<&String> = wanted
        .iter()
        .filter(|it| !found.columns.contains(*it))
        .collect();
    // Behind the rows that are shown.
    for position in ROWS_MAX + 1..=found.length {
        if missing.is_empty() {
            break;
        }
        if let Ok(record) = table.raw_get::<Table>(position) {
            missing.retain(|it| {
                let value = record.raw_get(it.as_str());
                budget.take_node() && value.is_ok_and(|it: Value| it.is_nil())
            });
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let some = if missing.len() == 1 { "" } else { "s" };
    let missing = listed(missing.into_iter());
    let message = format!("`display.table`: no row has the column{some} {missing}");
    let columns = listed(found.columns.iter());
    let hint = format!("there are {columns}; `JSON.null` in a row is a column without a value");
    Err(Error::invalid_args(message).with_hint(hint))
}

/// Names for an error: the first ones, and how many there are besides.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let left_out = names.len().saturating_sub(NAMES_MAX);
    let first: Vec<String> = names.take(NAMES_MAX).map(|it| format!("`{it}`")).collect();
    let mut list = first.join(", ");
    if left_out > 0 {
        let _ = write!(list, ", and {left_out} more");
    }
    list
}

fn find(table: &Table, wanted: Option<&[String]>, budget: &mut Budget) -> Option<Found> {
    let first: Value = table.raw_get(1).ok()?;
    let length = first.as_table().and_then(|_| length(table, budget))?;
    let mut columns = IndexSet::new();
    let mut records = Vec::new();
    for position in 1..=length.min(ROWS_MAX) {
        let record: Table = table.raw_get(position).ok()?;
        add_columns(&mut columns, &record, budget)?;
        records.push(record);
    }
    let columns = match wanted {
        Some(wanted) => wanted.iter().cloned().collect(),
        None => ordered(columns, &order(table)),
    };
    Some(Found {
        length,
        columns,
        records,
    })
}

/// Puts first what is known to matter, then what stands first in `order`; the rest is as it was.
fn ordered(columns: IndexSet<String>, order: &[String]) -> IndexSet<String> {
    let is_there = |line: &&&[&str]| line.iter().all(|it| columns.contains(*it));
    let known = KNOWN.iter().find(is_there).copied().unwrap_or_default();
    let known = known.iter().map(|it| (*it).to_owned());
    let first: IndexSet<String> = known.chain(order.iter().cloned()).collect();
    let first = first.into_iter().filter(|it| columns.contains(it));
    let mut all: IndexSet<String> = first.collect();
    all.extend(columns);
    all
}

/// Remembers the order of the columns of a list that came from the session, because a Lua table
/// has none. It is forgotten with the table.
///
/// # Errors
///
/// Only when Lua is out of memory.
pub(super) fn remember<'a>(
    table: &Table,
    columns: impl ExactSizeIterator<Item = &'a str>,
) -> mlua::Result<()> {
    let Ok(state) = State::current() else {
        return Ok(());
    };
    if (1..=MEMBERS_MAX).contains(&columns.len()) {
        let columns: Vec<&str> = columns.collect();
        state.orders.raw_set(table, columns.join(SEPARATOR))?;
    }
    Ok(())
}

/// Stands between the columns that are remembered.
const SEPARATOR: &str = "\0";

/// The order that was remembered.
fn order(table: &Table) -> Vec<String> {
    let remembered =
        State::current().and_then(|state| state.orders.raw_get::<Option<String>>(table));
    let remembered = remembered.ok().flatten().unwrap_or_default();
    remembered.split(SEPARATOR).map(str::to_owned).collect()
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

fn row(
    record: &Table,
    (columns, aligned): (&IndexSet<String>, &[&Alignment]),
    budget: &mut Budget,
) -> Option<String> {
    let mut row = "<tr>".to_owned();
    for (column, alignment) in columns.iter().zip(aligned) {
        let value: Value = record.raw_get(column.as_str()).ok()?;
        let text = shorten(shown(&value, budget), HTML_CHARS_MAX);
        cell(&mut row, alignment.cell, &text, budget)?;
    }
    row.push_str("</tr>");
    Some(row)
}

/// The text of a cell.
fn shown(value: &Value, budget: &mut Budget) -> String {
    match value {
        Value::Nil => String::new(),
        Value::String(text) if text.as_bytes().len() > CELL_BYTES_MAX => {
            text::beginning(text, CELL_BYTES_MAX) + "…"
        }
        Value::String(text) => text.to_string_lossy(),
        other => text::within(budget, CELL_BYTES_MAX, other),
    }
}

/// Writes one cell, whose tag may have attributes; `None` when it is too much.
fn cell(html: &mut String, tag: &str, text: &str, budget: &mut Budget) -> Option<()> {
    let element = tag.split(' ').next().unwrap_or(tag);
    let cell = format!("<{tag}>{}</{element}>", escape(text));
    budget.take_bytes(cell.len());
    if !budget.take_node() {
        return None;
    }
    html.push_str(&cell);
    Some(())
}

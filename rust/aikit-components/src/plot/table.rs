//! Data in any of the forms that people have it in, as columns.

use aikit_core::{Error, ErrorKind, Result, Value, markup, value::Map};
use indexmap::IndexMap;

use super::{POINTS_MAX, VALUES_MAX, unknown, wrong};

/// What a kind of chart makes of data that has no names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Shape {
    /// A number is a point at its position.
    Points,
    /// Numbers are counted.
    Values,
    /// A list of lists is a grid of numbers.
    Grid,
}

const FORMS: &str = "give a list of records, `{{day = 1, price = 2.5}}`, a list of numbers, a list \
                     of pairs, or a table of columns, `{day = {1, 2}, price = {2.5, 3}}`";

/// Most columns.
const COLUMNS_MAX: usize = 1_000;
/// Most values of a table of records, missing ones included.
const CELLS_MAX: usize = 10_000_000;

/// Columns of the same length.
#[derive(Debug)]
pub(super) struct Table {
    columns: IndexMap<String, Vec<Value>>,
    /// Whether the names are the user's.
    pub(super) is_named: bool,
}

impl Table {
    /// # Errors
    ///
    /// `invalid_args` for what is in none of the forms or empty, `limit_exceeded` for too much.
    pub(super) fn read(data: &Value, shape: Shape) -> Result<Self> {
        let table = match data {
            Value::Null => return Err(wrong("`data` is missing").with_hint(FORMS)),
            Value::List(items) => Self::of_list(items, shape)?,
            Value::Map(columns) => Self::of_columns(columns, shape)?,
            other => {
                let message = format!("`data` is the {} `{}`", other.type_name(), shown(other));
                return Err(wrong(&message).with_hint(FORMS));
            }
        };
        if table.columns.values().all(Vec::is_empty) {
            let hint = "look at what was to be drawn: it has no rows";
            return Err(wrong("`data` is empty, there is nothing to draw").with_hint(hint));
        }
        Ok(table)
    }

    fn of_list(items: &[Value], shape: Shape) -> Result<Self> {
        let first = items.iter().find(|it| !it.is_null());
        match first {
            Some(Value::Map(_)) => Self::of_records(items, shape),
            Some(Value::List(_)) if shape == Shape::Grid => Self::of_grid(items),
            Some(Value::List(_)) => {
                check_room(items.len(), shape)?;
                let pairs: Result<Vec<[Value; 2]>> = items
                    .iter()
                    .enumerate()
                    .map(|(at, it)| pair(at, it))
                    .collect();
                let (x, y) = pairs?.into_iter().map(|[x, y]| (x, y)).unzip();
                Ok(Self::unnamed([("x", x), ("y", y)]))
            }
            _ if shape == Shape::Values => {
                check_room(items.len(), shape)?;
                Ok(Self::unnamed([("x", items.to_vec())]))
            }
            _ => {
                check_room(items.len(), shape)?;
                let positions = (1_i64..).take(items.len()).map(Value::from).collect();
                Ok(Self::unnamed([("x", positions), ("y", items.to_vec())]))
            }
        }
    }

    fn unnamed<const N: usize>(columns: [(&str, Vec<Value>); N]) -> Self {
        let columns = columns.into_iter();
        Self {
            columns: columns.map(|(name, it)| (name.to_owned(), it)).collect(),
            is_named: false,
        }
    }

    fn of_records(items: &[Value], shape: Shape) -> Result<Self> {
        check_room(items.len(), shape)?;
        let mut columns: IndexMap<String, Vec<Value>> = IndexMap::new();
        for (at, item) in items.iter().enumerate() {
            let Value::Map(record) = item else {
                return Err(odd_item(at, item, "a record as the first"));
            };
            for (name, value) in record {
                if !columns.contains_key(name) {
                    check_columns(columns.len() + 1)?;
                    columns.insert(name.clone(), vec![Value::Null; at]);
                }
                if let Some(column) = columns.get_mut(name) {
                    column.push(value.clone());
                }
            }
            for column in columns.values_mut().filter(|it| it.len() == at) {
                column.push(Value::Null);
            }
            // A record that lacks a column still has a place in it.
            if columns.len().saturating_mul(at + 1) > CELLS_MAX {
                let message = format!(
                    "`plot`: the records of `data` have more than {CELLS_MAX} values, {} columns \
                     times their number",
                    columns.len()
                );
                let hint = "hand over the columns that are drawn";
                return Err(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint));
            }
        }
        let is_named = true;
        Ok(Self { columns, is_named })
    }

    fn of_columns(given: &Map, shape: Shape) -> Result<Self> {
        check_columns(given.len())?;
        let mut columns: IndexMap<String, Vec<Value>> = IndexMap::new();
        for (name, column) in given {
            let Value::List(items) = column else {
                // An empty table of a script is a table, whatever was meant.
                if column.as_map().is_some_and(Map::is_empty) {
                    columns.insert(name.clone(), Vec::new());
                    continue;
                }
                let message = format!(
                    "the column `{}` of `data` is the {} `{}`, not a list",
                    markup::shorten(name, 60),
                    column.type_name(),
                    shown(column)
                );
                return Err(wrong(&message).with_hint(FORMS));
            };
            check_room(items.len(), shape)?;
            columns.insert(name.clone(), items.clone());
        }
        let mut lengths = columns.iter().map(|(name, it)| (name, it.len()));
        if let Some((first, length)) = lengths.next()
            && let Some((other, found)) = lengths.find(|(_, it)| *it != length)
        {
            let message = format!(
                "the columns of `data` are not of one length: `{first}` has {length} values, \
                 `{other}` has {found}"
            );
            let hint = "write not-a-number, `0/0`, where a value is missing";
            return Err(wrong(&message).with_hint(hint));
        }
        let is_named = true;
        Ok(Self { columns, is_named })
    }

    /// A list of rows of numbers, as one row for each cell.
    fn of_grid(rows: &[Value]) -> Result<Self> {
        let count = rows
            .iter()
            .map(|row| row.as_list().map_or(0, <[Value]>::len))
            .sum();
        check_room(count, Shape::Grid)?;
        let (mut x, mut y, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (at, row) in rows.iter().enumerate() {
            let Value::List(row_values) = row else {
                return Err(odd_item(at, row, "a list as the first"));
            };
            for (position, value) in (1_i64..).zip(row_values) {
                x.push(Value::from(position));
                y.push(Value::from(at as u64 + 1));
                values.push(value.clone());
            }
        }
        Ok(Self::unnamed([("x", x), ("y", y), ("color", values)]))
    }

    /// The column that `option` names.
    ///
    /// # Errors
    ///
    /// `invalid_args` where there is none.
    pub(super) fn column(&self, name: &str) -> Result<&[Value]> {
        let found = self.columns.get(name).map(Vec::as_slice);
        found.ok_or_else(|| unknown("column", name, self.names()))
    }

    /// The column that an option means which was left out: the one of its name, or the only one
    /// that no other option names.
    ///
    /// # Errors
    ///
    /// `invalid_args` where several may be meant.
    pub(super) fn choose(&self, option: &str, others: &[&str]) -> Result<String> {
        if self.columns.contains_key(option) {
            return Ok(option.to_owned());
        }
        let mut left = self.names().into_iter().filter(|it| !others.contains(it));
        if let (Some(only), None) = (left.next(), left.next()) {
            return Ok(only.to_owned());
        }
        let names: Vec<String> = self.names().iter().map(|it| format!("`{it}`")).collect();
        let message = format!("`{option}` is missing, and no column is called so");
        let hint = format!("name one of the columns {}", names.join(", "));
        Err(wrong(&message).with_hint(hint))
    }

    fn names(&self) -> Vec<&str> {
        self.columns.keys().map(String::as_str).collect()
    }
}

fn pair(at: usize, item: &Value) -> Result<[Value; 2]> {
    match item {
        Value::List(items) if items.len() == 2 => Ok([items[0].clone(), items[1].clone()]),
        Value::List(items) => {
            let message = format!("item {} of `data` has {} values", at + 1, items.len());
            Err(wrong(&message).with_hint("give pairs of x and y, or records with names"))
        }
        other => Err(odd_item(at, other, "a pair as the first")),
    }
}

fn odd_item(at: usize, item: &Value, expected: &str) -> Error {
    wrong(&format!(
        "item {} of `data` is the {} `{}`, not {expected}",
        at + 1,
        item.type_name(),
        shown(item)
    ))
    .with_hint(FORMS)
}

fn shown(value: &Value) -> String {
    markup::shorten(&value.to_string(), 40)
}

fn check_room(rows: usize, shape: Shape) -> Result<()> {
    let (most, hint) = match shape {
        Shape::Values => (VALUES_MAX, "count them beforehand, and draw bars"),
        Shape::Points | Shape::Grid => (
            POINTS_MAX,
            "draw every hundredth of them, sums or means of groups, or a histogram",
        ),
    };
    if rows <= most {
        return Ok(());
    }
    let message = format!("`plot`: `data` has {rows} values, and a chart takes {most}");
    Err(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint))
}

fn check_columns(count: usize) -> Result<()> {
    if count <= COLUMNS_MAX {
        return Ok(());
    }
    let message = format!("`plot`: `data` has more than {COLUMNS_MAX} columns");
    let hint = "hand over the columns that are drawn";
    Err(Error::new(ErrorKind::LimitExceeded, message).with_hint(hint))
}

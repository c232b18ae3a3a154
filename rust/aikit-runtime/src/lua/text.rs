//! Values as text, within a budget: whatever a value holds, showing it ends, and soon.

use std::{cmp::Ordering, ffi::c_void};

use mlua::{LuaString, MultiValue, Table, Value};

use super::{error, interrupt, state::State};

/// Deepest nesting that is shown.
const DEPTH_MAX: usize = 6;
/// Most items, and most named members, of one table that are shown.
pub(super) const MEMBERS_MAX: usize = 200;
/// Longest text of what is shown at once, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most values and keys that are looked at for what is shown at once.
const NODES_MAX: usize = 1 << 21;
/// After so many of these the flags of interrupts and time limits are looked at.
const NODES_BETWEEN_LOOKS: usize = 1 << 10;
/// Longest line on which a table is written.
const LINE_MAX: usize = 80;
/// What stands at the end of a text that was cut.
const CUT: &str = "… (cut here: a longer text is not shown; `print` it, or a part of it)";

/// What may still be written and looked at. One budget serves all that is shown at once: bounds of
/// each table alone multiply where tables share their members.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
    nodes: usize,
    /// Whether something was left out, so that nothing may follow.
    is_spent: bool,
}

impl Budget {
    /// What one text may take.
    pub(super) const fn new() -> Self {
        Self {
            bytes: TEXT_BYTES_MAX,
            nodes: NODES_MAX,
            is_spent: false,
        }
    }

    /// Takes up to `wanted` bytes; how many may be written.
    pub(super) fn take_bytes(&mut self, wanted: usize) -> usize {
        let taken = wanted.min(self.bytes);
        self.is_spent |= taken < wanted;
        // What comes after a gap is not wanted, even if it would fit.
        self.bytes = if self.is_spent { 0 } else { self.bytes - taken };
        taken
    }

    /// Takes one value or key; whether it may be looked at. Not while the run is asked to stop.
    pub(super) fn take_node(&mut self) -> bool {
        if self.nodes.is_multiple_of(NODES_BETWEEN_LOOKS) && interrupt::is_asked() {
            self.nodes = 0;
        }
        self.is_spent |= self.nodes == 0;
        self.nodes = self.nodes.saturating_sub(1);
        !self.is_spent
    }
}

/// The text of a value as `print` shows it.
///
/// # Errors
///
/// Those of its `__tostring`.
pub(super) fn plain(value: &Value) -> mlua::Result<String> {
    match value {
        Value::String(text) => Ok(text.to_string_lossy()),
        Value::Error(error) => Ok(error::shown(error)),
        Value::Number(_) => number(value),
        other => other.to_string(),
    }
}

/// Whether a table says its text by a function of the script. As Lua does, this asks no `__index`.
pub(super) fn has_own(table: &Table) -> bool {
    let told = table
        .metatable()
        .map(|metatable| metatable.raw_get::<Value>("__tostring"));
    matches!(told, Some(Ok(told)) if !told.is_nil())
}

/// A float as Lua writes it: `1.0`, `1e+100`.
fn number(value: &Value) -> mlua::Result<String> {
    let state = State::current()?;
    let text = state.lua.coerce_string(value.clone())?;
    Ok(text.map(|text| text.to_string_lossy()).unwrap_or_default())
}

/// A value as text: tables with their members in order, nested ones indented.
pub(super) fn of(value: &Value) -> String {
    let mut writer = Writer::new(Budget::new());
    writer.write(value, 0);
    writer.finish()
}

/// Several values as text.
pub(super) fn tuple(values: &MultiValue) -> String {
    let mut writer = Writer::new(Budget::new());
    writer.push("(");
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            writer.push(", ");
        }
        writer.write(value, 0);
    }
    writer.push(")");
    writer.finish()
}

/// A value as text of at most `bytes_max`; what it takes to look at it comes out of `budget`.
pub(super) fn within(budget: &mut Budget, bytes_max: usize, value: &Value) -> String {
    let mut writer = Writer::new(Budget {
        bytes: bytes_max,
        ..*budget
    });
    writer.write(value, 0);
    budget.nodes = writer.budget.nodes;
    if writer.budget.is_spent {
        writer.text.push('…');
    }
    writer.text
}

/// A text that is not longer than what is shown; one that is cut says so.
pub(super) fn cut(mut text: String) -> String {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push_str(CUT);
    }
    text
}

/// At most the first `length` bytes of a text.
pub(super) fn beginning(text: &LuaString, length: usize) -> String {
    let bytes = text.as_bytes();
    let length = bytes.len().min(length);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Writes values; does not call into the script.
struct Writer {
    text: String,
    open: Vec<*const c_void>,
    budget: Budget,
}

impl Writer {
    const fn new(budget: Budget) -> Self {
        Self {
            text: String::new(),
            open: Vec::new(),
            budget,
        }
    }

    fn finish(self) -> String {
        if self.text.len() <= TEXT_BYTES_MAX && self.budget.is_spent {
            return self.text + CUT;
        }
        cut(self.text)
    }

    fn push(&mut self, text: &str) {
        let taken = self.budget.take_bytes(text.len());
        self.text.push_str(&text[..text.floor_char_boundary(taken)]);
    }

    fn write(&mut self, value: &Value, depth: usize) {
        if !self.budget.take_node() {
            return;
        }
        match value {
            Value::Nil => self.push("nil"),
            Value::Boolean(value) => self.push(if *value { "true" } else { "false" }),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.push("null"),
            Value::String(text) => self.write_string(text),
            Value::Error(error) => self.push(&error::shown(error)),
            Value::Table(table) => self.write_table(table, depth),
            other => {
                let shown = plain(other);
                let shown = shown.unwrap_or_else(|_| other.type_name().to_owned());
                self.push(&shown);
            }
        }
    }

    fn write_string(&mut self, text: &LuaString) {
        self.push("\"");
        // Beyond the budget there is something to cut; more of it is of no use.
        for c in beginning(text, self.budget.bytes + 4).chars() {
            if self.budget.is_spent {
                return;
            }
            match c {
                '"' => self.push("\\\""),
                '\\' => self.push("\\\\"),
                '\n' => self.push("\\n"),
                '\r' => self.push("\\r"),
                '\t' => self.push("\\t"),
                c if c.is_control() => self.push(&c.escape_unicode().to_string()),
                c => self.push(c.encode_utf8(&mut [0; 4])),
            }
        }
        self.push("\"");
    }

    fn write_table(&mut self, table: &Table, depth: usize) {
        let pointer = table.to_pointer();
        if self.open.contains(&pointer) {
            return self.push("<cycle>");
        }
        if depth == DEPTH_MAX {
            return self.push("{…}");
        }
        self.open.push(pointer);
        let (members, left_out) = members(table, &mut self.budget);
        let mut texts = Vec::new();
        for (key, value) in &members {
            // Brackets, commas and indentation are put around later, but count as well.
            self.budget.take_bytes(2 * depth + 4);
            if self.budget.is_spent {
                break;
            }
            let outer = std::mem::take(&mut self.text);
            if let Some(key) = key {
                self.write_key(key);
                self.push(" = ");
            }
            self.write(value, depth + 1);
            texts.push(std::mem::replace(&mut self.text, outer));
        }
        self.open.pop();
        if left_out > 0 && !self.budget.is_spent {
            texts.push(format!("… {left_out} more"));
        }
        self.join(&texts, depth);
    }

    /// Puts the members of a table on one line, or each on its own.
    fn join(&mut self, texts: &[String], depth: usize) {
        let length: usize = texts.iter().map(|text| text.len() + 2).sum();
        let fits = length + depth * 2 <= LINE_MAX && !texts.iter().any(|text| text.contains('\n'));
        let indent = "  ".repeat(depth + 1);
        self.text.push('{');
        if fits {
            self.text.push_str(&texts.join(", "));
        } else {
            self.text.push('\n');
            for text in texts {
                self.text.extend([indent.as_str(), text.as_str(), ",\n"]);
            }
            self.text.push_str(&indent[2..]);
        }
        self.text.push('}');
    }

    fn write_key(&mut self, key: &Value) {
        match key {
            Value::String(name) if is_name(&name.as_bytes()) => {
                self.push(&beginning(name, self.budget.bytes + 1));
            }
            Value::Table(_) => self.push("[{…}]"),
            other => {
                self.push("[");
                self.write(other, DEPTH_MAX);
                self.push("]");
            }
        }
    }
}

fn is_name(text: &[u8]) -> bool {
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    text.first().is_some_and(is_first)
        && text
            .iter()
            .all(|byte| is_first(byte) || byte.is_ascii_digit())
}

/// Items of the list first, then the other members by key; and how many are left out.
fn members(table: &Table, budget: &mut Budget) -> (Vec<(Option<Value>, Value)>, usize) {
    let length = table.raw_len();
    let mut shown: Vec<(Option<Value>, Value)> = (1..=length.min(MEMBERS_MAX))
        .map(|position| (None, table.raw_get(position).unwrap_or(Value::Nil)))
        .collect();
    let mut others: Vec<(Value, Value)> = Vec::new();
    let mut count = 0;
    for (key, value) in table.pairs::<Value, Value>().flatten() {
        if !budget.take_node() {
            break;
        }
        let in_list = key
            .as_integer()
            .and_then(|key| usize::try_from(key).ok())
            .is_some_and(|key| (1..=length).contains(&key));
        if in_list {
            continue;
        }
        count += 1;
        others.push((key, value));
        // Never all the keys of a large table at once.
        if others.len() == 2 * MEMBERS_MAX {
            keep_first(&mut others);
        }
    }
    keep_first(&mut others);
    let left_out = length.saturating_sub(MEMBERS_MAX) + (count - others.len());
    shown.extend(others.into_iter().map(|(key, value)| (Some(key), value)));
    (shown, left_out)
}

fn keep_first(members: &mut Vec<(Value, Value)>) {
    members.sort_by(|(left, _), (right, _)| order(left, right));
    members.truncate(MEMBERS_MAX);
}

/// Numbers before texts, texts by the alphabet, the rest by type.
fn order(left: &Value, right: &Value) -> Ordering {
    let rank = |key: &Value| match key {
        Value::Integer(_) => 0,
        Value::Number(_) => 1,
        Value::String(_) => 2,
        _ => 3,
    };
    match (left, right) {
        (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
        (Value::Number(left), Value::Number(right)) => left.total_cmp(right),
        (Value::String(left), Value::String(right)) => left.as_bytes().cmp(&right.as_bytes()),
        _ => (rank(left), left.type_name()).cmp(&(rank(right), right.type_name())),
    }
}

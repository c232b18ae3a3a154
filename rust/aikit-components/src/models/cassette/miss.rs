//! What a call that was not recorded is told: the nearest recorded one, and where they differ.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use aikit_core::{Error, ErrorKind, Value, tape::TapeCall};
use similar::{ChangeTag, TextDiff};

use super::file::{Entry, Key};

/// Recorded calls that are looked at; the nearest of them is shown.
const CANDIDATES_MAX: usize = 200;

/// Bytes of descriptions that are looked at; the candidate that passes it is the last one.
const LOOKED_AT_BYTES_MAX: usize = 16 << 20;

/// Lines, from the first difference on, that are compared.
const COMPARED_LINES_MAX: usize = 200;

/// Changed lines that are shown.
const LINES_MAX: usize = 8;

/// Characters of a line that are shown around the place where it differs.
const AROUND_CHARS: usize = 60;

/// What is taken from a cassette to say what a call missed.
pub(super) struct Miss {
    path: PathBuf,
    /// How often the same call was recorded.
    made: usize,
    /// Calls of the same kind, those that were not given yet first, and whether they were.
    candidates: Vec<(Arc<Entry>, bool)>,
}

impl Miss {
    pub(super) fn new(
        path: &Path,
        (kind, key): (&str, &Key),
        entries: &[Arc<Entry>],
        given: &[bool],
    ) -> Self {
        let of = |wanted: bool| {
            let all = entries.iter().zip(given);
            let found = all.filter(move |(entry, given)| **given == wanted && entry.kind == kind);
            found.map(|(entry, given)| (Arc::clone(entry), *given))
        };
        Self {
            path: path.to_owned(),
            made: Entry::of(key, entries).count(),
            candidates: of(false).chain(of(true)).take(CANDIDATES_MAX).collect(),
        }
    }

    /// The error of `call`, for which the cassette holds no answer that was not given yet.
    pub(super) fn error(&self, call: &TapeCall) -> Error {
        let name = self.path.display();
        let hint =
            "record it again, or undo what changed the call; without `strict` the call is made";
        let what = describe_kind(call.kind, &call.request);
        let message = if self.made > 0 {
            let times = if self.made == 1 {
                "once".to_owned()
            } else {
                format!("{} times", self.made)
            };
            format!("`{name}` has {what} {times}, and it is asked once more")
        } else if let Some(difference) = self.difference(call) {
            format!("`{name}` does not have {what}; the nearest one differs:\n{difference}")
        } else {
            format!("`{name}` does not have {what}, and no call of its kind")
        };
        Error::new(ErrorKind::CassetteMiss, message).with_hint(hint)
    }

    /// The first difference to the nearest recorded call, as changed lines.
    fn difference(&self, call: &TapeCall) -> Option<String> {
        let asked = lines(call.kind, &call.request);
        let mut nearest: Option<(bool, f64, String)> = None;
        let mut looked_at = 0;
        for (entry, given) in &self.candidates {
            if looked_at > LOOKED_AT_BYTES_MAX {
                break;
            }
            let recorded = lines(&entry.kind, &entry.request);
            looked_at += recorded.len();
            let share = share_in_common(recorded.as_bytes(), asked.as_bytes());
            let better = nearest
                .as_ref()
                .is_none_or(|(used, best, _)| (!given, share) > (!used, *best));
            if better {
                nearest = Some((*given, share, recorded));
            }
        }
        let (_, _, recorded) = nearest?;
        Some(changed_lines(&recorded, &asked))
    }
}

/// How much of two texts is the same beginning and the same end, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "a share needs no last digit")]
fn share_in_common(one: &[u8], other: &[u8]) -> f64 {
    let shorter = one.len().min(other.len());
    let pairs = one.iter().zip(other);
    let start = pairs.take_while(|(one, other)| one == other).count();
    let pairs = one.iter().rev().zip(other.iter().rev());
    let end = pairs.take(shorter - start);
    let end = end.take_while(|(one, other)| one == other).count();
    2.0 * (start + end) as f64 / (one.len() + other.len()).max(1) as f64
}

fn describe_kind(kind: &str, request: &Value) -> String {
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or("?");
    match kind {
        "chat" => format!("this request to `{}`", text("model")),
        "embed" => format!("these texts for `{}`", text("model")),
        _ => format!("this call of `{}`", text("tool")),
    }
}

fn changed_lines(recorded: &str, asked: &str) -> String {
    let pairs = recorded.lines().zip(asked.lines());
    let same = pairs.take_while(|(one, other)| one == other).count();
    let rest = |text: &str| -> String {
        let lines = text.split_inclusive('\n').skip(same);
        lines.take(COMPARED_LINES_MAX).collect()
    };
    let (recorded, asked) = (rest(recorded), rest(asked));
    let diff = TextDiff::from_lines(&recorded, &asked);
    let changes: Vec<(ChangeTag, &str)> = diff
        .iter_all_changes()
        .map(|it| (it.tag(), it.value()))
        .skip_while(|(tag, _)| *tag == ChangeTag::Equal)
        .take_while(|(tag, _)| *tag != ChangeTag::Equal)
        .collect();
    let of = |wanted: ChangeTag| {
        let found = changes.iter().filter(move |(tag, _)| *tag == wanted);
        found.map(|(_, line)| line.trim_end_matches('\n'))
    };
    let (before, after): (Vec<_>, Vec<_>) = (
        of(ChangeTag::Delete).collect(),
        of(ChangeTag::Insert).collect(),
    );
    let mut shown = Vec::new();
    for index in 0..before.len().max(after.len()).min(LINES_MAX / 2) {
        let (old, new) = (before.get(index), after.get(index));
        let start = match (old, new) {
            (Some(old), Some(new)) => first_difference(old, new),
            _ => 0,
        };
        shown.extend(old.map(|line| format!("  recorded: {}", around(line, start))));
        shown.extend(new.map(|line| format!("  asked:    {}", around(line, start))));
    }
    shown.join("\n")
}

/// Index of the first character in which two lines differ.
fn first_difference(one: &str, other: &str) -> usize {
    let same = one.chars().zip(other.chars());
    same.take_while(|(one, other)| one == other).count()
}

/// The part of a line around a character.
fn around(line: &str, at: usize) -> String {
    let from = at.saturating_sub(AROUND_CHARS);
    let length = line.chars().count();
    let part: String = line.chars().skip(from).take(2 * AROUND_CHARS).collect();
    let before = if from > 0 { "…" } else { "" };
    let after = if from + 2 * AROUND_CHARS < length {
        "…"
    } else {
        ""
    };
    format!("{before}{part}{after}")
}

/// A call as people read it: a chat as what each says, anything else a member a line.
fn lines(kind: &str, request: &Value) -> String {
    let Some(map) = request.as_map() else {
        return request.to_string();
    };
    let mut lines = Vec::new();
    for (name, value) in map {
        match (kind, name.as_str(), value) {
            ("chat", "messages", Value::List(messages)) => {
                lines.extend(messages.iter().flat_map(message_lines));
            }
            (_, _, Value::List(items)) => {
                lines.extend(items.iter().map(|it| format!("{name}: {it}")));
            }
            (_, _, Value::Map(members)) => {
                let member = |(key, value): (&String, &Value)| format!("{name}.{key}: {value}");
                lines.extend(members.iter().map(member));
            }
            (_, _, value) => lines.push(format!("{name}: {value}")),
        }
    }
    lines.join("\n") + "\n"
}

fn message_lines(message: &Value) -> Vec<String> {
    let role = message.get("role").and_then(Value::as_str).unwrap_or("?");
    let parts = message.get("parts").and_then(Value::as_list);
    let mut lines = Vec::new();
    for part in parts.unwrap_or_default() {
        match part.get("text").and_then(Value::as_str) {
            Some(text) => lines.extend(text.lines().map(|line| format!("{role}: {line}"))),
            None => lines.push(format!("{role}: {part}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use aikit_core::model::{ChatRequest, Message, Role};

    use super::*;
    use crate::models::cassette::chat;

    fn asked(prompt: &str) -> TapeCall {
        let request = ChatRequest {
            messages: vec![
                Message::text(Role::System, "be kind\nbe brief"),
                Message::text(Role::User, prompt),
            ],
            ..ChatRequest::default()
        };
        chat("openai:tiny", &request).unwrap()
    }

    fn message(prompt: &str, recorded: &[(&str, bool)]) -> String {
        let entries = recorded.iter();
        let entries: Vec<Arc<Entry>> = entries
            .map(|(prompt, _)| Arc::new(Entry::new(asked(prompt), Value::Null)))
            .collect();
        let given: Vec<bool> = recorded.iter().map(|(_, given)| *given).collect();
        let call = asked(prompt);
        let key = Key::of(call.kind, &call.request);
        let miss = Miss::new(Path::new("x.cassette"), (call.kind, &key), &entries, &given);
        let error = miss.error(&call);
        assert_eq!(error.kind(), ErrorKind::CassetteMiss);
        assert!(error.hint().is_some());
        error.message().to_owned()
    }

    #[test]
    fn a_changed_prompt_is_shown_beside_the_recorded_one() {
        let recorded = [
            ("Which birds hunt at night?", false),
            ("Name a fish.", false),
        ];
        assert_eq!(
            message("Which birds hunt at noon?", &recorded),
            "`x.cassette` does not have this request to `openai:tiny`; the nearest one differs:\n  \
             recorded: user: Which birds hunt at night?\n  \
             asked:    user: Which birds hunt at noon?"
        );
    }

    #[test]
    fn a_long_line_is_shown_around_its_first_difference() {
        let long = "word ".repeat(100);
        let shown = message(&format!("{long}two"), &[(&format!("{long}one"), false)]);
        assert!(shown.len() < 500, "{shown}");
        assert!(
            shown.contains("word one") && shown.contains("word two"),
            "{shown}"
        );
    }

    #[test]
    fn one_time_too_often_and_an_empty_cassette_say_so() {
        let often = message("a", &[("a", true)]);
        assert!(
            often.ends_with("once, and it is asked once more"),
            "{often}"
        );
        assert!(message("a", &[]).ends_with("no call of its kind"));
    }

    #[test]
    fn a_difference_far_down_a_long_text_is_shown() {
        let long = "a line of a long text\n".repeat(20_000);
        let one_line = "word ".repeat(50_000);
        for long in [long, one_line] {
            let (recorded, asked) = (format!("{long}the end"), format!("{long}the finish"));
            let shown = message(&asked, &[("short", false), (&recorded, false)]);
            assert!(shown.len() < 500, "{}", shown.len());
            assert!(
                shown.contains("the end") && shown.contains("the finish"),
                "{shown}"
            );
        }
    }
}

//! What a call that was not recorded is told: the nearest recorded one, and where they differ.

use std::{path::PathBuf, sync::Arc};

use aikit_core::{Error, ErrorKind, Value, tape::TapeCall};
use similar::{ChangeTag, TextDiff};

use super::{file::Entry, wildcard};

/// Bytes of descriptions of recorded calls that are looked at for the nearest one; the call that
/// passes it is the last one.
const LOOKED_AT_BYTES_MAX: usize = 32 << 20;

/// Lines, from the first difference on, that are compared.
const COMPARED_LINES_MAX: usize = 200;

/// Changed lines that are shown.
const LINES_MAX: usize = 8;

/// Characters of a line that are shown around the place where it differs.
const AROUND_CHARS: usize = 60;

/// What is taken from a cassette to say what a call missed; what takes long is done with it later,
/// without the cassette.
#[derive(Debug)]
pub(super) struct Miss {
    pub(super) path: PathBuf,
    pub(super) kind: String,
    /// Whether it is an error; else the call is made.
    pub(super) strict: bool,
    /// How often the same call was recorded.
    pub(super) made: usize,
    pub(super) entries: Arc<[Entry]>,
    /// Those in whose requests something is hidden.
    pub(super) hiding: Arc<[usize]>,
    /// Which of them were given.
    pub(super) given: Vec<bool>,
    /// Position after the one that was given last.
    pub(super) next: usize,
}

/// The recorded call that is nearest to one.
#[derive(Debug, Default)]
struct Nearest {
    /// Its lines, when there is one of the same kind.
    lines: Option<String>,
    /// Bytes that were compared to find it.
    looked_at: usize,
}

impl Miss {
    /// Where calls were recorded that are `call` but for what is hidden in them: those that were
    /// not given yet, the ones with the most in common first, in the order of the recording; then,
    /// where each may be given again, the last of the others.
    pub(super) fn hidden(&self, call: &TapeCall) -> Vec<usize> {
        let fitting = self.hiding.iter().filter_map(|place| {
            let entry = self.entries.get(*place).filter(|it| it.kind == self.kind)?;
            Some((*place, wildcard::fits(&entry.request, &call.request)?))
        });
        let (given, mut fresh): (Vec<_>, Vec<_>) = fitting.partition(|(it, _)| self.given[*it]);
        fresh.sort_by_key(|(_, same)| std::cmp::Reverse(*same));
        let again = given.last().filter(|_| !self.strict);
        fresh.iter().chain(again).map(|(place, _)| *place).collect()
    }

    /// The error of `call`, for which the cassette holds no answer that was not given yet.
    pub(super) fn error(&self, call: &TapeCall) -> Error {
        let name = self.path.display();
        let hint = "record it again, or undo what changed the call; where `strict` is false, the \
                    call is made for real";
        let what = describe_kind(call.kind, &call.request);
        let message = if self.made > 0 {
            let times = if self.made == 1 {
                "once".to_owned()
            } else {
                format!("{} times", self.made)
            };
            format!("`{name}` has {what} {times}, and it is asked once more")
        } else {
            let asked = lines(call.kind, &call.request);
            match self.nearest(&asked).lines {
                Some(recorded) => {
                    let difference = changed_lines(&recorded, &asked);
                    format!("`{name}` does not have {what}; the nearest one differs:\n{difference}")
                }
                None => format!("`{name}` does not have {what}, and no call of its kind"),
            }
        };
        Error::new(ErrorKind::CassetteMiss, message).with_hint(hint)
    }

    /// The nearest recorded call of the same kind. Those that were not given yet come first, from
    /// the place on where the replay is: there it is most likely, and of equally near ones the
    /// first is taken.
    fn nearest(&self, asked: &str) -> Nearest {
        let all = (self.next..self.entries.len()).chain(0..self.next);
        let places = all.clone().filter(|it| !self.given[*it]);
        let places = places.chain(all.filter(|it| self.given[*it]));
        let mut nearest = Nearest::default();
        let mut best = -1.0;
        for entry in places.map(|it| &self.entries[it]) {
            if entry.kind != self.kind {
                continue;
            }
            if nearest.looked_at > LOOKED_AT_BYTES_MAX {
                break;
            }
            let recorded = lines(&entry.kind, &entry.request);
            nearest.looked_at += recorded.len();
            let share = share_in_common(recorded.as_bytes(), asked.as_bytes());
            if share > best {
                best = share;
                nearest.lines = Some(recorded);
            }
        }
        nearest
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
    let pairs = recorded.split_inclusive('\n');
    let pairs = pairs.zip(asked.split_inclusive('\n'));
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
        found.map(|(_, line)| line.strip_suffix('\n').unwrap_or(line))
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
    if shown.is_empty() {
        return "  in what is not shown here, such as the kind of a value".to_owned();
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
    let part = line.chars().skip(from).take(2 * AROUND_CHARS);
    // What moves the cursor of a terminal is written out.
    let part: String = part
        .flat_map(|it| {
            let escaped = it.is_control().then(|| it.escape_default());
            let plain = (!it.is_control()).then_some(it);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect();
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
            // Not `lines`: what ends with an empty line differs from what does not.
            Some(text) => lines.extend(text.split('\n').map(|line| format!("{role}: {line}"))),
            None => lines.push(format!("{role}: {part}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use aikit_core::model::{ChatRequest, Message, Role};

    use super::*;
    use crate::models::cassette::{chat, file::Key};

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

    fn miss(prompt: &str, recorded: &[(&str, bool)]) -> (Miss, TapeCall) {
        let call = asked(prompt);
        let entries = recorded.iter().map(|(prompt, _)| {
            let TapeCall { kind, request } = asked(prompt);
            let key = Key::of(kind, &request);
            Entry {
                kind: kind.to_owned(),
                request,
                outcome: Value::Null,
                key,
            }
        });
        let entries: Arc<[Entry]> = entries.collect();
        let key = Key::of(call.kind, &call.request);
        let miss = Miss {
            path: PathBuf::from("x.cassette"),
            kind: call.kind.to_owned(),
            strict: true,
            hiding: Arc::default(),
            made: entries.iter().filter(|it| it.key == key).count(),
            entries,
            given: recorded.iter().map(|(_, given)| *given).collect(),
            next: 0,
        };
        (miss, call)
    }

    fn message(prompt: &str, recorded: &[(&str, bool)]) -> String {
        let (miss, call) = miss(prompt, recorded);
        let error = miss.error(&call);
        assert_eq!(error.kind(), ErrorKind::CassetteMiss);
        assert!(error.hint().is_some_and(|it| it.contains("`strict`")));
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
    #[test]
    fn what_differs_in_white_space_alone_is_shown() {
        for (recorded, prompt, says) in [
            ("a", "a\n", "asked:    user: "),
            ("a\nb", "a\r\nb", "asked:    user: a\\r"),
            ("a", "a\u{1b}[2J", "asked:    user: a\\u{1b}[2J"),
        ] {
            let shown = message(prompt, &[(recorded, false)]);
            assert!(shown.contains(says), "{shown:?}");
        }
    }

    #[test]
    fn the_nearest_of_ten_thousand_is_found_wherever_it_stands() {
        let prompts: Vec<String> = (0..10_000)
            .map(|it| format!("What is {it} times {it}?"))
            .collect();
        let recorded: Vec<(&str, bool)> = prompts.iter().map(|it| (&**it, false)).collect();
        for place in [0, 5_000, 9_999] {
            let prompt = prompts[place].replace("times", "plus");
            let shown = message(&prompt, &recorded);
            assert!(shown.contains(&prompts[place]), "{shown}");
        }
    }

    #[test]
    fn how_much_is_looked_at_has_a_bound() {
        let long = "word ".repeat(1 << 18);
        let recorded = vec![(&*long, false); 100];
        let (miss, call) = miss("other", &recorded);
        let nearest = miss.nearest(&lines(call.kind, &call.request));
        assert!(nearest.looked_at > LOOKED_AT_BYTES_MAX);
        assert!(nearest.looked_at < LOOKED_AT_BYTES_MAX + 2 * long.len());
    }

    #[test]
    fn where_the_replay_is_it_is_looked_first() {
        let long = "word ".repeat(1 << 18);
        let near = format!("{long}end");
        let mut recorded = vec![(&*long, false); 100];
        recorded[70] = (&near, false);
        let (mut miss, call) = miss(&format!("{long}enough"), &recorded);
        let asked = lines(call.kind, &call.request);
        miss.next = 70;
        let found = miss.nearest(&asked).lines.unwrap();
        assert!(found.ends_with("word end\n"), "{}", found.len());
        assert!(
            changed_lines(&found, &asked).contains("word end"),
            "the difference is shown"
        );
        // What was given is looked at after what was not.
        miss.given[70] = true;
        let found = miss.nearest(&asked).lines.unwrap();
        assert!(found.ends_with("word \n"), "{}", found.len());
    }
}

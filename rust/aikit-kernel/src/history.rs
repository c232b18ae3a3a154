//! The cells of this session, for the arrow keys and the search of consoles.

use std::collections::{HashSet, VecDeque};

use crate::wire::history::{HistoryAccess, HistoryReply, HistoryRequest, HistoryText};

/// Most cells that are remembered.
const CELLS_MAX: usize = 10_000;
/// Most bytes of their code and results together; the newest cell is kept whatever its size.
const BYTES_MAX: usize = 1 << 26;
/// The one session there is.
const SESSION: u32 = 1;

/// The newest cells.
#[derive(Debug, Default)]
pub(crate) struct History {
    cells: VecDeque<Entry>,
    /// Of all cells.
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    number: u32,
    input: String,
    output: Option<String>,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.input.len() + self.output.as_ref().map_or(0, String::len)
    }
}

impl History {
    /// Remembers a cell and the plain text of its result.
    pub(crate) fn add(&mut self, number: u32, input: String, output: Option<String>) {
        let entry = Entry {
            number,
            input,
            output,
        };
        self.bytes += entry.bytes();
        self.cells.push_back(entry);
        while (self.cells.len() > CELLS_MAX || self.bytes > BYTES_MAX)
            && self.cells.len() > 1
            && let Some(oldest) = self.cells.pop_front()
        {
            self.bytes -= oldest.bytes();
        }
    }

    /// Answers a request.
    pub(crate) fn find(&self, request: &HistoryRequest) -> HistoryReply {
        let found: Vec<&Entry> = match request.hist_access_type {
            HistoryAccess::Tail => newest(self.cells.iter().collect(), request.n),
            HistoryAccess::Range => self.range(request),
            HistoryAccess::Search => self.search(request),
        };
        let text = |entry: &Entry| {
            if request.output {
                HistoryText::InputOutput(entry.input.clone(), entry.output.clone())
            } else {
                HistoryText::Input(entry.input.clone())
            }
        };
        let history = found
            .into_iter()
            .map(|entry| (SESSION, entry.number, text(entry)))
            .collect();
        HistoryReply { history }
    }

    fn range(&self, request: &HistoryRequest) -> Vec<&Entry> {
        // 0 is the current session; there is no earlier one.
        if request.session != 0 && request.session != i64::from(SESSION) {
            return Vec::new();
        }
        let start = request.start.unwrap_or(0);
        let stop = request.stop.unwrap_or(i64::MAX);
        let is_inside = |entry: &&Entry| (start..stop).contains(&i64::from(entry.number));
        self.cells.iter().filter(is_inside).collect()
    }

    fn search(&self, request: &HistoryRequest) -> Vec<&Entry> {
        let pattern: Vec<char> = request.pattern.as_deref().unwrap_or("*").chars().collect();
        let mut seen = HashSet::new();
        // From the newest, so that the newest of several equal cells is the one that is kept.
        let mut found: Vec<&Entry> = self
            .cells
            .iter()
            .rev()
            .filter(|entry| matches_glob(&pattern, &entry.input))
            .filter(|entry| !request.unique || seen.insert(&entry.input))
            .collect();
        found.reverse();
        newest(found, request.n)
    }
}

fn newest(mut entries: Vec<&Entry>, limit: Option<usize>) -> Vec<&Entry> {
    let surplus = entries.len().saturating_sub(limit.unwrap_or(usize::MAX));
    entries.drain(..surplus);
    entries
}

/// Whether all of `text` matches; `*` stands for anything, `?` for one character. Takes time
/// proportional to both lengths multiplied, whatever the pattern.
fn matches_glob(pattern: &[char], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut from) = (0, 0);
    // Where to go on when a guess was wrong: after the last star, and one character later.
    let mut retry: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                retry = Some((at + 1, from));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((after_star, begin)) = retry else {
                    return false;
                };
                retry = Some((after_star, begin + 1));
                (at, from) = (after_star, begin + 1);
            }
        }
    }
    pattern[at..].iter().all(|it| *it == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(request: &HistoryRequest) -> Vec<String> {
        let mut history = History::default();
        for (number, input) in (1..).zip(["a = 1", "b = 2", "a = 1", "print(a)"]) {
            history.add(number, input.to_owned(), None);
        }
        let text = |text| match text {
            HistoryText::Input(text) | HistoryText::InputOutput(text, _) => text,
        };
        let found = history.find(request).history;
        found
            .into_iter()
            .map(|(_, number, it)| format!("{number} {}", text(it)))
            .collect()
    }

    #[test]
    fn the_oldest_cells_go_when_there_are_many_bytes_and_the_newest_stays() {
        let numbers = |history: &History| {
            let all = HistoryRequest::default();
            let found = history.find(&all).history;
            found.into_iter().map(|it| it.1).collect::<Vec<_>>()
        };
        let mut history = History::default();
        let third = "x".repeat(BYTES_MAX / 3);
        for number in 1..=4 {
            let output = Some(third[..third.len() / 2].to_owned());
            history.add(number, third[..third.len() / 2].to_owned(), output);
        }
        assert_eq!(numbers(&history), [2, 3, 4]);
        history.add(5, "x".repeat(BYTES_MAX + 1), None);
        assert_eq!(numbers(&history), [5]);
        history.add(6, "x".to_owned(), None);
        assert_eq!(numbers(&history), [6]);
        assert_eq!(history.bytes, 1);
    }

    #[test]
    fn the_tail_is_the_newest_in_order() {
        let request = HistoryRequest {
            n: Some(2),
            ..HistoryRequest::default()
        };
        assert_eq!(inputs(&request), ["3 a = 1", "4 print(a)"]);
    }

    #[test]
    fn a_range_is_of_this_session_and_leaves_out_its_end() {
        let request = HistoryRequest {
            hist_access_type: HistoryAccess::Range,
            start: Some(2),
            stop: Some(4),
            ..HistoryRequest::default()
        };
        assert_eq!(inputs(&request), ["2 b = 2", "3 a = 1"]);
        assert!(
            inputs(&HistoryRequest {
                session: -1,
                ..request
            })
            .is_empty()
        );
    }

    #[test]
    fn a_search_takes_patterns_and_can_leave_out_repetitions() {
        let request = |pattern: &str, unique| HistoryRequest {
            hist_access_type: HistoryAccess::Search,
            pattern: Some(pattern.to_owned()),
            unique,
            ..HistoryRequest::default()
        };
        assert_eq!(inputs(&request("a = ?", false)), ["1 a = 1", "3 a = 1"]);
        assert_eq!(inputs(&request("a = ?", true)), ["3 a = 1"]);
        assert_eq!(inputs(&request("*a*", true)), ["3 a = 1", "4 print(a)"]);
        assert!(inputs(&request("a", false)).is_empty());
    }

    #[test]
    fn globs_match_whole_texts() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("?", "", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("*ab", "aab", true),
            ("ä?", "äö", true),
        ] {
            let pattern: Vec<char> = pattern.chars().collect();
            assert_eq!(
                matches_glob(&pattern, text),
                expected,
                "{pattern:?} {text:?}"
            );
        }
    }
}

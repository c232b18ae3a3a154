//! The cells of this session, for the arrow keys and the search of consoles, and how requests
//! choose among them and those of other sessions.

use std::collections::{HashSet, VecDeque};

use crate::wire::history::{HistoryAccess, HistoryReply, HistoryRequest, HistoryText};

/// Most cells that are remembered.
const CELLS_MAX: usize = 10_000;
/// Most bytes of their code and results together; the newest cell is kept whatever its size.
const BYTES_MAX: usize = 1 << 26;

/// The newest cells.
#[derive(Debug)]
pub(crate) struct History {
    /// Number of this session among those of the project.
    session: u32,
    cells: VecDeque<Entry>,
    /// Of all cells.
    bytes: usize,
}

impl Default for History {
    fn default() -> Self {
        Self {
            session: 1,
            cells: VecDeque::new(),
            bytes: 0,
        }
    }
}

/// Cells of other sessions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Elsewhere {
    /// Those of all others.
    All,
    /// Those of one.
    Session(u32),
}

/// A cell that ran.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) session: u32,
    pub(crate) number: u32,
    pub(crate) input: String,
    pub(crate) output: Option<String>,
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
            session: self.session,
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

    /// Says which number this session has.
    pub(crate) fn set_session(&mut self, session: u32) {
        if self.session != session {
            self.session = session;
            for cell in &mut self.cells {
                cell.session = session;
            }
        }
    }

    /// Which cells of other sessions the answer needs, if it needs any.
    pub(crate) fn elsewhere(&self, request: &HistoryRequest) -> Option<Elsewhere> {
        match request.hist_access_type {
            HistoryAccess::Tail => {
                let has_enough = request.n.is_some_and(|n| n <= self.cells.len());
                // Kernels that began later have later cells, so the whole is looked at.
                (!has_enough).then_some(Elsewhere::All)
            }
            HistoryAccess::Search => Some(Elsewhere::All),
            HistoryAccess::Range => {
                let session = self.asked_session(request)?;
                (session != self.session).then_some(Elsewhere::Session(session))
            }
        }
    }

    /// Answers a request; `elsewhere` are the cells of other sessions it asked for, in order.
    pub(crate) fn find(&self, request: &HistoryRequest, elsewhere: &[Entry]) -> HistoryReply {
        let mut all: Vec<&Entry> = elsewhere.iter().chain(&self.cells).collect();
        all.sort_by_key(|entry| (entry.session, entry.number));
        let found: Vec<&Entry> = match request.hist_access_type {
            HistoryAccess::Tail => newest(all, request.n),
            HistoryAccess::Range => self.range(request, all),
            HistoryAccess::Search => search(request, all),
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
            .map(|entry| (entry.session, entry.number, text(entry)))
            .collect();
        HistoryReply { history }
    }

    /// The session of a range: 0 is this one, a number below counts back from it.
    fn asked_session(&self, request: &HistoryRequest) -> Option<u32> {
        let asked = if request.session > 0 {
            request.session
        } else {
            i64::from(self.session).checked_add(request.session)?
        };
        u32::try_from(asked).ok().filter(|session| *session > 0)
    }

    fn range<'a>(&self, request: &HistoryRequest, mut all: Vec<&'a Entry>) -> Vec<&'a Entry> {
        let session = self.asked_session(request);
        let start = request.start.unwrap_or(0);
        let stop = request.stop.unwrap_or(i64::MAX);
        all.retain(|entry| {
            let is_inside = (start..stop).contains(&i64::from(entry.number));
            is_inside && Some(entry.session) == session
        });
        all
    }
}

fn search<'a>(request: &HistoryRequest, all: Vec<&'a Entry>) -> Vec<&'a Entry> {
    let pattern: Vec<char> = request.pattern.as_deref().unwrap_or("*").chars().collect();
    let mut seen = HashSet::new();
    // From the newest, so that the newest of several equal cells is the one that is kept.
    let mut found: Vec<&Entry> = all
        .into_iter()
        .rev()
        .filter(|entry| matches_glob(&pattern, &entry.input))
        .filter(|entry| !request.unique || seen.insert(&entry.input))
        .collect();
    found.reverse();
    newest(found, request.n)
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
        let found = history.find(request, &[]).history;
        found
            .into_iter()
            .map(|(_, number, it)| format!("{number} {}", text(it)))
            .collect()
    }

    #[test]
    fn the_oldest_cells_go_when_there_are_many_bytes_and_the_newest_stays() {
        let numbers = |history: &History| {
            let all = HistoryRequest::default();
            let found = history.find(&all, &[]).history;
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
    fn cells_of_other_sessions_stand_at_their_place() {
        let mut history = History::default();
        history.add(1, "own".to_owned(), None);
        history.set_session(5);
        let other = |session, input: &str| Entry {
            session,
            number: 1,
            input: input.to_owned(),
            output: None,
        };
        let find = |request: &HistoryRequest| {
            let elsewhere = vec![other(4, "before"), other(6, "later")];
            let found = history.find(request, &elsewhere).history;
            found.into_iter().map(|it| it.0).collect::<Vec<_>>()
        };
        assert_eq!(find(&HistoryRequest::default()), [4, 5, 6]);
        let range = |session| HistoryRequest {
            hist_access_type: HistoryAccess::Range,
            session,
            ..HistoryRequest::default()
        };
        assert_eq!(find(&range(-1)), [4]);
        assert_eq!(find(&range(0)), [5]);
        assert_eq!(find(&range(6)), [6]);
        assert_eq!(history.elsewhere(&range(-1)), Some(Elsewhere::Session(4)));
        assert_eq!(history.elsewhere(&range(5)), None);
        for before_the_first in [-5, -6, i64::MIN] {
            assert_eq!(history.elsewhere(&range(before_the_first)), None);
            assert!(find(&range(before_the_first)).is_empty());
        }
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

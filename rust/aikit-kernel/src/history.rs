//! The cells of this kernel, for the arrow keys and the search of consoles, and how requests choose
//! among them and those of other sessions. Each shell has cells of its own and is a session of its
//! own; all have one bound.

use std::collections::HashSet;

use crate::{
    shares::{Most, Shares},
    wire::history::{HistoryAccess, HistoryReply, HistoryRequest, HistoryText},
};

/// What is remembered of all shells together: cells, and their code and results.
const MOST: Most = Most {
    entries: 10_000,
    bytes: 1 << 26,
};

/// The newest cells of the shells.
#[derive(Debug)]
pub(crate) struct History(Shares<Entry>);

impl Default for History {
    fn default() -> Self {
        Self(Shares::new(MOST))
    }
}

/// Which cells of this kernel a request is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Own {
    /// Number of the shell.
    pub(crate) shell: u32,
    /// Number of its session among those of the project.
    pub(crate) session: u32,
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
    /// Remembers a cell of a shell and the plain text of its result.
    pub(crate) fn add(&mut self, shell: u32, entry: Entry) {
        // Who needs older ones finds them in the store.
        let _gone = self.0.push(shell, entry.bytes(), entry);
    }

    /// Forgets the cells of a shell that is gone.
    pub(crate) fn forget(&mut self, shell: u32) {
        self.0.forget(shell);
    }

    /// Which cells of other sessions the answer needs, if it needs any.
    pub(crate) fn elsewhere(&self, own: Own, request: &HistoryRequest) -> Option<Elsewhere> {
        match request.hist_access_type {
            HistoryAccess::Tail => {
                let count = self.0.count(own.shell);
                let has_enough = request.n.is_some_and(|n| n <= count);
                // Kernels that began later have later cells, so the whole is looked at.
                (!has_enough).then_some(Elsewhere::All)
            }
            HistoryAccess::Search => Some(Elsewhere::All),
            HistoryAccess::Range => {
                let session = asked_session(own, request)?;
                (session != own.session).then_some(Elsewhere::Session(session))
            }
        }
    }

    /// Answers a request; `elsewhere` are the cells of other sessions it asked for, in order, each
    /// with its session.
    pub(crate) fn find(
        &self,
        own: Own,
        request: &HistoryRequest,
        elsewhere: &[(u32, Entry)],
    ) -> HistoryReply {
        let others = elsewhere.iter().map(|(session, entry)| (*session, entry));
        let mine = self.0.of(own.shell).map(|entry| (own.session, entry));
        let mut all: Vec<Found<'_>> = others.chain(mine).collect();
        all.sort_by_key(|(session, entry)| (*session, entry.number));
        let found = match request.hist_access_type {
            HistoryAccess::Tail => newest(all, request.n),
            HistoryAccess::Range => range(own, request, all),
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
            .map(|(session, entry)| (session, entry.number, text(entry)))
            .collect();
        HistoryReply { history }
    }
}

/// A cell, and its session.
type Found<'a> = (u32, &'a Entry);

/// The session of a range: 0 is this one, a number below counts back from it.
fn asked_session(own: Own, request: &HistoryRequest) -> Option<u32> {
    let asked = if request.session > 0 {
        request.session
    } else {
        i64::from(own.session).checked_add(request.session)?
    };
    u32::try_from(asked).ok().filter(|session| *session > 0)
}

fn range<'a>(own: Own, request: &HistoryRequest, mut all: Vec<Found<'a>>) -> Vec<Found<'a>> {
    let asked = asked_session(own, request);
    let start = request.start.unwrap_or(0);
    let stop = request.stop.unwrap_or(i64::MAX);
    all.retain(|(session, entry)| {
        let is_inside = (start..stop).contains(&i64::from(entry.number));
        is_inside && Some(*session) == asked
    });
    all
}

fn search<'a>(request: &HistoryRequest, all: Vec<Found<'a>>) -> Vec<Found<'a>> {
    let pattern: Vec<char> = request.pattern.as_deref().unwrap_or("*").chars().collect();
    let mut seen = HashSet::new();
    // From the newest, so that the newest of several equal cells is the one that is kept.
    let mut found: Vec<Found<'a>> = all
        .into_iter()
        .rev()
        .filter(|(_, entry)| matches_glob(&pattern, &entry.input))
        .filter(|(_, entry)| !request.unique || seen.insert(&entry.input))
        .collect();
    found.reverse();
    newest(found, request.n)
}

fn newest(mut entries: Vec<Found<'_>>, limit: Option<usize>) -> Vec<Found<'_>> {
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

    const OWN: Own = Own {
        shell: 0,
        session: 1,
    };

    fn entry(number: u32, input: &str) -> Entry {
        Entry {
            number,
            input: input.to_owned(),
            output: None,
        }
    }

    fn numbers(history: &History, shell: u32) -> Vec<u32> {
        let own = Own { shell, ..OWN };
        let found = history.find(own, &HistoryRequest::default(), &[]).history;
        found.into_iter().map(|it| it.1).collect()
    }

    fn inputs(request: &HistoryRequest) -> Vec<String> {
        let mut history = History::default();
        for (number, input) in (1..).zip(["a = 1", "b = 2", "a = 1", "print(a)"]) {
            history.add(0, entry(number, input));
            history.add(1, entry(number, "of another shell"));
        }
        let text = |text| match text {
            HistoryText::Input(text) | HistoryText::InputOutput(text, _) => text,
        };
        let found = history.find(OWN, request, &[]).history;
        found
            .into_iter()
            .map(|(_, number, it)| format!("{number} {}", text(it)))
            .collect()
    }

    #[test]
    fn the_oldest_cells_go_when_there_are_many_bytes_and_the_newest_stays() {
        let mut history = History::default();
        let sixth = "x".repeat(MOST.bytes / 6);
        for number in 1..=4 {
            let output = Some(sixth.clone());
            history.add(
                0,
                Entry {
                    output,
                    ..entry(number, &sixth)
                },
            );
        }
        assert_eq!(numbers(&history, 0), [2, 3, 4]);
        history.add(0, entry(5, &"x".repeat(MOST.bytes + 1)));
        assert_eq!(numbers(&history, 0), [5]);
        history.add(0, entry(6, "x"));
        assert_eq!(numbers(&history, 0), [6]);
    }

    #[test]
    fn all_shells_have_one_bound_and_one_that_fills_it_takes_nothing_from_the_others() {
        let mut history = History::default();
        let large = "x".repeat(MOST.bytes / 100);
        for shell in 1..=100 {
            history.add(shell, entry(1, "small"));
        }
        for number in 1..=150 {
            history.add(0, entry(number, &large));
            history.add(101, entry(number, &large));
        }
        for shell in 1..=100 {
            assert_eq!(numbers(&history, shell), [1], "{shell}");
        }
        let (first, second) = (numbers(&history, 0), numbers(&history, 101));
        assert!((99..=100).contains(&(first.len() + second.len())));
        assert!(first.len().abs_diff(second.len()) <= 1);
        assert_eq!((first.last(), second.last()), (Some(&150), Some(&150)));
        history.forget(101);
        assert!(numbers(&history, 101).is_empty());
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
        let own = Own { session: 5, ..OWN };
        let mut history = History::default();
        history.add(0, entry(1, "own"));
        let find = |request: &HistoryRequest| {
            let elsewhere = [(4, entry(1, "before")), (6, entry(1, "later"))];
            let found = history.find(own, request, &elsewhere).history;
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
        let elsewhere = |session| history.elsewhere(own, &range(session));
        assert_eq!(elsewhere(-1), Some(Elsewhere::Session(4)));
        assert_eq!(elsewhere(5), None);
        for before_the_first in [-5, -6, i64::MIN] {
            assert_eq!(elsewhere(before_the_first), None);
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

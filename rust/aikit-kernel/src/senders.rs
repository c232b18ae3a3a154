//! Which cells a client sent before it could know that one of its cells failed.
//!
//! A client that runs a whole notebook sends the cells one by one. Those behind a cell that failed
//! must not run, but nothing in the protocol says which of them were sent before the error was
//! known, and on a busy machine they come late. Their headers say when they were sent, by the
//! client's clock, and that clock is compared with ours by the fastest message so far.

use std::{collections::HashMap, time::Duration};

use aikit_core::clock::{Clock, UnixMicros};

use crate::wire::header::Header;

/// Clients that are known at once; a kernel has a handful.
const SENDERS_MAX: usize = 64;
/// A message that took longer than the fastest by more than this tells of a clock that was set,
/// not of a slow way.
const LATE_MAX_MICROS: i64 = 2_000_000;
/// How long a failure is remembered.
const FAILURE_TIME: Duration = Duration::from_secs(2);

/// The clients of one kernel, and the last failure of each shell.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    /// By session.
    known: HashMap<String, Sender>,
    failures: Vec<Failure>,
}

#[derive(Debug)]
struct Sender {
    first: UnixMicros,
    /// Whether its dates are more than a constant.
    has_clock: bool,
    /// Least difference between the time of arrival here and the date of a message there.
    offset: i64,
}

#[derive(Debug)]
struct Failure {
    session: String,
    subshell_id: Option<String>,
    /// When the client was told.
    told: UnixMicros,
    remembered_until: Duration,
}

impl Failure {
    /// Whether the message is one of the same client to the same shell.
    fn is_of(&self, header: &Header) -> bool {
        self.session == header.session && self.subshell_id == header.subshell_id
    }
}

impl Senders {
    /// Notes the arrival of a message; answers whether it was sent before its client could know of
    /// the last failure. A message without a date, or from a client without a clock, was not.
    pub(crate) fn was_sent_before_failure(&mut self, header: &Header, clock: &dyn Clock) -> bool {
        let Ok(sent) = header.date.parse::<jiff::Timestamp>() else {
            return false;
        };
        let (sent, arrived) = (sent.as_microsecond(), clock.wall());
        let difference = arrived.saturating_sub(sent);
        if self.known.len() >= SENDERS_MAX && !self.known.contains_key(&header.session) {
            self.known.clear();
        }
        let sender = self.known.entry(header.session.clone()).or_insert(Sender {
            first: sent,
            has_clock: false,
            offset: difference,
        });
        sender.has_clock |= sent != sender.first;
        if difference - sender.offset > LATE_MAX_MICROS {
            // One of the clocks was set.
            sender.offset = difference;
        }
        sender.offset = sender.offset.min(difference);
        if !sender.has_clock {
            return false;
        }
        let (now, sent) = (clock.monotonic(), sent.saturating_add(sender.offset));
        // By our clock it was sent no later than this; an answer to what it was told comes later.
        self.failures.iter().any(|failure| {
            failure.is_of(header) && now < failure.remembered_until && sent <= failure.told
        })
    }

    /// Notes that a client is being told that the cell with this header failed.
    pub(crate) fn note_failure(&mut self, header: &Header, clock: &dyn Clock) {
        let now = clock.monotonic();
        self.failures
            .retain(|it| now < it.remembered_until && !it.is_of(header));
        self.failures.push(Failure {
            session: header.session.clone(),
            subshell_id: header.subshell_id.clone(),
            told: clock.wall(),
            remembered_until: now + FAILURE_TIME,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use aikit_core::clock::{SystemClock, iso8601};
    use futures::future::BoxFuture;

    use super::*;

    /// A clock that stands where it was put.
    #[derive(Debug, Default)]
    struct Standing(AtomicI64);

    impl Clock for Standing {
        fn now(&self) -> UnixMicros {
            self.0.load(Ordering::Relaxed)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_micros(self.now().try_into().unwrap())
        }

        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            SystemClock.sleep(duration)
        }

        fn random(&self, bytes: &mut [u8]) {
            SystemClock.random(bytes);
        }
    }

    /// A name, messages as [`last`] takes them, and its answer.
    type Case = (&'static str, &'static [(i64, i64)], bool);

    /// Messages as (sent there, arrived here) in milliseconds; the second failed, and its client
    /// was told at 110. Answers whether the last was sent before that was known.
    fn last(messages: &[(i64, i64)]) -> bool {
        let (mut senders, clock) = (Senders::default(), Standing::default());
        let mut answer = false;
        for (index, (sent, arrived)) in messages.iter().enumerate() {
            clock.0.store(arrived * 1000, Ordering::Relaxed);
            let header = Header {
                msg_id: String::new(),
                msg_type: String::new(),
                session: "s".to_owned(),
                username: String::new(),
                date: iso8601(sent * 1000),
                version: String::new(),
                subshell_id: None,
            };
            answer = senders.was_sent_before_failure(&header, &clock);
            if index == 1 {
                clock.0.store(110_000, Ordering::Relaxed);
                senders.note_failure(&header, &clock);
            }
        }
        answer
    }

    #[test]
    fn what_was_sent_before_the_failure_was_told_is_behind_it_however_late_it_comes() {
        let cases: &[Case] = &[
            ("comes late", &[(0, 3), (100, 103), (101, 400)], true),
            ("sent after", &[(0, 3), (100, 103), (112, 115)], false),
            (
                "a clock that is ahead",
                &[(9000, 3), (9100, 103), (9101, 400)],
                true,
            ),
            (
                "ahead, sent after",
                &[(9000, 3), (9100, 103), (9112, 115)],
                false,
            ),
            ("long ago", &[(0, 3), (100, 103), (101, 2200)], false),
            (
                "a clock that was set",
                &[(0, 3), (100, 103), (-9000, 115)],
                false,
            ),
            ("a constant date", &[(0, 3), (0, 103), (0, 115)], false),
        ];
        for (name, messages, expected) in cases {
            assert_eq!(last(messages), *expected, "{name}");
        }
    }

    #[test]
    fn a_message_without_a_date_and_another_client_are_not_behind_it() {
        let (mut senders, clock) = (Senders::default(), SystemClock);
        let header = |session: &str, date: &str| Header {
            subshell_id: None,
            msg_id: String::new(),
            msg_type: String::new(),
            session: session.to_owned(),
            username: String::new(),
            date: date.to_owned(),
            version: String::new(),
        };
        let early = iso8601(clock.wall() - 1000);
        senders.was_sent_before_failure(&header("a", &iso8601(clock.wall())), &clock);
        senders.note_failure(&header("a", ""), &clock);
        for (session, date) in [("a", ""), ("a", "yesterday"), ("b", &early)] {
            assert!(!senders.was_sent_before_failure(&header(session, date), &clock));
        }
        assert!(senders.was_sent_before_failure(&header("a", &early), &clock));
        // What goes to another shell does not stand behind it.
        let beside = Header {
            subshell_id: Some("1".to_owned()),
            ..header("a", &early)
        };
        assert!(!senders.was_sent_before_failure(&beside, &clock));
    }
}

//! What one operation published, for readers that come late.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{Event, EventKind};
use crate::Value;

/// Everything one operation published, kept for readers that come late.
#[derive(Debug, Default)]
pub struct EventLog {
    state: Mutex<LogState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct LogState {
    events: VecDeque<Arc<Event>>,
    /// Events forgotten at the front; positions count from the very first.
    forgotten: u64,
    closed: bool,
}

/// Events one operation keeps; the oldest is forgotten beyond this.
const LOG_MAX: usize = 65_536;

impl EventLog {
    /// Adds an event; its sequence is its position here.
    pub fn push(&self, mut event: Event) {
        {
            let mut state = self.state();
            if state.closed {
                return;
            }
            if state.events.len() == LOG_MAX {
                state.events.pop_front();
                state.forgotten += 1;
            }
            event.sequence = state.forgotten + state.events.len() as u64 + 1;
            state.events.push_back(Arc::new(event));
        }
        self.changed.notify_waiters();
    }

    /// Ends the log: readers finish when they have read what is there.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_waiters();
    }

    /// How many events were forgotten because there were too many.
    pub fn dropped(&self) -> u64 {
        self.state().forgotten
    }

    /// The events until now, as far as they are kept; before them, where some were forgotten, an
    /// event `events.lost` with their `count`.
    pub fn until_now(&self) -> Vec<Arc<Event>> {
        let state = self.state();
        let lost = state.lost_after(0);
        lost.into_iter()
            .chain(state.events.iter().cloned())
            .collect()
    }

    /// The first event after position `after` (0 for the start); waits for one. `None` when the
    /// operation has ended and everything was read. Who comes too late for some events is given an
    /// event `events.lost` with their `count` in their place.
    pub async fn next(&self, after: u64) -> Option<Arc<Event>> {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state();
                if let Some(lost) = state.lost_after(after) {
                    return Some(lost);
                }
                let index = usize::try_from(after - state.forgotten).ok()?;
                if let Some(event) = state.events.get(index) {
                    return Some(Arc::clone(event));
                }
                if state.closed {
                    return None;
                }
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogState {
    /// What stands for the forgotten events after position `after`, if there are any. Its position
    /// is that of the last of them.
    fn lost_after(&self, after: u64) -> Option<Arc<Event>> {
        let count = self.forgotten.checked_sub(after).filter(|it| *it > 0)?;
        let next = self.events.front()?;
        Some(Arc::new(Event {
            sequence: self.forgotten,
            kind: EventKind::EventsLost,
            data: Value::map([("count", Value::from(count))]),
            source: None,
            ..Event::clone(next)
        }))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn filled(count: usize) -> EventLog {
        let log = EventLog::default();
        for number in 0..count {
            log.push(Event {
                sequence: 0,
                kind: EventKind::Custom("x".to_owned()),
                time: 0,
                request_id: Arc::from("r"),
                trace_id: Arc::from("t"),
                execution_id: None,
                source: Some("loop".to_owned()),
                data: Value::from(number),
            });
        }
        log.close();
        log
    }

    /// The events after a position: kinds, positions and data.
    fn read(log: &EventLog, mut after: u64) -> Vec<(String, u64, Value)> {
        let mut read = Vec::new();
        while let Some(event) = log.next(after).now_or_never().unwrap() {
            after = event.sequence;
            read.push((event.kind.name().to_owned(), after, event.data.clone()));
        }
        read
    }

    #[test]
    fn who_comes_too_late_is_told_how_many_events_are_gone() {
        let whole = filled(LOG_MAX);
        assert_eq!((whole.dropped(), read(&whole, 0).len()), (0, LOG_MAX));
        let log = filled(LOG_MAX + 3);
        assert_eq!((log.dropped(), log.until_now().len()), (3, LOG_MAX + 1));
        for (after, missed) in [(0, 3), (2, 1)] {
            let read = read(&log, after);
            let lost = Value::map([("count", Value::Int(missed))]);
            assert_eq!(read[0], ("events.lost".to_owned(), 3, lost));
            assert_eq!(read[1], ("x".to_owned(), 4, Value::Int(3)));
            assert_eq!(read.len(), LOG_MAX + 1);
        }
        // Who was not too late is told nothing.
        assert_eq!(read(&log, 3)[0].1, 4);
        assert_eq!(read(&log, LOG_MAX as u64 + 9), []);
    }
}

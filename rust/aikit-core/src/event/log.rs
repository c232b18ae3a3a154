//! What one operation published, for readers that come late.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{Event, EventKind};
use crate::{
    Value,
    broadcast::{BYTES_MAX, Weigh as _},
};

/// Everything one operation published, kept for readers that come late.
#[derive(Debug, Default)]
pub struct EventLog {
    state: Mutex<LogState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct LogState {
    /// Each with its weight.
    events: VecDeque<(Arc<Event>, usize)>,
    /// What all of them weigh, in bytes.
    bytes: usize,
    /// Events forgotten at the front; positions count from the very first.
    forgotten: u64,
    /// Operations that publish here and have not ended.
    open: usize,
    closed: bool,
}

/// Events that are kept; the oldest is forgotten beyond this, and beyond [`BYTES_MAX`].
const LOG_MAX: usize = 65_536;

impl EventLog {
    /// Adds an event; its sequence is its position here.
    pub fn push(&self, mut event: Event) {
        {
            let mut state = self.state();
            if state.closed {
                return;
            }
            let weight = event.weight();
            state.make_room(weight);
            event.sequence = state.forgotten + state.events.len() as u64 + 1;
            state.bytes += weight;
            state.events.push_back((Arc::new(event), weight));
        }
        self.changed.notify_waiters();
    }

    /// Says that one more operation publishes here, until [`EventLog::close`].
    pub fn open(&self) {
        let mut state = self.state();
        state.open += 1;
        state.closed = false;
    }

    /// Says that an operation has ended. With the last one the log ends: readers finish when they
    /// have read what is there.
    pub fn close(&self) {
        {
            let mut state = self.state();
            state.open = state.open.saturating_sub(1);
            state.closed = state.open == 0;
        }
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
            .chain(state.events.iter().map(|(event, _)| Arc::clone(event)))
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
                if let Some((event, _)) = state.events.get(index) {
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
    /// Forgets the oldest until one more of that weight has room; the newest is always kept.
    fn make_room(&mut self, weight: usize) {
        while self.events.len() >= LOG_MAX || self.bytes + weight > BYTES_MAX {
            let Some((_, weight)) = self.events.pop_front() else {
                return;
            };
            self.bytes -= weight;
            self.forgotten += 1;
        }
    }

    /// What stands for the forgotten events after position `after`, if there are any. Its position
    /// is that of the last of them.
    fn lost_after(&self, after: u64) -> Option<Arc<Event>> {
        let count = self.forgotten.checked_sub(after).filter(|it| *it > 0)?;
        let (next, _) = self.events.front()?;
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
            log.push(event(Value::from(number)));
        }
        log.close();
        log
    }

    fn event(data: Value) -> Event {
        Event {
            sequence: 0,
            kind: EventKind::Custom("x".to_owned()),
            time: 0,
            request_id: Arc::from("r"),
            trace_id: Arc::from("t"),
            execution_id: None,
            source: Some("loop".to_owned()),
            data,
        }
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

    #[test]
    fn what_is_kept_is_bounded_in_bytes_as_well() {
        let log = EventLog::default();
        let large = || event(Value::Bytes(vec![0; BYTES_MAX / 4].into()));
        for _ in 0..10 {
            log.push(large());
        }
        // Three quarters and what the events weigh themselves.
        assert_eq!((log.dropped(), log.until_now().len()), (7, 4));
        assert!(log.state().bytes <= BYTES_MAX);
        // One that is too large by itself is kept alone.
        log.push(event(Value::Bytes(vec![0; BYTES_MAX + 1].into())));
        assert_eq!((log.dropped(), log.until_now().len()), (10, 2));
        log.push(event(Value::Null));
        assert_eq!((log.dropped(), log.until_now().len()), (11, 2));
    }

    #[test]
    fn a_log_ends_with_the_last_of_its_operations() {
        let log = EventLog::default();
        log.open();
        log.open();
        log.close();
        log.push(event(Value::Null));
        assert_eq!(log.next(0).now_or_never().unwrap().unwrap().sequence, 1);
        assert!(log.next(1).now_or_never().is_none());
        log.close();
        assert!(log.next(1).now_or_never().unwrap().is_none());
        // One that comes later goes on in it.
        log.open();
        log.push(event(Value::Null));
        assert_eq!(log.next(1).now_or_never().unwrap().unwrap().sequence, 2);
    }
}

//! What one operation published, for readers that come late.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

use super::Event;

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
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
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
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
        self.changed.notify_waiters();
    }

    /// The events until now, as far as they are kept.
    pub fn until_now(&self) -> Vec<Arc<Event>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.events.iter().cloned().collect()
    }

    /// The first event after position `after` (0 for the start); waits for one. `None` when the
    /// operation has ended and everything was read.
    pub async fn next(&self, after: u64) -> Option<Arc<Event>> {
        loop {
            let changed = self.changed.notified();
            {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                let index = usize::try_from(after.saturating_sub(state.forgotten)).ok()?;
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
}

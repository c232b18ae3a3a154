//! Who waits for which response, and the responses that came before somebody waited.

use std::{collections::HashMap, sync::Arc};

use indexmap::IndexMap;
use tokio::sync::oneshot;

use super::{ChannelEvent, REQUEST, RESPONSE};
use crate::{Error, ErrorKind, Result};

/// Responses that a channel remembers.
pub(super) const REMEMBERED_MAX: usize = 256;

/// Waits that a channel has at once.
pub(super) const WAITS_MAX: usize = 10_000;

/// The waits and the remembered responses of one channel.
#[derive(Debug, Default)]
pub(super) struct Responses {
    waits: HashMap<String, Vec<Wait>>,
    wait_count: usize,
    next: u64,
    remembered: IndexMap<String, Remembered>,
    lost: u64,
    is_closed: bool,
}

#[derive(Debug)]
struct Wait {
    number: u64,
    answer: oneshot::Sender<Arc<ChannelEvent>>,
}

#[derive(Debug)]
struct Remembered {
    event: Arc<ChannelEvent>,
    /// Whether somebody got it.
    is_delivered: bool,
}

/// How a wait begins.
pub(super) enum Begun {
    /// The response is there already.
    Answered(Arc<ChannelEvent>),
    /// It will come here.
    Waiting(Waiting),
}

pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) answer: oneshot::Receiver<Arc<ChannelEvent>>,
}

impl Responses {
    /// Sees an event: a response goes to all who wait for it and is remembered; a request with
    /// the id of an earlier one forgets that one's response.
    pub(super) fn take(&mut self, event: &ChannelEvent) {
        let Some(id) = event.id.as_deref().filter(|_| !self.is_closed) else {
            return;
        };
        if event.kind == REQUEST {
            self.remembered.shift_remove(id);
        } else if event.kind == RESPONSE {
            self.answer(id, &Arc::new(event.clone()));
        }
    }

    fn answer(&mut self, id: &str, event: &Arc<ChannelEvent>) {
        let waits = self.waits.remove(id).unwrap_or_default();
        self.wait_count -= waits.len();
        let mut is_delivered = false;
        for wait in waits {
            is_delivered |= wait.answer.send(Arc::clone(event)).is_ok();
        }
        self.remembered.shift_remove(id);
        if self.remembered.len() == REMEMBERED_MAX {
            // One that somebody got is missed least; else the oldest.
            let delivered = self.remembered.values().position(|it| it.is_delivered);
            self.lost += u64::from(delivered.is_none());
            self.remembered.shift_remove_index(delivered.unwrap_or(0));
        }
        let remembered = Remembered {
            event: Arc::clone(event),
            is_delivered,
        };
        self.remembered.insert(id.to_owned(), remembered);
    }

    pub(super) fn begin_wait(&mut self, id: &str, channel: &str) -> Result<Begun> {
        if let Some(remembered) = self.remembered.get_mut(id) {
            remembered.is_delivered = true;
            return Ok(Begun::Answered(Arc::clone(&remembered.event)));
        }
        if self.wait_count == WAITS_MAX {
            let message = format!("{WAITS_MAX} waits for responses on `{channel}` have not ended");
            return Err(Error::new(ErrorKind::LimitExceeded, message)
                .with_hint("give each wait a time limit"));
        }
        let (answer, receiver) = oneshot::channel();
        self.next += 1;
        let number = self.next;
        // On a closed channel the sender is dropped at once, which ends the wait.
        if !self.is_closed {
            self.wait_count += 1;
            let wait = Wait { number, answer };
            self.waits.entry(id.to_owned()).or_default().push(wait);
        }
        let answer = receiver;
        Ok(Begun::Waiting(Waiting { number, answer }))
    }

    pub(super) fn end_wait(&mut self, id: &str, number: u64) {
        let Some(waits) = self.waits.get_mut(id) else {
            return;
        };
        let before = waits.len();
        waits.retain(|it| it.number != number);
        self.wait_count -= before - waits.len();
        if waits.is_empty() {
            self.waits.remove(id);
        }
    }

    pub(super) fn has_waits(&self) -> bool {
        self.wait_count > 0
    }

    pub(super) const fn lost(&self) -> u64 {
        self.lost
    }

    /// Ends every wait.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        self.wait_count = 0;
        self.waits.clear();
        self.remembered.clear();
    }
}

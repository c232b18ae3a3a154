//! Who waits for which response, the responses that came before somebody waited, and the requests
//! that nobody had room for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use indexmap::IndexMap;
use tokio::sync::oneshot;

use super::{ChannelEvent, REQUEST, RESPONSE};
use crate::{Error, ErrorKind, Result, broadcast::Weigh as _};

/// Responses that a channel remembers.
pub(super) const REMEMBERED_MAX: usize = 256;

/// Bytes of all of them, about; the last is remembered however large it is.
pub(super) const REMEMBERED_BYTES_MAX: usize = 1 << 24;

/// Waits that a channel has at once.
pub(super) const WAITS_MAX: usize = 10_000;

/// Requests without a response that a channel watches; the loss of one more is noticed at the time
/// limit of its wait.
const OPEN_MAX: usize = 2 * WAITS_MAX;

/// The waits and the remembered responses of one channel.
#[derive(Debug, Default)]
pub(super) struct Responses {
    waits: HashMap<String, Vec<Wait>>,
    wait_count: usize,
    next: u64,
    remembered: IndexMap<String, Remembered>,
    /// What the remembered ones weigh.
    remembered_bytes: usize,
    /// Requests without a response, and their ids in the order in which they came.
    open: HashMap<String, Open>,
    order: BTreeMap<u64, String>,
    lost: u64,
    is_closed: bool,
}

/// The response to a request, or the capacity of the queue that had no room for the request.
pub(super) type Answer = std::result::Result<Arc<ChannelEvent>, usize>;

#[derive(Debug)]
struct Wait {
    number: u64,
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
struct Remembered {
    answer: Answer,
    bytes: usize,
    /// Whether somebody got it.
    is_delivered: bool,
}

/// A request that somebody may answer, with those before it that had its id.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    /// Its place in the order.
    number: u64,
    /// How many of them are being published.
    publishing: usize,
    /// Subscribers that want each of them, in all.
    wanted: usize,
    /// How often one of those had no room for one of them, and the largest of their queues.
    lost: usize,
    capacity: usize,
}

impl Open {
    /// Whether nobody has any of them who wanted it.
    const fn is_lost(&self) -> bool {
        self.publishing == 0 && self.lost > 0 && self.wanted <= self.lost
    }
}

/// How a wait begins.
pub(super) enum Begun {
    /// The response is there already.
    Answered(Arc<ChannelEvent>),
    /// The request was dropped: that is the capacity of the queue that had no room for it.
    Lost(usize),
    /// It will come here.
    Waiting(Waiting),
}

pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) answer: oneshot::Receiver<Answer>,
}

impl Responses {
    /// Sees an event: a response goes to all who wait for it and is remembered; a request with
    /// the id of an earlier one forgets that one's response.
    pub(super) fn take(&mut self, event: &ChannelEvent) {
        let Some(id) = event.id.as_deref().filter(|_| !self.is_closed) else {
            return;
        };
        if event.kind == REQUEST {
            self.forget(id);
            self.open(id).publishing += 1;
        } else if event.kind == RESPONSE {
            self.close_request(id);
            self.answer(id, &Ok(Arc::new(event.clone())));
        }
    }

    /// A new request will have this id: what the last one was answered is of no use.
    pub(super) fn forget(&mut self, id: &str) {
        if let Some(forgotten) = self.remembered.shift_remove(id) {
            self.remembered_bytes -= forgotten.bytes;
        }
    }

    /// The request of an id without a response; the oldest gives way.
    fn open(&mut self, id: &str) -> &mut Open {
        if !self.open.contains_key(id) {
            if self.open.len() >= OPEN_MAX
                && let Some((_, oldest)) = self.order.pop_first()
            {
                self.open.remove(&oldest);
            }
            self.next += 1;
            self.order.insert(self.next, id.to_owned());
        }
        let number = self.next;
        let open = self.open.entry(id.to_owned());
        open.or_insert_with(|| Open {
            number,
            ..Open::default()
        })
    }

    fn close_request(&mut self, id: &str) {
        if let Some(open) = self.open.remove(id) {
            self.order.remove(&open.number);
        }
    }

    /// A request was published, which so many subscribers want.
    pub(super) fn published(&mut self, id: &str, wanted: usize) {
        if let Some(open) = self.open.get_mut(id) {
            open.publishing = open.publishing.saturating_sub(1);
            open.wanted += wanted;
            self.fail_lost(id);
        }
    }

    /// A subscriber had no room for a request, now or when others came.
    pub(super) fn lose(&mut self, id: &str, capacity: usize) {
        if let Some(open) = self.open.get_mut(id) {
            open.lost += 1;
            open.capacity = open.capacity.max(capacity);
            self.fail_lost(id);
        }
    }

    fn fail_lost(&mut self, id: &str) {
        let open = self.open.get(id).copied();
        if let Some(open) = open.filter(Open::is_lost) {
            self.close_request(id);
            self.answer(id, &Err(open.capacity));
        }
    }

    fn answer(&mut self, id: &str, answer: &Answer) {
        let waits = self.waits.remove(id).unwrap_or_default();
        self.wait_count -= waits.len();
        let mut is_delivered = false;
        for wait in waits {
            is_delivered |= wait.answer.send(answer.clone()).is_ok();
        }
        self.forget(id);
        let bytes = answer.as_ref().map_or(0, |event| event.weight());
        self.make_room(bytes);
        let remembered = Remembered {
            answer: answer.clone(),
            bytes,
            is_delivered,
        };
        self.remembered_bytes += bytes;
        self.remembered.insert(id.to_owned(), remembered);
    }

    /// Forgets remembered ones until there is room for another of that weight.
    fn make_room(&mut self, bytes: usize) {
        while self.remembered.len() == REMEMBERED_MAX
            || (!self.remembered.is_empty() && self.remembered_bytes + bytes > REMEMBERED_BYTES_MAX)
        {
            // One that somebody got is missed least; else the oldest.
            let delivered = self.remembered.values().position(|it| it.is_delivered);
            self.lost += u64::from(delivered.is_none());
            let forgotten = self.remembered.shift_remove_index(delivered.unwrap_or(0));
            self.remembered_bytes -= forgotten.map_or(0, |(_, it)| it.bytes);
        }
    }

    pub(super) fn begin_wait(&mut self, id: &str, channel: &str) -> Result<Begun> {
        if let Some(remembered) = self.remembered.get_mut(id) {
            remembered.is_delivered = true;
            return Ok(match &remembered.answer {
                Ok(event) => Begun::Answered(Arc::clone(event)),
                Err(capacity) => Begun::Lost(*capacity),
            });
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
        self.remembered_bytes = 0;
        self.open.clear();
        self.order.clear();
    }
}

//! `comm_*`: the comms that front ends open. The one target is `aikit.channel`, a channel of core.
//!
//! The front end opens a comm with `{channel: name}`. It then gets each event of the channel as a
//! `comm_msg`, whose parent is the cell that published it, but not those it has sent itself and not
//! those for another connection; what it sends is published. All of it happens beside the running
//! cell, so that a front end can answer what a cell waits for.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use aikit_core::{
    Error, ErrorKind, Result, Value,
    broadcast::QueueOptions,
    channel::{Channel, ChannelEvent, ChannelSubscription},
    io::{self, AbortOnDrop},
    value::Map,
};
use bytes::Bytes;

use super::{Desk, Request};
use crate::wire::{
    Content, Object,
    comm::{self, CommClose, CommInfoReply, CommInfoRequest, CommMsg, CommOpen},
};

/// The target of comms that carry a channel.
const TARGET: &str = "aikit.channel";

/// Most comms that are open at once.
const COMMS_MAX: usize = 1_000;

/// Longest identity of a comm, in bytes.
const ID_BYTES_MAX: usize = 256;

/// Most requests of a front end whose responses are told what they answer; those of more that were
/// not answered yet are taken for events of the channel.
const ASKED_MAX: usize = 256;

/// Where in the payload buffers are that no path of the data gives a place.
const BUFFERS: &str = "buffers";

/// Type of the event that tells a front end how many events it lost because it was slow.
const DROPPED: &str = "channel.dropped";

/// Type of the event that tells a front end why what it sent was not published.
const REFUSED: &str = "channel.error";

/// The open comms, by their identities.
#[derive(Debug, Default)]
pub(super) struct Comms(Mutex<BTreeMap<String, Comm>>);

/// An open comm.
#[derive(Debug)]
struct Comm {
    channel: Channel,
    asked: Asked,
    /// Sends the events of the channel.
    _forwarding: AbortOnDrop,
}

/// The requests of a front end that are not answered: their identities, and the headers of the
/// messages in which they came, byte for byte.
#[derive(Clone, Debug, Default)]
struct Asked(Arc<Mutex<VecDeque<(String, Bytes)>>>);

impl Asked {
    fn add(&self, id: &str, raw_header: &Bytes) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= ASKED_MAX {
            asked.pop_front();
        }
        asked.push_back((id.to_owned(), raw_header.clone()));
    }

    /// The header of the message that `event` answers, if it answers one.
    fn take(&self, event: &ChannelEvent) -> Option<Bytes> {
        let id = event.id.as_ref().filter(|_| event.kind == "response")?;
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = asked.iter().position(|(it, _)| it == id)?;
        asked.remove(index).map(|(_, raw_header)| raw_header)
    }
}

impl Comms {
    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Comm>> {
        // A plain mutex: it is never held across an await.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closes all, without a word.
    pub(super) fn close_all(&self) {
        let open = std::mem::take(&mut *self.open());
        // Outside the lock: their tasks end.
        drop(open);
    }
}

/// Which comms are open.
pub(super) fn info(desk: &Desk, asked: &CommInfoRequest) -> CommInfoReply {
    let wanted = asked.target_name.as_deref().is_none_or(|it| it == TARGET);
    let comms = desk.comms.open();
    let open = comms.keys().filter(|_| wanted).map(|id| {
        let target = Object::from_iter([("target_name".to_owned(), TARGET.into())]);
        (id.clone(), target.into())
    });
    CommInfoReply {
        comms: open.collect(),
    }
}

/// Opens a comm, or closes it at once: the protocol's way to refuse one.
pub(super) fn open(desk: &Arc<Desk>, request: &Request, opened: &CommOpen) {
    if let Err(refusal) = try_open(desk, request, opened) {
        let error = refusal.map(|error| Value::map([("error", error.to_value())]));
        let close = close_message(&opened.comm_id, &error.unwrap_or_default());
        desk.publish(request, &close);
    }
}

/// Why a comm is not opened; nothing to say about a target that nobody knows.
fn try_open(
    desk: &Arc<Desk>,
    request: &Request,
    opened: &CommOpen,
) -> std::result::Result<(), Option<Error>> {
    if opened.target_name != TARGET {
        return Err(None);
    }
    let id = &opened.comm_id;
    if id.is_empty() || id.len() > ID_BYTES_MAX {
        return Err(Some(Error::invalid_args(
            "the `comm_id` is empty or too long",
        )));
    }
    let name = opened.data.get("channel").and_then(|it| it.as_str());
    let name = name.ok_or_else(|| {
        Error::invalid_args("`data.channel` is missing; it is the name of the channel")
            .with_hint("open the comm with the data {\"channel\": \"ui:progress\"}")
    })?;
    let channel = desk.context.get_channel(name)?;
    let mut comms = desk.comms.open();
    if comms.len() >= COMMS_MAX && !comms.contains_key(id) {
        let message = format!("{COMMS_MAX} comms are open already");
        let error = Error::new(ErrorKind::LimitExceeded, message);
        return Err(Some(error.with_hint("close some of them")));
    }
    let subscription = channel.subscribe(QueueOptions::default())?;
    let place = Place {
        desk: Arc::clone(desk),
        comm_id: id.clone(),
        parent: request.message.raw_header.clone(),
        asked: Asked::default(),
    };
    let asked = place.asked.clone();
    let forwarding = io::spawn(place.forward(subscription));
    // A comm of the same identity is another conversation now; its own ends.
    let replaced = comms.insert(
        id.clone(),
        Comm {
            channel,
            asked,
            _forwarding: AbortOnDrop(forwarding.abort_handle()),
        },
    );
    drop(comms);
    drop(replaced);
    Ok(())
}

/// Publishes what a front end sent.
pub(super) fn take(desk: &Desk, request: &Request, sent: &CommMsg) {
    let found = desk
        .comms
        .open()
        .get(&sent.comm_id)
        .map(|it| (it.channel.clone(), it.asked.clone()));
    let Some((channel, asked)) = found else {
        // Both sides should know; the one that does not is told.
        return desk.publish(request, &close_message(&sent.comm_id, &Value::Null));
    };
    let published = event_of(sent).and_then(|mut event| {
        event.metadata.source_connection_id = Some(sent.comm_id.clone());
        event.metadata.source.get_or_insert_with(|| "ui".to_owned());
        // Before it is published: the answer may be there at once.
        if let Some(id) = event.id.as_ref().filter(|_| event.kind == "request") {
            asked.add(id, &request.message.raw_header);
        }
        channel.publish(event)
    });
    if let Err(error) = published {
        let refused = ChannelEvent::new(REFUSED, error.to_value());
        desk.publish(request, &event_message(&sent.comm_id, &refused));
    }
}

/// Ends a comm; one that is not open cannot be closed, and both sides know.
pub(super) fn close(desk: &Desk, closed: &CommClose) {
    let ended = desk.comms.open().remove(&closed.comm_id);
    drop(ended);
}

/// Where the events of a channel go.
struct Place {
    desk: Arc<Desk>,
    comm_id: String,
    /// Header of the message that opened the comm, byte for byte.
    parent: Bytes,
    asked: Asked,
}

impl Place {
    async fn forward(self, subscription: ChannelSubscription) {
        let mut dropped_told = 0;
        while let Some(event) = subscription.next().await {
            let dropped = subscription.dropped();
            if dropped > dropped_told {
                let lost = Value::from(dropped - dropped_told);
                let payload = Value::map([("count", lost)]);
                self.send(&ChannelEvent::new(DROPPED, payload));
                dropped_told = dropped;
            }
            let is_own = event.metadata.source_connection_id.as_ref() == Some(&self.comm_id);
            let target = event.target_connection();
            if !is_own && target.is_none_or(|it| it == self.comm_id) {
                self.send(&event);
                // What a slow front end does not take stays in the queue of its subscription.
                self.desk.sockets.iopub.room().await;
            }
        }
        // The channel was destroyed.
        let close = close_message(&self.comm_id, &Value::Null);
        self.desk.sockets.iopub.publish(&self.parent, &close);
        let ended = self.desk.comms.open().remove(&self.comm_id);
        drop(ended);
    }

    fn send(&self, event: &ChannelEvent) {
        let message = event_message(&self.comm_id, event);
        let parent = self.asked.take(event).or_else(|| self.publisher(event));
        let parent = parent.as_ref().unwrap_or(&self.parent);
        self.desk.sockets.iopub.publish(parent, &message);
    }

    /// Header of the cell that published `event`: what a cell brings about has it as its parent.
    fn publisher(&self, event: &ChannelEvent) -> Option<Bytes> {
        self.desk.header_of(event.request_id()?)
    }
}

fn event_message(comm_id: &str, event: &ChannelEvent) -> Content {
    let (data, buffers) = comm::data(&event.to_value());
    CommMsg {
        comm_id: comm_id.to_owned(),
        data,
        buffers,
    }
    .into()
}

/// The event that a front end sent. Buffers that no path of the data gives a place are the list
/// `buffers` of the payload.
fn event_of(sent: &CommMsg) -> Result<ChannelEvent> {
    if sent.buffers.is_empty() || comm::has_places(&sent.data) {
        return ChannelEvent::from_value(&comm::table(&sent.data, &sent.buffers)?);
    }
    let mut event = ChannelEvent::from_value(&comm::table(&sent.data, &[])?)?;
    let buffers = sent.buffers.iter().cloned().map(Value::Bytes).collect();
    let mut payload = match std::mem::take(&mut event.payload) {
        Value::Null => Map::new(),
        Value::Map(payload) if !payload.contains_key(BUFFERS) => payload,
        _ => return Err(comm::no_places()),
    };
    payload.insert(BUFFERS.to_owned(), Value::List(buffers));
    event.payload = Value::Map(payload);
    Ok(event)
}

fn close_message(comm_id: &str, data: &Value) -> Content {
    let (data, buffers) = comm::data(data);
    CommClose {
        comm_id: comm_id.to_owned(),
        data,
        buffers,
    }
    .into()
}

//! The border over a byte pipe: length-prefixed MessagePack frames in both directions.
//!
//! The engine's side is [`PipeHost`]; the session's side is [`serve`]. A frame is four bytes of
//! length, big-endian, and one `Frame` with named fields. Functions stay on the engine's side and
//! are called back by number; objects and streams stay on the session's side. The metadata of
//! Contexts go along with calls both ways, see `metadata`.

mod client;
mod metadata;
mod server;

use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    broadcast::Delivery,
    context::{HOST_METADATA, Overrides},
    script::ObjectId,
    value::Map,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc::UnboundedReceiver,
};

use self::metadata::Place;
pub use self::{client::PipeHost, server::serve};
use super::{
    Appearance, Arg, Created, Displayed, ObjectRef, Resource, Return, StreamId, Target, class,
};

/// Longest frame in bytes; larger data belongs in files.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// Calls one engine may have in flight; more wait for one to end.
const CALLS_MAX: usize = 1024;

/// One message. The numbers of calls and callbacks are chosen by whoever asks.
#[derive(Debug, Deserialize, Serialize)]
enum Frame {
    /// Engine → session: call something.
    Call {
        call: u64,
        /// The callback that makes the call, if one does: what flows with it flows on.
        inside: Option<u64>,
        target: Target,
        args: Vec<WireArg>,
        /// Where the metadata of the caller's Context are.
        metadata: Place,
    },
    /// Engine → session: give the next item of a stream.
    Next {
        call: u64,
        /// As of a call.
        inside: Option<u64>,
        stream: StreamId,
        /// As of a call.
        metadata: Place,
    },
    /// Either way: metadata of a Context, which later frames name by their place.
    Metadata { place: usize, metadata: Map },
    /// Engine → session: nobody waits for the answer any more.
    Cancel { call: u64 },
    /// Engine → session: the item that a call gave has arrived.
    Arrived { call: u64 },
    /// Engine → session: a handle was dropped.
    Release { resource: Resource },
    /// Engine → session: what a callback gave.
    CallbackReturn {
        callback: u64,
        outcome: Outcome<Value>,
    },
    /// Session → engine: what a call gave.
    Return {
        call: u64,
        outcome: Outcome<WireReturn>,
    },
    /// Session → engine: the next item; none at the end.
    Item {
        call: u64,
        outcome: Outcome<WireItem>,
    },
    /// Session → engine: call a function of the script.
    Callback {
        callback: u64,
        callable: u64,
        args: Vec<Value>,
        /// Where the metadata of the caller's Context are.
        metadata: Place,
    },
    /// Session → engine: nobody waits for the callback any more.
    CallbackCancel { callback: u64 },
    /// Session → engine: the function will not be called again.
    Forget { callable: u64 },
}

/// The metadata of a Context at the engine's end that the one here does not carry already; not what
/// a host alone sets.
fn carried(cx: &Context, mut metadata: Map) -> Overrides {
    metadata.retain(|name, _| !HOST_METADATA.contains(&name.as_str()));
    carried_by_host(cx, metadata)
}

/// The metadata of a Context at the session's end that the one here does not carry already.
fn carried_by_host(cx: &Context, mut metadata: Map) -> Overrides {
    metadata.retain(|name, value| cx.metadata().get(name) != Some(value));
    Overrides {
        metadata,
        ..Overrides::default()
    }
}

/// A result whose error is data.
#[derive(Debug, Deserialize, Serialize)]
enum Outcome<T> {
    Ok(T),
    Err(Value),
}

impl<T> Outcome<T> {
    fn new(result: Result<T>) -> Self {
        result.map_or_else(|error| Self::Err(error.to_value()), Self::Ok)
    }

    fn into_result(self) -> Result<T> {
        match self {
            Self::Ok(value) => Ok(value),
            Self::Err(error) => Err(Error::from_value(&error)),
        }
    }
}

/// An item of a stream, which may be null, or its end; of an option JSON could not tell both.
#[derive(Debug, Deserialize, Serialize)]
enum WireItem {
    Value(Value),
    /// An item of which the session wants to know that it has arrived.
    Delivery(Value),
    End,
}

impl WireItem {
    /// What goes to the other end, and what is kept here until it has arrived.
    fn new(item: Option<Delivery>) -> (Self, Option<Delivery>) {
        match item {
            None => (Self::End, None),
            Some(item) if item.is_awaited() => (Self::Delivery(item.value().clone()), Some(item)),
            Some(item) => (Self::Value(item.keep()), None),
        }
    }

    fn into_item(self) -> Option<Delivery> {
        match self {
            // By now it has arrived.
            Self::Value(value) | Self::Delivery(value) => Some(value.into()),
            Self::End => None,
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
enum WireArg {
    Value(Value),
    Callable { id: u64, name: String },
    Object { id: u64, class: String },
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

#[derive(Debug, Deserialize, Serialize)]
enum WireReturn {
    Value(Value),
    /// Data of which the session wants to know that it has arrived.
    Delivery(Value),
    Object(WireObject),
    Stream(StreamId),
    /// Data, and what a cell shows it as. That is written before it is known whether it is shown,
    /// because what it is written from stays at the session's end.
    Shown(Value, Map),
    /// Something that is shown at once.
    Display {
        bundle: Map,
        metadata: Map,
        display_id: String,
        is_update: bool,
        /// What stands for it.
        object: Option<WireObject>,
    },
    /// The script holds too much; the error.
    NoRoom(Value),
}

/// An object of the session; what it is shown as stays there.
#[derive(Debug, Deserialize, Serialize)]
struct WireObject {
    class: String,
    id: u64,
    fields: Map,
    bytes: usize,
}

impl WireObject {
    fn new(object: Created) -> Self {
        Self {
            class: object.class.name.to_owned(),
            id: object.id.0,
            fields: object.fields,
            bytes: object.bytes,
        }
    }

    fn into_created(self) -> Result<Created> {
        let class = class(&self.class)
            .ok_or_else(|| malformed(format!("a pipe named the unknown class `{}`", self.class)))?;
        Ok(Created {
            class,
            id: ObjectId(self.id),
            fields: self.fields,
            bytes: self.bytes,
            appearance: None,
        })
    }
}

impl WireReturn {
    /// What goes to the other end, and what is kept here until it has arrived.
    fn new(returned: Return) -> (Self, Option<Delivery>) {
        let sent = match returned {
            Return::Value(value) => Self::Value(value),
            Return::Delivery(item) => {
                return (Self::Delivery(item.value().clone()), Some(item));
            }
            Return::Object(object) => Self::Object(WireObject::new(object)),
            Return::Stream(stream) => Self::Stream(stream),
            Return::Shown(value, appearance) => match appearance.bundle() {
                Ok(bundle) => Self::Shown(value, bundle),
                Err(error) => {
                    tracing::warn!(%error, "a value is shown as its fields");
                    Self::Value(value)
                }
            },
            Return::NoRoom(error) => Self::NoRoom(error.to_value()),
            Return::Display(shown) => Self::Display {
                bundle: shown.bundle,
                metadata: shown.metadata,
                display_id: shown.display_id,
                is_update: shown.is_update,
                object: shown.object.map(WireObject::new),
            },
        };
        (sent, None)
    }

    fn into_return(self) -> Result<Return> {
        Ok(match self {
            // By now it has arrived.
            Self::Value(value) | Self::Delivery(value) => Return::Value(value),
            Self::Stream(stream) => Return::Stream(stream),
            Self::NoRoom(error) => Return::NoRoom(Error::from_value(&error)),
            Self::Shown(value, bundle) => {
                Return::Shown(value, Appearance::new(move || Ok(bundle.clone())))
            }
            Self::Object(object) => Return::Object(object.into_created()?),
            Self::Display {
                bundle,
                metadata,
                display_id,
                is_update,
                object,
            } => Return::Display(Box::new(Displayed {
                bundle,
                metadata,
                display_id,
                is_update,
                object: object.map(WireObject::into_created).transpose()?,
            })),
        })
    }
}

impl WireArg {
    fn new(
        arg: Arg,
        keep: &mut impl FnMut(std::sync::Arc<dyn aikit_core::script::Callable>) -> Self,
    ) -> Self {
        match arg {
            Arg::Value(value) => Self::Value(value),
            Arg::Callable(callable) => keep(callable),
            Arg::Object(object) => Self::Object {
                id: object.id.0,
                class: object.class,
            },
            Arg::List(items) => Self::List(
                items
                    .into_iter()
                    .map(|item| Self::new(item, keep))
                    .collect(),
            ),
            Arg::Map(members) => {
                let members = members.into_iter();
                Self::Map(
                    members
                        .map(|(key, arg)| (key, Self::new(arg, keep)))
                        .collect(),
                )
            }
            // It belongs to the engine on this side and is never an argument of a call.
            Arg::Opaque(_) => Self::Value(Value::Null),
        }
    }

    fn into_arg(self, make: &impl Fn(u64, String) -> Arg) -> Arg {
        match self {
            Self::Value(value) => Arg::Value(value),
            Self::Callable { id, name } => make(id, name),
            Self::Object { id, class } => Arg::Object(ObjectRef {
                id: ObjectId(id),
                class,
            }),
            Self::List(items) => {
                Arg::List(items.into_iter().map(|item| item.into_arg(make)).collect())
            }
            Self::Map(members) => {
                let members = members.into_iter();
                Arg::Map(
                    members
                        .map(|(key, arg)| (key, arg.into_arg(make)))
                        .collect(),
                )
            }
        }
    }
}

/// Reads one frame; `None` when the other side has closed between two frames.
async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> Result<Option<Frame>> {
    let length = match reader.read_u32().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if length > FRAME_BYTES_MAX {
        return Err(malformed(format!(
            "a frame of {length} bytes is longer than allowed"
        )));
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).await?;
    rmp_serde::from_slice(&bytes)
        .map(Some)
        .map_err(|error| malformed("a frame cannot be read").with_source(error))
}

/// Writes frames until the channel or the pipe closes.
async fn write_frames(
    mut writer: impl AsyncWrite + Unpin,
    mut frames: UnboundedReceiver<Vec<u8>>,
) -> Result<()> {
    while let Some(bytes) = frames.recv().await {
        writer.write_all(&bytes).await?;
        // What is queued already goes out with it.
        if frames.is_empty() {
            writer.flush().await?;
        }
    }
    Ok(writer.shutdown().await?)
}

/// A frame as bytes, its length in front.
fn encode(frame: &Frame) -> Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    rmp_serde::encode::write_named(&mut bytes, frame)
        .map_err(|error| Error::internal("a frame cannot be written").with_source(error))?;
    let length = bytes.len() - 4;
    let header = u32::try_from(length)
        .ok()
        .filter(|_| length <= FRAME_BYTES_MAX);
    let header = header.ok_or_else(|| {
        let message =
            format!("{length} bytes are too much for one call; {FRAME_BYTES_MAX} are allowed");
        Error::new(ErrorKind::LimitExceeded, message)
            .with_hint("pass the path of a file instead of its content")
    })?;
    bytes[..4].copy_from_slice(&header.to_be_bytes());
    Ok(bytes)
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, message)
        .with_hint("both ends of the pipe must be the same version of aikit")
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "the other end of the pipe is gone")
        .with_hint("start the session again")
}

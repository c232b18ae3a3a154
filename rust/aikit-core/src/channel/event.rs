//! What a channel carries.

use std::sync::Arc;

use crate::{
    Error, Result, Value, broadcast::Weigh, clock::UnixMicros, event::seconds, value::Map,
};

/// Type of an event that asks for a response with the same id.
pub const REQUEST: &str = "request";

/// Type of an event that answers the request with the same id.
pub const RESPONSE: &str = "response";

/// Longest type, in bytes.
const KIND_BYTES_MAX: usize = 256;

/// One event of a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelEvent {
    /// What it is: `request`, `response`, `progress`, …; `type` in scripts and programs.
    pub kind: String,
    /// Correlates a request and its response.
    pub id: Option<String>,
    /// Name of the channel; set when it is published.
    pub channel: Arc<str>,
    /// The data.
    pub payload: Value,
    /// When, by whom, for what.
    pub metadata: ChannelMetadata,
    /// Whom it is for, where not for everybody; a connection looks at `connection_id` in it.
    pub target: Option<Value>,
    /// Request whose Context published it; no part of what subscribers are shown.
    pub(crate) request_id: Option<Arc<str>>,
}

/// When an event was published, by whom, for what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChannelMetadata {
    /// When it was published; set when it is published.
    pub timestamp: Option<UnixMicros>,
    /// Who: `tool`, `component`, `ui`, `system`, or the name of a procedure.
    pub source: Option<String>,
    /// Execution it belongs to.
    pub execution_id: Option<String>,
    /// Step of the run it belongs to.
    pub tick: Option<u64>,
    /// Connection it came in by; an event is not sent back to where it came from.
    pub source_connection_id: Option<String>,
    /// Anything else.
    pub extra: Map,
}

/// Keys of the metadata that have a field of their own.
const FIELDS: [&str; 5] = [
    "timestamp",
    "source",
    "execution_id",
    "tick",
    "source_connection_id",
];

impl Weigh for ChannelEvent {
    fn weight(&self) -> usize {
        let metadata = &self.metadata;
        let texts = [
            Some(&*self.kind),
            self.id.as_deref(),
            metadata.source.as_deref(),
            metadata.execution_id.as_deref(),
            metadata.source_connection_id.as_deref(),
            self.request_id.as_deref(),
        ];
        let texts: usize = texts.into_iter().flatten().map(str::len).sum();
        let extra = metadata.extra.iter();
        let extra = extra.map(|(name, value)| name.len() + value.footprint());
        size_of::<Self>()
            + self.payload.footprint()
            + self.target.as_ref().map_or(0, Value::footprint)
            + texts
            + extra.sum::<usize>()
    }
}

impl ChannelEvent {
    /// An event of a type with data; the rest is set with `..` or field by field.
    pub fn new(kind: impl Into<String>, payload: Value) -> Self {
        Self {
            kind: kind.into(),
            id: None,
            channel: Arc::from(""),
            payload,
            metadata: ChannelMetadata::default(),
            target: None,
            request_id: None,
        }
    }

    /// Identity of the request whose Context published it, if one did: where it is sent on, as what
    /// belongs to that request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// A request that is answered by a response with the same id.
    pub fn request(id: impl Into<String>, payload: Value) -> Self {
        Self {
            id: Some(id.into()),
            ..Self::new(REQUEST, payload)
        }
    }

    /// The response to the request `id`.
    pub fn response(id: impl Into<String>, payload: Value) -> Self {
        Self {
            id: Some(id.into()),
            ..Self::new(RESPONSE, payload)
        }
    }

    /// The response to `request`; one that came in by a connection is answered there.
    ///
    /// # Errors
    ///
    /// `invalid_args` for an event without an id, which nobody can wait for.
    pub fn answering(request: &Self, payload: Value) -> Result<Self> {
        let id = request.id.clone().ok_or_else(|| {
            let message = format!("an event of the type `{:.40}` has no `id`", request.kind);
            Error::invalid_args(message).with_hint("respond to an event of the type `request`")
        })?;
        let asker = request.metadata.source_connection_id.clone();
        let target = asker.map(|it| Value::map([("connection_id", Value::from(it))]));
        Ok(Self {
            target,
            ..Self::response(id, payload)
        })
    }

    /// As [`ChannelEvent::answering`], for a request as scripts and programs have it: the event as
    /// data, or its id.
    ///
    /// # Errors
    ///
    /// Those of [`ChannelEvent::from_value`] and [`ChannelEvent::answering`].
    pub fn answering_value(request: &Value, payload: Value) -> Result<Self> {
        match request {
            Value::String(id) => Ok(Self::response(id, payload)),
            event => Self::answering(&Self::from_value(event)?, payload),
        }
    }

    /// An event that a script or a program describes: by its type, with `payload` and `options`
    /// (`id`, `metadata`, `target`), or whole as a table.
    ///
    /// # Errors
    ///
    /// Those of [`ChannelEvent::from_value`].
    pub fn describe(event: Value, payload: Value, options: Map) -> Result<Self> {
        let Value::String(kind) = event else {
            if payload.is_null() && options.is_empty() {
                return Self::from_value(&event);
            }
            return Err(Error::invalid_args("an event is given whole and in parts")
                .with_hint("write `publish(\"update\", payload)` or `publish({type = …})`"));
        };
        let mut whole = options;
        whole.insert("type".to_owned(), Value::String(kind));
        whole.insert("payload".to_owned(), payload);
        Self::from_value(&Value::Map(whole))
    }

    /// The connection it is for alone.
    pub fn target_connection(&self) -> Option<&str> {
        self.target.as_ref()?.get("connection_id")?.as_str()
    }

    /// Reads `{type, id?, payload?, metadata?, target?}`; a channel in it is not read.
    ///
    /// # Errors
    ///
    /// `invalid_args`, naming the member that is missing, unknown or of the wrong type.
    pub fn from_value(value: &Value) -> Result<Self> {
        let map = value
            .as_map()
            .ok_or_else(|| wrong("event", "a table", value))?;
        let known = ["type", "id", "channel", "payload", "metadata", "target"];
        if let Some(unknown) = map.keys().find(|key| !known.contains(&key.as_str())) {
            let message = format!("an event of a channel has no member `{unknown:.40}`");
            return Err(Error::invalid_args(message).with_hint(
                "its members are `type`, `id`, `payload`, `metadata` and `target`; the data \
                 belongs into `payload`",
            ));
        }
        let kind = text(map, "type")?.unwrap_or_default();
        if kind.is_empty() || kind.len() > KIND_BYTES_MAX {
            let message = "the `type` of an event of a channel is missing, empty or too long";
            return Err(Error::invalid_args(message)
                .with_hint("say what it is, such as `update`, `request` or `response`"));
        }
        let metadata = match given(map, "metadata") {
            Some(metadata) => ChannelMetadata::from_value(metadata)?,
            None => ChannelMetadata::default(),
        };
        let target = given(map, "target");
        if let Some(target) = target.filter(|it| it.as_map().is_none()) {
            return Err(wrong("target", "a table", target));
        }
        Ok(Self {
            id: text(map, "id")?,
            payload: map.get("payload").cloned().unwrap_or_default(),
            metadata,
            target: target.cloned(),
            ..Self::new(kind, Value::Null)
        })
    }

    /// The event as scripts and programs see it.
    pub fn to_value(&self) -> Value {
        Value::map([
            ("type", Value::from(self.kind.as_str())),
            ("id", Value::from(self.id.clone())),
            ("channel", Value::from(&*self.channel)),
            ("payload", self.payload.clone()),
            ("metadata", self.metadata.to_value()),
            ("target", Value::from(self.target.clone())),
        ])
    }
}

impl ChannelMetadata {
    fn from_value(value: &Value) -> Result<Self> {
        let map = value
            .as_map()
            .ok_or_else(|| wrong("metadata", "a table", value))?;
        let tick = match given(map, "tick") {
            Some(tick) => {
                let number = tick.as_i64().and_then(|it| u64::try_from(it).ok());
                Some(number.ok_or_else(|| wrong("metadata.tick", "a whole number from 0", tick))?)
            }
            None => None,
        };
        let others = map
            .iter()
            .filter(|(key, _)| !FIELDS.contains(&key.as_str()));
        Ok(Self {
            // The channel says when.
            timestamp: None,
            source: text(map, "source")?,
            execution_id: text(map, "execution_id")?,
            tick,
            source_connection_id: text(map, "source_connection_id")?,
            extra: others
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        })
    }

    /// The metadata as scripts and programs see it; `timestamp` is in seconds since 1970-01-01
    /// UTC. What is not known is left out.
    fn to_value(&self) -> Value {
        let known = [
            ("timestamp", Value::from(self.timestamp.map(seconds))),
            ("source", Value::from(self.source.clone())),
            ("execution_id", Value::from(self.execution_id.clone())),
            ("tick", Value::from(self.tick)),
            (
                "source_connection_id",
                Value::from(self.source_connection_id.clone()),
            ),
        ];
        let known = known.into_iter().filter(|(_, value)| !value.is_null());
        let known = known.map(|(key, value)| (key.to_owned(), value));
        let others = self
            .extra
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()));
        Value::Map(known.chain(others).collect())
    }
}

fn given<'a>(map: &'a Map, key: &str) -> Option<&'a Value> {
    map.get(key).filter(|it| !it.is_null())
}

fn text(map: &Map, key: &str) -> Result<Option<String>> {
    match given(map, key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong(key, "a text", other)),
    }
}

fn wrong(what: &str, expected: &str, found: &Value) -> Error {
    let message = format!(
        "`{what}` of an event of a channel is {expected}, not {}",
        found.type_name()
    );
    Error::invalid_args(message)
        .with_hint("write it as {type = \"update\", payload = …, id = …, metadata = {…}}")
}

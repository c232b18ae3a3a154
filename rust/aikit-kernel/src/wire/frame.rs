//! A message as frames: identities, delimiter, signature, four JSON frames, buffers.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aikit_core::{
    Error, ErrorKind, Result,
    clock::{Clock, iso8601},
};
use bytes::Bytes;
use hmac::{Hmac, Mac};
use serde::de::IgnoredAny;
use serde_json::error::Category;
use sha2::Sha256;

use super::{
    Content, Object,
    header::{Header, PROTOCOL_VERSION},
    status::{Failure, Refusal},
    surrogates,
};

const DELIMITER: &[u8] = b"<IDS|MSG>";
/// Signature, header, parent header, metadata and content.
const FRAMES_MIN: usize = 5;
const NOTHING: &[u8] = b"{}";
/// Deepest nesting of a content that the JSON reader takes.
const DEPTH_MAX: usize = 127;

/// First half of the SHA-256 of a message: enough to recognise a repetition.
pub type Digest = u128;

/// A message that was read, its signature checked.
#[derive(Debug)]
pub struct Incoming {
    /// Who sent it, as the ROUTER socket says.
    pub identities: Vec<Bytes>,
    /// Its header.
    pub header: Header,
    /// Its header byte for byte, to be repeated as `parent_header` with the fields of others.
    pub raw_header: Bytes,
    /// Header of the message it answers, byte for byte.
    pub raw_parent: Bytes,
    /// Its content; an error of kind `protocol` when it does not fit its `msg_type`.
    pub content: Result<Content>,
    /// What tells it from every other message; absent without a key.
    pub digest: Option<Digest>,
    /// The bytes of all its frames.
    pub size: usize,
}

impl Incoming {
    /// The `msg_id` of the message this one answers, if it answers one.
    pub fn parent_id(&self) -> Option<String> {
        message_id(&self.raw_parent)
    }
}

/// The `msg_id` of a header, if it has one.
pub fn message_id(raw_header: &[u8]) -> Option<String> {
    let header: Object = serde_json::from_slice(raw_header).ok()?;
    Some(header.get("msg_id")?.as_str()?.to_owned())
}

/// Writes and reads messages: the key, and what our headers say of us.
pub struct Codec {
    mac: Option<Hmac<Sha256>>,
    clock: Arc<dyn Clock>,
    session: String,
    sent: AtomicU64,
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("signs", &self.mac.is_some())
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

impl Codec {
    /// Makes a codec of its own session; an empty `key` neither signs nor checks.
    pub fn new(key: &str, clock: Arc<dyn Clock>) -> Self {
        let mac = (!key.is_empty()).then(|| {
            #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
            Hmac::new_from_slice(key.as_bytes()).expect("a key of any length")
        });
        let session = clock.uuid().simple().to_string();
        Self {
            mac,
            clock,
            session,
            sent: AtomicU64::new(0),
        }
    }

    /// Identity of this process in its headers.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Writes a message for `identities` that answers `parent`, given byte for byte.
    pub fn encode(&self, identities: &[Bytes], parent: &Bytes, content: &Content) -> Outgoing {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let header = Header {
            msg_id: format!("{}_{number}", self.session),
            msg_type: content.msg_type().to_owned(),
            session: self.session.clone(),
            username: "aikit".to_owned(),
            date: iso8601(self.clock.now()),
            version: PROTOCOL_VERSION.to_owned(),
            subshell_id: None,
        };
        // A header is strings, and a content that cannot be JSON does not exist.
        let raw_header = serde_json::to_vec(&header).unwrap_or_default();
        let buffers = content.buffers();
        let content = content.to_bytes().unwrap_or_else(|_| NOTHING.to_vec());
        let parent = if parent.is_empty() {
            Bytes::from_static(NOTHING)
        } else {
            parent.clone()
        };
        let parts = [
            raw_header.into(),
            parent,
            Bytes::from_static(NOTHING),
            content.into(),
        ];
        let mut frames = identities.to_vec();
        frames.push(Bytes::from_static(DELIMITER));
        frames.push(self.sign(&parts).into());
        frames.extend(parts);
        frames.extend_from_slice(buffers);
        Outgoing {
            msg_id: header.msg_id,
            frames,
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    ///
    /// `protocol` when a frame is missing, the signature is wrong, or a frame is not JSON. A
    /// content that is JSON of the wrong shape is no such error: the sender gets an answer.
    pub fn decode(&self, frames: Vec<Bytes>) -> Result<Incoming> {
        let size = frames.iter().map(Bytes::len).sum();
        let Some(delimiter) = frames.iter().position(|frame| frame == DELIMITER) else {
            return Err(malformed("a message has no delimiter `<IDS|MSG>`"));
        };
        let mut identities = frames;
        let mut rest = identities.split_off(delimiter);
        if rest.len() <= FRAMES_MIN {
            return Err(malformed("a message is too short"));
        }
        let buffers = rest.split_off(FRAMES_MIN + 1);
        let parts: [Bytes; 4] = rest
            .split_off(2)
            .try_into()
            .map_err(|_| malformed("a message is too short"))?;
        let digest = self.verify(&rest[1], &parts)?;
        let [raw_header, raw_parent, metadata, content] = parts;
        for frame in [&raw_header, &raw_parent, &metadata, &content] {
            // The JSON reader does not look into strings which it skips.
            std::str::from_utf8(frame)
                .map_err(|error| malformed("a message is not UTF-8").with_source(error))?;
        }
        for (name, frame) in [
            ("header", &raw_header),
            ("parent header", &raw_parent),
            ("metadata", &metadata),
        ] {
            serde_json::from_slice::<IgnoredAny>(frame).map_err(|error| {
                malformed(format!("the {name} of a message is not JSON")).with_source(error)
            })?;
            if !is_dictionary(frame) {
                return Err(malformed(format!(
                    "the {name} of a message is no dictionary"
                )));
            }
        }
        let header: Header =
            read(&raw_header, |json| serde_json::from_slice(json)).map_err(|error| {
                malformed("the header of a message is not valid").with_source(error)
            })?;
        let content = match read(&content, |json| Content::parse(&header.msg_type, json)) {
            Ok(_) if !is_dictionary(&content) => {
                let error = serde::de::Error::custom("expected a dictionary");
                Err(misfit(&header, &error))
            }
            Ok(mut content) => {
                content.set_buffers(buffers);
                Ok(content)
            }
            Err(error) if error.classify() == Category::Data => Err(misfit(&header, &error)),
            // JSON all the same, whose sender waits for an answer: nested too deep, or with a number
            // that is out of range.
            Err(error) if serde_json::from_slice::<IgnoredAny>(&content).is_ok() => {
                Err(misfit(&header, &error))
            }
            Err(error) => {
                return Err(malformed("the content of a message is not JSON").with_source(error));
            }
        };
        Ok(Incoming {
            identities,
            header,
            raw_header,
            raw_parent,
            content,
            digest,
            size,
        })
    }

    fn sign(&self, parts: &[Bytes; 4]) -> String {
        use fmt::Write as _;
        let Some(mac) = &self.mac else {
            return String::new();
        };
        let mut mac = mac.clone();
        for part in parts {
            mac.update(part);
        }
        let mut hex = String::with_capacity(64);
        for byte in mac.finalize().into_bytes() {
            // Writing to a string cannot fail.
            let _infallible = write!(hex, "{byte:02x}");
        }
        hex
    }

    fn verify(&self, signature: &[u8], parts: &[Bytes; 4]) -> Result<Option<Digest>> {
        let Some(mac) = &self.mac else {
            return Ok(None);
        };
        let wrong = || malformed("a message has a wrong signature");
        let digest = unhex(signature).ok_or_else(wrong)?;
        let mut mac = mac.clone();
        for part in parts {
            mac.update(part);
        }
        // Compares in constant time.
        mac.verify_slice(&digest).map_err(|_| wrong())?;
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Ok(Some(u128::from_be_bytes(half)))
    }
}

/// A message to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its `msg_id`, for matching answers.
    pub msg_id: String,
    /// Its frames, identities first.
    pub frames: Vec<Bytes>,
}

/// The answer to a request of type `request_type` that failed as such.
pub fn refusal(request_type: &str, error: &Error) -> Content {
    let stem = request_type
        .strip_suffix("_request")
        .unwrap_or(request_type);
    let content = serde_json::to_value(Refusal::Error(Failure::from(error)));
    let content = content.ok().and_then(|json| json.as_object().cloned());
    Content::Unknown {
        msg_type: format!("{stem}_reply"),
        content: content.unwrap_or_default(),
    }
}

fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Protocol, message)
        .with_hint("check that the client read the same connection file")
}

fn misfit(header: &Header, error: &serde_json::Error) -> Error {
    let msg_type = &header.msg_type;
    if error.to_string().starts_with("recursion limit") {
        let message = format!("the content of `{msg_type}` is nested more than {DEPTH_MAX} deep");
        let hint = "send deep data as text, and read it in the cell";
        return Error::new(ErrorKind::Protocol, message).with_hint(hint);
    }
    let message = format!("the content of `{msg_type}` is wrong: {error}");
    let hint = "see the Jupyter messaging specification, version 5.5";
    Error::new(ErrorKind::Protocol, message).with_hint(hint)
}

/// Reads JSON, and once more without half code points when they are what is wrong with it.
fn read<T>(json: &[u8], parse: impl Fn(&[u8]) -> serde_json::Result<T>) -> serde_json::Result<T> {
    match parse(json) {
        Err(error) if error.is_syntax() => match surrogates::replaced(json) {
            Some(mended) => parse(&mended),
            None => Err(error),
        },
        read => read,
    }
}

/// Whether JSON is an object. The reader also takes a list for the fields of a struct, in order.
fn is_dictionary(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{")
}

fn unhex(text: &[u8]) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use aikit_core::clock::SystemClock;

    use super::*;
    use crate::wire::lifecycle::ShutdownRequest;

    fn codec() -> Codec {
        Codec::new("key", Arc::new(SystemClock))
    }

    fn frames(codec: &Codec) -> Vec<Bytes> {
        let content = Content::from(ShutdownRequest { restart: true });
        let parent = Bytes::from_static(br#"{"msg_id":"m","odd":[1 ,2]}"#);
        codec
            .encode(&[Bytes::from_static(b"me")], &parent, &content)
            .frames
    }

    #[test]
    fn a_message_survives_its_frames() {
        let codec = codec();
        let message = codec.decode(frames(&codec)).unwrap();
        assert_eq!(message.identities, ["me"]);
        assert_eq!(message.header.msg_type, "shutdown_request");
        assert_eq!(message.raw_parent, r#"{"msg_id":"m","odd":[1 ,2]}"#);
        assert_eq!(message.parent_id().as_deref(), Some("m"));
        let content = message.content.unwrap();
        assert_eq!(content, ShutdownRequest { restart: true }.into());
    }

    #[test]
    fn a_changed_frame_is_refused() {
        let codec = codec();
        for index in 2..7 {
            let mut frames = frames(&codec);
            let mut bytes = frames[index].to_vec();
            bytes[0] ^= 1;
            frames[index] = bytes.into();
            let error = codec.decode(frames).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "frame {index}");
        }
    }

    #[test]
    fn a_message_without_any_of_its_frames_is_refused() {
        let codec = codec();
        for length in 0..7 {
            let mut frames = frames(&codec);
            frames.truncate(length);
            assert!(codec.decode(frames).is_err(), "{length} frames");
        }
    }

    #[test]
    fn frames_that_are_not_json_are_refused() {
        let codec = codec();
        for index in 3..7 {
            for junk in [&b"nonsense"[..], b"\xff\xfe", b"{\"a\":\"\xff\"}"] {
                let mut frames = frames(&codec);
                frames[index] = Bytes::from_static(junk);
                let parts = [3, 4, 5, 6].map(|part: usize| frames[part].clone());
                frames[2] = codec.sign(&parts).into();
                assert!(codec.decode(frames).is_err(), "frame {index} as {junk:?}");
            }
        }
    }

    #[test]
    fn half_a_code_point_is_replaced() {
        let codec = codec();
        let mut frames = frames(&codec);
        let header = br#"{"msg_id":"m","msg_type":"is_complete_request","username":"\ud83d"}"#;
        frames[3] = Bytes::from_static(header);
        frames[6] = Bytes::from_static(br#"{"code":"x = '\ud83d'"}"#);
        let parts = [3, 4, 5, 6].map(|part: usize| frames[part].clone());
        frames[2] = codec.sign(&parts).into();
        let message = codec.decode(frames).unwrap();
        assert_eq!(message.header.username, "\u{fffd}");
        assert_eq!(message.raw_header, &header[..]);
        let content = message.content.unwrap().to_bytes().unwrap();
        assert_eq!(content, "{\"code\":\"x = '\u{fffd}'\"}".as_bytes());
    }

    #[test]
    fn a_list_is_no_dictionary() {
        let codec = codec();
        let header = br#"["m","shutdown_request","s","u","2026-01-01T00:00:00Z","5.5"]"#;
        for (index, list) in [(3, &header[..]), (4, b"[]"), (5, b"[]"), (6, b"[true]")] {
            let mut frames = frames(&codec);
            frames[index] = Bytes::from_static(list);
            let parts = [3, 4, 5, 6].map(|part: usize| frames[part].clone());
            frames[2] = codec.sign(&parts).into();
            let read = codec.decode(frames).and_then(|message| message.content);
            assert!(read.is_err(), "frame {index}");
        }
    }

    #[test]
    fn a_content_of_the_wrong_shape_is_an_error_of_the_content() {
        let codec = codec();
        let mut frames = frames(&codec);
        frames[6] = Bytes::from_static(br#"{"restart":"yes"}"#);
        let parts = [3, 4, 5, 6].map(|part: usize| frames[part].clone());
        frames[2] = codec.sign(&parts).into();
        let error = codec.decode(frames).unwrap().content.unwrap_err();
        assert!(error.message().contains("`shutdown_request`"), "{error}");
    }

    #[test]
    fn a_content_that_is_json_and_cannot_be_held_is_an_error_of_the_content() {
        let codec = codec();
        let read = |content: String| {
            let mut frames = frames(&codec);
            let header = br#"{"msg_id":"m","msg_type":"execute_request"}"#;
            frames[3] = Bytes::from_static(header);
            frames[6] = content.into();
            let parts = [3, 4, 5, 6].map(|part: usize| frames[part].clone());
            frames[2] = codec.sign(&parts).into();
            codec.decode(frames).unwrap().content
        };
        let nested = |depth: usize| {
            let inner = depth - 2;
            let (open, close) = ("[".repeat(inner), "]".repeat(inner));
            read(format!(
                r#"{{"code":"x","user_expressions":{{"a":{open}{close}}}}}"#
            ))
        };
        assert!(nested(DEPTH_MAX).is_ok());
        for depth in [DEPTH_MAX + 1, 200_000] {
            let error = nested(depth).unwrap_err();
            assert!(error.message().contains("more than 127 deep"), "{error}");
        }
        let far = read(r#"{"code":"x","user_expressions":{"a":1e999}}"#.to_owned());
        let error = far.unwrap_err();
        assert!(error.message().contains("out of range"), "{error}");
    }
}

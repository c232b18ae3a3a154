//! ZMTP 3.0 with the NULL mechanism, the side that was connected to: greeting, READY, frames.
//!
//! Specification: <https://rfc.zeromq.org/spec/23/>. A peer may be newer; it then speaks 3.0 too,
//! and its 3.1 commands SUBSCRIBE, CANCEL and PING are understood all the same. Nothing here
//! trusts the peer: every length is checked before memory is taken for it.

use std::{io, pin::Pin, sync::Arc};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::strangers::Stranger;

/// Reading half of a connection.
pub(super) type Reader = Pin<Box<dyn AsyncRead + Send>>;
/// Writing half of a connection.
pub(super) type Writer = Pin<Box<dyn AsyncWrite + Send>>;

const GREETING_BYTES: usize = 64;
const VERSION_MAJOR: u8 = 3;
const FLAG_MORE: u8 = 1;
const FLAG_LONG: u8 = 2;
const FLAG_COMMAND: u8 = 4;
/// Frames of one message: identities, seven of Jupyter, and buffers.
const FRAMES_MAX: usize = 1 << 12;
/// Largest command, READY included.
const COMMAND_BYTES_MAX: usize = 1 << 14;
/// How much is asked of the operating system at once. Frames that fit are copied, so that one does
/// not keep alive all that came with it; larger ones are read into memory of their own.
const READ_BYTES: usize = 1 << 14;
/// What a frame costs beside its bytes: its entry in a list, and what an allocator adds.
const FRAME_COST_BYTES: usize = 128;

/// What a socket is to its peers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Role {
    /// Its own socket type.
    pub(super) name: &'static str,
    /// Socket types that may connect.
    pub(super) peers: &'static [&'static str],
    /// Largest message, all frames together.
    pub(super) message_bytes_max: usize,
}

/// What a peer sends after the handshake.
#[derive(Debug)]
pub(super) enum Received {
    /// A message.
    Message(Vec<Bytes>),
    /// A command by name, with what follows the name.
    Command(Bytes, Bytes),
}

/// The reading side after the handshake; safe to cancel between two polls.
pub(super) struct MessageReader {
    stream: Reader,
    buffer: BytesMut,
    /// A frame that does not fit the buffer.
    large: Option<LargeFrame>,
    frames: Vec<Bytes>,
    message_bytes: usize,
    message_bytes_max: usize,
    stranger: Arc<Stranger>,
}

struct LargeFrame {
    flags: u8,
    length: usize,
    bytes: Vec<u8>,
}

impl MessageReader {
    /// The next message or command; `None` when the peer left.
    ///
    /// # Errors
    ///
    /// When the connection breaks, or the peer breaks the protocol or a limit.
    pub(super) async fn next(&mut self) -> io::Result<Option<Received>> {
        loop {
            while let Some((flags, frame)) = self.take_frame()? {
                if flags & FLAG_COMMAND != 0 {
                    return command(frame).map(Some);
                }
                self.message_bytes += frame.len();
                self.frames.push(frame);
                if flags & FLAG_MORE == 0 {
                    self.message_bytes = 0;
                    return Ok(Some(Received::Message(std::mem::take(&mut self.frames))));
                }
                if self.frames.len() >= FRAMES_MAX {
                    return Err(broken("too many frames"));
                }
            }
            self.reserve();
            // Counted before more is read, so that nothing is read beyond the budget.
            self.stranger.keep(self.kept());
            self.stranger.room().await;
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    /// Memory that is taken for what is not whole yet.
    fn kept(&self) -> usize {
        let large = self.large.as_ref().map_or(0, |it| it.bytes.capacity());
        let frames = self.message_bytes + self.frames.len() * FRAME_COST_BYTES;
        frames + large + self.buffer.capacity()
    }

    /// Makes room for the next read: it grows with what arrived, not with what a peer announces.
    fn reserve(&mut self) {
        match &mut self.large {
            Some(LargeFrame { length, bytes, .. }) => {
                if bytes.len() == bytes.capacity() {
                    let wanted = (2 * bytes.len()).clamp(READ_BYTES, *length);
                    bytes.reserve_exact(wanted - bytes.len());
                }
            }
            None => self.buffer.reserve(READ_BYTES),
        }
    }

    /// Reads once; whether something came.
    async fn fill(&mut self) -> io::Result<bool> {
        let count = match &mut self.large {
            Some(LargeFrame { length, bytes, .. }) => {
                let missing = *length - bytes.len();
                let mut limited = bytes.limit(missing.min(bytes.capacity() - bytes.len()));
                self.stream.read_buf(&mut limited).await?
            }
            None => self.stream.read_buf(&mut self.buffer).await?,
        };
        Ok(count > 0)
    }

    fn take_frame(&mut self) -> io::Result<Option<(u8, Bytes)>> {
        if self.large.is_some() {
            let whole = self.large.take_if(|it| it.bytes.len() == it.length);
            return Ok(whole.map(|it| (it.flags, it.bytes.into())));
        }
        let Some((flags, head, length)) = frame_head(&self.buffer) else {
            return Ok(None);
        };
        let left = self.message_bytes_max - self.message_bytes;
        let limit = if flags & FLAG_COMMAND != 0 {
            COMMAND_BYTES_MAX
        } else {
            left
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > limit {
            return Err(broken("a frame is too large"));
        }
        if length <= READ_BYTES {
            let Some(frame) = self.buffer.get(head..head + length) else {
                return Ok(None);
            };
            let frame = Bytes::copy_from_slice(frame);
            self.buffer.advance(head + length);
            return Ok(Some((flags, frame)));
        }
        self.buffer.advance(head);
        let arrived = self.buffer.len().min(length);
        let bytes = self.buffer.split_to(arrived).to_vec();
        self.large = Some(LargeFrame {
            flags,
            length,
            bytes,
        });
        self.take_frame()
    }
}

/// Greets a peer and returns the reader and what the peer calls itself (empty: nothing).
///
/// # Errors
///
/// When the connection breaks, or the peer speaks another protocol, mechanism or socket type.
pub(super) async fn shake_hands(
    mut stream: Reader,
    writer: &mut Writer,
    role: Role,
    stranger: Arc<Stranger>,
) -> io::Result<(MessageReader, Bytes)> {
    // Sent whole at once: a peer of version 3 waits for nothing in between.
    writer.write_all(&greeting()).await?;
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    while buffer.len() < GREETING_BYTES {
        // Refused as soon as it shows, or a peer of version 2 would wait for us, and we for it.
        check_greeting(&buffer)?;
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(broken("the peer left"));
        }
    }
    check_greeting(&buffer)?;
    buffer.advance(GREETING_BYTES);
    writer.write_all(&ready(role.name)).await?;
    let (frames, message_bytes, message_bytes_max) = (Vec::new(), 0, role.message_bytes_max);
    let mut reader = MessageReader {
        stream,
        buffer,
        large: None,
        frames,
        message_bytes,
        message_bytes_max,
        stranger,
    };
    match reader.next().await? {
        Some(Received::Command(name, properties)) if name == "READY" => {
            let (socket_type, identity) = read_properties(properties)?;
            if !role.peers.iter().any(|peer| socket_type == peer.as_bytes()) {
                return Err(broken("the socket types do not fit"));
            }
            Ok((reader, identity))
        }
        _ => Err(broken("the peer did not say READY")),
    }
}

/// A message as it goes over the wire; the same for every peer.
pub(super) fn encode(frames: &[Bytes]) -> Bytes {
    let size = frames.iter().map(|frame| frame.len() + 9).sum();
    let mut bytes = BytesMut::with_capacity(size);
    for (index, frame) in frames.iter().enumerate() {
        let more = if index + 1 < frames.len() {
            FLAG_MORE
        } else {
            0
        };
        put_frame(&mut bytes, more, frame);
    }
    bytes.freeze()
}

/// The answer to a PING, whose `body` is a time to live of two bytes and a context to repeat.
pub(super) fn pong(body: &[u8]) -> Bytes {
    let mut command = b"\x04PONG".to_vec();
    command.extend_from_slice(body.get(2..).unwrap_or_default());
    let mut bytes = BytesMut::new();
    put_frame(&mut bytes, FLAG_COMMAND, &command);
    bytes.freeze()
}

fn greeting() -> [u8; GREETING_BYTES] {
    let mut bytes = [0; GREETING_BYTES];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = VERSION_MAJOR;
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

fn check_greeting(bytes: &[u8]) -> io::Result<()> {
    let has = |index: usize, wanted: fn(u8) -> bool| bytes.get(index).is_none_or(|it| wanted(*it));
    if !has(0, |byte| byte == 0xff) || !has(9, |byte| byte & 1 == 1) {
        return Err(broken("the peer does not speak ZMTP"));
    }
    if !has(10, |byte| byte >= VERSION_MAJOR) {
        return Err(broken("the peer speaks ZMTP older than 3.0"));
    }
    let mechanism = bytes.get(12..32);
    if mechanism.is_some_and(|it| it[..4] != *b"NULL" || it[4..] != [0; 16]) {
        return Err(broken("the peer wants another mechanism than NULL"));
    }
    Ok(())
}

fn ready(socket_type: &str) -> Bytes {
    let mut command = b"\x05READY\x0bSocket-Type\0\0\0".to_vec();
    // A socket type is a handful of letters.
    command.push(u8::try_from(socket_type.len()).unwrap_or(0));
    command.extend_from_slice(socket_type.as_bytes());
    let mut bytes = BytesMut::new();
    put_frame(&mut bytes, FLAG_COMMAND, &command);
    bytes.freeze()
}

fn command(mut frame: Bytes) -> io::Result<Received> {
    let length = usize::from(frame.first().copied().unwrap_or(0));
    if length == 0 || frame.len() <= length {
        return if length > 0 && frame.len() == length + 1 {
            Ok(Received::Command(frame.split_off(1), Bytes::new()))
        } else {
            Err(broken("a command has no name"))
        };
    }
    frame.advance(1);
    let name = frame.split_to(length);
    Ok(Received::Command(name, frame))
}

/// Socket type and identity of READY's properties: name length, name, value length, value.
fn read_properties(mut bytes: Bytes) -> io::Result<(Bytes, Bytes)> {
    let short = || broken("READY is cut short");
    let (mut socket_type, mut identity) = (Bytes::new(), Bytes::new());
    while !bytes.is_empty() {
        let name_length = usize::from(bytes.get_u8());
        if bytes.len() < name_length + 4 {
            return Err(short());
        }
        let name = bytes.split_to(name_length);
        let value_length = usize::try_from(bytes.get_u32()).map_err(|_| short())?;
        if bytes.len() < value_length {
            return Err(short());
        }
        let value = bytes.split_to(value_length);
        if name.eq_ignore_ascii_case(b"socket-type") {
            socket_type = value;
        } else if name.eq_ignore_ascii_case(b"identity") {
            identity = value;
        }
    }
    if identity.len() > 255 {
        return Err(broken("an identity is longer than 255 bytes"));
    }
    // A copy: the command it is a part of need not be kept.
    Ok((socket_type, Bytes::copy_from_slice(&identity)))
}

/// Flags, length of the head, length of the body; `None` while the head is incomplete.
fn frame_head(bytes: &[u8]) -> Option<(u8, usize, u64)> {
    let flags = *bytes.first()?;
    if flags & FLAG_LONG == 0 {
        return Some((flags, 2, u64::from(*bytes.get(1)?)));
    }
    let length = bytes.get(1..9)?.try_into().ok()?;
    Some((flags, 9, u64::from_be_bytes(length)))
}

fn put_frame(bytes: &mut BytesMut, flags: u8, frame: &[u8]) {
    if let Ok(length) = u8::try_from(frame.len()) {
        bytes.put_slice(&[flags, length]);
    } else {
        bytes.put_u8(flags | FLAG_LONG);
        bytes.put_u64(frame.len() as u64);
    }
    bytes.put_slice(frame);
}

fn broken(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests;

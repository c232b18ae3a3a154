//! Frames and greetings, whole and in pieces, and what is no ZMTP.

use super::*;
use crate::socket::strangers::Strangers;

fn reader(bytes: &[u8]) -> MessageReader {
    MessageReader {
        stream: Box::pin(io::Cursor::new(bytes.to_vec())),
        buffer: BytesMut::new(),
        large: None,
        frames: Vec::new(),
        message_bytes: 0,
        message_bytes_max: 1000,
        stranger: Strangers::new(1 << 20).admit(0),
    }
}

fn read(bytes: &[u8]) -> io::Result<Option<Received>> {
    let mut reader = reader(bytes);
    aikit_core::io::wait(async move { reader.next().await }, || Ok(())).unwrap()
}

#[test]
fn what_is_encoded_is_read() {
    let frames = vec![
        Bytes::new(),
        Bytes::from(vec![7; 300]),
        Bytes::from_static(b"x"),
    ];
    match read(&encode(&frames)).unwrap() {
        Some(Received::Message(read)) => assert_eq!(read, frames),
        other => panic!("{other:?}"),
    }
}

/// Gives a byte a read.
struct Trickle(Vec<u8>, usize);

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<io::Result<()>> {
        if let Some(byte) = self.0.get(self.1).copied() {
            buffer.put_slice(&[byte]);
            self.1 += 1;
        }
        std::task::Poll::Ready(Ok(()))
    }
}

#[test]
fn small_frames_keep_nothing_else_alive_and_cost_more_than_their_bytes() {
    let frames = vec![Bytes::from_static(b"x"); 100];
    let bytes = encode(&frames);
    for (budget, fits) in [(100 * FRAME_COST_BYTES, false), (1 << 20, true)] {
        let strangers = Strangers::new(budget);
        let mut reader = reader(&[]);
        reader.stream = Box::pin(Trickle(bytes.to_vec(), 0));
        reader.stranger = strangers.admit(0);
        let stranger = Arc::clone(&reader.stranger);
        let read = aikit_core::io::wait(
            async move {
                tokio::select! {
                    biased;
                    () = stranger.has_to_go() => Ok(None),
                    read = reader.next() => read,
                }
            },
            || Ok(()),
        );
        match read.unwrap().unwrap() {
            Some(Received::Message(read)) if fits => {
                assert_eq!(read, frames);
                for frame in read {
                    assert_eq!(frame.try_into_mut().unwrap().capacity(), 1);
                }
            }
            None if !fits => {}
            other => panic!("{other:?} within {budget}"),
        }
    }
}

#[test]
fn a_large_frame_takes_no_more_memory_than_its_length() {
    for length in [READ_BYTES, READ_BYTES + 1, 3 * READ_BYTES + 7, 1 << 20] {
        let large = Bytes::from(vec![7; length]);
        let frames = vec![large, Bytes::from_static(b"end")];
        let mut reader = reader(&encode(&frames));
        reader.message_bytes_max = 1 << 21;
        reader.stranger = Strangers::new(1 << 21).admit(0);
        let read = async move { reader.next().await };
        match aikit_core::io::wait(read, || Ok(())).unwrap().unwrap() {
            Some(Received::Message(mut read)) => {
                assert_eq!(read, frames);
                let capacity = read.swap_remove(0).try_into_mut().unwrap().capacity();
                assert_eq!(capacity, length);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_announced_length_beyond_the_limit_ends_the_connection() {
    for length in [1001_u64, 1 << 45, 1 << 63, u64::MAX] {
        let mut bytes = vec![FLAG_LONG];
        bytes.extend_from_slice(&length.to_be_bytes());
        assert!(read(&bytes).is_err(), "{length}");
    }
    let large = Bytes::from(vec![0; 600]);
    assert!(
        read(&encode(&[large.clone(), large])).is_err(),
        "two frames are one message"
    );
}

#[test]
fn commands_have_a_name() {
    for (bytes, expected) in [
        (&b"\x04\x07\x04PINGab"[..], Some(("PING", "ab"))),
        (b"\x04\x05\x04PING", Some(("PING", ""))),
        (b"\x04\x00", None),
        (b"\x04\x01\x05", None),
        (b"\x04\x03\x05RE", None),
    ] {
        match (read(bytes), expected) {
            (Ok(Some(Received::Command(name, body))), Some(expected)) => {
                assert_eq!(
                    (&name[..], &body[..]),
                    (expected.0.as_bytes(), expected.1.as_bytes())
                );
            }
            (Err(_), None) => {}
            (read, expected) => panic!("{bytes:?}: {read:?}, not {expected:?}"),
        }
    }
}

#[test]
fn properties_cut_short_are_refused() {
    let whole = b"\x0bSocket-Type\x00\x00\x00\x03SUB\x08Identity\x00\x00\x00\x02me";
    let (socket_type, identity) = read_properties(Bytes::from_static(whole)).unwrap();
    assert_eq!((&socket_type[..], &identity[..]), (&b"SUB"[..], &b"me"[..]));
    for length in (1..whole.len()).filter(|length| *length != 19) {
        let cut = Bytes::copy_from_slice(&whole[..length]);
        assert!(read_properties(cut).is_err(), "{length} bytes");
    }
}

#[test]
fn other_protocols_are_refused_early() {
    for bytes in [
        &b"GET / HTTP/1.1"[..],
        b"\xff\0\0\0\0\0\0\0\0\x7f\x01",
        b"\0",
    ] {
        assert!(check_greeting(bytes).is_err(), "{bytes:?}");
    }
    assert!(check_greeting(&greeting()).is_ok());
}

#[test]
fn no_change_of_a_conversation_makes_the_reader_panic() {
    let message = encode(&[Bytes::from_static(b"a"), Bytes::from(vec![0; 300])]);
    let whole = [&greeting()[..], &ready("SUB"), &message].concat();
    let role = Role {
        name: "XPUB",
        peers: &["SUB"],
        message_bytes_max: 1000,
    };
    let read = move |bytes: Vec<u8>| async move {
        let mut writer: Writer = Box::pin(tokio::io::sink());
        let stream: Reader = Box::pin(io::Cursor::new(bytes));
        let stranger = Strangers::new(1 << 20).admit(0);
        let (mut reader, _) = shake_hands(stream, &mut writer, role, stranger).await?;
        while reader.next().await?.is_some() {}
        io::Result::Ok(())
    };
    let conversations = async move {
        for index in 0..whole.len() {
            for value in [0, 1, 2, 4, 6, 0x7f, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[index] = value;
                // Well or refused: it must come back.
                let _either = read(bytes).await;
            }
            let _either = read(whole[..index].to_vec()).await;
        }
        read(whole).await
    };
    aikit_core::io::wait(conversations, || Ok(()))
        .unwrap()
        .unwrap();
}

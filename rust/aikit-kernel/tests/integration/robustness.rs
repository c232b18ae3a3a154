//! What comes from outside and should not: the kernel lives and answers the next request.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use aikit_core::{clock::SystemClock, io};
use aikit_kernel::{
    client::Client,
    connection::SocketName,
    socket::client::Requests,
    wire::{Content, execute::ExecuteReply, frame::Codec, kernel_info::KernelInfoRequest},
};
use bytes::Bytes;

use crate::conversation::{Conversation, cell, ok, outline, talk};

const GREETING: &[u8] = b"\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// Greeting and READY of a peer of that socket type.
pub(crate) fn ready(kind: &[u8]) -> Vec<u8> {
    let mut command = b"\x04\x00\x05READY\x0bSocket-Type\0\0\0".to_vec();
    command.push(u8::try_from(kind.len()).unwrap());
    command.extend_from_slice(kind);
    command[1] = u8::try_from(command.len() - 2).unwrap();
    [GREETING, &command].concat()
}

#[test]
fn forged_short_and_malformed_messages_are_dropped() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let endpoint = conversation.connection.endpoint(SocketName::Shell);
        let mut stranger = Requests::connect(&endpoint, "stranger").await.unwrap();
        let forger = Codec::new("another key", Arc::new(SystemClock));
        let message = forger
            .encode(&[], &Bytes::new(), &cell("print forged").into())
            .frames;
        for length in 1..=message.len() {
            stranger.send(message[..length].to_vec()).await.unwrap();
        }
        let frames =
            |texts: &[&'static [u8]]| texts.iter().map(|it| Bytes::from_static(it)).collect();
        stranger.send(frames(&[b""])).await.unwrap();
        stranger
            .send(frames(&[
                b"\xff\xfe",
                b"<IDS|MSG>",
                b"\xff",
                b"",
                b"",
                b"",
                b"",
            ]))
            .await
            .unwrap();
        stranger
            .send(frames(&[b"<IDS|MSG>", b"", b"{", b"{", b"{", b"{"]))
            .await
            .unwrap();
        let heard = conversation.execute("print genuine").await;
        assert_eq!(heard.reply, ok(1));
        let expected = ["Busy", "execute_input", "stdout: genuine\n", "Idle"];
        assert_eq!(outline(&heard.broadcasts), expected);
    });
}

#[test]
fn a_replayed_message_runs_once_on_whichever_socket() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let connection = conversation.connection.clone();
        let codec = Codec::new(connection.key(), Arc::new(SystemClock));
        let recorded = codec
            .encode(&[], &Bytes::new(), &cell("print once").into())
            .frames;
        for name in [SocketName::Shell, SocketName::Control, SocketName::Shell] {
            let endpoint = connection.endpoint(name);
            let mut thief = Requests::connect(&endpoint, "thief").await.unwrap();
            thief.send(recorded.clone()).await.unwrap();
            if name == SocketName::Shell {
                // A second message of the same connection is read after the first.
                let marker = codec.encode(&[], &Bytes::new(), &KernelInfoRequest {}.into());
                thief.send(marker.frames).await.unwrap();
                while codec
                    .decode(thief.receive().await.unwrap())
                    .unwrap()
                    .parent_id()
                    != Some(marker.msg_id.clone())
                {}
            }
        }
        assert_eq!(conversation.execute("echo x").await.reply, ok(2));
    });
}

#[test]
fn the_parent_header_is_the_header_byte_for_byte() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let id = conversation
            .client
            .shell
            .send(KernelInfoRequest {})
            .await
            .unwrap();
        let reply = conversation.client.shell.receive().await.unwrap();
        let busy = conversation.client.iopub.receive().await.unwrap();
        assert_eq!(busy.parent_id(), Some(id));
        assert_eq!(busy.raw_parent, reply.raw_parent);
    });
}

#[test]
fn unknown_and_misshapen_requests_are_answered_with_an_error() {
    talk(async {
        let mut conversation = Conversation::start().await;
        for (msg_type, content, reason) in [
            ("make_tea_request", r#"{"milk":true}"#, "`make_tea_request`"),
            ("execute_request", r#"{"cod":"x"}"#, "`code`"),
            (
                "complete_request",
                r#"{"code":"x","cursor_pos":-1}"#,
                "`complete_request`",
            ),
            ("debug_request", "{}", "`debug_request`"),
        ] {
            let content = serde_json::from_str(content).unwrap();
            let content = Content::Unknown {
                msg_type: msg_type.to_owned(),
                content,
            };
            let id = conversation.client.shell.send(content).await.unwrap();
            let reply = conversation.client.shell.receive().await.unwrap();
            assert_eq!(reply.parent_id(), Some(id.clone()));
            assert_eq!(reply.header.msg_type, msg_type.replace("request", "reply"));
            let text = match reply.content {
                Ok(content) => String::from_utf8(content.to_bytes().unwrap()).unwrap(),
                // A reply whose shape is that of an error does not fit a reply that went well.
                Err(error) => error.to_string(),
            };
            assert!(text.contains(reason) || text.contains("wrong"), "{text}");
            assert_eq!(
                outline(&conversation.broadcasts(&id).await),
                ["Busy", "Idle"]
            );
        }
    });
}

#[test]
fn junk_on_every_socket_harms_nobody() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let connection = conversation.connection.clone();
        let attack = io::spawn_blocking(move || {
            let huge =
                |kind: &[u8]| [&ready(kind)[..], b"\x02\x00\x00\x20\x00\x00\x00\x00\x00x"].concat();
            let junk = [
                b"GET / HTTP/1.1\r\n\r\n".to_vec(),
                vec![0xff; 100],
                GREETING[..20].to_vec(),
                [GREETING, b"\x04\x06\x05READY"].concat(),
                [GREETING, b"\x04\x0b\x05READY\xff\xff\xff\xff\xff"].concat(),
                [GREETING, b"\x04\x00"].concat(),
                ready(b"PULL"),
                huge(b"DEALER"),
                huge(b"SUB"),
                huge(b"REQ"),
            ];
            for socket in SocketName::ALL {
                for bytes in &junk {
                    let address = ("127.0.0.1", connection.endpoint(socket).port);
                    let mut stream = TcpStream::connect(address)?;
                    // The kernel may have hung up before it was told everything.
                    let _refused = stream.write_all(bytes);
                    let _refused = stream.shutdown(std::net::Shutdown::Write);
                    let _refused = stream.read_to_end(&mut Vec::new());
                }
            }
            Ok(())
        });
        attack.await.unwrap();
        assert_eq!(conversation.execute("echo x").await.reply, ok(1));
        conversation.client.heartbeat.beat().await.unwrap();
    });
}

#[test]
fn a_stranger_who_says_nothing_delays_no_failed_cell() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let port = conversation.connection.endpoint(SocketName::Shell).port;
        let connecting = io::spawn_blocking(move || {
            let mut stranger = TcpStream::connect(("127.0.0.1", port))?;
            // The kernel's greeting: it has accepted the connection and waits for ours.
            stranger.read_exact(&mut [0; 64])?;
            stranger.set_nonblocking(true)?;
            Ok(stranger)
        });
        let mut stranger = connecting.await.unwrap();
        let reply = conversation.execute("fail x").await.reply;
        assert!(matches!(
            reply,
            Content::ExecuteReply(ExecuteReply::Error { .. })
        ));
        // The reply came before the kernel lost patience with the stranger.
        let read = stranger.read(&mut [0; 1]);
        assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn a_request_of_more_than_64_mib_is_refused_when_it_is_announced() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let connection = conversation.connection.clone();
        let attack = io::spawn_blocking(move || {
            for socket in [SocketName::Shell, SocketName::Control, SocketName::Stdin] {
                let port = connection.endpoint(socket).port;
                let mut stream = TcpStream::connect(("127.0.0.1", port))?;
                let announced = b"\x02\x00\x00\x00\x00\x04\x00\x00\x01";
                stream.write_all(&[&ready(b"DEALER")[..], announced].concat())?;
                // Only a kernel that waits for the rest lets this time pass.
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                let ended = stream.read_to_end(&mut Vec::new());
                let is_waiting = ended.is_err_and(|it| it.kind() == ErrorKind::WouldBlock);
                assert!(!is_waiting, "{socket:?}");
            }
            Ok(())
        });
        attack.await.unwrap();
        assert_eq!(conversation.execute("echo x").await.reply, ok(1));
    });
}

/// Shakes hands as a client, announces the largest message and sends 40 MiB of it.
fn send_most_of_a_message(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let announced = b"\x02\x00\x00\x00\x00\x04\x00\x00\x00";
    stream
        .write_all(&[&ready(b"DEALER")[..], announced].concat())
        .unwrap();
    // The kernel may hang up before it was told everything.
    let _refused = stream.write_all(&vec![0; 40 << 20]);
    stream
}

/// Whether the kernel still waits for the rest.
fn is_connected(stream: &mut TcpStream) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let ended = stream.read_to_end(&mut Vec::new());
    ended.is_err_and(|it| it.kind() == ErrorKind::WouldBlock)
}

#[test]
fn strangers_share_one_budget_and_clients_are_served() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let connection = conversation.connection.clone();
        let port = connection.endpoint(SocketName::Shell).port;
        let attack = io::spawn_blocking(move || {
            let mut strangers: Vec<_> = (0..8).map(|_| send_most_of_a_message(port)).collect();
            strangers.retain_mut(is_connected);
            Ok(strangers)
        });
        let staying = attack.await.unwrap();
        assert_eq!(
            staying.len(),
            1,
            "of two that sent 40 MiB the budget of 65 MiB sends one away"
        );
        // One that has sent nothing yet is served as well as one that is known.
        let codec = Codec::new(connection.key(), Arc::new(SystemClock));
        let endpoint = connection.endpoint(SocketName::Shell);
        let mut newcomer = Requests::connect(&endpoint, "newcomer").await.unwrap();
        let asked = codec.encode(&[], &Bytes::new(), &KernelInfoRequest {}.into());
        newcomer.send(asked.frames).await.unwrap();
        let reply = codec.decode(newcomer.receive().await.unwrap()).unwrap();
        assert_eq!(reply.parent_id(), Some(asked.msg_id));
        assert_eq!(conversation.execute("echo x").await.reply, ok(1));
        drop(staying);
    });
}

#[test]
fn a_client_that_is_known_sends_large_requests_beside_strangers() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let port = conversation.connection.endpoint(SocketName::Shell).port;
        assert_eq!(conversation.execute("echo x").await.reply, ok(1));
        let attack = io::spawn_blocking(move || Ok(send_most_of_a_message(port)));
        let mut stranger = attack.await.unwrap();
        let large = format!("clear {}", "x".repeat(50 << 20));
        assert_eq!(conversation.execute(&large).await.reply, ok(2));
        let asking = io::spawn_blocking(move || Ok(is_connected(&mut stranger)));
        assert!(asking.await.unwrap(), "the client's bytes are not counted");
    });
}

#[test]
fn a_client_is_served_although_strangers_take_every_place() {
    talk(async {
        let mut conversation = Conversation::start().await;
        assert_eq!(conversation.execute("echo x").await.reply, ok(1));
        let connection = conversation.connection.clone();
        let port = connection.endpoint(SocketName::Shell).port;
        let attack = io::spawn_blocking(move || {
            // Half of them say nothing, half shake hands.
            let connect = |index: usize| {
                let mut stream = TcpStream::connect(("127.0.0.1", port))?;
                // The kernel's greeting: it has accepted the connection.
                stream.read_exact(&mut [0; 64])?;
                if index.is_multiple_of(2) {
                    stream.write_all(&ready(b"DEALER"))?;
                }
                Ok(stream)
            };
            (0..300)
                .map(connect)
                .collect::<aikit_core::Result<Vec<_>>>()
        });
        let strangers = attack.await.unwrap();
        let codec = Codec::new(connection.key(), Arc::new(SystemClock));
        let endpoint = connection.endpoint(SocketName::Shell);
        let mut newcomer = Requests::connect(&endpoint, "newcomer").await.unwrap();
        let asked = codec.encode(&[], &Bytes::new(), &KernelInfoRequest {}.into());
        newcomer.send(asked.frames).await.unwrap();
        let reply = codec.decode(newcomer.receive().await.unwrap()).unwrap();
        assert_eq!(reply.parent_id(), Some(asked.msg_id));
        // Nor does one that is known make room.
        assert_eq!(conversation.execute("echo x").await.reply, ok(2));
        drop(strangers);
    });
}

/// A command of one frame with four bytes of length.
fn command(name: &[u8], body: &[u8]) -> Vec<u8> {
    let length = 1 + name.len() + body.len();
    let mut bytes = vec![6];
    bytes.extend_from_slice(&(length as u64).to_be_bytes());
    bytes.push(u8::try_from(name.len()).unwrap());
    [&bytes[..], name, body].concat()
}

/// Sends `bytes` again and again and reads nothing; whether the kernel ends the connection.
fn is_cut_off(port: u16, kind: &[u8], bytes: &[u8]) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(&ready(kind)).unwrap();
    // More than the operating system takes for us and the kernel keeps, by far.
    let repetitions = (64 << 20) / bytes.len();
    (0..repetitions).any(|_| stream.write_all(bytes).is_err())
}

#[test]
fn a_stranger_who_asks_and_never_reads_is_cut_off() {
    let ping = command(b"PING", &[0; 3000]);
    let topic = [b'x'; 3000];
    let turns = [command(b"SUBSCRIBE", &topic), command(b"CANCEL", &topic)].concat();
    let beat = [b"\x02\0\0\0\0\0\0\x0b\xb8", &topic[..]].concat();
    for (socket, kind, bytes) in [
        (SocketName::Shell, &b"DEALER"[..], &ping),
        (SocketName::Control, b"DEALER", &ping),
        (SocketName::Iopub, b"SUB", &ping),
        (SocketName::Iopub, b"SUB", &turns),
        (SocketName::Heartbeat, b"REQ", &beat),
    ] {
        let bytes = bytes.clone();
        talk(async move {
            let mut conversation = Conversation::start().await;
            let port = conversation.connection.endpoint(socket).port;
            let attack = io::spawn_blocking(move || Ok(is_cut_off(port, kind, &bytes)));
            assert!(attack.await.unwrap(), "{socket:?}");
            assert_eq!(conversation.execute("echo x").await.reply, ok(1));
        });
    }
}

#[test]
fn strangers_who_say_nothing_make_room_where_nothing_is_signed() {
    talk(async {
        let mut conversation = Conversation::start().await;
        conversation.client.heartbeat.beat().await.unwrap();
        let connection = conversation.connection.clone();
        let attack = io::spawn_blocking(move || {
            let connect = |index: usize| {
                let (socket, kind) = [
                    (SocketName::Iopub, &b"SUB"[..]),
                    (SocketName::Heartbeat, b"REQ"),
                ][index % 2];
                let port = connection.endpoint(socket).port;
                let mut stream = TcpStream::connect(("127.0.0.1", port))?;
                stream.write_all(&ready(kind))?;
                // The kernel's greeting and the begin of its READY: we have shaken hands.
                stream.read_exact(&mut [0; 66])?;
                Ok(stream)
            };
            (0..600)
                .map(connect)
                .collect::<aikit_core::Result<Vec<_>>>()
        });
        let strangers = attack.await.unwrap();
        let clock = Arc::new(SystemClock);
        let newcomer = Client::connect(&conversation.connection, clock).await;
        let mut newcomer = newcomer.unwrap();
        newcomer.heartbeat.beat().await.unwrap();
        let welcome = newcomer.iopub.receive().await.unwrap().content.unwrap();
        assert!(matches!(welcome, Content::IopubWelcome(_)));
        // Nor does a subscriber make room.
        let heard = conversation.execute("print x").await;
        assert_eq!(outline(&heard.broadcasts)[2], "stdout: x\n");
        drop(strangers);
    });
}

//! Subscribers: topics, the welcome, and those that do not read.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use aikit_core::{clock::SystemClock, io};
use aikit_kernel::{
    client::Client,
    connection::{ConnectionInfo, SocketName},
    wire::{Content, status::IopubWelcome},
};
use std::sync::Arc;

use crate::conversation::{Conversation, cell, ok, outline, talk};

const HANDSHAKE: &[u8] = b"\xff\0\0\0\0\0\0\0\0\x7f\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB";

/// A subscriber that speaks for itself; `subscription` is a frame.
fn subscribe(connection: &ConnectionInfo, subscription: &[u8]) -> TcpStream {
    let port = connection.endpoint(SocketName::Iopub).port;
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(HANDSHAKE).unwrap();
    stream.write_all(subscription).unwrap();
    // Our greeting and READY.
    let mut head = [0; 64 + 28];
    stream.read_exact(&mut head).unwrap();
    assert!(head.ends_with(b"XPUB"), "{head:?}");
    stream
}

#[test]
fn every_subscriber_is_welcomed() {
    talk(async {
        let conversation = Conversation::start().await;
        for _ in 0..3 {
            let client = Client::connect(&conversation.connection, Arc::new(SystemClock));
            let mut client = client.await.unwrap();
            let welcome = client.iopub.receive().await.unwrap().content.unwrap();
            assert_eq!(
                welcome,
                IopubWelcome {
                    subscription: String::new()
                }
                .into()
            );
        }
    });
}

#[test]
fn subscriptions_are_understood_in_both_versions_of_the_protocol() {
    for subscription in [&b"\x00\x07\x01status"[..], b"\x04\x10\x09SUBSCRIBEstatus"] {
        talk(async move {
            let conversation = Conversation::start().await;
            let connection = conversation.connection.clone();
            let welcome = io::spawn_blocking(move || {
                let mut stream = subscribe(&connection, subscription);
                let mut topic = [0; 8];
                stream.read_exact(&mut topic).unwrap();
                Ok(topic)
            });
            // More frames follow; the topic is the subscription.
            assert_eq!(&welcome.await.unwrap(), b"\x01\x06status");
        });
    }
}

#[test]
fn a_subscriber_gets_only_what_it_asked_for_and_pings_are_answered() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let connection = conversation.connection.clone();
        let stream = io::spawn_blocking(move || {
            let mut stream = subscribe(&connection, b"\x00\x08\x01nothing");
            let mut head = [0; 9];
            stream.read_exact(&mut head).unwrap();
            Ok(stream)
        });
        let mut stream = stream.await.unwrap();
        assert_eq!(conversation.execute("print a").await.reply, ok(1));
        let rest = io::spawn_blocking(move || {
            stream.write_all(b"\x04\x09\x04PING\0\x0aab").unwrap();
            let mut rest = Vec::new();
            let mut byte = [0; 1];
            while !rest.ends_with(b"\x04\x07\x04PONGab") {
                stream.read_exact(&mut byte).unwrap();
                rest.push(byte[0]);
            }
            Ok(rest)
        });
        let rest = rest.await.unwrap();
        let text = String::from_utf8_lossy(&rest);
        assert!(
            text.contains("iopub_welcome") && !text.contains("execute_input"),
            "{text}"
        );
    });
}

#[test]
fn a_subscriber_that_never_reads_is_disconnected_and_slows_nobody() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let connection = conversation.connection.clone();
        let stuck = io::spawn_blocking(move || Ok(subscribe(&connection, b"\x00\x01\x01")));
        let mut stuck = stuck.await.unwrap();
        // 150 MB, more than is kept for it.
        let id = conversation
            .client
            .shell
            .send(cell("flood 1500000"))
            .await
            .unwrap();
        // Read while it is printed, unlike the other one.
        let heard = conversation.broadcasts(&id).await;
        conversation.client.shell.receive().await.unwrap();
        let printed = outline(&heard).iter().map(String::len).max();
        assert_eq!(printed, Some("stdout: ".len() + 150_000_000));
        let read = io::spawn_blocking(move || {
            // The end comes, after what the operating system had taken.
            let mut rest = Vec::new();
            let _reset = stuck.read_to_end(&mut rest);
            Ok(rest.len())
        });
        assert!(read.await.unwrap() < 150_000_000);
        let last = conversation.execute("echo x").await;
        assert!(matches!(last.reply, Content::ExecuteReply(_)));
    });
}

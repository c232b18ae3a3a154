//! Interrupts and the end.

use std::{sync::Arc, time::Duration};

use aikit_core::{
    Context, Result, Value,
    broadcast::Listener,
    clock::SystemClock,
    context::{Channels, Overrides},
    event::EventKind,
    io,
};
use aikit_kernel::{
    HistoryPlace,
    client::Client,
    connection::{ConnectionInfo, SocketName, Transport},
    kernel::{Kernel, KernelOptions, Program},
    wire::{
        Content,
        comm::CommOpen,
        execute::ExecuteReply,
        history::HistoryRequest,
        kernel_info::KernelInfoRequest,
        lifecycle::{InterruptReply, InterruptRequest, ShutdownReply, ShutdownRequest},
    },
};
use futures::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    conversation::{Conversation, cell, ok, outline, talk},
    echo::EchoEngine,
    robustness::ready,
};

#[test]
fn an_interrupt_stops_a_tight_loop_and_a_wait() {
    for code in ["spin", "wait"] {
        talk(async move {
            let mut conversation = Conversation::start().await;
            let id = conversation.client.shell.send(cell(code)).await.unwrap();
            conversation
                .wait_for(|content| matches!(content, Content::ExecuteInput(_)))
                .await;
            conversation
                .client
                .control
                .send(InterruptRequest {})
                .await
                .unwrap();
            let reply = conversation.client.control.receive().await.unwrap();
            assert_eq!(reply.content.unwrap(), InterruptReply {}.into());
            let Content::ExecuteReply(ExecuteReply::Error { error, .. }) =
                conversation.hear(&id).await.reply
            else {
                panic!("`{code}` was not stopped")
            };
            assert_eq!(error.ename, "KeyboardInterrupt");
            assert_eq!(conversation.execute("echo x").await.reply, ok(2));
        });
    }
}

#[test]
fn an_interrupt_without_a_cell_does_nothing_to_the_next_one() {
    talk(async {
        let mut conversation = Conversation::start().await;
        conversation
            .client
            .control
            .send(InterruptRequest {})
            .await
            .unwrap();
        conversation.client.control.receive().await.unwrap();
        assert_eq!(conversation.execute("echo x").await.reply, ok(1));
    });
}

#[test]
fn a_shutdown_is_answered_broadcast_and_ends_the_kernel() {
    for restart in [false, true] {
        talk(async move {
            let mut conversation = Conversation::start_over(Transport::Ipc).await;
            let control = &mut conversation.client.control;
            let id = control.send(ShutdownRequest { restart }).await.unwrap();
            let reply = control.receive().await.unwrap().content.unwrap();
            assert_eq!(reply, ShutdownReply { restart }.into());
            let heard = conversation.broadcasts(&id).await;
            assert_eq!(outline(&heard), ["Busy", "shutdown_reply", "Idle"]);
            assert_eq!(conversation.kernel.await.unwrap().restart, restart);
            for socket in SocketName::ALL {
                let path = conversation.connection.endpoint(socket).ipc_path();
                assert!(!path.exists(), "{} stays", path.display());
            }
        });
    }
}

#[test]
fn a_shutdown_stops_what_runs_and_leaves_behind_what_does_not_stop() {
    for code in ["spin", "wait", "hang"] {
        talk(async move {
            let mut conversation = Conversation::start().await;
            conversation.client.shell.send(cell(code)).await.unwrap();
            conversation
                .wait_for(|content| matches!(content, Content::ExecuteInput(_)))
                .await;
            conversation
                .client
                .control
                .send(ShutdownRequest::default())
                .await
                .unwrap();
            let limit = Duration::from_secs(5);
            tokio::time::timeout(limit, conversation.kernel)
                .await
                .expect(code)
                .unwrap();
        });
    }
}

/// What never ends by itself: a function of a subscription, and the opening of the history's store.
fn stuck_program() -> (Program, Listener) {
    let program = EchoEngine::default().into_program();
    let stuck = |_| -> BoxFuture<'static, Result<()>> { Box::pin(std::future::pending()) };
    let listener = program
        .context
        .events()
        .subscribe("**")
        .listen("stuck", stuck);
    let kind = EventKind::custom("last").unwrap();
    program.context.publish(kind, Value::Null);
    let history = HistoryPlace {
        open: Arc::new(|| Box::pin(std::future::pending())),
        prefix: String::new(),
    };
    let program = Program {
        history: Some(history),
        ..program
    };
    (program, listener)
}

#[test]
fn the_parts_of_the_end_share_one_time_limit() {
    talk(async {
        let (program, _listener) = stuck_program();
        let mut conversation = Conversation::start_program(Transport::Tcp, program).await;
        conversation.execute("echo kept").await;
        conversation.client.shell.send(cell("hang")).await.unwrap();
        conversation
            .wait_for(|content| matches!(content, Content::ExecuteInput(_)))
            .await;
        let asked = ShutdownRequest::default();
        conversation.client.control.send(asked).await.unwrap();
        // The cell has two seconds, the function and the store one second beside each other.
        let limit = Duration::from_secs(5);
        let exit = tokio::time::timeout(limit, conversation.kernel).await;
        let exit = exit.expect("it takes more than five seconds").unwrap();
        assert!(exit.time_left > Duration::ZERO, "{exit:?}");
    });
}

#[test]
fn an_interrupt_on_control_waits_for_no_answer_before_it() {
    talk(async {
        let (program, _listener) = stuck_program();
        let mut conversation = Conversation::start_program(Transport::Tcp, program).await;
        let control = &mut conversation.client.control;
        // Its store never opens, which is waited for.
        let asked = HistoryRequest {
            n: Some(1),
            ..HistoryRequest::default()
        };
        let history = control.send(asked).await.unwrap();
        let interrupt = control.send(InterruptRequest {}).await.unwrap();
        for expected in [interrupt, history] {
            let reply = control.receive().await.unwrap();
            assert_eq!(reply.parent_id(), Some(expected), "{reply:?}");
        }
    });
}

#[test]
fn the_end_disconnects_subscribers_also_while_a_comm_is_open() {
    talk(async {
        let overrides = Overrides {
            channels: Some(Arc::new(Channels::default())),
            ..Overrides::default()
        };
        let program = Program {
            context: Context::create(overrides),
            ..EchoEngine::default().into_program()
        };
        let mut conversation = Conversation::start_program(Transport::Tcp, program).await;
        let port = conversation.connection.endpoint(SocketName::Iopub).port;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        // A message of one frame: all topics.
        let subscription = [ready(b"SUB"), b"\0\x01\x01".to_vec()].concat();
        stream.write_all(&subscription).await.unwrap();
        let mut heard = Vec::new();
        while !heard.windows(13).any(|it| it == b"iopub_welcome") {
            assert_ne!(stream.read_buf(&mut heard).await.unwrap(), 0);
        }
        let opened = CommOpen {
            comm_id: "c".to_owned(),
            target_name: "aikit.channel".to_owned(),
            data: [("channel".to_owned(), "ui:progress".into())]
                .into_iter()
                .collect(),
            buffers: Vec::new(),
        };
        let id = conversation.client.shell.send(opened).await.unwrap();
        let heard = conversation.broadcasts(&id).await;
        assert_eq!(outline(&heard), ["Busy", "Idle"]);
        let asked = ShutdownRequest::default();
        conversation.client.control.send(asked).await.unwrap();
        conversation.kernel.await.unwrap();
        // To the end of the connection.
        stream.read_to_end(&mut Vec::new()).await.unwrap();
    });
}

#[test]
fn the_last_message_of_a_large_output_arrives_before_the_end() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let id = conversation
            .client
            .shell
            .send(cell("flood 50000"))
            .await
            .unwrap();
        // On the shell socket, behind the cell; stops it nowhere, for it has no wait.
        let end = conversation.client.shell.receive().await.unwrap();
        assert_eq!(end.parent_id(), Some(id));
        let id = conversation
            .client
            .shell
            .send(ShutdownRequest::default())
            .await
            .unwrap();
        (&mut conversation.kernel).await.unwrap();
        // Only now is anything read.
        let heard = conversation.broadcasts(&id).await;
        assert_eq!(outline(&heard), ["Busy", "shutdown_reply", "Idle"]);
    });
}

#[test]
fn a_kernel_ends_with_its_parent() {
    talk(async {
        let mut parent = std::process::Command::new("true").spawn().unwrap();
        let parent_pid = parent.id();
        parent.wait().unwrap();
        let connection = ConnectionInfo::create(Transport::Tcp, "127.0.0.1", &SystemClock);
        let options = KernelOptions {
            parent_pid: Some(parent_pid),
            ..KernelOptions::default()
        };
        let kernel = Kernel::bind(connection, options).await.unwrap();
        let running = kernel.run(EchoEngine::default().into_program());
        let exit = io::spawn(running).await.unwrap();
        assert!(!exit.restart);
    });
}

#[test]
fn a_client_may_ask_before_there_is_a_language() {
    talk(async {
        let connection = ConnectionInfo::create(Transport::Tcp, "127.0.0.1", &SystemClock);
        let kernel = Kernel::bind(connection, KernelOptions::default())
            .await
            .unwrap();
        let mut client = Client::connect(kernel.connection(), Arc::new(SystemClock))
            .await
            .unwrap();
        client.heartbeat.beat().await.unwrap();
        let id = client.shell.send(KernelInfoRequest {}).await.unwrap();
        let _running = io::spawn(kernel.run(EchoEngine::default().into_program()));
        let reply = client.shell.receive().await.unwrap();
        assert_eq!(reply.parent_id(), Some(id));
    });
}

#[test]
fn ports_that_were_chosen_are_noted_in_the_connection_file() {
    talk(async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel.json");
        let connection = ConnectionInfo::create(Transport::Tcp, "127.0.0.1", &SystemClock);
        let options = KernelOptions {
            connection_file: Some(path.clone()),
            ..KernelOptions::default()
        };
        let kernel = Kernel::bind(connection, options).await.unwrap();
        assert_eq!(&ConnectionInfo::read(&path).unwrap(), kernel.connection());
        assert_ne!(kernel.connection().endpoint(SocketName::Shell).port, 0);
    });
}

#[test]
fn an_address_that_is_taken_is_named() {
    talk(async {
        let conversation = Conversation::start().await;
        let taken = conversation.connection.clone();
        let address = taken.endpoint(SocketName::Shell).to_string();
        let error = Kernel::bind(taken, KernelOptions::default())
            .await
            .unwrap_err();
        assert!(error.message().contains(&address), "{error}");
        assert!(error.hint().is_some());
    });
}

//! Cells: their outputs, counts, errors and order.

use aikit_core::event::EventKind;
use aikit_kernel::{
    connection::Transport,
    wire::{
        Content,
        execute::{ExecuteReply, ExecuteRequest},
        kernel_info::KernelInfoRequest,
        lifecycle::InterruptRequest,
    },
};
use serde_json::json;

use crate::{
    conversation::{Conversation, cell, ok, outline, talk},
    echo::EchoEngine,
};

#[test]
fn a_value_is_a_result_between_busy_and_idle() {
    for transport in [Transport::Tcp, Transport::Ipc] {
        talk(async move {
            let mut conversation = Conversation::start_over(transport).await;
            let heard = conversation.execute("echo hello").await;
            assert_eq!(heard.reply, ok(1));
            let expected = ["Busy", "execute_input", "execute_result", "Idle"];
            assert_eq!(outline(&heard.broadcasts), expected);
            let Content::ExecuteResult(result) = &heard.broadcasts[2] else {
                panic!()
            };
            assert_eq!(
                (result.execution_count, &result.data["text/plain"]),
                (1, &"hello".into())
            );
        });
    }
}

#[test]
fn outputs_keep_their_order_and_prints_are_joined() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let code = "print a\nprint b\nwarn c\ndisplay d\nprint e\nupdate f\nclear wait\necho g";
        let heard = conversation.execute(code).await;
        let expected = [
            "Busy",
            "execute_input",
            "stdout: a\nb\n",
            "stderr: c\n",
            "display_data",
            "stdout: e\n",
            "update_display_data",
            "clear_output",
            "execute_result",
            "Idle",
        ];
        assert_eq!(outline(&heard.broadcasts), expected);
        let Content::UpdateDisplayData(update) = &heard.broadcasts[6] else {
            panic!()
        };
        assert_eq!(update.0.transient["display_id"], "d");
    });
}

#[test]
fn a_long_output_arrives_whole_and_in_few_messages() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let heard = conversation.execute("flood 100000").await;
        let texts = heard.broadcasts.iter().filter_map(|content| match content {
            Content::Stream(stream) => Some(stream.text.len()),
            _ => None,
        });
        assert_eq!(texts.sum::<usize>(), 10_000_000);
        assert!(
            heard.broadcasts.len() < 1_000,
            "{} messages",
            heard.broadcasts.len()
        );
    });
}

#[test]
fn an_error_has_its_name_frames_and_hint_in_reply_and_broadcast() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let heard = conversation
            .execute("print before\nfail no such thing")
            .await;
        let Content::ExecuteReply(ExecuteReply::Error {
            execution_count: 1,
            error,
        }) = heard.reply
        else {
            panic!("{:?}", heard.reply)
        };
        assert_eq!(
            (error.ename.as_str(), error.evalue.as_str()),
            ("script", "no such thing")
        );
        let expected = ["script: no such thing", "cell [1]:1", "hint: write `echo`"];
        assert_eq!(error.traceback, expected);
        let expected = ["Busy", "execute_input", "stdout: before\n", "error", "Idle"];
        assert_eq!(outline(&heard.broadcasts), expected);
        let Content::ExecuteError(broadcast) = &heard.broadcasts[3] else {
            panic!()
        };
        assert_eq!(broadcast.0, error);
    });
}

#[test]
fn an_engine_that_panics_loses_its_cell_only() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let heard = conversation.execute("panic").await;
        let Content::ExecuteReply(ExecuteReply::Error { error, .. }) = heard.reply else {
            panic!()
        };
        assert_eq!(error.ename, "internal");
        assert_eq!(conversation.execute("echo x").await.reply, ok(2));
    });
}

#[test]
fn a_silent_cell_broadcasts_states_only_and_does_not_count() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let silent = ExecuteRequest {
            silent: true,
            ..cell("print a\necho b")
        };
        let heard = conversation.request(silent).await;
        assert_eq!(heard.reply, ok(0));
        assert_eq!(outline(&heard.broadcasts), ["Busy", "Idle"]);
        assert_eq!(conversation.execute("echo b").await.reply, ok(1));
    });
}

#[test]
fn cells_that_are_empty_or_not_stored_do_not_count() {
    talk(async {
        let mut conversation = Conversation::start().await;
        assert_eq!(conversation.execute("echo a").await.reply, ok(1));
        assert_eq!(conversation.execute(" \n").await.reply, ok(1));
        let unstored = ExecuteRequest {
            store_history: false,
            ..cell("echo b")
        };
        assert_eq!(conversation.request(unstored).await.reply, ok(1));
        assert_eq!(conversation.execute("echo c").await.reply, ok(2));
    });
}

#[test]
fn expressions_of_the_request_are_answered_one_by_one() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let mut request = cell("print a");
        request
            .user_expressions
            .insert("good".to_owned(), "echo 1".into());
        request
            .user_expressions
            .insert("bad".to_owned(), "fail x".into());
        for (name, value) in [("five", json!(5)), ("list", json!(["echo 1"]))] {
            request.user_expressions.insert(name.to_owned(), value);
        }
        let heard = conversation.request(request).await;
        let Content::ExecuteReply(ExecuteReply::Ok {
            user_expressions, ..
        }) = heard.reply
        else {
            panic!("{:?}", heard.reply)
        };
        assert_eq!(user_expressions["good"]["data"]["text/plain"], "1");
        assert_eq!(user_expressions["bad"]["status"], "error");
        assert_eq!(user_expressions["bad"]["evalue"], "x");
        for (name, shown) in [("five", "5"), ("list", r#"["echo 1"]"#)] {
            let answer = &user_expressions[name];
            assert_eq!(answer["status"], "error");
            assert_eq!(answer["ename"], "invalid_args");
            let message = format!("the user expression `{name}` must be a text, not `{shown}`");
            assert_eq!(answer["evalue"], message);
        }
    });
}

#[test]
fn an_error_aborts_the_cells_behind_it_and_nothing_else() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let client = &mut conversation.client;
        let failing = client.shell.send(cell("wait")).await.unwrap();
        let mut waiting = Vec::new();
        for code in ["echo a", "echo b"] {
            waiting.push(client.shell.send(cell(code)).await.unwrap());
        }
        // Answered beside the cell, and sent behind the others: so they have arrived.
        conversation.request(KernelInfoRequest {}).await;
        let control = &mut conversation.client.control;
        control.send(InterruptRequest {}).await.unwrap();
        let reply = conversation.hear(&failing).await.reply;
        assert!(matches!(
            reply,
            Content::ExecuteReply(ExecuteReply::Error { .. })
        ));
        for id in &waiting {
            let reply = conversation.hear(id).await.reply;
            assert!(matches!(
                reply,
                Content::ExecuteReply(ExecuteReply::Aborted { .. })
            ));
        }
        // Sent after the error was known.
        assert_eq!(conversation.execute("echo c").await.reply, ok(2));
    });
}

#[test]
fn an_error_aborts_nothing_when_asked_so() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let patient = ExecuteRequest {
            stop_on_error: false,
            ..cell("fail x")
        };
        let first = conversation.client.shell.send(patient).await.unwrap();
        let second = conversation
            .client
            .shell
            .send(cell("echo a"))
            .await
            .unwrap();
        conversation.hear(&first).await;
        assert_eq!(conversation.hear(&second).await.reply, ok(2));
    });
}

#[test]
fn a_cell_is_a_procedure_with_a_node_and_events() {
    talk(async {
        let program = EchoEngine::default().into_program();
        let mut events = program.context.events().subscribe("procedure.*");
        let mut conversation = Conversation::start_program(Transport::Tcp, program).await;
        let heard = conversation.execute("node").await;
        let shown = heard.broadcasts.iter().find_map(|content| match content {
            Content::ExecuteResult(result) => result.data.get("text/plain"),
            _ => None,
        });
        assert_eq!(shown.unwrap(), r#"Some(("cell", 1))"#);
        conversation.execute("fail x").await;
        // An empty cell is no work.
        conversation.execute(" ").await;
        let expected = [
            EventKind::ProcedureStart,
            EventKind::ProcedureEnd,
            EventKind::ProcedureStart,
            EventKind::ProcedureError,
        ];
        for kind in expected {
            let event = events.try_next().unwrap();
            assert_eq!(
                (event.kind.clone(), event.data.get("name")),
                (kind, Some(&"cell".into()))
            );
        }
        assert!(events.try_next().is_none());
    });
}

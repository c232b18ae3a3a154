//! Requests other than cells.

use aikit_kernel::wire::{
    Content, Object,
    comm::{CommInfoRequest, CommOpen},
    complete::CompleteRequest,
    execute::{ExecuteReply, ExecuteRequest},
    history::{HistoryAccess, HistoryRequest, HistoryText},
    input::{InputReply, InputRequest},
    inspect::InspectRequest,
    is_complete::{IsCompleteReply, IsCompleteRequest},
    kernel_info::KernelInfoRequest,
    lifecycle::InterruptRequest,
    subshell::CreateSubshellRequest,
};

use crate::conversation::{Conversation, cell, outline, talk};

#[test]
fn the_kernel_introduces_itself_on_shell_and_control() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let heard = conversation.request(KernelInfoRequest {}).await;
        assert_eq!(outline(&heard.broadcasts), ["Busy", "Idle"]);
        let Content::KernelInfoReply(info) = &heard.reply else {
            panic!()
        };
        assert_eq!(
            (info.implementation.as_str(), info.protocol_version.as_str()),
            ("aikit", "5.5")
        );
        assert_eq!(info.language_info.name, "echo");
        let id = conversation
            .client
            .control
            .send(KernelInfoRequest {})
            .await
            .unwrap();
        let reply = conversation.client.control.receive().await.unwrap();
        assert_eq!(reply.parent_id(), Some(id.clone()));
        assert_eq!(reply.content.unwrap(), heard.reply);
        assert_eq!(
            outline(&conversation.broadcasts(&id).await),
            ["Busy", "Idle"]
        );
    });
}

#[test]
fn completion_counts_code_points() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let request = CompleteRequest {
            code: "ä😀 ec!".to_owned(),
            cursor_pos: Some(5),
        };
        let Content::CompleteReply(reply) = conversation.request(request).await.reply else {
            panic!()
        };
        assert_eq!(reply.matches, ["echo"]);
        assert_eq!((reply.cursor_start, reply.cursor_end), (3, 5));
        assert_eq!(reply.metadata.types[0].kind, "function");
    });
}

#[test]
fn inspection_passes_the_detail_on() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let request = |code: &str| InspectRequest {
            code: code.to_owned(),
            cursor_pos: None,
            detail_level: 1,
        };
        let Content::InspectReply(reply) = conversation.request(request("echo")).await.reply else {
            panic!()
        };
        assert_eq!(
            (reply.found, &reply.data["text/plain"]),
            (true, &"detail 1".into())
        );
        let Content::InspectReply(reply) = conversation.request(request("nothing")).await.reply
        else {
            panic!()
        };
        assert!(!reply.found);
    });
}

#[test]
fn completeness_has_an_indent() {
    talk(async {
        let mut conversation = Conversation::start().await;
        for (code, expected) in [
            ("echo", IsCompleteReply::Complete),
            (
                "echo \\",
                IsCompleteReply::Incomplete {
                    indent: "  ".to_owned(),
                },
            ),
            ("", IsCompleteReply::Invalid),
        ] {
            let request = IsCompleteRequest {
                code: code.to_owned(),
            };
            assert_eq!(conversation.request(request).await.reply, expected.into());
        }
    });
}

#[test]
fn history_remembers_cells_with_their_results() {
    talk(async {
        let mut conversation = Conversation::start().await;
        conversation.execute("echo one").await;
        conversation.execute("print two").await;
        let request = HistoryRequest {
            hist_access_type: HistoryAccess::Tail,
            output: true,
            ..HistoryRequest::default()
        };
        let Content::HistoryReply(reply) = conversation.request(request).await.reply else {
            panic!()
        };
        let expected = [
            (
                1,
                1,
                HistoryText::InputOutput("echo one".to_owned(), Some("one".to_owned())),
            ),
            (1, 2, HistoryText::InputOutput("print two".to_owned(), None)),
        ];
        assert_eq!(reply.history, expected);
    });
}

#[test]
fn a_comm_of_an_unknown_target_is_closed() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let heard = conversation.request(CommInfoRequest::default()).await;
        let Content::CommInfoReply(reply) = heard.reply else {
            panic!()
        };
        assert!(reply.comms.is_empty());
        let opened = CommOpen {
            comm_id: "c".to_owned(),
            target_name: "nobody".to_owned(),
            data: Object::new(),
            buffers: Vec::new(),
        };
        let id = conversation.client.shell.send(opened).await.unwrap();
        assert_eq!(
            outline(&conversation.broadcasts(&id).await),
            ["Busy", "comm_close", "Idle"]
        );
    });
}

#[test]
fn everything_but_cells_is_answered_while_a_cell_runs() {
    talk(async {
        let mut conversation = Conversation::start().await;
        conversation
            .client
            .shell
            .send(ExecuteRequest {
                code: "wait".to_owned(),
                ..ExecuteRequest::default()
            })
            .await
            .unwrap();
        conversation
            .wait_for(|content| matches!(content, Content::ExecuteInput(_)))
            .await;
        let heard = conversation.request(KernelInfoRequest {}).await;
        assert!(matches!(heard.reply, Content::KernelInfoReply(_)));
        let request = CompleteRequest {
            code: "ec".to_owned(),
            cursor_pos: None,
        };
        let heard = conversation.request(request).await;
        assert!(matches!(heard.reply, Content::CompleteReply(_)));
        conversation
            .client
            .control
            .send(KernelInfoRequest {})
            .await
            .unwrap();
        conversation.client.control.receive().await.unwrap();
        conversation.client.heartbeat.beat().await.unwrap();
    });
}

#[test]
fn what_waits_for_nothing_is_answered_in_the_order_in_which_it_is_asked() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let mut asked = Vec::new();
        for _ in 0..500 {
            let id = conversation.client.shell.send(KernelInfoRequest {}).await;
            asked.push(id.unwrap());
        }
        let mut answered = Vec::new();
        for _ in &asked {
            let reply = conversation.client.shell.receive().await.unwrap();
            answered.push(reply.parent_id().unwrap());
        }
        assert_eq!(answered, asked);
        // So is what everybody hears of it.
        for id in &asked {
            assert_eq!(
                outline(&conversation.broadcasts(id).await),
                ["Busy", "Idle"]
            );
        }
    });
}

#[test]
fn a_question_goes_to_the_front_end_until_the_answer_is_a_choice() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let asking = ExecuteRequest {
            allow_stdin: true,
            ..cell("ask Really?")
        };
        let id = conversation.client.shell.send(asking).await.unwrap();
        for answer in ["perhaps", " YES"] {
            let question = conversation.client.stdin.receive().await.unwrap();
            assert_eq!(question.parent_id().as_ref(), Some(&id));
            let expected = InputRequest {
                prompt: "Really? [yes/no] ".to_owned(),
                password: true,
            };
            assert_eq!(question.content.unwrap(), expected.into());
            let value = answer.to_owned();
            let answered = conversation.client.stdin.send(InputReply { value });
            answered.await.unwrap();
        }
        let heard = conversation.hear(&id).await;
        let Content::ExecuteResult(result) = &heard.broadcasts[2] else {
            panic!("{heard:?}")
        };
        assert_eq!(result.data["text/plain"], "yes");
    });
}

#[test]
fn a_question_without_a_front_end_is_an_error() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let heard = conversation.execute("ask Really?").await;
        let Content::ExecuteReply(ExecuteReply::Error { error, .. }) = heard.reply else {
            panic!("{heard:?}")
        };
        assert_eq!(error.ename, "unavailable");
    });
}

#[test]
fn an_interrupt_ends_a_question() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let asking = ExecuteRequest {
            allow_stdin: true,
            ..cell("ask Really?")
        };
        let id = conversation.client.shell.send(asking).await.unwrap();
        conversation.client.stdin.receive().await.unwrap();
        let control = &mut conversation.client.control;
        control.send(InterruptRequest {}).await.unwrap();
        control.receive().await.unwrap();
        let heard = conversation.hear(&id).await;
        let Content::ExecuteReply(ExecuteReply::Error { error, .. }) = heard.reply else {
            panic!("{heard:?}")
        };
        assert_eq!(error.ename, "KeyboardInterrupt");
    });
}

#[test]
fn an_engine_without_shells_has_the_main_one_only() {
    talk(async {
        let mut conversation = Conversation::start().await;
        let client = &mut conversation.client;
        let id = client.control.send(CreateSubshellRequest {}).await.unwrap();
        let reply = client.control.receive().await.unwrap();
        assert_eq!(reply.header.msg_type, "create_subshell_reply");
        assert_eq!(reply.parent_id(), Some(id));
        // An error, which names no subshell.
        let error = reply.content.unwrap_err();
        assert!(error.message().contains("missing field `subshell_id`"));
        let info = conversation.request(KernelInfoRequest {}).await.reply;
        assert!(
            matches!(info, Content::KernelInfoReply(info) if info.supported_features.is_empty())
        );
    });
}

#[test]
fn a_shell_with_too_many_cells_refuses_all_until_none_waits_and_answers_everything_else() {
    talk(async {
        const WAITING_MAX: usize = 10_000;
        let begun = |content: &Content| matches!(content, Content::ExecuteInput(_));
        let mut conversation = Conversation::start().await;
        let goes_on = ExecuteRequest {
            stop_on_error: false,
            ..cell("spin")
        };
        let first = conversation.client.shell.send(goes_on).await.unwrap();
        conversation.wait_for(begun).await;
        let second = conversation.client.shell.send(cell("spin")).await.unwrap();
        for _ in 1..WAITING_MAX {
            let waiting = conversation.client.shell.send(cell("echo x")).await;
            waiting.unwrap();
        }
        refused(&mut conversation, "10000 cells").await;
        let info = conversation.request(KernelInfoRequest {}).await;
        assert!(matches!(info.reply, Content::KernelInfoReply(_)));
        // One less waits, and still nothing runs that was sent behind what did not.
        interrupt(&mut conversation).await;
        conversation.hear(&first).await;
        conversation.wait_for(begun).await;
        refused(&mut conversation, "was refused").await;
        interrupt(&mut conversation).await;
        conversation.hear(&second).await;
        aborted(&mut conversation, WAITING_MAX - 1).await;
        let heard = conversation.execute("echo x").await;
        let is_ok = matches!(heard.reply, Content::ExecuteReply(ExecuteReply::Ok { .. }));
        assert!(is_ok, "{heard:?}");
    });
}

#[test]
fn cells_that_wait_are_bounded_in_bytes_too() {
    talk(async {
        // Three of them are more than the bound, and less than the largest message each.
        let large = "x".repeat(50 << 20);
        let begun = |content: &Content| matches!(content, Content::ExecuteInput(_));
        let mut conversation = Conversation::start().await;
        conversation.client.shell.send(cell("spin")).await.unwrap();
        conversation.wait_for(begun).await;
        for _ in 0..3 {
            conversation.client.shell.send(cell(&large)).await.unwrap();
        }
        refused(&mut conversation, "128 MiB").await;
        interrupt(&mut conversation).await;
        let failed = conversation.client.shell.receive().await.unwrap();
        let failed = failed.content.unwrap();
        let is_error = matches!(failed, Content::ExecuteReply(ExecuteReply::Error { .. }));
        assert!(is_error, "{failed:?}");
        aborted(&mut conversation, 3).await;
    });
}

async fn aborted(conversation: &mut Conversation, count: usize) {
    for _ in 0..count {
        let reply = conversation.client.shell.receive().await.unwrap();
        let reply = reply.content.unwrap();
        let Content::ExecuteReply(ExecuteReply::Aborted { .. }) = reply else {
            panic!("{reply:?}")
        };
    }
}

async fn refused(conversation: &mut Conversation, reason: &str) {
    let heard = conversation.execute("echo x").await;
    assert_eq!(outline(&heard.broadcasts), ["Busy", "Idle"]);
    let Content::ExecuteReply(ExecuteReply::Error { error, .. }) = heard.reply else {
        panic!("{:?}", heard.reply)
    };
    assert_eq!(error.ename, "limit_exceeded");
    assert!(error.evalue.contains(reason), "{}", error.evalue);
}

async fn interrupt(conversation: &mut Conversation) {
    let control = &mut conversation.client.control;
    control.send(InterruptRequest {}).await.unwrap();
}

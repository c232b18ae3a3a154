//! What goes wrong between us and a provider: its kind, what is asked again, what ends.

use super::*;

#[test]
fn every_failure_of_a_provider_has_its_kind_and_never_the_key() {
    let told = |code: &str, words: &str| {
        format!(
            r#"{{"error": {{"message": "{words} {KEY}", "type": "{code}", "code": "{code}"}}}}"#
        )
    };
    let cases = [
        (401, told("invalid_api_key", "no"), ErrorKind::ModelAuth),
        (403, told("", "no"), ErrorKind::ModelAuth),
        (404, told("model_not_found", "no"), ErrorKind::NotFound),
        (
            429,
            told("rate_limit_exceeded", "slow"),
            ErrorKind::RateLimited,
        ),
        (
            400,
            told("context_length_exceeded", "long"),
            ErrorKind::ContextTooLong,
        ),
        (
            400,
            told("", "This model's maximum context length is 9"),
            ErrorKind::ContextTooLong,
        ),
        (413, String::new(), ErrorKind::ContextTooLong),
        (
            400,
            told("content_filter", "bad"),
            ErrorKind::ContentFiltered,
        ),
        (400, told("", "what?"), ErrorKind::Model),
        (
            500,
            told("server_error", "oh"),
            ErrorKind::ProviderUnavailable,
        ),
        (
            503,
            "<html>down</html>".to_owned(),
            ErrorKind::ProviderUnavailable,
        ),
        (
            200,
            r#"{"choices": [{"message": "#.to_owned(),
            ErrorKind::BadResponse,
        ),
        (200, "[]".to_owned(), ErrorKind::BadResponse),
        (200, String::new(), ErrorKind::BadResponse),
        (200, "<html>hello</html>".to_owned(), ErrorKind::BadResponse),
    ];
    for (status, body, kind) in cases {
        let server = Server::start(vec![Reply::json(status, &body)]);
        let whole = complete(model(&server), asking("hi")).unwrap_err();
        let streamed = stream(hurried_context(), model(&server)).1.unwrap_err();
        for error in [whole, streamed] {
            assert_eq!(error.kind(), kind, "status {status}, {body}: {error}");
            let shown = format!("{error:?} {}", error.to_value());
            assert!(!shown.contains(KEY), "{shown}");
            assert!(
                error.message().contains("openai-compatible:tiny"),
                "{error}"
            );
        }
    }
}

#[test]
fn a_limit_of_rate_says_how_long_to_wait() {
    let reply = Reply::json(429, "{}").with_headers("retry-after: 7\r\n");
    let server = Server::start(vec![reply]);
    let error = complete(model(&server), asking("hi")).unwrap_err();
    assert_eq!(error.hint(), Some("try again in 7 s"));
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn what_passes_is_asked_again_and_what_does_not_is_not() {
    let told = |code: &str| format!(r#"{{"error": {{"message": "no", "code": "{code}"}}}}"#);
    let busy = Reply::json(429, &told("rate_limit_exceeded"));
    let server = Server::start(vec![busy, Reply::json(503, ""), Reply::json(200, HELLO)]);
    let response = complete(model(&server), asking("hi")).unwrap();
    assert_eq!(response.message.to_text(), "Hello é😀");
    assert_eq!((response.usage.requests, server.requests().len()), (1, 3));
    for (status, code) in [(401, "invalid_api_key"), (429, "insufficient_quota")] {
        let server = Server::start(vec![Reply::json(status, &told(code))]);
        assert!(complete(model(&server), asking("hi")).is_err());
        assert_eq!(server.requests().len(), 1, "{code}");
    }
}

#[test]
fn a_stream_is_begun_again_only_while_nothing_was_shown() {
    let busy = Reply::json(503, "");
    let server = Server::start(vec![busy, Reply::events(&[STREAM.as_bytes()])]);
    let (texts, result) = stream(hurried_context(), model(&server));
    assert_eq!(texts.concat(), "Grüß dich 😀");
    assert!(result.is_ok() && server.requests().len() == 2);
    // An error among the pieces: text was shown, so the caller is told.
    let cut = STREAM.find("dich").unwrap();
    let cut = STREAM[..cut].rfind("data:").unwrap();
    let error = "data: {\"error\": {\"message\": \"overloaded\", \"code\": \"server_error\"}}\n\n";
    let pieces = [&STREAM.as_bytes()[..cut], error.as_bytes()];
    let server = Server::start(vec![Reply::events(&pieces)]);
    let (texts, result) = stream(hurried_context(), model(&server));
    assert_eq!(texts.concat(), "Grüß ");
    assert_eq!(result.unwrap_err().kind(), ErrorKind::ProviderUnavailable);
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn only_the_batch_that_failed_is_embedded_again() {
    let batch = |count: usize| {
        let rows: Vec<_> = (0..count)
            .map(|index| json!({"object": "embedding", "index": index, "embedding": [0.5]}))
            .collect();
        json!({"object": "list", "model": "e", "data": rows}).to_string()
    };
    let server = Server::start(vec![
        Reply::json(200, &batch(256)),
        Reply::json(503, ""),
        Reply::json(200, &batch(44)),
    ]);
    let model = catalogue()
        .embedding("openai-compatible:e", options(&server))
        .unwrap();
    let texts = vec!["a".to_owned(); 300];
    let vectors = wait(async move {
        let cx = hurried_context();
        models::embed(&cx.context, &model, texts).await.unwrap()
    });
    assert_eq!((vectors.len(), server.requests().len()), (300, 3));
    assert_eq!(
        server.requests()[2].body["input"].as_array().unwrap().len(),
        44
    );
}

#[test]
fn a_body_that_breaks_off_is_a_bad_response() {
    let server = Server::start(vec![Reply::json(200, &HELLO[..50]).ending(Ending::Broken)]);
    let error = complete(model(&server), asking("hi")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
}

#[test]
fn an_answer_without_end_reaches_a_limit() {
    let piece = "x".repeat(1 << 20);
    let event = json!({"choices": [{"index": 0, "delta": {"content": &piece}}]});
    let event = format!("data: {event}\n\n");
    let whole = Reply::pieces(
        "content-type: application/json\r\n",
        &[piece.as_bytes(); 65],
    );
    let events = Reply::events(&[event.as_bytes(); 65]);
    let server = Server::start(vec![whole, events]);
    let error = complete(model(&server), asking("hi")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}");
    let (_, streamed) = stream(tool_context(), model(&server));
    assert_eq!(streamed.unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = unused.local_addr().unwrap().port();
    drop(unused);
    let options = ModelOptions {
        base_url: Some(format!("http://user:hidden@127.0.0.1:{port}/v1")),
        ..ModelOptions::default()
    };
    let model = catalogue().chat(Some("m"), options).unwrap();
    let error = complete(model, asking("hi")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ProviderUnavailable);
    let url = format!("http://127.0.0.1:{port}/v1");
    assert!(error.message().contains(&url), "{error}");
    assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
}

#[test]
fn a_deadline_ends_a_reply_that_never_does() {
    let pieces: Vec<&[u8]> = STREAM.as_bytes()[..300].chunks(1).collect();
    let server = Server::start(vec![Reply::events(&pieces).ending(Ending::Silence)]);
    let cx = tool_context();
    let limited = cx.context.child(Overrides {
        timeout: Some(Duration::from_millis(100)),
        ..Overrides::default()
    });
    let (texts, result) = stream(cx.with_context(limited), model(&server));
    assert_eq!(texts.concat(), "Grüß ");
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
    wait(async move { server.left().await });
}

#[test]
fn cancelling_closes_the_connection() {
    let server = Server::start(vec![Reply::json(200, "{").ending(Ending::Silence)]);
    let (model, cx) = (model(&server), tool_context());
    let cancel = cx.context.clone();
    let error = wait(async move {
        let call = async { models::complete(&cx, &model, asking("hi")).await };
        let stop = async {
            while server.requests().is_empty() {
                tokio::task::yield_now().await;
            }
            cancel.cancel(ErrorKind::Interrupted, "stop was pressed");
        };
        let (answer, ()) = futures::join!(call, stop);
        server.left().await;
        answer.unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[test]
fn a_dropped_stream_closes_the_connection_and_counts_as_cancelled() {
    let server = Server::start(vec![
        Reply::events(&[&STREAM.as_bytes()[..400]]).ending(Ending::Silence),
    ]);
    let (model, cx) = (model(&server), tool_context());
    let context = cx.context.clone();
    wait(async move {
        let mut events = models::stream(&cx, &model, asking("hi"));
        assert_eq!(
            events.next().await.unwrap().unwrap(),
            ChatEvent::Text("Grüß ".to_owned())
        );
        drop(events);
        server.left().await;
    });
    let nodes = context.graph().all();
    assert_eq!(&*nodes[0].name, "chat openai-compatible:tiny");
    assert_eq!(nodes[0].status(), Status::Cancelled);
}

#[test]
fn the_key_of_openai_goes_to_no_other_address_by_itself() {
    let server = Server::start(vec![Reply::json(200, HELLO)]);
    let key = |name: &str| (name == "OPENAI_API_KEY").then(|| KEY.to_owned());
    let catalogue = catalogue_with(key, None);
    let options = ModelOptions {
        base_url: Some(server.base_url.clone()),
        ..ModelOptions::default()
    };
    let model = catalogue.chat(Some("tiny"), options.clone()).unwrap();
    complete(model, asking("hi")).unwrap();
    assert!(!server.requests()[0].headers.contains(KEY));
    // Named with its provider, the model needs a key that its caller gives.
    let error = catalogue.chat(Some("openai:tiny"), options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .hint()
            .unwrap()
            .contains("`api_key` beside `base_url`"),
        "{error:?}"
    );
}

#[test]
fn a_call_needs_no_runtime_around_it() {
    let server = Server::start(vec![Reply::json(200, HELLO)]);
    let (model, cx) = (model(&server), tool_context());
    let response = futures::executor::block_on(models::complete(&cx, &model, asking("hi")));
    assert_eq!(response.unwrap().message.to_text(), "Hello é😀");
}

#[test]
fn a_key_that_no_header_can_carry_is_refused_and_not_shown() {
    let options = ModelOptions {
        base_url: Some("http://127.0.0.1:9/v1".to_owned()),
        api_key: Some("sk-secret\n".to_owned()),
        ..ModelOptions::default()
    };
    let error = catalogue().chat(Some("tiny"), options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    assert!(!format!("{error:?}").contains("sk-secret"), "{error:?}");
}

/// A runtime of a program that is not the one of aikit.
#[expect(
    clippy::disallowed_methods,
    reason = "programs have runtimes of their own"
)]
fn foreign(mut builder: tokio::runtime::Builder) -> tokio::runtime::Runtime {
    builder.enable_all().build().unwrap()
}

/// Asks until a connection is used a second time, so that the pool has one that it gives again.
fn warm(runtime: &tokio::runtime::Runtime, server: &Server) {
    while server.requests().len() <= server.connections() {
        let (model, cx) = (model(server), tool_context());
        let response = runtime.block_on(models::complete(&cx, &model, asking("warm")));
        response.unwrap();
    }
}

#[test]
fn a_request_survives_the_runtime_that_made_its_connection() {
    let server = Arc::new(Server::start(vec![Reply::json(200, HELLO)]));
    let (model, cx) = (model(&server), tool_context());
    let first = foreign(tokio::runtime::Builder::new_multi_thread());
    warm(&first, &server);
    let before = server.requests().len();
    server.set_open(false);
    let (asked, held) = (Arc::clone(&model), Arc::clone(&server));
    let response = wait(async move {
        let call = async { models::complete(&cx, &asked, asking("in flight")).await };
        let end = async {
            while held.requests().len() == before {
                tokio::task::yield_now().await;
            }
            first.shutdown_background();
            held.set_open(true);
        };
        futures::join!(call, end).0
    });
    assert_eq!(response.unwrap().message.to_text(), "Hello é😀");
}

#[test]
fn a_request_does_not_wait_for_a_runtime_that_nobody_drives() {
    let server = Server::start(vec![Reply::json(200, HELLO)]);
    let idle = foreign(tokio::runtime::Builder::new_current_thread());
    warm(&idle, &server);
    let response = complete(model(&server), asking("now"));
    assert_eq!(response.unwrap().message.to_text(), "Hello é😀");
    drop(idle);
}

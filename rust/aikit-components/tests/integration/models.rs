//! Models: providers over real HTTP, scripted and function models, the catalogue.

use std::{sync::Arc, time::Duration};

use aikit_components::models::{self, Catalogue, FunctionModel};
use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    context::Overrides,
    graph::Status,
    hook::{HookAction, HookPoint},
    model::{
        ChatEvent, ChatModel, ChatRequest, ChatResponse, FinishReason, Message, Part, Role,
        ToolCall, ToolDefinition, ToolResult, Usage,
    },
    script::Callable,
    services::{ModelOptions, Models as _},
    tool::ToolContext,
};
use futures::{StreamExt as _, future::BoxFuture};
use serde_json::json;

use crate::support::{
    asking, calling, catalogue, hook, scripted,
    server::{Ending, Reply, Server},
    tool_context, wait,
};

const KEY: &str = "sk-very-secret";

fn options(server: &Server) -> ModelOptions {
    ModelOptions {
        base_url: Some(server.base_url.clone()),
        api_key: Some(KEY.to_owned()),
        ..ModelOptions::default()
    }
}

fn model(server: &Server) -> Arc<dyn ChatModel> {
    catalogue()
        .chat(Some("openai-compatible:tiny"), options(server))
        .unwrap()
}

fn complete(model: Arc<dyn ChatModel>, request: ChatRequest) -> Result<ChatResponse> {
    wait(async move { models::complete(&tool_context(), &model, request).await })
}

fn stream(cx: ToolContext, model: Arc<dyn ChatModel>) -> (Vec<String>, Result<ChatResponse>) {
    wait(async move {
        let mut events = models::stream(&cx, &model, asking("hi"));
        let mut texts = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(ChatEvent::Text(text)) => texts.push(text),
                Ok(ChatEvent::Done(response)) => return (texts, Ok(*response)),
                Ok(_) => {}
                Err(error) => return (texts, Err(error)),
            }
        }
        panic!("the stream ended without an end");
    })
}

const HELLO: &str = r#"{"id": "1", "object": "chat.completion", "created": 1, "model": "tiny-2",
    "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hello é😀"}}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}"#;

const TOOL_CALL: &str = r#"{"id": "2", "object": "chat.completion", "created": 1, "model": "tiny",
    "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
        "content": null, "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{\"left\": 2}"}},
            {"id": "a", "type": "function", "function": {"name": "add", "arguments": "{\"left\": "}}
        ]}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}"#;

const STREAM: &str = concat!(
    ": keep-alive\n\n",
    r#"data: {"id":"1","object":"chat.completion.chunk","model":"tiny-2","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
    "\n\n",
    r#"data: {"id":"1","object":"chat.completion.chunk","model":"tiny-2","choices":[{"index":0,"delta":{"content":"Grüß "}}]}"#,
    "\r\n\r\n",
    r#"data: {"id":"1","object":"chat.completion.chunk","model":"tiny-2","choices":[{"index":0,"delta":{"content":"dich 😀"}}]}"#,
    "\n\n",
    r#"data: {"id":"1","object":"chat.completion.chunk","model":"tiny-2","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"add","arguments":""}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"1","object":"chat.completion.chunk","model":"tiny-2","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"left\":"}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"1","object":"chat.completion.chunk","model":"tiny-2","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":" 2}"}}]}}]}"#,
    "\n\n",
    r#"data: {"id":"1","object":"chat.completion.chunk","model":"tiny-2","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#,
    "\n\n",
    r#"data: {"id":"1","object":"chat.completion.chunk","model":"tiny-2","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9,"total_tokens":14}}"#,
    "\n\ndata: [DONE]\n\n",
);

#[test]
fn a_compatible_server_answers_a_chat() {
    let server = Server::start(vec![Reply::json(200, HELLO)]);
    let mut request = asking("hi");
    request
        .messages
        .insert(0, Message::text(Role::System, "be kind"));
    request.temperature = Some(0.5);
    request.max_tokens = Some(9);
    let response = complete(model(&server), request).unwrap();
    assert_eq!(
        response.message,
        Message::text(Role::Assistant, "Hello é😀")
    );
    assert_eq!(response.finish_reason, FinishReason::Stop);
    assert_eq!(response.model, "tiny-2");
    let usage = Usage {
        requests: 1,
        input_tokens: 7,
        output_tokens: 3,
    };
    assert_eq!(response.usage, usage);
    let sent = &server.requests()[0];
    assert_eq!(sent.line, "POST /v1/chat/completions");
    assert!(
        sent.headers
            .contains(&format!("authorization: bearer {KEY}"))
    );
    assert_eq!(sent.body["model"], "tiny");
    assert_eq!(sent.body["temperature"], 0.5);
    assert_eq!(sent.body["max_tokens"], 9);
    assert_eq!(sent.body["messages"][0]["role"], "system");
}

#[test]
fn a_server_without_a_key_gets_no_authorization() {
    let server = Server::start(vec![Reply::json(200, HELLO)]);
    let options = ModelOptions {
        base_url: Some(server.base_url.clone()),
        ..ModelOptions::default()
    };
    // No provider is named: the address is enough, and the colon belongs to the model's name.
    let model = catalogue().chat(Some("llama3:8b"), options).unwrap();
    assert_eq!(model.name(), "openai-compatible:llama3:8b");
    complete(model, asking("hi")).unwrap();
    let sent = &server.requests()[0];
    assert!(!sent.headers.contains("authorization"), "{}", sent.headers);
    assert_eq!(sent.body["model"], "llama3:8b");
}

#[test]
fn tools_go_there_and_calls_come_back_with_ids_of_their_own() {
    let server = Server::start(vec![Reply::json(200, TOOL_CALL), Reply::json(200, HELLO)]);
    let mut request = asking("2 + 2?");
    let schema = json!({"type": "object", "properties": {"left": {"type": "integer"}}});
    request.tools = vec![ToolDefinition {
        name: "add".to_owned(),
        description: "Adds.".to_owned(),
        parameters: Value::from_json(schema.clone()),
    }];
    let response = complete(model(&server), request.clone()).unwrap();
    assert_eq!(response.finish_reason, FinishReason::ToolCalls);
    let calls: Vec<_> = response.message.tool_calls().cloned().collect();
    let call = |id: &str, arguments| ToolCall {
        id: id.to_owned(),
        name: "add".to_owned(),
        arguments,
    };
    let good = Value::map([("left", Value::Int(2))]);
    // The malformed arguments stay as the model wrote them.
    let other = calls[1].id.clone();
    assert_ne!(other, "a");
    assert_eq!(
        calls,
        [call("a", good), call(&other, Value::from(r#"{"left": "#))]
    );
    request.messages.push(response.message);
    let results = calls.iter().map(|call| {
        Part::ToolResult(ToolResult {
            id: call.id.clone(),
            name: call.name.clone(),
            content: Value::Int(4),
            is_error: false,
        })
    });
    request.messages.push(Message {
        role: Role::Tool,
        parts: results.collect(),
    });
    complete(model(&server), request).unwrap();
    let sent = server.requests();
    assert_eq!(sent[0].body["tools"][0]["function"]["name"], "add");
    assert_eq!(sent[0].body["tools"][0]["function"]["parameters"], schema);
    let messages = sent[1].body["messages"].as_array().unwrap();
    let roles: Vec<_> = messages
        .iter()
        .map(|it| it["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant", "tool", "tool"]);
    assert_eq!(messages[1]["tool_calls"][1]["id"], other);
    assert_eq!(messages[3]["tool_call_id"], other);
    assert_eq!(messages[3]["content"], "4");
}

#[test]
fn a_stream_gives_the_same_wherever_it_is_split() {
    let bytes = STREAM.as_bytes();
    let splits = (0..bytes.len()).map(|at| Reply::events(&[&bytes[..at], &bytes[at..]]));
    let server = Server::start(splits.collect());
    let model = model(&server);
    let expected = stream(tool_context(), Arc::clone(&model));
    let response = expected.1.unwrap();
    assert_eq!(expected.0.concat(), "Grüß dich 😀");
    assert_eq!(response.message.to_text(), "Grüß dich 😀");
    let calls: Vec<_> = response.message.tool_calls().cloned().collect();
    assert_eq!((calls.len(), calls[0].id.as_str()), (1, "c1"));
    assert_eq!(calls[0].arguments, Value::map([("left", Value::Int(2))]));
    assert_eq!(response.finish_reason, FinishReason::ToolCalls);
    assert_eq!(
        (response.usage.input_tokens, response.usage.output_tokens),
        (5, 9)
    );
    for at in 1..bytes.len() {
        let (texts, split) = stream(tool_context(), Arc::clone(&model));
        assert_eq!(texts.concat(), "Grüß dich 😀", "split at {at}");
        assert_eq!(split.unwrap(), response, "split at {at}");
    }
}

#[test]
fn a_stream_that_is_cut_anywhere_is_an_error_after_what_arrived() {
    let bytes = STREAM.as_bytes();
    let end = STREAM.find(r#"data: {"id":"1","object":"chat.completion.chunk","model":"tiny-2","choices":[{"index":0,"delta":{},"finish_reason""#).unwrap();
    for ending in [Ending::Whole, Ending::Broken] {
        for at in [0, 20, STREAM.find("Gr").unwrap(), end / 2, end] {
            let server = Server::start(vec![Reply::events(&[&bytes[..at]]).ending(ending)]);
            let (_, result) = stream(tool_context(), model(&server));
            let error = result.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "cut at {at}: {error}");
        }
    }
}

#[test]
fn embeddings_come_in_the_order_of_the_texts() {
    let server = Server::start(vec![Reply::json(
        200,
        r#"{"object": "list", "model": "e", "data": [
            {"object": "embedding", "index": 0, "embedding": [1.0, 0.5]},
            {"object": "embedding", "index": 1, "embedding": [0.0, -2.0]}]}"#,
    )]);
    let model = catalogue()
        .embedding("openai-compatible:e", options(&server))
        .unwrap();
    let texts = vec!["a".to_owned(), "b".to_owned()];
    let embedded = Arc::clone(&model);
    let vectors = wait(async move { models::embed(&tool_context(), &embedded, texts).await });
    assert_eq!(vectors.unwrap(), [[1.0, 0.5], [0.0, -2.0]]);
    assert_eq!(server.requests()[0].line, "POST /v1/embeddings");
    assert_eq!(server.requests()[0].body["input"], json!(["a", "b"]));
    let one =
        wait(async move { models::embed(&tool_context(), &model, vec!["a".to_owned()]).await });
    assert_eq!(one.unwrap_err().kind(), ErrorKind::BadResponse);
}

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
        let streamed = stream(tool_context(), model(&server)).1.unwrap_err();
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
    assert_eq!(error.hint(), Some("try again in 7 seconds"));
}

#[test]
fn a_body_that_breaks_off_is_a_bad_response() {
    let server = Server::start(vec![Reply::json(200, &HELLO[..50]).ending(Ending::Broken)]);
    let error = complete(model(&server), asking("hi")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse, "{error}");
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
fn a_call_is_tracked_and_counted() {
    let cx = tool_context();
    let context = cx.context.clone();
    let model = scripted(vec![Value::from("one two three")]).unwrap();
    let (texts, response) = stream(cx, model);
    assert_eq!(texts, ["one ", "two ", "three"]);
    assert_eq!(response.unwrap().message.to_text(), "one two three");
    let node = &context.graph().all()[0];
    assert_eq!(
        (&*node.name, node.status()),
        ("chat scripted:test", Status::Completed)
    );
    let counts = ["requests", "input_tokens", "output_tokens"]
        .map(|it| node.metrics.get(&format!("usage.{it}")));
    assert_eq!(counts, [1.0, 1.0, 3.0]);
}

#[test]
fn a_hook_answers_for_a_model_or_changes_its_answer() {
    let cx = tool_context();
    let before = hook(
        &cx,
        HookPoint::ModelBefore,
        HookAction::Replace(Value::from("from hook")),
    );
    let model = scripted(vec![]).unwrap();
    let (texts, response) = stream(cx, model);
    assert_eq!(texts.concat(), "from hook");
    assert_eq!(response.unwrap().usage, Usage::default());
    let seen = before.seen.lock().unwrap()[0].clone();
    assert_eq!(seen.get("model"), Some(&Value::from("scripted:test")));
    let message = &seen.get("messages").unwrap().as_list().unwrap()[0];
    assert_eq!(message.get("text"), Some(&Value::from("hi")));

    let cx = tool_context();
    hook(
        &cx,
        HookPoint::ModelAfter,
        HookAction::Replace(Value::from("better")),
    );
    let model = scripted(vec![Value::from("good")]).unwrap();
    let response = wait(async move { models::complete(&cx, &model, asking("hi")).await });
    let response = response.unwrap();
    assert_eq!(
        (response.message.to_text().as_str(), response.usage.requests),
        ("better", 1)
    );

    let cx = tool_context();
    hook(
        &cx,
        HookPoint::ModelBefore,
        HookAction::Stop("not today".to_owned()),
    );
    let model = scripted(vec![Value::from("good")]).unwrap();
    let error = wait(async move { models::complete(&cx, &model, asking("hi")).await });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Denied);
}

#[test]
fn a_script_is_followed_to_the_letter() {
    let expecting = Value::map([
        ("text", Value::from("yes")),
        ("expect", Value::from("weather")),
    ]);
    let model = scripted(vec![expecting.clone(), calling("add", Value::Null)]).unwrap();
    let wrong = complete(Arc::clone(&model), asking("hello")).unwrap_err();
    assert!(wrong.message().contains("expects `weather`"), "{wrong}");
    let right = complete(Arc::clone(&model), asking("the weather?")).unwrap();
    assert_eq!(right.message.to_text(), "yes");
    let calls = complete(Arc::clone(&model), asking("go")).unwrap();
    let call = calls.message.tool_calls().next().unwrap().clone();
    assert_eq!((call.id.as_str(), call.name.as_str()), ("call_2_1", "add"));
    let exhausted = complete(model, asking("more")).unwrap_err();
    assert!(
        exhausted.message().contains("request 3, but it has 2"),
        "{exhausted}"
    );
    for (answers, words) in [
        (vec![Value::from("a"), Value::Int(1)], "answer 2"),
        (vec![Value::map([("txt", Value::from("a"))])], "txt"),
        (
            vec![Value::map([
                ("text", Value::from("a")),
                ("expect", Value::Int(1)),
            ])],
            "expect",
        ),
    ] {
        let error = scripted(answers).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(error.message().contains(words), "{error}");
    }
}

#[test]
fn calls_of_one_answer_never_share_an_id() {
    let call = Value::map([("name", Value::from("add")), ("id", Value::from("x"))]);
    let calls = Value::List(vec![call.clone(), call.clone(), call]);
    let model = scripted(vec![Value::map([("tool_calls", calls)])]).unwrap();
    let response = complete(model, asking("go")).unwrap();
    let ids: Vec<_> = response
        .message
        .tool_calls()
        .map(|it| it.id.as_str())
        .collect();
    assert_eq!(ids, ["x", "x_2", "x_3"]);
}

#[derive(Debug)]
struct Parrot(Value);

impl Callable for Parrot {
    fn name(&self) -> &str {
        "parrot"
    }

    fn call(&self, _: &Context, args: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        let heard = args[0].get("messages").unwrap().as_list().unwrap()[0].clone();
        let answer = match &self.0 {
            Value::Null => heard.get("text").unwrap().clone(),
            answer => answer.clone(),
        };
        Box::pin(async move { Ok(answer) })
    }
}

#[test]
fn a_function_is_a_model() {
    let model = |answer| -> Arc<dyn ChatModel> {
        Arc::new(FunctionModel::new("parrot", Arc::new(Parrot(answer))))
    };
    let response = complete(model(Value::Null), asking("polly")).unwrap();
    assert_eq!(response.message.to_text(), "polly");
    let called = complete(model(calling("add", Value::Null)), asking("x")).unwrap();
    assert_eq!(called.finish_reason, FinishReason::ToolCalls);
    let error = complete(model(Value::Int(7)), asking("x")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadResponse);
    assert!(error.message().contains("`function:parrot`"), "{error}");
}

#[test]
fn a_model_that_cannot_be_had_says_what_is_missing() {
    let find = |name: Option<&str>, base_url: Option<&str>| -> Error {
        let options = ModelOptions {
            base_url: base_url.map(str::to_owned),
            ..ModelOptions::default()
        };
        catalogue().chat(name, options).unwrap_err()
    };
    let cases = [
        (None, None, ErrorKind::Unavailable, "no model is given"),
        (
            Some("openai:gpt"),
            None,
            ErrorKind::Unavailable,
            "OPENAI_API_KEY",
        ),
        (
            Some("openai-compatible:m"),
            None,
            ErrorKind::Unavailable,
            "base_url",
        ),
        (Some("nobody:m"), None, ErrorKind::NotFound, "nobody"),
        (
            Some("openai-compatible:"),
            None,
            ErrorKind::InvalidArgs,
            "names no model",
        ),
        (
            Some("m"),
            Some("ftp://x"),
            ErrorKind::InvalidArgs,
            "base_url",
        ),
        (Some("scripted:x"), None, ErrorKind::InvalidArgs, "answers"),
    ];
    for (name, base_url, kind, words) in cases {
        let error = find(name, base_url);
        assert_eq!(error.kind(), kind, "{name:?}: {error}");
        assert!(error.message().contains(words), "{name:?}: {error}");
        assert!(error.hint().is_some(), "{name:?}: {error}");
    }
    let hint = find(Some("openai:gpt"), None);
    for way in ["OPENAI_API_KEY", "base_url", "scripted"] {
        assert!(hint.hint().unwrap().contains(way), "{hint:?}");
    }
    let embedding = catalogue().embedding("scripted:x", ModelOptions::default());
    assert_eq!(embedding.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn keys_and_the_default_model_come_from_the_given_variables() {
    let variables = |name: &str| match name {
        "OPENAI_API_KEY" => Some(KEY.to_owned()),
        "AIKIT_MODEL" => Some("openai:gpt".to_owned()),
        _ => None,
    };
    let catalogue = Catalogue::new(Arc::new(variables), Some("scripted:x".to_owned()));
    let model = catalogue.chat(None, ModelOptions::default()).unwrap();
    assert_eq!(model.name(), "openai:gpt");
    assert!(!format!("{model:?} {catalogue:?}").contains(KEY));
    let usable = catalogue.list().into_iter().map(|it| {
        let name = it.get("name").unwrap().as_str().unwrap().to_owned();
        (name, it.get("usable").unwrap().as_bool().unwrap())
    });
    let expected = [
        ("openai", true),
        ("openai-compatible", false),
        ("scripted", true),
    ];
    assert_eq!(
        usable.collect::<Vec<_>>(),
        expected.map(|(name, it)| (name.to_owned(), it))
    );
}

#[test]
fn the_key_of_openai_goes_to_no_other_address_by_itself() {
    let server = Server::start(vec![Reply::json(200, HELLO)]);
    let catalogue = Catalogue::new(
        Arc::new(|name| (name == "OPENAI_API_KEY").then(|| KEY.to_owned())),
        None,
    );
    let options = ModelOptions {
        base_url: Some(server.base_url.clone()),
        ..ModelOptions::default()
    };
    let model = catalogue.chat(Some("tiny"), options).unwrap();
    complete(model, asking("hi")).unwrap();
    assert!(!server.requests()[0].headers.contains(KEY));
}

//! Providers over real HTTP: chats, streams, tools, embeddings, failures and ends.

mod failures;

use std::{sync::Arc, time::Duration};

use aikit_components::models;
use aikit_core::{
    ErrorKind, Value,
    context::Overrides,
    graph::Status,
    model::{
        ChatEvent, ChatModel, FinishReason, Message, Part, Role, ToolCall, ToolDefinition,
        ToolResult, Usage,
    },
    services::{ModelOptions, Models as _},
};
use futures::StreamExt as _;
use serde_json::json;

use crate::support::{
    asking, catalogue, catalogue_with, complete, hurried_context,
    server::{Ending, HELLO, Reply, Server},
    stream, tool_context, wait,
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
        ..Usage::default()
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
    let vectors =
        wait(async move { models::embed(&tool_context().context, &embedded, texts).await });
    assert_eq!(vectors.unwrap(), [[1.0, 0.5], [0.0, -2.0]]);
    assert_eq!(server.requests()[0].line, "POST /v1/embeddings");
    assert_eq!(server.requests()[0].body["input"], json!(["a", "b"]));
    let one = wait(async move {
        models::embed(&tool_context().context, &model, vec!["a".to_owned()]).await
    });
    assert_eq!(one.unwrap_err().kind(), ErrorKind::BadResponse);
}

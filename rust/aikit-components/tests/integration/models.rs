//! Models: how a call is tracked and hooked, scripted and function models, the catalogue.

use std::{net::TcpListener, sync::Arc};

use aikit_components::{
    config::{ModelsConfig, Variables},
    models::{self, Catalogue, FunctionModel},
    security::policy::Profile,
};
use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    graph::Status,
    hook::{HookAction, HookPoint},
    model::{ChatModel, FinishReason, Usage},
    script::Callable,
    services::{ModelOptions, Models as _},
};
use futures::future::BoxFuture;

use crate::support::{
    asking, calling, catalogue, catalogue_with, complete, counted, guarded, hook, scripted,
    server::{Reply, Server},
    stream, tool_context, wait,
};

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
        .map(|it| counted(node, &format!("usage.{it}")));
    assert_eq!(counts, [1.0, 1.0, 3.0].map(Value::Float));
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
    hook(&cx, HookPoint::ModelBefore, HookAction::stop("not today"));
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
struct Parrot {
    name: String,
    answer: Value,
}

impl Callable for Parrot {
    fn name(&self) -> &str {
        &self.name
    }

    fn call(&self, _: &Context, args: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        let heard = args[0].get("messages").unwrap().as_list().unwrap()[0].clone();
        let answer = match &self.answer {
            Value::Null => heard.get("text").unwrap().clone(),
            answer => answer.clone(),
        };
        Box::pin(async move { Ok(answer) })
    }
}

#[test]
fn a_function_is_a_model() {
    let model = |answer| -> Arc<dyn ChatModel> {
        let name = "parrot".to_owned();
        Arc::new(FunctionModel::new(
            "parrot",
            Arc::new(Parrot { name, answer }),
        ))
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
    let server = Server::start(vec![Reply::json(200, r#"{"models": []}"#)]);
    let (here, nowhere) = (server.base_url.clone(), nowhere());
    let variables = move |name: &str| match name {
        "OPENAI_API_KEY" => Some("sk-very-secret".to_owned()),
        "AIKIT_MODEL" => Some("openai:gpt".to_owned()),
        "OLLAMA_BASE_URL" => Some(here.clone()),
        "LLAMACPP_BASE_URL" => Some(nowhere.clone()),
        _ => None,
    };
    let catalogue = catalogue_with(variables, Some("scripted:x".to_owned()));
    let model = catalogue.chat(None, ModelOptions::default()).unwrap();
    assert_eq!(model.name(), "openai:gpt");
    assert!(!format!("{model:?} {catalogue:?}").contains("sk-very-secret"));
    let rows = wait(async move { catalogue.list(&Context::default()).await });
    let down = rows.iter().find(|it| it.get("error").is_some()).unwrap();
    let text = |name: &str| down.get(name).and_then(Value::as_str).unwrap();
    assert_eq!(
        (text("name"), text("kind")),
        ("llamacpp", "provider_unavailable")
    );
    assert!(text("hint").contains("llama-server"), "{down}");
    let usable = rows.into_iter().filter(|it| {
        let usable = it.get("usable").and_then(Value::as_bool);
        usable.unwrap()
    });
    let names = usable.map(|it| it.get("name").unwrap().as_str().unwrap().to_owned());
    // With a key, on this machine and there, or in this process.
    let expected = ["openai", "ollama", "scripted"];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

/// An address of this machine at which nobody listens.
fn nowhere() -> String {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    format!("http://127.0.0.1:{port}/v1")
}

#[test]
fn a_key_that_a_server_refuses_is_told_from_a_server_that_is_down() {
    let server = Server::start(vec![Reply::json(401, "{}")]);
    let (here, nowhere) = (server.base_url.clone(), nowhere());
    let variables = move |name: &str| match name {
        "OLLAMA_BASE_URL" => Some(here.clone()),
        "LLAMACPP_BASE_URL" => Some(nowhere.clone()),
        _ => None,
    };
    let catalogue = catalogue_with(variables, None);
    let rows = wait(async move { catalogue.check(&Context::default(), None).await }).unwrap();
    let kind = |name: &str| {
        let row = rows
            .iter()
            .find(|it| it.get("name").and_then(Value::as_str) == Some(name));
        row.and_then(|it| it.get("kind")?.as_str())
            .map(str::to_owned)
    };
    assert_eq!(kind("ollama").as_deref(), Some("auth"));
    assert_eq!(kind("llamacpp").as_deref(), Some("provider_unavailable"));
    assert_eq!(kind("openai"), None);
}

#[test]
fn an_address_that_is_missing_or_wrong_is_called_by_its_variable() {
    let of = |address: Option<&str>, name: &'static str, given: Option<&str>| {
        let address = address.map(str::to_owned);
        let variables = move |name: &str| match name {
            "AZURE_API_KEY" => Some("key".to_owned()),
            "AZURE_ENDPOINT" => address.clone(),
            _ => None,
        };
        let options = ModelOptions {
            base_url: given.map(str::to_owned),
            api_key: Some("key".to_owned()),
            ..ModelOptions::default()
        };
        catalogue_with(variables, None)
            .chat(Some(name), options)
            .unwrap_err()
    };
    let missing = of(None, "azure:m", None);
    assert_eq!(missing.kind(), ErrorKind::Unavailable);
    assert!(missing.message().contains("`AZURE_ENDPOINT`"), "{missing}");
    for way in ["`AZURE_ENDPOINT`", "`base_url`"] {
        assert!(missing.hint().unwrap().contains(way), "{missing:?}");
    }
    assert!(
        of(Some("x"), "azure:m", None)
            .message()
            .contains("`AZURE_ENDPOINT`")
    );
    assert!(
        of(None, "azure:m", Some("x"))
            .message()
            .contains("`base_url`")
    );
}

#[test]
fn keys_of_the_configuration_come_after_the_variables_and_of_known_providers() {
    let catalogue = |keys: &[(&str, &str)], variables: Variables| {
        let keys = keys.iter();
        let keys = keys.map(|(name, key)| ((*name).to_owned(), (*key).to_owned()));
        let config = ModelsConfig {
            keys: keys.collect(),
            ..ModelsConfig::default()
        };
        Catalogue::new(variables, config, Arc::new(guarded(Profile::Notebook)))
    };
    let written = catalogue(&[("groq", "gsk-very-secret")], Variables::none()).unwrap();
    assert!(
        written
            .chat(Some("groq:m"), ModelOptions::default())
            .is_ok()
    );
    assert!(!format!("{written:?}").contains("secret"));
    let error = catalogue(&[("grok", "x")], Variables::none()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.hint().unwrap().contains("`groq`"), "{error:?}");
}

#[test]
fn every_provider_of_the_table_says_what_it_lacks() {
    let rows = wait(async { catalogue().list(&Context::default()).await });
    for row in rows {
        let name = row.get("name").unwrap().as_str().unwrap();
        let lacks = row.get("lacks").unwrap().as_list().unwrap();
        let is_usable = lacks.is_empty() && row.get("error").is_none();
        assert_eq!(row.get("usable"), Some(&Value::from(is_usable)));
        let full = format!("{name}:m");
        let found = match row.get("chat").and_then(Value::as_bool) {
            Some(true) => catalogue()
                .chat(Some(&full), ModelOptions::default())
                .map(drop),
            _ => catalogue()
                .embedding(&full, ModelOptions::default())
                .map(drop),
        };
        if !lacks.is_empty() {
            let error = found.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}");
            let lack = lacks[0].as_str().unwrap().split('`').nth(1).unwrap();
            assert!(error.message().contains(lack), "{error}");
        }
    }
}

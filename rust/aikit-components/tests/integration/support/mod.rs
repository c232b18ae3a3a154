//! What several subjects need: a way to wait, a Context with services, a server of its own.

pub(crate) mod server;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aikit_components::{
    config::{ModelsConfig, Variables},
    http::GuardedClient,
    models::{self, Catalogue},
    security::policy::{Profile, TablePolicy},
};
use aikit_core::{
    Context, Result, Value,
    clock::{Clock, SystemClock, UnixMicros},
    context::Overrides,
    graph::ProcedureNode,
    hook::{Hook, HookAction, HookOptions, HookPoint},
    io,
    model::{ChatEvent, ChatModel, ChatRequest, ChatResponse, Message, Role},
    services::{ModelOptions, Models, Services},
    tool::ToolContext,
};
use futures::{StreamExt as _, future::BoxFuture};

use self::server::Server;

/// Waits on the I/O runtime.
pub(crate) fn wait<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    io::wait(future, || Ok(())).unwrap()
}

/// A Context without any service but hooks.
pub(crate) fn tool_context() -> ToolContext {
    ToolContext {
        context: Context::default(),
        services: Arc::new(Services::default()),
    }
}

/// A clock on which a pause of up to a minute passes at once, and a longer one, as a time limit of
/// a call, as it does.
#[derive(Debug)]
struct Hurried;

impl Clock for Hurried {
    fn now(&self) -> UnixMicros {
        SystemClock.now()
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration <= Duration::from_mins(1) {
            return Box::pin(async {});
        }
        SystemClock.sleep(duration)
    }

    fn random(&self, bytes: &mut [u8]) {
        SystemClock.random(bytes);
    }
}

/// As [`tool_context`], but nobody waits for the pauses between attempts.
pub(crate) fn hurried_context() -> ToolContext {
    ToolContext {
        context: Context::create(Overrides {
            clock: Some(Arc::new(Hurried)),
            ..Overrides::default()
        }),
        services: Arc::new(Services::default()),
    }
}

/// A catalogue that knows no key.
pub(crate) fn catalogue() -> Catalogue {
    catalogue_with(|_| None, None)
}

/// A catalogue of a user's own machine.
pub(crate) fn catalogue_with(
    variables: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    default: Option<String>,
) -> Catalogue {
    let config = ModelsConfig {
        default,
        ..ModelsConfig::default()
    };
    let http = Arc::new(guarded(Profile::Notebook));
    Catalogue::new(Variables::new(variables), config, http).unwrap()
}

/// The HTTP client of a session without an allow list.
pub(crate) fn guarded(profile: Profile) -> GuardedClient {
    let policy = TablePolicy::new(profile, Vec::new(), Vec::new());
    GuardedClient::new(Arc::new(policy), None)
}

/// The model of a local server.
pub(crate) fn model_at(server: &Server) -> Arc<dyn ChatModel> {
    let options = ModelOptions {
        base_url: Some(server.base_url.clone()),
        ..ModelOptions::default()
    };
    catalogue().chat(Some("tiny"), options).unwrap()
}

/// A model that gives `answers`.
pub(crate) fn scripted(answers: Vec<Value>) -> Result<Arc<dyn ChatModel>> {
    let options = ModelOptions {
        extra: [("answers".to_owned(), Value::List(answers))].into(),
        ..ModelOptions::default()
    };
    catalogue().chat(Some("scripted:test"), options)
}

/// A scripted answer that calls one tool.
pub(crate) fn calling(name: &str, arguments: Value) -> Value {
    let call = Value::map([("name", Value::from(name)), ("arguments", arguments)]);
    Value::map([("tool_calls", Value::List(vec![call]))])
}

/// A conversation of one message of the user.
pub(crate) fn asking(prompt: &str) -> ChatRequest {
    ChatRequest {
        messages: vec![Message::text(Role::User, prompt)],
        ..ChatRequest::default()
    }
}

/// A metric of one execution.
pub(crate) fn counted(node: &ProcedureNode, metric: &str) -> Value {
    let metrics = node.metrics.to_value();
    metrics.get(metric).cloned().unwrap_or_default()
}

/// A hook that always answers the same and remembers what it was shown.
#[derive(Debug)]
pub(crate) struct Fixed {
    action: HookAction,
    pub(crate) seen: Mutex<Vec<Value>>,
}

impl Hook for Fixed {
    fn call<'a>(&'a self, _: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        self.seen.lock().unwrap().push(data.clone());
        Box::pin(async { Ok(self.action.clone()) })
    }
}

/// Registers a hook that always answers `action`.
pub(crate) fn hook(cx: &ToolContext, point: HookPoint, action: HookAction) -> Arc<Fixed> {
    hook_with(cx, point, action, false)
}

/// As [`hook`]; a required one takes the call with it when it fails.
pub(crate) fn hook_with(
    cx: &ToolContext,
    point: HookPoint,
    action: HookAction,
    required: bool,
) -> Arc<Fixed> {
    let seen = Mutex::default();
    let hook = Arc::new(Fixed { action, seen });
    let options = HookOptions {
        required,
        ..HookOptions::named("fixed")
    };
    let registered = cx.context.hooks().register(point, options, hook.clone());
    registered.unwrap();
    hook
}

/// One whole answer.
pub(crate) fn complete(model: Arc<dyn ChatModel>, request: ChatRequest) -> Result<ChatResponse> {
    wait(async move { models::complete(&hurried_context(), &model, request).await })
}

/// The pieces of text and the end of a streamed answer to `hi`.
pub(crate) fn stream(
    cx: ToolContext,
    model: Arc<dyn ChatModel>,
) -> (Vec<String>, Result<ChatResponse>) {
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

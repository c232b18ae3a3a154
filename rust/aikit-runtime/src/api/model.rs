//! `Model`: calls of language models without an agent.

use std::sync::Arc;

use aikit_components::models;
use aikit_core::{
    Error, Result, Value,
    model::{ChatModel, ChatRequest, Message, Role},
    services::ModelOptions,
    value::Map,
};
use futures::StreamExt as _;

use super::{
    ApiClass, ApiFunction, ApiModule, Arg, Args, Call, Kind, Param, Return, Session, optional,
    ready, required, secret, tool,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[CLASS],
    ..ApiModule::new(
        "Model",
        "Language models: one answer, a stream of pieces, embeddings.",
    )
};

/// A model, as an argument of an agent.
pub(super) const MODEL: Kind = Kind::Either(&[Kind::String, Kind::Function, Kind::Object("Model")]);

const OPTIONS: &[Param] = &[
    optional(
        "base_url",
        Kind::String,
        "Address of the provider's API; without a provider in the name, of an OpenAI-compatible \
         server.",
    ),
    secret(
        "api_key",
        Kind::String,
        "Key; without it the provider's environment variable.",
    ),
    optional(
        "answers",
        Kind::List(&Kind::Any),
        "What a `scripted:` model answers: texts, or `{text, tool_calls = {{name, arguments}}}`.",
    ),
    optional(
        "api",
        Kind::String,
        "`chat` (the default) or `responses`: which API of `openai`, `openai-compatible`, \
         `openrouter` and `xai`.",
    )
    .one_of(&["chat", "responses"]),
    optional(
        "api_version",
        Kind::String,
        "Version of the API of `azure`, such as `2024-10-21`.",
    ),
    optional(
        "params",
        Kind::Table,
        "What is sent with each request as it is, by the provider's own names, such as \
         `{reasoning_effort = 'low'}`.",
    ),
];

/// Options that go to the provider.
const OF_PROVIDERS: [&str; 4] = ["answers", "api", "api_version", "params"];

const REQUEST: &[Param] = &[
    optional("prompt", Kind::String, "What the user says."),
    optional(
        "messages",
        Kind::List(&Kind::Table),
        "The conversation: `{role, content}` each.",
    ),
    optional(
        "instructions",
        Kind::String,
        "What the model is told before the conversation.",
    ),
    optional(
        "tools",
        Kind::List(&tool::TOOL),
        "Tools the model may ask for; they are not run.",
    )
    .listed_or("Tool", "list", tool::GROUPS),
    optional("temperature", Kind::Number, "Randomness, 0 to 2."),
    optional("max_tokens", Kind::Integer, "Longest answer in tokens."),
];

const ASKED: Param = required(
    "request",
    Kind::Either(&[Kind::String, Kind::Options(REQUEST)]),
    "What the user says, or a table of options.",
);

/// Name of the class.
const NAME: &str = "Model";

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "One language model.",
    constructor: Some(ApiFunction {
        name: "Model",
        summary: "Finds a model by `provider:model`, or makes one of a function.",
        params: &[
            optional(
                "name",
                Kind::Either(&[Kind::String, Kind::Function]),
                "`provider:model`, the configured model when left out, or a function that gets \
                 `{messages, tools}` and gives a text or `{text, tool_calls}`.",
            ),
            optional("options", Kind::Options(OPTIONS), "How to reach it."),
        ],
        returns: "a `Model`",
        example: "Model('scripted:demo', {answers = {'hello'}}).name",
        call: Call::Host(|session, args| ready(open(session, args))),
    }),
    methods: &[
        ApiFunction {
            name: "complete",
            summary: "Asks for one whole answer.",
            params: &[ASKED],
            returns: "a record with `text`, `tool_calls`, `usage`, `finish_reason`, `model`",
            example: "Model('scripted:demo', {answers = {'hello'}}):complete('hi').text",
            call: Call::Host(|session, args| Box::pin(complete(session.clone(), args))),
        },
        ApiFunction {
            name: "stream",
            summary: "Asks for an answer piece by piece.",
            params: &[ASKED],
            returns: "a stream of `{kind = 'text', text = …}`, ended by `{kind = 'done', …}`",
            example: "for piece in Model('scripted:demo', {answers = {'hello'}}):stream('hi') do \
                      io.write(piece.text or '') end",
            call: Call::Host(|session, args| ready(stream(session, args))),
        },
        ApiFunction {
            name: "embed",
            summary: "Turns texts into vectors.",
            params: &[required("texts", Kind::List(&Kind::String), "The texts.")],
            returns: "a list of vectors, one for each text",
            example: "Model('openai-compatible:embedder', {base_url = 'http://127.0.0.1:8080/v1'})",
            call: Call::Host(|session, args| Box::pin(embed(session.clone(), args))),
        },
    ],
    fields: &[("name", "Its full name, `provider:model`.")],
};

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "list",
        summary: "Lists the providers: what is usable here and what each lacks. Servers of this \
                  machine are looked for; nobody else is asked.",
        params: &[],
        returns: "a list of records with `name`, `summary`, `usable`, `lacks`, `chat`, \
                  `embeddings`; those of servers that do not answer also with `error`, `kind` and \
                  `hint`",
        example: "print(#Model.list())",
        call: Call::Host(|session, args| {
            let session = session.clone();
            Box::pin(async move {
                let models = session.components().services.models()?;
                Ok(Return::Value(Value::List(models.list(&args.cx).await)))
            })
        }),
    },
    ApiFunction {
        name: "check",
        summary: "As `list`, but all servers of your own are asked for the models they have.",
        params: &[optional(
            "provider",
            Kind::String,
            "The only one to look at, such as `ollama`.",
        )],
        returns: "the records of `list`; those of servers also with `models`, or `error`, `kind` \
                  (`auth` when the key was refused) and `hint`",
        example: "print(Model.check('scripted')[1].usable)",
        call: Call::Host(|session, mut args| {
            let session = session.clone();
            Box::pin(async move {
                let provider = args.string("provider");
                let models = session.components().services.models()?;
                let rows = models.check(&args.cx, provider.as_deref()).await?;
                Ok(Return::Value(Value::List(rows)))
            })
        }),
    },
];

/// What the session keeps for a handle.
#[derive(Debug)]
struct Kept {
    chat: Arc<dyn ChatModel>,
    /// How to find the embedding model of the same name; `None` for a function.
    place: Option<ModelOptions>,
}

fn options(mut given: Args) -> ModelOptions {
    let mut extra = Map::new();
    for name in OF_PROVIDERS {
        match given.value(name) {
            Value::Null => {}
            value => drop(extra.insert(name.to_owned(), value)),
        }
    }
    ModelOptions {
        base_url: given.string("base_url"),
        api_key: given.string("api_key"),
        extra,
    }
}

fn open(session: &Session, mut args: Args) -> Result<Return> {
    let place = options(args.options("options"));
    let found = session.components().services.models()?;
    let kept = match args.take("name") {
        Some(Arg::Callable(function)) => Kept {
            chat: of_function(function),
            place: None,
        },
        name => {
            let name = name.and_then(Arg::into_value);
            let name = name.as_ref().and_then(Value::as_str);
            Kept {
                chat: found.chat(name, place.clone())?,
                place: Some(place),
            }
        }
    };
    let fields = Map::from_iter([("name".to_owned(), Value::from(kept.chat.name()))]);
    session.insert(NAME, fields, Arc::new(kept))
}

fn of_function(function: Arc<dyn aikit_core::script::Callable>) -> Arc<dyn ChatModel> {
    let name = function.name().to_owned();
    Arc::new(models::FunctionModel::new(&name, function))
}

/// The model that a checked [`MODEL`] means; the configured one when it was left out.
pub(super) fn resolve(session: &Session, given: Option<Arg>) -> Result<Arc<dyn ChatModel>> {
    let found = session.components().services.models()?;
    match given {
        None => found.chat(None, ModelOptions::default()),
        Some(Arg::Object(object)) => Ok(Arc::clone(&session.argument::<Kept>(&object)?.chat)),
        Some(Arg::Callable(function)) => Ok(of_function(function)),
        Some(other) => {
            let name = other.into_value();
            found.chat(
                name.as_ref().and_then(Value::as_str),
                ModelOptions::default(),
            )
        }
    }
}

fn request(session: &Session, args: &mut Args) -> Result<ChatRequest> {
    let cx = args.cx.clone();
    let Some(Arg::Map(given)) = args.take("request").map(|arg| match arg {
        Arg::Value(text @ Value::String(_)) => Arg::Map(
            [("prompt".to_owned(), Arg::Value(text))]
                .into_iter()
                .collect(),
        ),
        other => other,
    }) else {
        return Err(Error::internal("a request was not checked"));
    };
    let mut given = Args::new(cx.clone(), None, given);
    let mut messages = Vec::new();
    if let Some(text) = given.string("instructions") {
        messages.push(Message::text(Role::System, text));
    }
    for item in given.items("messages") {
        messages.push(Message::parse(item.into_value().unwrap_or_default())?);
    }
    if let Some(text) = given.string("prompt") {
        messages.push(Message::text(Role::User, text));
    }
    if messages.is_empty() {
        return Err(Error::invalid_args("the request says nothing to the model")
            .with_hint("give `prompt`, or `messages` with at least one message"));
    }
    let tools = tool::resolve(session, &cx, given.items("tools"))?;
    let tools = tools.iter().map(|it| it.spec().definition());
    Ok(ChatRequest {
        messages,
        tools: tools.collect(),
        temperature: given.number("temperature"),
        max_tokens: given.size("max_tokens")?.map(|tokens| tokens as u64),
    })
}

async fn complete(session: Session, mut args: Args) -> Result<Return> {
    let model = session.object::<Kept>(args.this)?;
    let request = request(&session, &mut args)?;
    let cx = session.tool_context(&args.cx);
    let response = models::complete(&cx, &model.chat, request).await?;
    Ok(Return::Value(models::describe(&response)?))
}

fn stream(session: &Session, mut args: Args) -> Result<Return> {
    let model = session.object::<Kept>(args.this)?;
    let request = request(session, &mut args)?;
    let cx = session.tool_context(&args.cx);
    let events = models::stream(&cx, &model.chat, request);
    session.insert_stream(events.map(|event| models::describe_event(event?)))
}

async fn embed(session: Session, mut args: Args) -> Result<Return> {
    let model = session.object::<Kept>(args.this)?;
    let Some(place) = model.place.clone() else {
        return Err(
            Error::invalid_args("a model made of a function has no embeddings")
                .with_hint("use `embedder = function(texts) … end` of `RAG.open`"),
        );
    };
    let found = session.components().services.models()?;
    let embedder = found.embedding(model.chat.name(), place)?;
    let texts = args.strings("texts");
    let vectors = models::embed(&args.cx, &embedder, texts).await?;
    Ok(Return::Value(Value::from(vectors)))
}

//! `Session`: a span of work with its conversation, its state and its checkpoints.

use std::sync::Arc;

use aikit_components::sessions::{self, SessionFilter, SessionInfo, SessionOptions, Status};
use aikit_core::{Error, Result, Value, model::Message, value::Map};

use super::{
    ApiClass, ApiFunction, ApiModule, Arg, Args, Call, Kind, Param, Return, Session, optional,
    ready, required, state,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[CLASS],
    ..ApiModule::new(
        NAME,
        "Sessions: a conversation, a state and checkpoints that any notebook, program or shell of \
         the project can take up again.",
    )
};

/// Name of the module and of the class.
pub(super) const NAME: &str = "Session";

const OPTIONS: &[Param] = &[
    optional("tags", Kind::List(&Kind::String), "Words to find it by."),
    optional("metadata", Kind::Table, "What is known about it."),
];

const FILTER: &[Param] = &[
    optional("tag", Kind::String, "Those that have this tag."),
    optional("status", Kind::String, "Those `active` or `completed`.")
        .one_of(&["active", "completed"]),
];

const WHICH: Param = required("id_or_name", Kind::String, "Its identity or its name.");

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "create",
        summary: "Begins a session and makes it the current one.",
        params: &[
            optional("name", Kind::String, "A name that no other session has."),
            optional("options", Kind::Options(OPTIONS), "What is known about it."),
        ],
        returns: "a `Session`",
        example: "Session.create(nil, {tags = {'draft'}}):info().status",
        call: Call::Host(|session, args| Box::pin(create(session.clone(), args))),
    },
    ApiFunction {
        name: "open",
        summary: "Takes up the session of a name, or begins it; makes it the current one.",
        params: &[
            required("name", Kind::String, "Its name."),
            optional(
                "options",
                Kind::Options(OPTIONS),
                "What is known about a new one.",
            ),
        ],
        returns: "a `Session`",
        example: "Session.open('review').name",
        call: Call::Host(|session, args| Box::pin(open(session.clone(), args))),
    },
    ApiFunction {
        name: "resume",
        summary: "Takes up a session and makes it the current one.",
        params: &[WHICH],
        returns: "a `Session`",
        example: "Session.resume(Session.create().id)",
        call: Call::Host(|session, args| Box::pin(resume(session.clone(), args))),
    },
    ApiFunction {
        name: "list",
        summary: "Lists the sessions, those written last first.",
        params: &[optional("filter", Kind::Options(FILTER), "Which ones.")],
        returns: "a list of records with `id`, `name`, `status`, `messages`, `tags`",
        example: "print(#Session.list{status = 'completed'})",
        call: Call::Host(|session, args| Box::pin(list(session.clone(), args))),
    },
    ApiFunction {
        name: "current",
        summary: "The session that was begun or taken up last.",
        params: &[],
        returns: "a `Session`, or nothing when there is none",
        example: "print(Session.current())",
        call: Call::Host(|session, args| Box::pin(current(session.clone(), args))),
    },
    ApiFunction {
        name: "delete",
        summary: "Deletes a session with its conversation, its state, its checkpoints and its \
                  artifacts.",
        params: &[WHICH],
        returns: "nothing",
        example: "Session.delete(Session.create().id)",
        call: Call::Host(|session, args| Box::pin(delete(session.clone(), args))),
    },
];

const CHECKPOINT: Param = optional(
    "name",
    Kind::String,
    "Name of the checkpoint; a number when left out.",
);

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "One session; agents continue its conversation.",
    constructor: None,
    methods: &[
        ApiFunction {
            name: "info",
            summary: "Says what is known about it now.",
            params: &[],
            returns: "a record with `id`, `name`, `tags`, `metadata`, `status`, `messages`, \
                      `checkpoints`, `created_s`, `updated_s`",
            example: "Session.create():info().messages",
            call: Call::Host(|session, args| Box::pin(info(session.clone(), args))),
        },
        ApiFunction {
            name: "messages",
            summary: "Reads its conversation, oldest message first.",
            params: &[],
            returns: "a list of messages with `role` and `parts`",
            example: "print(#Session.create():messages())",
            call: Call::Host(|session, args| Box::pin(messages(session.clone(), args))),
        },
        ApiFunction {
            name: "append",
            summary: "Adds messages to its conversation.",
            params: &[required(
                "messages",
                Kind::List(&Kind::Table),
                "Messages: `{role = 'user', content = '…'}`, or `messages` of a run.",
            )],
            returns: "nothing",
            example: "Session.create():append{{role = 'user', content = 'hello'}}",
            call: Call::Host(|session, args| Box::pin(append(session.clone(), args))),
        },
        ApiFunction {
            name: "state",
            summary: "Opens its values: the scope `session:ID`.",
            params: &[],
            returns: "a `State`",
            example: "Session.create():state():set('step', 1)",
            call: Call::Host(|session, args| ready(state_of(session, &args))),
        },
        ApiFunction {
            name: "checkpoint",
            summary: "Keeps the conversation and the values as they are now.",
            params: &[CHECKPOINT],
            returns: "a record with `name`, `number`, `messages`, `values`, `created_s`",
            example: "Session.create():checkpoint('begin').messages",
            call: Call::Host(|session, args| Box::pin(checkpoint(session.clone(), args))),
        },
        ApiFunction {
            name: "checkpoints",
            summary: "Lists its checkpoints, oldest first.",
            params: &[],
            returns: "a list of records as `checkpoint` gives them",
            example: "print(#Session.create():checkpoints())",
            call: Call::Host(|session, args| Box::pin(checkpoints(session.clone(), args))),
        },
        ApiFunction {
            name: "restore",
            summary: "Makes the conversation and the values what they were at a checkpoint.",
            params: &[optional(
                "name",
                Kind::String,
                "Name of the checkpoint; the newest when left out.",
            )],
            returns: "a record as `checkpoint` gives it",
            example: "local s = Session.create() s:checkpoint() s:restore()",
            call: Call::Host(|session, args| Box::pin(restore(session.clone(), args))),
        },
        ApiFunction {
            name: "complete",
            summary: "Ends it: nothing is added until it is taken up again.",
            params: &[],
            returns: "nothing",
            example: "Session.create():complete()",
            call: Call::Host(|session, args| Box::pin(complete(session.clone(), args))),
        },
    ],
    fields: &[
        ("id", "Its identity."),
        ("name", "Its name, if it has one."),
    ],
};

/// What the session of the script keeps for a handle.
pub(super) type Kept = sessions::Session;

async fn hand_out(session: &Session, args: &Args, found: Kept) -> Result<Return> {
    let info = found.info(&args.cx).await?;
    let fields = Map::from_iter([
        ("id".to_owned(), Value::from(info.id)),
        ("name".to_owned(), Value::from(info.name)),
    ]);
    session.insert(NAME, fields, Arc::new(found))
}

async fn begin(session: &Session, args: &Args, found: Kept) -> Result<Return> {
    let sessions = &session.components().sessions;
    sessions.set_current(Some(found.clone()));
    hand_out(session, args, found).await
}

fn options(args: &mut Args) -> SessionOptions {
    let name = args.string("name");
    let mut given = args.options("options");
    SessionOptions {
        name,
        tags: given.strings("tags"),
        metadata: match given.value("metadata") {
            Value::Map(metadata) => metadata,
            _ => Map::new(),
        },
    }
}

async fn create(session: Session, mut args: Args) -> Result<Return> {
    let options = options(&mut args);
    let sessions = &session.components().sessions;
    let made = sessions.create(&args.cx, options).await?;
    begin(&session, &args, made).await
}

async fn open(session: Session, mut args: Args) -> Result<Return> {
    let options = options(&mut args);
    let sessions = &session.components().sessions;
    let found = sessions.open(&args.cx, options).await?;
    begin(&session, &args, found).await
}

async fn resume(session: Session, mut args: Args) -> Result<Return> {
    let which = args.required_string("id_or_name")?;
    let sessions = &session.components().sessions;
    let found = sessions.resume(&args.cx, &which).await?;
    begin(&session, &args, found).await
}

async fn list(session: Session, mut args: Args) -> Result<Return> {
    let mut given = args.options("filter");
    let status = given.string("status");
    let filter = SessionFilter {
        tag: given.string("tag"),
        status: status.map(|word| Status::parse(&word)).transpose()?,
    };
    let sessions = &session.components().sessions;
    let found: Vec<SessionInfo> = sessions.list(&args.cx, filter).await?;
    Value::from_serialize(&found).map(Return::Value)
}

async fn current(session: Session, args: Args) -> Result<Return> {
    match session.components().sessions.current() {
        Some(found) => hand_out(&session, &args, found).await,
        None => Ok(Return::Value(Value::Null)),
    }
}

async fn delete(session: Session, mut args: Args) -> Result<Return> {
    let which = args.required_string("id_or_name")?;
    let sessions = &session.components().sessions;
    sessions.delete(&args.cx, &which).await?;
    Ok(Return::Value(Value::Null))
}

async fn info(session: Session, args: Args) -> Result<Return> {
    let this = session.object::<Kept>(args.this)?;
    let info = this.info(&args.cx).await?;
    Value::from_serialize(&info).map(Return::Value)
}

async fn messages(session: Session, args: Args) -> Result<Return> {
    let this = session.object::<Kept>(args.this)?;
    let messages = this.messages(&args.cx).await?;
    Value::from_serialize(&messages).map(Return::Value)
}

async fn append(session: Session, mut args: Args) -> Result<Return> {
    let this = session.object::<Kept>(args.this)?;
    let given = args.items("messages").into_iter();
    let given = given.map(|item| Message::parse(item.into_value().unwrap_or_default()));
    let messages: Vec<Message> = given.collect::<Result<_, Error>>()?;
    this.append(&args.cx, &messages).await?;
    Ok(Return::Value(Value::Null))
}

fn state_of(session: &Session, args: &Args) -> Result<Return> {
    let this = session.object::<Kept>(args.this)?;
    state::hand_out(session, this.state().clone())
}

async fn checkpoint(session: Session, mut args: Args) -> Result<Return> {
    let this = session.object::<Kept>(args.this)?;
    let name = args.string("name");
    let kept = this.checkpoint(&args.cx, name.as_deref()).await?;
    Value::from_serialize(&kept).map(Return::Value)
}

async fn checkpoints(session: Session, args: Args) -> Result<Return> {
    let this = session.object::<Kept>(args.this)?;
    let found = this.checkpoints(&args.cx).await?;
    Value::from_serialize(&found).map(Return::Value)
}

async fn restore(session: Session, mut args: Args) -> Result<Return> {
    let this = session.object::<Kept>(args.this)?;
    let name = args.string("name");
    let found = this.restore(&args.cx, name.as_deref()).await?;
    Value::from_serialize(&found).map(Return::Value)
}

async fn complete(session: Session, args: Args) -> Result<Return> {
    let this = session.object::<Kept>(args.this)?;
    this.complete(&args.cx).await?;
    let sessions = &session.components().sessions;
    if sessions.current().is_some_and(|it| it.id() == this.id()) {
        sessions.set_current(None);
    }
    Ok(Return::Value(Value::Null))
}

/// The session that an option means, if it was given.
pub(super) fn argument(session: &Session, given: Option<Arg>) -> Result<Option<Kept>> {
    match given {
        Some(Arg::Object(object)) => Ok(Some((*session.argument::<Kept>(&object)?).clone())),
        _ => Ok(None),
    }
}

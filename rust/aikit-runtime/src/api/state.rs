//! `State`: values that outlive the session, shared by whoever has the scope.

use std::sync::Arc;

use aikit_components::{
    project::Place,
    state::{Scope, State},
};
use aikit_core::{Result, Value, value::Map};

use super::{
    ApiClass, ApiFunction, ApiModule, Args, Call, Kind, Param, Return, Session, optional, required,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[CLASS],
    ..ApiModule::new(
        NAME,
        "Values that outlive the session, shared with other sessions and programs of the project.",
    )
};

/// Name of the module and of the class.
const NAME: &str = "State";

const KEY: Param = required("key", Kind::String, "Name of the value.");

const GET: &[Param] = &[
    KEY,
    optional(
        "default",
        Kind::Any,
        "What is given when there is no value.",
    ),
];

const SET: &[Param] = &[
    KEY,
    required("value", Kind::Any, "What is kept, up to 16 MiB."),
];

const KEYS: &[Param] = &[optional(
    "prefix",
    Kind::String,
    "What the keys begin with; all when left out.",
)];

const UPDATE: &[Param] = &[
    KEY,
    required(
        "change",
        Kind::Function,
        "Takes the value (`nil` when there is none) and gives the new one; called again when \
         somebody else wrote meanwhile.",
    ),
];

const COMPARE: &[Param] = &[
    KEY,
    required(
        "expected",
        Kind::Any,
        "What the value must be; `nil` for none.",
    ),
    required("new", Kind::Any, "What is kept then."),
];

const OPEN: &[Param] = &[optional(
    "url",
    Kind::String,
    "Where it is kept: `sqlite:PATH` below the working directory or `memory:`; the store of the \
     project when left out.",
)];

const SCOPE: ApiFunction = ApiFunction {
    name: "scope",
    summary: "Opens the values of another scope.",
    params: &[
        required(
            "scope",
            Kind::String,
            "`global`, or `user:`, `session:`, `agent:`, `workflow:`, `tool:` or `custom:` with an \
             identity.",
        ),
        optional("options", Kind::Options(OPEN), "How to open it."),
    ],
    returns: "a `State`",
    example: "State.scope('custom:demo', {url = 'memory:'}).scope",
    call: Call::Host(|session, args| Box::pin(scope(session.clone(), args))),
};

macro_rules! rows {
    ($of:literal, $($more:ident)?) => {
        &[
            ApiFunction {
                name: "get",
                summary: "Reads a value.",
                params: GET,
                returns: "the value, or the default",
                example: concat!("print(", $of, "get('none', 0))"),
                call: Call::Host(|session, args| Box::pin(get(session.clone(), args))),
            },
            ApiFunction {
                name: "set",
                summary: "Keeps a value; when this returns, it outlives a crash.",
                params: SET,
                returns: "nothing",
                example: concat!($of, "set('runs', 1)"),
                call: Call::Host(|session, args| Box::pin(set(session.clone(), args))),
            },
            ApiFunction {
                name: "delete",
                summary: "Deletes a value.",
                params: &[KEY],
                returns: "whether there was one",
                example: concat!($of, "delete('none')"),
                call: Call::Host(|session, args| Box::pin(delete(session.clone(), args))),
            },
            ApiFunction {
                name: "keys",
                summary: "Lists the keys, in order.",
                params: KEYS,
                returns: "a list of texts",
                example: concat!("print(#", $of, "keys('none/'))"),
                call: Call::Host(|session, args| Box::pin(keys(session.clone(), args))),
            },
            ApiFunction {
                name: "update",
                summary: "Changes a value by a function, so that no change of others is lost.",
                params: UPDATE,
                returns: "the new value",
                example: concat!($of, "update('count', function(n) return (n or 0) + 1 end)"),
                call: Call::Host(|session, args| Box::pin(update(session.clone(), args))),
            },
            ApiFunction {
                name: "compare_and_set",
                summary: "Keeps a value when the one before is as expected.",
                params: COMPARE,
                returns: "whether it was, and the new one is kept",
                example: concat!($of, "compare_and_set('owner', nil, 'ada')"),
                call: Call::Host(|session, args| Box::pin(compare_and_set(session.clone(), args))),
            },
            $($more,)?
        ]
    };
}

const FUNCTIONS: &[ApiFunction] = rows!("State.", SCOPE);

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "The values of one scope.",
    constructor: None,
    methods: rows!("State.scope('custom:demo', {url = 'memory:'}):",),
    fields: &[("scope", "Who shares it.")],
};

/// What the session keeps for a handle.
pub(super) fn hand_out(session: &Session, state: State) -> Result<Return> {
    let scope = Value::from(state.scope().to_string());
    let fields = Map::from_iter([("scope".to_owned(), scope)]);
    session.insert(NAME, fields, Arc::new(state))
}

async fn scope(session: Session, mut args: Args) -> Result<Return> {
    let scope: Scope = args.required_string("scope")?.parse()?;
    let place = Place::parse(args.options("options").string("url").as_deref())?;
    let project = &session.components().project;
    let state = State::open_inside(&args.cx, project, scope, &place).await?;
    hand_out(&session, state)
}

/// The object a method is called on; the scope `global` for a function of the module.
async fn opened(session: &Session, args: &Args) -> Result<Arc<State>> {
    if args.this.is_some() {
        return session.object::<State>(args.this);
    }
    let project = &session.components().project;
    let state = State::open(&args.cx, project, Scope::Global).await?;
    Ok(Arc::new(state))
}

async fn get(session: Session, mut args: Args) -> Result<Return> {
    let state = opened(&session, &args).await?;
    let key = args.required_string("key")?;
    let found = state.get(&args.cx, &key).await?;
    Ok(Return::Value(
        found.unwrap_or_else(|| args.value("default")),
    ))
}

async fn set(session: Session, mut args: Args) -> Result<Return> {
    let state = opened(&session, &args).await?;
    let (key, value) = (args.required_string("key")?, args.value("value"));
    state.set(&args.cx, &key, &value).await?;
    Ok(Return::Value(Value::Null))
}

async fn delete(session: Session, mut args: Args) -> Result<Return> {
    let state = opened(&session, &args).await?;
    let key = args.required_string("key")?;
    let deleted = state.delete(&args.cx, &key).await?;
    Ok(Return::Value(Value::from(deleted)))
}

async fn keys(session: Session, mut args: Args) -> Result<Return> {
    let state = opened(&session, &args).await?;
    let prefix = args.string("prefix").unwrap_or_default();
    let keys = state.keys(&args.cx, &prefix).await?;
    Ok(Return::Value(Value::from(keys)))
}

async fn update(session: Session, mut args: Args) -> Result<Return> {
    let state = opened(&session, &args).await?;
    let key = args.required_string("key")?;
    let change = args.required_function("change")?;
    let cx = args.cx.clone();
    let change = |found: Option<Value>| change.call(&cx, vec![found.unwrap_or_default()]);
    state
        .update(&args.cx, &key, change)
        .await
        .map(Return::Value)
}

async fn compare_and_set(session: Session, mut args: Args) -> Result<Return> {
    let state = opened(&session, &args).await?;
    let key = args.required_string("key")?;
    let (expected, new) = (args.value("expected"), args.value("new"));
    let kept = state
        .compare_and_set(&args.cx, &key, &expected, &new)
        .await?;
    Ok(Return::Value(Value::from(kept)))
}

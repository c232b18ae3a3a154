//! `Log`: records of a script, with the fields of its cell or run.

use std::sync::Arc;

use aikit_core::{
    Error, ErrorKind, Result, Value,
    logger::{Format, Level, Logger, SCRIPT_FIELDS_MAX},
    value::Map,
};

use super::{
    ApiClass, ApiFunction, ApiModule, Args, Call, Kind, Param, Return, Session, optional, ready,
    required, row,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[CLASS],
    ..ApiModule::new(
        NAME,
        "Records of a script, with the fields of its cell or run; the host decides where they go.",
    )
};

/// Name of the module and of the class.
const NAME: &str = "Log";

const RECORD: &[Param] = &[
    required("message", Kind::String, "What is said."),
    optional("fields", Kind::Table, "What belongs to it, as data."),
];

const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "error", "fatal"];

const LEVEL: &[Param] = &[required(
    "level",
    Kind::String,
    "`trace`, `debug`, `info`, `warn`, `error` or `fatal`.",
)
.one_of(LEVELS)];

const BINDINGS: &[Param] = &[required(
    "bindings",
    Kind::Table,
    "What each of its records carries; a later one takes the place of an earlier.",
)];

const COMPONENT: &[Param] = &[required("name", Kind::String, "Name of the component.")];

const CONFIGURE: &[Param] = &[
    optional(
        "level",
        Kind::String,
        "The least severe level that the script's records are given out at: `trace`, `debug`, \
         `info`, `warn`, `error` or `fatal`.",
    )
    .one_of(LEVELS),
    optional(
        "format",
        Kind::String,
        "How its lines look where the host writes lines and has set no format: `text`, or `json` \
         for one object a line.",
    )
    .one_of(&["text", "json"]),
    optional(
        "context_fields",
        Kind::Either(&[Kind::Table, Kind::List(&Kind::String)]),
        "What every record of the script carries beside what it carries already, 256 at most: fields \
         by their names, and in the list part names of metadata of the Context that a record is \
         written in.",
    ),
    optional(
        "replace",
        Kind::Boolean,
        "Whether what is left out goes back to its default; `false` when left out.",
    ),
];

const GET: ApiFunction = ApiFunction {
    name: "get",
    summary: "Gives the logger of the script.",
    params: &[],
    returns: "a `Log`",
    example: "Log.get():info('ready')",
    call: Call::Host(|session, _| ready(hand_out(session, session.logger()))),
};

const CREATE: ApiFunction = ApiFunction {
    name: "create",
    summary: "Makes a logger with a level of its own.",
    params: &[required(
        "options",
        Kind::Options(&[optional(
            "level",
            Kind::String,
            "Its level: `trace`, `debug`, `info` (when left out), `warn`, `error` or `fatal`.",
        )
        .one_of(LEVELS)]),
        "How it logs.",
    )],
    returns: "a `Log`",
    example: "Log.create{level = 'debug'}:debug('detail')",
    call: Call::Host(|session, args| ready(create(session, args))),
};

const CONFIGURE_ROW: ApiFunction = ApiFunction {
    name: "configure",
    summary: "Changes how the records of the script are given out.",
    params: &[required(
        "options",
        Kind::Options(CONFIGURE),
        "What changes.",
    )],
    returns: "nothing",
    example: "Log.configure{level = 'debug', context_fields = {'conversation_id', experiment = 'a'}}",
    call: Call::Host(|session, args| ready(configure(session, args))),
};

const COMPOSE: ApiFunction = row(
    "compose_context_fields",
    "Makes one table of several, for `configure`: of two fields with the same name the later wins.",
    &[required(
        "fields",
        Kind::List(&Kind::Table),
        "Tables as for `context_fields`, in order.",
    )],
    "a table",
    "Log.configure{context_fields = Log.compose_context_fields{{'conversation_id'}, {run = 2, part = 'a'}}}",
);

macro_rules! levels {
    ($of:literal; $($more:ident),*) => {
        levels!(
            $of,
            ("trace", Trace), ("debug", Debug), ("info", Info), ("warn", Warn),
            ("error", Error), ("fatal", Fatal);
            $($more),*
        )
    };
    ($of:literal, $(($name:literal, $level:ident)),+; $($more:ident),*) => {
        &[
            $(
                ApiFunction {
                    name: $name,
                    summary: concat!("Logs at the level `", $name, "`."),
                    params: RECORD,
                    returns: "nothing",
                    example: concat!($of, $name, "('loaded', {rows = 3})"),
                    call: Call::Host(|session, args| ready(log(session, args, Level::$level))),
                },
            )+
            ApiFunction {
                name: "child",
                summary: "Makes a logger whose records carry more fields.",
                params: BINDINGS,
                returns: "a `Log`",
                example: concat!($of, "child({step = 1}):info('begun')"),
                call: Call::Host(|session, args| ready(child(session, args))),
            },
            ApiFunction {
                name: "for_component",
                summary: "Makes the logger of a component: its records are called `aikit.` and the name.",
                params: COMPONENT,
                returns: "a `Log`",
                example: concat!($of, "for_component('loader'):info('begun')"),
                call: Call::Host(|session, args| ready(for_component(session, args))),
            },
            ApiFunction {
                name: "set_level",
                summary: "Changes the least severe level that is given out.",
                params: LEVEL,
                returns: "nothing",
                example: concat!($of, "set_level('info')"),
                call: Call::Host(|session, args| ready(set_level(session, args))),
            },
            ApiFunction {
                name: "is_level_enabled",
                summary: "Says whether a record of a level would go anywhere.",
                params: LEVEL,
                returns: "whether it would",
                example: concat!("print(", $of, "is_level_enabled('debug'))"),
                call: Call::Host(|session, args| ready(is_level_enabled(session, args))),
            },
            $($more,)*
        ]
    };
}

const FUNCTIONS: &[ApiFunction] = levels!(
    "Log.";
    GET, CREATE, CONFIGURE_ROW, COMPOSE
);

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "A logger.",
    constructor: None,
    methods: levels!("Log.get():";),
    fields: &[],
};

fn hand_out(session: &Session, logger: Logger) -> Result<Return> {
    session.insert(NAME, Map::new(), Arc::new(logger))
}

/// The logger a method is called on; that of the script for a function of the module.
fn opened(session: &Session, args: &Args) -> Result<Logger> {
    match args.this {
        Some(_) => Ok((*session.object::<Logger>(args.this)?).clone()),
        None => Ok(session.logger()),
    }
}

fn log(session: &Session, mut args: Args, level: Level) -> Result<Return> {
    let logger = opened(session, &args)?;
    let message = args.required_string("message")?;
    let fields = table(args.value("fields"));
    args.cx.run_sync(|| logger.log(level, &message, fields));
    Ok(Return::Value(Value::Null))
}

fn child(session: &Session, mut args: Args) -> Result<Return> {
    let bindings = table(args.value("bindings"));
    let child = opened(session, &args)?.child(bindings);
    hand_out(session, bounded(child)?)
}

fn for_component(session: &Session, mut args: Args) -> Result<Return> {
    let name = args.required_string("name")?;
    let is_name = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.');
    if name.is_empty() || !name.chars().all(is_name) {
        let message = format!("`{name}` is no name of a component");
        return Err(Error::invalid_args(message)
            .with_hint("use letters, digits, `_`, `-` and dots between parts"));
    }
    let logger = opened(session, &args)?.for_component(&name);
    hand_out(session, logger)
}

fn set_level(session: &Session, mut args: Args) -> Result<Return> {
    let level = args.required_string("level")?.parse()?;
    opened(session, &args)?.set_level(level);
    Ok(Return::Value(Value::Null))
}

fn is_level_enabled(session: &Session, mut args: Args) -> Result<Return> {
    let level = args.required_string("level")?.parse()?;
    let is_enabled = opened(session, &args)?.is_level_enabled(level);
    Ok(Return::Value(Value::from(is_enabled)))
}

fn create(session: &Session, mut args: Args) -> Result<Return> {
    let level = args.options("options").string("level");
    let level = level.map_or(Ok(Level::Info), |it| it.parse())?;
    hand_out(session, session.logger().with_level(level))
}

fn configure(session: &Session, mut args: Args) -> Result<Return> {
    let mut options = args.options("options");
    let level: Option<Level> = options.string("level").map(|it| it.parse()).transpose()?;
    let format: Option<Format> = options.string("format").map(|it| it.parse()).transpose()?;
    let replaces = options.value("replace") == Value::Bool(true);
    let (names, constants) = context_fields(options.value("context_fields"))?;
    session.change_logger(|logger| {
        let mut logger = if replaces {
            Session::first_logger()
        } else {
            logger.clone()
        };
        if !constants.is_empty() {
            logger = logger.child(constants);
        }
        if !names.is_empty() {
            logger = logger.with_metadata_fields(names);
        }
        let mut logger = bounded(logger)?;
        if let Some(level) = level {
            logger.set_level(level);
        }
        if let Some(format) = format {
            logger = logger.with_format(format);
        }
        Ok(logger)
    })?;
    Ok(Return::Value(Value::Null))
}

/// A logger whose records carry no more fields than those of a script may.
fn bounded(logger: Logger) -> Result<Logger> {
    let fields = logger.own_fields();
    if fields <= SCRIPT_FIELDS_MAX {
        return Ok(logger);
    }
    let message = format!(
        "each record would carry {fields} fields of its own, more than {SCRIPT_FIELDS_MAX}"
    );
    Err(Error::new(ErrorKind::LimitExceeded, message)
        .with_hint("give what differs with the record, or begin anew with `replace = true`"))
}

/// Names of metadata, and fields, of what `context_fields` was given. A table that has both is one of
/// names, where those of its list part are their positions.
fn context_fields(given: Value) -> Result<(Vec<String>, Map)> {
    let (mut names, mut constants) = (Vec::new(), Map::new());
    let members: Vec<(String, Value)> = match given {
        Value::Map(members) => members.into_iter().collect(),
        Value::List(items) => (1..).map(|it: usize| it.to_string()).zip(items).collect(),
        _ => Vec::new(),
    };
    for (name, value) in members {
        if name.parse::<u64>().is_err() {
            constants.insert(name, value);
        } else if let Value::String(metadata) = value {
            names.push(metadata);
        } else {
            let message = format!(
                "`Log.configure`: `options.context_fields[{name}]` is {}, no name",
                value.type_name()
            );
            let hint = "name metadata of the Context, or write `name = value`";
            return Err(Error::invalid_args(message).with_hint(hint));
        }
    }
    // Of a name that has both, the field counts.
    names.retain(|name| !constants.contains_key(name));
    Ok((names, constants))
}

/// A checked table; one without members may have been read as a list.
fn table(value: Value) -> Map {
    match value {
        Value::Map(members) => members,
        _ => Map::new(),
    }
}

//! `Hook`: functions that stand around calls, and the hooks that come with aikit.

use std::sync::Arc;

use aikit_components::{hooks, security::approval::FunctionApprover};
use aikit_core::{
    Error, Result, Value,
    hook::{FunctionHook, HookAction, HookInfo, HookOptions, HookPoint, PRIORITIES, Points},
    value::Map,
};

use super::{
    ApiClass, ApiFunction, ApiModule, Args, Call, Kind, Param, Return, Session, optional, ready,
    required, session::HOOK_ORIGIN,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[CLASS],
    ..ApiModule::new(
        NAME,
        "Functions that stand around calls: they see them, change them, answer for them, stop them.",
    )
};

/// Name of the module and of the class.
const NAME: &str = "Hook";

const TEXTS: Kind = Kind::Either(&[Kind::String, Kind::List(&Kind::String)]);

const PRIORITY: Param = optional(
    "priority",
    Kind::Either(&[Kind::String, Kind::Integer]),
    "Higher ones are asked first: `highest`, `high`, `normal`, `low`, `lowest`, or a whole number.",
)
.one_of(PRIORITY_NAMES);

const PRIORITY_NAMES: &[&str] = &{
    let mut names = [""; PRIORITIES.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = PRIORITIES[at].0;
        at += 1;
    }
    names
};

const TIMEOUT: Param = optional(
    "timeout_s",
    Kind::Number,
    "How long one call of it may take, in seconds; it is cut off then. 30 when left out.",
);

const REGISTER: &[Param] = &[
    optional(
        "name",
        Kind::String,
        "Its name; a hook with the name and the points of an earlier one takes its place. The \
         function's own when left out.",
    ),
    PRIORITY,
    TIMEOUT,
    optional(
        "required",
        Kind::Boolean,
        "Whether a call fails when the hook fails. Otherwise it goes on, and a hook that keeps \
         failing is switched off.",
    ),
];

/// The options of all built-in hooks; each takes its own and those that all have.
const USE: &[Param] = &[
    optional(
        "name",
        Kind::String,
        "Name in lists; that of the built-in hook when left out.",
    ),
    PRIORITY,
    TIMEOUT,
    optional(
        "on",
        TEXTS,
        "Kinds of call it stands around, such as `tool` and `model`.",
    ),
    optional(
        "names",
        TEXTS,
        "Names of the tools, models or agents it is for; a `*` at the end stands for anything.",
    ),
    optional(
        "level",
        Kind::String,
        "Of `logging`: `trace`, `debug` or `info`.",
    )
    .one_of(&["trace", "debug", "info"]),
    optional(
        "ttl_s",
        Kind::Number,
        "Of `cache`: how long an answer is good, in seconds.",
    ),
    optional(
        "entries_max",
        Kind::Integer,
        "Of `cache`: how many answers are kept.",
    ),
    optional(
        "bytes_max",
        Kind::Integer,
        "Of `cache`: how many bytes of answers are kept.",
    ),
    optional(
        "calls",
        Kind::Integer,
        "Of `rate_limit`: how many calls may begin in a period.",
    ),
    optional(
        "per_s",
        Kind::Number,
        "Of `rate_limit`: length of the period, in seconds.",
    ),
    optional(
        "burst",
        Kind::Integer,
        "Of `rate_limit`: how many calls may begin at once.",
    ),
    optional(
        "wait",
        Kind::Boolean,
        "Of `rate_limit`: whether a call waits, or is refused.",
    ),
    optional(
        "wait_max_s",
        Kind::Number,
        "Of `rate_limit`: longest wait, in seconds.",
    ),
    optional(
        "each",
        Kind::Boolean,
        "Of `rate_limit`: whether each name has a limit of its own.",
    ),
    optional(
        "attempts",
        Kind::Integer,
        "Of `retry`: how many further attempts there are.",
    ),
    optional(
        "delay_s",
        Kind::Number,
        "Of `retry`: bound of the first pause, in seconds.",
    ),
    optional(
        "delay_max_s",
        Kind::Number,
        "Of `retry`: largest bound of a pause, in seconds.",
    ),
    optional(
        "usd",
        Kind::Number,
        "Of `cost_limit`: most money, in US dollars.",
    ),
    optional("tokens", Kind::Integer, "Of `cost_limit`: most tokens."),
    optional("requests", Kind::Integer, "Of `cost_limit`: most requests."),
    optional(
        "prices",
        Kind::Table,
        "Of `cost_limit`: by name of a model `input` and `output`, US dollars for a million tokens.",
    ),
    optional(
        "callers",
        Kind::String,
        "Of `approval`: whose calls are asked about, `all` or `agent`.",
    )
    .one_of(&["all", "agent"]),
    optional(
        "approve",
        Kind::Function,
        "Of `approval`: decides instead of the user; gives true, false or `always`.",
    ),
];

const RETRY: &[Param] = &[
    optional(
        "delay_s",
        Kind::Number,
        "How long to wait first, in seconds; 0 when left out.",
    ),
    optional(
        "max",
        Kind::Integer,
        "How often during one call; 3 when left out.",
    ),
];

const BUILT_IN: &[&str] = &{
    let mut names = [""; hooks::BUILT_INS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = hooks::BUILT_INS[at].name;
        at += 1;
    }
    names
};

const NAMED: &[Param] = &[required("name", Kind::String, "Its name.").listed("Hook", "list")];

const CLASS: ApiClass = ApiClass {
    name: NAME,
    summary: "One hook. It stays when its handle is gone.",
    constructor: None,
    methods: &[ApiFunction {
        name: "unregister",
        summary: "Takes the hook away.",
        params: &[],
        returns: "whether it was still there",
        example: "Hook.register('tool.before', function() end):unregister()",
        call: Call::Host(|session, args| ready(unregister_this(session, &args))),
    }],
    fields: &[
        ("name", "Its name."),
        ("points", "Where it is asked."),
        ("priority", "Higher ones are asked first."),
    ],
};

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "register",
        summary: "Has a function asked at points around calls, for the rest of the session. It gets \
                  one table, what the point shows, and gives nothing to let the call go on, or what \
                  `Hook.modify`, `Hook.replace`, `Hook.skip`, `Hook.stop` or `Hook.retry` gives.",
        params: &[
            required(
                "point",
                TEXTS,
                "Where: a name such as `tool.before`, a pattern such as `tool.*` or `*.error`, or a \
                 list of them.",
            )
            .listed("Hook", "points"),
            required("fn", Kind::Function, "The function."),
            optional("options", Kind::Options(REGISTER), "How it is asked."),
        ],
        returns: "a `Hook`",
        example: "Hook.register('tool.before', function(call) print(call.tool) end, {name = 'seen'})",
        call: Call::Host(|session, args| ready(register(session, args))),
    },
    ApiFunction {
        name: "unregister",
        summary: "Takes the hooks of a name away.",
        params: NAMED,
        returns: "how many there were",
        example: "Hook.unregister('seen')",
        call: Call::Host(|session, mut args| {
            let name = args.required_string("name");
            let removed = name.and_then(|name| session.hooks().unregister_for(&args.cx, &name));
            ready(removed.map(counted))
        }),
    },
    ApiFunction {
        name: "list",
        summary: "Lists the hooks in the order in which they are asked.",
        params: &[],
        returns: "a list of records with `name`, `points`, `priority`, `timeout_s`, `required`, \
                  `origin`, `state` (`on` or `off`), `calls`, `failures`, `last_error`, `report`",
        example: "print(#Hook.list())",
        call: Call::Host(|session, _| {
            let hooks = session.hooks().list();
            let listed = hooks.iter().map(HookInfo::to_value).collect();
            ready(Ok(Return::Value(listed)))
        }),
    },
    ApiFunction {
        name: "points",
        summary: "Lists the points at which hooks can be asked.",
        params: &[],
        returns: "a list of records with `name`, `summary`, `shows` (fields of the table that a hook \
                  gets), `changes` (those that `Hook.modify` may change), `is_replaceable`",
        example: "print(Hook.points()[1].name)",
        call: Call::Host(|_, _| {
            let points = HookPoint::ALL.iter().map(|point| point.to_value());
            ready(Ok(Return::Value(points.collect())))
        }),
    },
    ApiFunction {
        name: "use",
        summary: "Switches on a hook that comes with aikit: `logging`, `metrics`, `cache`, \
                  `rate_limit`, `retry`, `cost_limit` or `approval`.",
        params: &[
            required("built_in", Kind::String, "Its name.").one_of(BUILT_IN),
            optional("options", Kind::Options(USE), "How it works."),
        ],
        returns: "a `Hook`",
        example: "Hook.use('rate_limit', {calls = 10, per_s = 60})",
        call: Call::Host(|session, args| ready(switch_on(session, args))),
    },
    ApiFunction {
        name: "enable",
        summary: "Switches on again what was switched off because it kept failing.",
        params: NAMED,
        returns: "how many hooks have that name",
        example: "Hook.enable('seen')",
        call: Call::Host(|session, mut args| {
            let name = args.required_string("name");
            ready(name.map(|name| counted(session.hooks().enable(&name))))
        }),
    },
    ApiFunction {
        name: "modify",
        summary: "The answer that changes fields: arguments before a call, its result after it.",
        params: &[required(
            "fields",
            Kind::Table,
            "The changed fields by name.",
        )],
        returns: "an answer for a hook to give",
        example: "Hook.modify{args = {text = 'other'}}",
        call: Call::Host(|_, mut args| {
            let fields = match args.value("fields") {
                Value::Map(fields) => fields,
                _ => Map::new(),
            };
            ready(Ok(answer(&HookAction::Modify(fields))))
        }),
    },
    ApiFunction {
        name: "replace",
        summary: "The answer that gives the result; before a call, the call is left out.",
        params: &[required(
            "value",
            Kind::Any,
            "The result; `nil` for an empty one.",
        )],
        returns: "an answer for a hook to give",
        example: "Hook.replace({words = 0})",
        call: Call::Host(|_, mut args| {
            // Lua keeps no key without a value.
            let action = match args.value("value") {
                Value::Null => HookAction::Skip,
                value => HookAction::Replace(value),
            };
            ready(Ok(answer(&action)))
        }),
    },
    ApiFunction {
        name: "skip",
        summary: "The answer that gives an empty result.",
        params: &[],
        returns: "an answer for a hook to give",
        example: "Hook.skip()",
        call: Call::Host(|_, _| ready(Ok(answer(&HookAction::Skip)))),
    },
    ApiFunction {
        name: "stop",
        summary: "The answer that ends the call with an error.",
        params: &[
            required("reason", Kind::String, "What the error says."),
            optional(
                "kind",
                Kind::String,
                "Kind of the error; `denied` when left out.",
            ),
        ],
        returns: "an answer for a hook to give",
        example: "Hook.stop('not on Sundays')",
        call: Call::Host(|_, args| ready(stop(args))),
    },
    ApiFunction {
        name: "retry",
        summary: "The answer that has the call made again, hooks included; before a call it asks the \
                  hooks again.",
        params: &[optional(
            "options",
            Kind::Options(RETRY),
            "When and how often.",
        )],
        returns: "an answer for a hook to give",
        example: "Hook.retry{delay_s = 0.5, max = 2}",
        call: Call::Host(|_, args| ready(retry(args))),
    },
];

fn answer(action: &HookAction) -> Return {
    Return::Value(action.to_value())
}

fn counted(count: usize) -> Return {
    Return::Value(Value::from(count))
}

/// What the session keeps for a handle.
type Kept = Vec<HookInfo>;

fn hand_out(session: &Session, infos: Kept) -> Result<Return> {
    let first = infos
        .first()
        .ok_or_else(|| Error::internal("a hook was registered nowhere"))?;
    let points = infos.iter().flat_map(|info| info.points.iter());
    let fields = Map::from_iter([
        ("name".to_owned(), Value::from(first.name.as_str())),
        (
            "points".to_owned(),
            points.map(|point| Value::from(point.name())).collect(),
        ),
        (
            "priority".to_owned(),
            Value::from(i64::from(first.options.priority)),
        ),
    ]);
    session.insert::<Kept>(NAME, fields, Arc::new(infos))
}

fn register(session: &Session, mut args: Args) -> Result<Return> {
    let points = Points::from_value(&args.value("point"))?;
    let function = args.required_function("fn")?;
    let given = named_values(args.options("options"), REGISTER);
    let mut options = HookOptions::from_value(&Value::Map(given), HOOK_ORIGIN)?;
    options
        .name
        .get_or_insert_with(|| function.name().to_owned());
    let hook = Arc::new(FunctionHook::new(function));
    let info = session
        .hooks()
        .register_for(&args.cx, points, options, hook)?;
    hand_out(session, vec![info])
}

fn unregister_this(session: &Session, args: &Args) -> Result<Return> {
    let infos = session.object::<Kept>(args.this)?;
    let mut removed = false;
    for info in &*infos {
        removed |= session.hooks().remove_for(&args.cx, info.id)?;
    }
    Ok(Return::Value(Value::from(removed)))
}

fn switch_on(session: &Session, mut args: Args) -> Result<Return> {
    let name = args.required_string("built_in")?;
    let mut options = args.options("options");
    let mut host = session.components().hook_host.clone();
    if let Some(function) = options.function("approve") {
        host.approver = Some(Arc::new(FunctionApprover::new(function)));
    }
    let given = named_values(options, USE);
    let infos = hooks::switch_on(&args.cx, &host, &name, Value::Map(given))?;
    hand_out(session, infos)
}

fn stop(mut args: Args) -> Result<Return> {
    let reason = args.required_string("reason")?;
    let kind = args.value("kind");
    let mut given = vec![("stop", Value::from(reason))];
    if !kind.is_null() {
        given.push(("kind", kind));
    }
    HookAction::from_value(Value::map(given)).map(|action| answer(&action))
}

fn retry(mut args: Args) -> Result<Return> {
    let given = named_values(args.options("options"), RETRY);
    let given = Value::map([("retry", Value::Map(given))]);
    HookAction::from_value(given).map(|action| answer(&action))
}

/// The options that were given, as data.
fn named_values(mut args: Args, options: &[Param]) -> Map {
    let given = options
        .iter()
        .map(|option| (option.name, args.value(option.name)));
    given
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

//! `Tool`: the built-in tools, and tools made of functions.

use std::sync::Arc;

use aikit_components::tools::{self, FunctionTool, FunctionToolOptions};
use aikit_core::{
    Error, Result, Value, clock,
    schema::Schema,
    script::Callable,
    tool::{DynTool, ToolSpec},
    value::Map,
};

use super::{
    ApiClass, ApiFunction, ApiModule, Arg, Args, Call, Kind, Members, Param, Return, Session,
    optional, ready, required,
};

/// The module.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    classes: &[CLASS],
    members: Some(Members {
        call: "invoke",
        list: "list",
    }),
    ..ApiModule::new("Tool", "The built-in tools, and tools made of functions.")
};

/// The names of the groups, which stand where those of tools do.
pub(super) const GROUPS: &[&str] = &{
    let mut names = [""; tools::GROUPS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = tools::GROUPS[at].name;
        at += 1;
    }
    names
};

/// A tool, as an argument of an agent.
pub(super) const TOOL: Kind = Kind::Either(&[
    Kind::String,
    Kind::Function,
    Kind::Object("Tool"),
    Kind::Options(CREATE),
]);

const CREATE: &[Param] = &[
    required(
        "name",
        Kind::String,
        "Name, verb first, such as `read_sensor`.",
    ),
    required(
        "summary",
        Kind::String,
        "What it does; models choose by it.",
    ),
    required(
        "fn",
        Kind::Function,
        "Gets one table, the arguments, and gives the result.",
    ),
    optional(
        "parameters",
        Kind::Table,
        "The arguments: a type or a JSON Schema by name; all of them are required.",
    ),
    optional(
        "schema",
        Kind::Table,
        "The whole JSON Schema of the arguments instead.",
    ),
    optional(
        "timeout_s",
        Kind::Number,
        "Longest time of one call, in seconds.",
    ),
];

const CLASS: ApiClass = ApiClass {
    name: "Tool",
    summary: "One tool.",
    constructor: None,
    methods: &[ApiFunction {
        name: "invoke",
        summary: "Runs the tool once.",
        params: &[optional("args", Kind::Table, "Its arguments by name.")],
        returns: "what the tool gives",
        example: "Tool.get('count_words'):invoke{text = 'a b c'}.words",
        call: Call::Host(|session, args| Box::pin(invoke_this(session.clone(), args))),
    }],
    fields: &[
        ("name", "Its name."),
        ("summary", "What it does."),
        ("input_schema", "JSON Schema of its arguments."),
        ("permissions", "What it touches."),
        (
            "origin",
            "Where it comes from: `built-in`, `lua`, `python`, `agent`.",
        ),
        ("usage", "Its arguments in one line."),
    ],
};

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "list",
        summary: "Lists every tool of the session.",
        params: &[],
        returns: "a list of records with `name`, `summary`, `permissions`, `input_schema`, …",
        example: "print(#Tool.list())",
        call: Call::Host(|session, _| {
            let specs = session.components().tools.list();
            let tools = specs
                .iter()
                .map(|spec| Value::Map(describe(spec)))
                .collect();
            Box::pin(async move { Ok(Return::Value(tools)) })
        }),
    },
    ApiFunction {
        name: "get",
        summary: "Finds a tool by its name.",
        params: &[required("name", Kind::String, "Its name.").listed("Tool", "list")],
        returns: "a `Tool`",
        example: "Tool.get('count_words').summary",
        call: Call::Host(|session, args| ready(get(session, args))),
    },
    ApiFunction {
        name: "invoke",
        summary: "Runs a tool once; `Tool.NAME{…}` is short for `Tool.invoke('NAME', {…})`.",
        params: &[
            required("name", Kind::String, "Name of the tool.").listed("Tool", "list"),
            optional("args", Kind::Table, "Its arguments by name."),
        ],
        returns: "what the tool gives",
        example: "Tool.invoke('count_words', {text = 'a b c'}).words",
        call: Call::Host(|session, args| Box::pin(invoke(session.clone(), args))),
    },
    ApiFunction {
        name: "create",
        summary: "Makes a tool of a function; agents can use it, and `Tool.NAME{…}` runs it.",
        params: &[required(
            "options",
            Kind::Options(CREATE),
            "What the tool is.",
        )],
        returns: "a `Tool`",
        example: "Tool.create{name = 'double', summary = 'Doubles a number.', \
                  parameters = {n = 'number'}, fn = function(args) return args.n * 2 end}",
        call: Call::Host(|session, args| ready(create(session, args))),
    },
];

fn describe(spec: &ToolSpec) -> Map {
    let permissions = spec.permissions.iter();
    Map::from_iter([
        ("name".to_owned(), Value::from(spec.name.as_str())),
        ("summary".to_owned(), Value::from(spec.summary.as_str())),
        ("input_schema".to_owned(), spec.input_schema.clone()),
        (
            "permissions".to_owned(),
            permissions
                .map(|permission| Value::from(permission.name()))
                .collect(),
        ),
        ("origin".to_owned(), Value::from(spec.origin)),
        ("usage".to_owned(), Value::from(spec.usage())),
    ])
}

/// What the session keeps for a handle.
type Kept = Arc<dyn DynTool>;

pub(super) fn hand_out(session: &Session, tool: Arc<dyn DynTool>) -> Result<Return> {
    let fields = describe(tool.spec());
    session.insert::<Kept>(CLASS.name, fields, Arc::new(tool))
}

fn get(session: &Session, mut args: Args) -> Result<Return> {
    let tool = session
        .components()
        .tools
        .find(&args.required_string("name")?)?;
    hand_out(session, tool)
}

async fn invoke(session: Session, mut args: Args) -> Result<Return> {
    let tool = session
        .components()
        .tools
        .find(&args.required_string("name")?)?;
    run(&session, &tool, args).await
}

async fn invoke_this(session: Session, args: Args) -> Result<Return> {
    let tool = session.object::<Kept>(args.this)?;
    run(&session, &tool, args).await
}

async fn run(session: &Session, tool: &Arc<dyn DynTool>, mut args: Args) -> Result<Return> {
    let given = match args.value("args") {
        Value::Null => Value::Map(Map::new()),
        mut given => {
            settle_empty(&mut given, &tool.spec().input_schema);
            given
        }
    };
    let cx = session.tool_context(&args.cx);
    tools::invoke(&cx, tool, given).await.map(Return::Value)
}

/// Scripts write an empty list like an empty table; the schema knows which is meant.
fn settle_empty(given: &mut Value, schema: &Value) {
    // The arguments as a whole are a map always.
    if given.as_map().is_some_and(Map::is_empty) {
        return;
    }
    let settled = Schema::lazy(schema.clone()).settle_empty(given);
    // The call says what is wrong with the schema.
    drop(settled);
}

fn create(session: &Session, mut args: Args) -> Result<Return> {
    let tool = from_options(args.options("options"))?;
    session.components().tools.add(Arc::clone(&tool))?;
    hand_out(session, tool)
}

fn from_options(mut options: Args) -> Result<Arc<dyn DynTool>> {
    let schema = match (options.value("schema"), options.value("parameters")) {
        (Value::Null, Value::Map(parameters)) => schema_of(parameters)?,
        (schema, _) => schema,
    };
    let timeout = options.number("timeout_s").map(|seconds| {
        clock::length(seconds)
            .filter(|timeout| !timeout.is_zero())
            .ok_or_else(|| {
                let message = format!("`timeout_s` is `{seconds}`, which is no length of time");
                Error::invalid_args(message).with_hint("give a number of seconds above 0")
            })
    });
    let described = FunctionToolOptions {
        name: options.required_string("name")?,
        summary: options.required_string("summary")?,
        schema,
        timeout: timeout.transpose()?,
        origin: "lua",
    };
    FunctionTool::new(described, options.required_function("fn")?)
}

/// The schema of `{city = "string", days = {type = "integer"}}`.
fn schema_of(parameters: Map) -> Result<Value> {
    let required = parameters
        .keys()
        .map(|name| Value::from(name.as_str()))
        .collect();
    let properties: Result<Map> = parameters
        .into_iter()
        .map(|(name, kind)| {
            let schema = match kind {
                Value::String(kind) => Value::map([("type", Value::String(kind))]),
                schema @ Value::Map(_) => schema,
                other => {
                    let message = format!(
                        "the parameter `{name}` must be a type or a schema, but it is `{other}`"
                    );
                    let hint = "write `{city = \"string\"}` or `{city = {type = \"string\"}}`";
                    return Err(Error::invalid_args(message).with_hint(hint));
                }
            };
            Ok((name, schema))
        })
        .collect();
    Ok(Value::map([
        ("type", Value::from("object")),
        ("properties", Value::Map(properties?)),
        ("required", required),
        ("additionalProperties", Value::Bool(false)),
    ]))
}

/// The tools that a checked list of [`TOOL`]s means.
pub(super) fn resolve(
    session: &Session,
    cx: &aikit_core::Context,
    given: Vec<Arg>,
) -> Result<Vec<Arc<dyn DynTool>>> {
    let mut tools: Vec<Arc<dyn DynTool>> = Vec::new();
    for arg in given {
        match arg {
            Arg::Value(Value::String(name)) => {
                session.components().tools.resolve_into(&mut tools, name)?;
            }
            Arg::Object(object) => tools.push(Arc::clone(&*session.argument::<Kept>(&object)?)),
            Arg::Callable(function) => tools.push(from_function(function)?),
            Arg::Map(options) => tools.push(from_options(Args::new(cx.clone(), None, options))?),
            _ => return Err(Error::internal("a tool was not checked")),
        }
    }
    Ok(tools)
}

/// A function without a description: its name has to say what it does.
fn from_function(function: Arc<dyn Callable>) -> Result<Arc<dyn DynTool>> {
    let name = function.name().to_owned();
    let described = FunctionToolOptions {
        summary: format!("The function `{name}` of the script."),
        name,
        schema: Value::map([("type", Value::from("object"))]),
        timeout: None,
        origin: "lua",
    };
    FunctionTool::new(described, function)
}

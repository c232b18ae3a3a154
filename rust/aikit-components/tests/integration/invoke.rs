//! What `tools::invoke` adds to a tool: validation, hooks, policy, limits, a record.

use std::{path::PathBuf, sync::Arc, time::Duration};

use aikit_components::tools::{self, FunctionTool, FunctionToolOptions, Registry};
use aikit_core::{
    Context, Error, ErrorKind, Result, Value,
    context::{Caller, Overrides},
    event::EventKind,
    graph::Status,
    hook::{Hook, HookAction, HookOptions, HookPoint},
    script::Callable,
    services::{FilePart, Files, ListOptions, Services},
    tool::{DynTool, ToolContext},
};
use futures::{FutureExt as _, future::BoxFuture};

use crate::{
    session::{self, Answers, Setup},
    support::wait,
};

type Body = Box<dyn Fn(Value) -> BoxFuture<'static, Result<Value>> + Send + Sync>;

/// A function of a script.
struct Function(Body);

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Function")
    }
}

impl Callable for Function {
    fn name(&self) -> &'static str {
        "anonymous"
    }

    fn call(&self, _: &Context, mut args: Vec<Value>) -> BoxFuture<'static, Result<Value>> {
        assert_eq!(args.len(), 1, "a tool's function gets the map of arguments");
        (self.0)(args.remove(0))
    }
}

fn options(name: &str, schema: Value) -> FunctionToolOptions {
    FunctionToolOptions {
        name: name.to_owned(),
        summary: "Does what the test wants.".to_owned(),
        schema,
        timeout: None,
        origin: "lua",
    }
}

fn city_schema() -> Value {
    let city = Value::map([("type", Value::from("string"))]);
    Value::map([
        ("properties", Value::map([("city", city)])),
        ("required", Value::List(vec![Value::from("city")])),
    ])
}

fn tool(
    schema: Value,
    body: impl Fn(Value) -> Result<Value> + Send + Sync + 'static,
) -> Arc<dyn DynTool> {
    let body: Body = Box::new(move |args| {
        let answer = body(args);
        Box::pin(async move { answer })
    });
    FunctionTool::new(options("own_tool", schema), Arc::new(Function(body))).unwrap()
}

fn bare() -> ToolContext {
    ToolContext {
        context: Context::default(),
        services: Arc::default(),
    }
}

fn invoke(cx: &ToolContext, tool: &Arc<dyn DynTool>, args: Value) -> Result<Value> {
    let (cx, tool) = (cx.clone(), Arc::clone(tool));
    wait(async move { tools::invoke(&cx, &tool, args).await })
}

#[test]
fn a_function_gets_its_arguments_as_one_map() {
    let echo = tool(city_schema(), Ok);
    let args = Value::map([("city", Value::from("Ghent"))]);
    assert_eq!(invoke(&bare(), &echo, args.clone()).unwrap(), args);
}

#[test]
fn arguments_that_do_not_fit_the_schema_never_reach_the_function() {
    let never = tool(city_schema(), |_| panic!("called"));
    for args in [
        Value::Null,
        Value::map([("city", Value::Int(3))]),
        Value::Int(1),
    ] {
        let error = invoke(&bare(), &never, args).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
        assert!(error.message().contains("own_tool"), "{error}");
        assert!(
            error.hint().unwrap().contains("`city` (string, required)"),
            "{error:?}"
        );
    }
}

#[test]
fn an_error_of_the_script_is_a_failure_of_the_tool() {
    let failing = tool(Value::Null, |_| {
        Err(Error::new(ErrorKind::Script, "boom").with_traceback(vec!["cell 1:3".to_owned()]))
    });
    let error = invoke(&bare(), &failing, Value::Null).unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (ErrorKind::ToolFailed, "`own_tool`: boom")
    );
    assert_eq!(error.traceback(), ["cell 1:3"]);
    let retrying = tool(Value::Null, |_| {
        Err(Error::new(ErrorKind::ToolRetry, "give a year"))
    });
    let error = invoke(&bare(), &retrying, Value::Null).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ToolRetry);
}

#[test]
fn a_schema_that_is_none_is_refused_when_the_tool_is_made() {
    let function = || Arc::new(Function(Box::new(|_| Box::pin(async { Ok(Value::Null) }))));
    for schema in [
        Value::from("text"),
        Value::map([("type", Value::from("array"))]),
        Value::map([("properties", Value::Int(1))]),
    ] {
        let error = FunctionTool::new(options("own_tool", schema), function()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    }
    let silent = FunctionToolOptions {
        summary: " ".to_owned(),
        ..options("own_tool", Value::Null)
    };
    assert!(FunctionTool::new(silent, function()).is_err());
}

#[test]
fn the_users_tools_replace_each_other_but_no_built_in_one() {
    let registry = Registry::with_built_ins();
    let named = |name: &str, answer: i64| {
        let body: Body = Box::new(move |_| Box::pin(async move { Ok(Value::Int(answer)) }));
        FunctionTool::new(options(name, Value::Null), Arc::new(Function(body)))
    };
    registry.add(named("weather", 1).unwrap()).unwrap();
    registry.clone().add(named("weather", 2).unwrap()).unwrap();
    let found = registry.find("weather").unwrap();
    assert_eq!(invoke(&bare(), &found, Value::Null).unwrap(), Value::Int(2));
    for name in ["count_words", "safe", "two words", "", "9lives", "naïve"] {
        let error = named(name, 0)
            .and_then(|tool| registry.add(tool))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgs, "{name}");
    }
    let safe = registry.resolve(&["safe".to_owned()]).unwrap();
    assert!(safe.iter().all(|tool| tool.spec().name != "weather"));
}

#[test]
fn a_call_that_takes_too_long_ends_and_names_its_limit() {
    let body: Body = Box::new(|_| Box::pin(std::future::pending()));
    let slow = FunctionToolOptions {
        timeout: Some(Duration::from_millis(20)),
        ..options("slow_tool", Value::Null)
    };
    let slow = FunctionTool::new(slow, Arc::new(Function(body))).unwrap();
    let error = invoke(&bare(), &slow, Value::Null).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.message(), "`slow_tool` took longer than 20ms");
}

#[test]
fn a_large_answer_is_refused_whole() {
    let large = tool(Value::Null, |_| Ok(Value::from("x".repeat(2 << 20))));
    let error = invoke(&bare(), &large, Value::Null).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_call_is_a_node_and_counts() {
    let cx = bare();
    let counted = Registry::with_built_ins().find("count_words").unwrap();
    let args = Value::map([("text", Value::from("a b"))]);
    invoke(&cx, &counted, args).unwrap();
    invoke(&cx, &counted, Value::Null).unwrap_err();
    let nodes = cx.context.graph().all();
    let seen: Vec<_> = nodes
        .iter()
        .map(|node| (&*node.name, node.status()))
        .collect();
    assert_eq!(
        seen,
        [
            ("tool:count_words", Status::Completed),
            ("tool:count_words", Status::Failed)
        ]
    );
    assert!((nodes[0].metrics.get("tool.calls") - 1.0).abs() < f64::EPSILON);
}

#[test]
fn a_call_with_wrong_arguments_is_a_node_and_an_event() {
    let cx = bare();
    let mut events = cx.context.events().subscribe("procedure.*");
    invoke(&cx, &tool(city_schema(), Ok), Value::Null).unwrap_err();
    let nodes = cx.context.graph().all();
    assert_eq!(
        (&*nodes[0].name, nodes[0].status()),
        ("tool:own_tool", Status::Failed)
    );
    assert_eq!(events.try_next().unwrap().kind, EventKind::ProcedureStart);
    assert_eq!(events.try_next().unwrap().kind, EventKind::ProcedureError);
}

#[test]
fn long_work_leaves_the_thread_that_polls_it() {
    let counted = Registry::with_built_ins().find("count_words").unwrap();
    for (repeats, is_quick) in [(10, true), (100_000, false)] {
        let args = Value::map([("text", Value::from("a b ".repeat(repeats)))]);
        let cx = bare();
        let poll = || {
            let polled = tools::invoke(&cx, &counted, args.clone()).now_or_never();
            polled.is_some()
        };
        assert_eq!(is_always(poll), is_quick, "{repeats}");
    }
    for (repeats, is_quick) in [(10, true), (100_000, false)] {
        let cx = ToolContext {
            context: Context::default(),
            services: Arc::new(Services {
                files: Some(Arc::new(OneFile("a b ".repeat(repeats)))),
                ..Services::default()
            }),
        };
        let args = Value::map([("pattern", Value::from("c"))]);
        let search = Registry::with_built_ins().find("search_files").unwrap();
        let poll = || search.call(&cx, args.clone()).now_or_never().is_some();
        assert_eq!(is_always(poll), is_quick, "{repeats}");
    }
}

/// Whether the first poll is the last one each time: where another thread works, it now and then is
/// done by then, too.
fn is_always(poll: impl Fn() -> bool) -> bool {
    // On a busy machine the other thread may be done before this one goes on, many times.
    (0..1_000).all(|_| poll())
}

/// A folder with one file, read at once.
#[derive(Debug)]
struct OneFile(String);

impl Files for OneFile {
    fn read<'a>(
        &'a self,
        _: &'a Context,
        _: &'a str,
        _: u64,
        _: u64,
    ) -> BoxFuture<'a, Result<FilePart>> {
        let part = FilePart {
            bytes: self.0.clone().into(),
            total_bytes: self.0.len() as u64,
        };
        Box::pin(async { Ok(part) })
    }

    fn resolve<'a>(&'a self, _: &'a Context, path: &'a str) -> BoxFuture<'a, Result<PathBuf>> {
        Box::pin(async move { Ok(PathBuf::from(path)) })
    }

    fn list<'a>(
        &'a self,
        _: &'a Context,
        _: &'a str,
        _: ListOptions,
    ) -> BoxFuture<'a, Result<Vec<PathBuf>>> {
        Box::pin(async { Ok(vec![PathBuf::from("a.txt")]) })
    }
}

#[test]
fn a_number_of_retries_out_of_range_is_refused() {
    let request = Registry::with_built_ins().find("request_http").unwrap();
    let args = Value::map([
        ("url", Value::from("http://localhost/")),
        ("retry", Value::Int(6)),
    ]);
    let (cx, call) = (bare(), Arc::clone(&request));
    let error = wait(async move { call.call(&cx, args).await }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgs);
    assert_eq!(error.message(), "`retry` is 6");
}

#[derive(Debug)]
struct Answering(HookAction);

impl Hook for Answering {
    fn call<'a>(&'a self, _: &'a Context, data: &'a Value) -> BoxFuture<'a, Result<HookAction>> {
        assert_eq!(data.get("tool"), Some(&Value::from("own_tool")));
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[test]
fn hooks_replace_and_stop_calls() {
    let hooked = |point, action| {
        let cx = bare();
        let options = HookOptions {
            required: true,
            ..HookOptions::named("test")
        };
        let hook = Arc::new(Answering(action));
        cx.context.hooks().register(point, options, hook).unwrap();
        cx
    };
    let never = tool(Value::Null, |_| panic!("called"));
    let cx = hooked(HookPoint::ToolBefore, HookAction::Replace(Value::Int(7)));
    assert_eq!(invoke(&cx, &never, Value::Null).unwrap(), Value::Int(7));
    let cx = hooked(HookPoint::ToolBefore, HookAction::stop("not now"));
    assert_eq!(
        invoke(&cx, &never, Value::Null).unwrap_err().kind(),
        ErrorKind::Denied
    );
    let one = tool(Value::Null, |_| Ok(Value::Int(1)));
    let cx = hooked(HookPoint::ToolAfter, HookAction::Replace(Value::Int(8)));
    assert_eq!(invoke(&cx, &one, Value::Null).unwrap(), Value::Int(8));
    let cx = hooked(HookPoint::ToolAfter, HookAction::Continue);
    assert_eq!(invoke(&cx, &one, Value::Null).unwrap(), Value::Int(1));
}

#[test]
fn without_a_policy_nothing_that_needs_a_permission_happens() {
    let args = Value::map([("path", Value::from("a.txt"))]);
    let error = session::invoke(&bare(), "read_file", args).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}

#[test]
fn an_agent_reads_a_key_file_only_when_the_user_says_yes() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "KEY=1").unwrap();
    let read = |caller, answer: Option<&str>| {
        let ask = answer.map(|it| {
            Arc::new(Answers {
                answer: it.to_owned(),
                ..Answers::default()
            })
        });
        let cx = session::open(
            folder.path(),
            Setup {
                caller,
                ask: ask.clone(),
                ..Setup::default()
            },
        );
        let mut events = cx.context.events().subscribe("policy.*");
        let outcome = session::invoke(
            &cx,
            "read_file",
            Value::map([("path", Value::from(".env"))]),
        );
        let event = events.try_next().unwrap();
        assert_eq!(event.kind, EventKind::PolicyDecision);
        let allowed = event.data.get("allowed").and_then(Value::as_bool).unwrap();
        let asked = ask.map_or(0, |it| it.asked.lock().unwrap().len());
        (
            outcome.map_err(|error| error.kind()).map(|_| ()),
            allowed,
            asked,
        )
    };
    assert_eq!(read(Caller::User, None), (Ok(()), true, 0));
    assert_eq!(read(Caller::Agent, Some("yes")), (Ok(()), true, 1));
    assert_eq!(
        read(Caller::Agent, Some("no")),
        (Err(ErrorKind::Denied), false, 1)
    );
    assert_eq!(
        read(Caller::Agent, None),
        (Err(ErrorKind::ApprovalNeeded), false, 0)
    );
}

#[test]
fn runaway_computations_end_with_their_deadline() {
    let cases = [
        (
            "query_json",
            [("data", Value::Null), ("query", Value::from("def f: f; f"))],
        ),
        (
            "query_json",
            [
                ("data", Value::Null),
                ("query", Value::from("range(1e15) | empty")),
            ],
        ),
        (
            "query_json",
            [
                ("data", Value::Null),
                (
                    "query",
                    Value::from("def f: try f catch f, f; reduce range(1e15) as $x (0; f)"),
                ),
            ],
        ),
        (
            "query_json",
            [
                ("data", Value::Null),
                ("query", Value::from("[limit(1e12; repeat(1)?)]")),
            ],
        ),
        (
            "query_json",
            [
                ("data", Value::from("x")),
                ("query", Value::from("reduce range(100) as $i (.; . + .)")),
            ],
        ),
        (
            "calculate",
            [
                (
                    "variables",
                    Value::map([("n", 1_i64)].map(|(key, value)| (key, Value::Int(value)))),
                ),
                ("expression", Value::from("9^9^9^9")),
            ],
        ),
    ];
    for (tool, args) in cases {
        let context = Context::create(Overrides {
            timeout: Some(Duration::from_secs(2)),
            ..Overrides::default()
        });
        let cx = ToolContext {
            context,
            services: Arc::default(),
        };
        let error = session::invoke(&cx, tool, Value::map(args.clone())).unwrap_err();
        let kinds = [
            ErrorKind::LimitExceeded,
            ErrorKind::Timeout,
            ErrorKind::InvalidArgs,
        ];
        assert!(kinds.contains(&error.kind()), "{args:?}: {error:?}");
    }
}

#[test]
fn deeply_nested_expressions_do_not_overflow_the_stack() {
    let nested = format!("{}1{}", "(".repeat(900), ")".repeat(900));
    let minus = format!("{}1", "-".repeat(1900));
    for expression in [nested, minus] {
        let args = Value::map([("expression", Value::from(expression))]);
        drop(session::invoke(&bare(), "calculate", args));
    }
    for query in [
        format!("{}1{}", "[".repeat(4000), "]".repeat(4000)),
        "-".repeat(9000) + "1",
    ] {
        let args = Value::map([("data", Value::Null), ("query", Value::from(query))]);
        drop(session::invoke(&bare(), "query_json", args));
    }
}

//! The globals without a module: tasks, waiting, questions to the user.

use aikit_core::{
    Error, Result, Value,
    services::{Question, Reading},
};

use super::{ApiFunction, ApiModule, Args, Call, Kind, Return, Session, optional, required};

/// The module without a name.
pub(super) const MODULE: ApiModule = ApiModule {
    functions: FUNCTIONS,
    ..ApiModule::new(
        "",
        "Functions that need no module: tasks, waiting, questions to the user.",
    )
};

const TASKS: Kind = Kind::List(&Kind::Anything);

const STATUS: &[super::Param] = &[optional(
    "status",
    Kind::Either(&[Kind::Integer, Kind::Boolean]),
    "Exit status, 0 to 255; `true` means 0, which is the default, and `false` 1.",
)];

const FUNCTIONS: &[ApiFunction] = &[
    ApiFunction {
        name: "async",
        summary: "Starts a function beside the cell; it runs whenever the others wait.",
        params: &[
            required(
                "fn",
                Kind::Anything,
                "A function or a procedure; further arguments are passed to it.",
            ),
            optional("arguments", Kind::Rest, "Passed to the function."),
        ],
        returns: "a task with `:await()`, `:cancel()` and `:status()`; one that is cancelled, or past \
                  its time limit, runs none of its code any more, `<close>` variables included",
        example: "task = async(function() sleep(0.01) return 7 end) print(task:await())",
        call: Call::Engine,
    },
    ApiFunction {
        name: "await",
        summary: "Waits for tasks.",
        params: &[
            required(
                "task",
                Kind::Anything,
                "A task, or a function that becomes one.",
            ),
            optional("others", Kind::Rest, "More of them."),
        ],
        returns: "all values of one task, or the first value of each of several",
        example: "await(async(function() return 1, 2 end))",
        call: Call::Engine,
    },
    ApiFunction {
        name: "gather",
        summary: "Waits for all tasks of a list; the first error cancels the others.",
        params: &[required("tasks", TASKS, "Tasks and functions.")],
        returns: "a list with the first value of each",
        example: "gather{function() return 1 end, function() return 2 end}",
        call: Call::Engine,
    },
    ApiFunction {
        name: "race",
        summary: "Waits for the first task of a list that ends, and cancels the others.",
        params: &[required("tasks", TASKS, "Tasks and functions.")],
        returns: "the values of the first",
        example: "race{function() sleep(9) return 'slow' end, function() return 'fast' end}",
        call: Call::Engine,
    },
    ApiFunction {
        name: "timeout",
        summary: "Runs a function, but not longer than it may take.",
        params: &[
            required("seconds", Kind::Number, "Longest time in seconds."),
            required("fn", Kind::Function, "The function."),
        ],
        returns: "the values of the function; an error of kind `timeout` when it took too long",
        example: "timeout(5, function() return Tool.calculate{expression = '2+2'} end)",
        call: Call::Engine,
    },
    ApiFunction {
        name: "sleep",
        summary: "Waits, and lets tasks run meanwhile.",
        params: &[required("seconds", Kind::Number, "How long, in seconds.")],
        returns: "nothing",
        example: "sleep(0.01)",
        call: Call::Engine,
    },
    ApiFunction {
        name: "help",
        summary: "Prints what is known about a name or a value, like `name?` at the end of a cell; \
                  without one, what there is.",
        params: &[optional(
            "subject",
            Kind::Anything,
            "A name such as `'Tool.invoke'`, or a function, a module, an object.",
        )],
        returns: "nothing",
        example: "help(Tool.invoke)",
        call: Call::Engine,
    },
    ApiFunction {
        name: "exit",
        summary: "Ends the program that runs the script, once the script has stopped; in a \
                  notebook it says how to stop the kernel.",
        params: STATUS,
        returns: "nothing: what follows is not run",
        example: "exit(1)",
        call: Call::Engine,
    },
    ApiFunction {
        name: "quit",
        summary: "The same as `exit`.",
        params: STATUS,
        returns: "nothing: what follows is not run",
        example: "quit()",
        call: Call::Engine,
    },
    ApiFunction {
        name: "input",
        summary: "Asks the user for a line of text.",
        params: &[
            optional("prompt", Kind::String, "What is asked."),
            optional(
                "reading",
                Kind::Either(&[Kind::String, Kind::Integer]),
                "What is read, as for `io.read`: `l` (a line), `L` (with its end), `n` (a number's \
                 text), `a` (everything), or a number of bytes.",
            )
            .one_of(&["l", "L", "n", "a"]),
        ],
        returns: "the text; `nil` at the end of the input",
        example: "name = input('Your name: ')",
        call: Call::Host(|session, args| Box::pin(read(session.clone(), args))),
    },
    ApiFunction {
        name: "getpass",
        summary: "Asks the user for a text that is not shown while it is typed.",
        params: &[optional("prompt", Kind::String, "What is asked.")],
        returns: "the text",
        example: "key = getpass('Key: ')",
        call: Call::Host(|session, args| Box::pin(ask_secret(session.clone(), args))),
    },
    ApiFunction {
        name: "update_display",
        summary: "Replaces what was displayed with the same `display_id`.",
        params: &[
            required(
                "value",
                Kind::Anything,
                "A value, or a table whose keys are media types.",
            ),
            required(
                "options",
                super::display::OPTIONS,
                "Which display, and its metadata.",
            ),
        ],
        returns: "nothing",
        example: "update_display('done', {display_id = 'state'})",
        call: Call::Engine,
    },
    ApiFunction {
        name: "clear_output",
        summary: "Clears what the cell has shown.",
        params: &[optional(
            "wait",
            Kind::Boolean,
            "Whether to wait for the next output.",
        )],
        returns: "nothing",
        example: "clear_output(true)",
        call: Call::Engine,
    },
];

async fn ask_secret(session: Session, mut args: Args) -> Result<Return> {
    let cx = session.tool_context(&args.cx);
    let question = Question {
        prompt: args.string("prompt").unwrap_or_default(),
        choices: Vec::new(),
        secret: true,
    };
    let answer = cx.services.ask()?.ask(&cx.context, question).await?;
    Ok(Return::Value(Value::String(answer)))
}

async fn read(session: Session, mut args: Args) -> Result<Return> {
    let cx = session.tool_context(&args.cx);
    let prompt = args.string("prompt").unwrap_or_default();
    let reading = reading_of(&args.value("reading"))?;
    let ask = cx.services.ask()?;
    let bytes = ask.read(&cx.context, prompt, reading).await?;
    Ok(Return::Value(bytes.map_or(Value::Null, |bytes| {
        String::from_utf8(bytes).map_or_else(
            |error| Value::Bytes(error.into_bytes().into()),
            Value::String,
        )
    })))
}

fn reading_of(format: &Value) -> Result<Reading> {
    let known = match format {
        Value::Null => Some(Reading::Line),
        Value::Int(count) => usize::try_from(*count).ok().map(Reading::Bytes),
        // Older versions of Lua wrote an asterisk in front.
        Value::String(text) => match text.trim_start_matches('*').chars().next() {
            Some('l') => Some(Reading::Line),
            Some('L') => Some(Reading::WholeLine),
            Some('n') => Some(Reading::Number),
            Some('a') => Some(Reading::All),
            _ => None,
        },
        _ => None,
    };
    known.ok_or_else(|| {
        let message = format!(
            "`reading` must be a format or a number of bytes, but it is the {} `{format}`",
            format.type_name()
        );
        Error::invalid_args(message)
            .with_hint("the formats are `l`, `L`, `n`, `a`, or a number of bytes")
    })
}

//! What Lua has to run with: the functions of no library, `coroutine`, `io`, `os`.

use super::{Entry, function, library, value};

pub(super) const ENTRIES: &[Entry] = &[
    value("_G", "The table in which the global variables are."),
    value("_VERSION", "Which Lua this is, as text."),
    function(
        "assert",
        "value: any value, message?: any value, ...: any values",
        "all it was given",
        "Fails with `message` when `value` is `nil` or `false`.",
    ),
    function(
        "collectgarbage",
        "option?: string, size?: integer",
        "0 for `collect`; for `step` whether a cycle ended; for `count` the kibibytes in use",
        "Frees what nothing refers to any more (`collect`, the default; `step` does a part of it, \
         that of `size` kibibytes), or tells how much memory is in use (`count`). Nothing else is \
         allowed.",
    ),
    function(
        "error",
        "message: any value, level?: integer",
        "never",
        "Ends what runs with an error. The message is usually a text, before which the place is \
         put: that of this call, of its caller for level 2, none for level 0.",
    ),
    function(
        "getmetatable",
        "value: any value",
        "the metatable, or what its `__metatable` holds; `nil` when there is none",
        "Finds the metatable of a value.",
    ),
    function(
        "ipairs",
        "list: table",
        "what a `for` loop needs",
        "Goes through a list from its first item to the one before the first `nil`: \
         `for position, item in ipairs(list) do … end`.",
    ),
    function(
        "load",
        "chunk: string or function, name?: string, mode?: string, environment?: table",
        "the function; `nil` and a message when the code is wrong",
        "Compiles code without running it. A function is called for pieces of the code until it \
         gives none. Only text is taken, not bytecode.",
    ),
    function(
        "next",
        "table: table, key?: any value",
        "the next key and its value; `nil` at the end",
        "Steps through a table in no particular order, from its beginning without a key; \
         `next(t) == nil` tells whether it is empty.",
    ),
    function(
        "pairs",
        "table: table",
        "what a `for` loop needs",
        "Goes through all keys of a table in no particular order: \
         `for key, value in pairs(table) do … end`. The metamethod `__pairs` decides where there \
         is one.",
    ),
    function(
        "pcall",
        "body: function, ...arguments?: any values",
        "`true` and what the function returns; `false` and the error",
        "Calls a function and catches its error.",
    ),
    function(
        "print",
        "...: any values",
        "nothing",
        "Writes values as text to the output of the cell, with tabs between and a line's end after \
         them.",
    ),
    function(
        "rawequal",
        "left: any value, right: any value",
        "a boolean",
        "Compares two values without asking `__eq`.",
    ),
    function(
        "rawget",
        "table: table, key: any value",
        "the value",
        "Reads a member of a table without asking `__index`.",
    ),
    function(
        "rawlen",
        "value: table or string",
        "an integer",
        "The length of a list or a text without asking `__len`.",
    ),
    function(
        "rawset",
        "table: table, key: any value, value: any value",
        "the table",
        "Sets a member of a table without asking `__newindex`.",
    ),
    function(
        "select",
        "position: integer or string, ...: any values",
        "the values from `position` on, or how many there are",
        "Takes values from a list of arguments. A negative position counts from the end; \
         `select('#', ...)` counts them, `nil` included.",
    ),
    function(
        "setmetatable",
        "table: table, metatable: table or nil",
        "the table",
        "Gives a table its metatable, or takes it away with `nil`. One that has a `__metatable` \
         stays. `__gc` is not allowed: a variable with `<close>` releases something.",
    ),
    function(
        "tonumber",
        "value: any value, base?: integer",
        "the number, or `nil` when the text is none",
        "Reads a number out of a text; with a base from 2 to 36 a whole one with those digits.",
    ),
    function(
        "tostring",
        "value: any value",
        "a string",
        "Writes a value as text, by its `__tostring` where there is one.",
    ),
    function(
        "type",
        "value: any value",
        "`nil`, `boolean`, `number`, `string`, `table`, `function`, `thread` or `userdata`",
        "Names the type of a value.",
    ),
    function(
        "xpcall",
        "body: function, handler: function, ...arguments?: any values",
        "`true` and what the function returns; `false` and what the handler returns",
        "As `pcall`, with a function that gets the error while the place of it can still be looked \
         at.",
    ),
    library(
        "coroutine",
        "Functions that stop in the middle and go on later.",
    ),
    function(
        "coroutine.close",
        "thread: thread",
        "`true`; `false` and the error, of a `__close` or the one with which it had ended",
        "Ends a coroutine that is suspended or dead, and closes its variables that are to be \
         closed.",
    ),
    function(
        "coroutine.create",
        "body: function",
        "a thread",
        "Makes a coroutine, which waits for its first `resume`.",
    ),
    function(
        "coroutine.isyieldable",
        "thread?: thread",
        "a boolean",
        "Whether a coroutine, the running one when left out, can yield.",
    ),
    function(
        "coroutine.resume",
        "thread: thread, ...arguments?: any values",
        "`true` and what it yields or returns; `false` and its error",
        "Lets a coroutine go on; the arguments are what its `yield` returns.",
    ),
    function(
        "coroutine.running",
        "",
        "the thread, and whether it is the main one",
        "Tells which coroutine runs.",
    ),
    function(
        "coroutine.status",
        "thread: thread",
        "`running`, `suspended`, `normal` (it resumed another one) or `dead`",
        "Tells what a coroutine does.",
    ),
    function(
        "coroutine.wrap",
        "body: function",
        "a function",
        "Makes a coroutine that is resumed by calling a function; its errors are those of the call.",
    ),
    function(
        "coroutine.yield",
        "...: any values",
        "what the next `resume` hands over",
        "Suspends the coroutine that runs; `resume` returns the values.",
    ),
    library(
        "io",
        "The input and the output of the cell; files are read and written with tools.",
    ),
    function(
        "io.flush",
        "",
        "nothing",
        "Does nothing: output is shown as it is written.",
    ),
    function(
        "io.lines",
        "name?: nil, ...formats?: string or integer",
        "what a `for` loop needs",
        "Goes through the lines of the input: `for line in io.lines() do … end`.",
    ),
    function(
        "io.read",
        "...formats?: string or integer",
        "what was read; `nil` at the end of the input",
        "Reads from the input: `l` a line (the default), `L` a line with its end, `n` a number, `a` \
         everything, or that many bytes.",
    ),
    value(
        "io.stderr",
        "The output for errors: `io.stderr:write(…)` writes to it.",
    ),
    value(
        "io.stdin",
        "The input: `io.stdin:read(…)` and `io.stdin:lines(…)` read from it.",
    ),
    value(
        "io.stdout",
        "The output of the cell: `io.stdout:write(…)` writes to it.",
    ),
    function(
        "io.write",
        "...: any values",
        "`io.stdout`",
        "Writes values as text to the output of the cell, with nothing between or after them.",
    ),
    library("os", "Time, and the end of the program."),
    function(
        "os.clock",
        "",
        "seconds",
        "Tells how much time of the processor the process has used.",
    ),
    function(
        "os.date",
        "format?: string, time?: integer",
        "a string, or a table for `*t`",
        "Writes a time, now when left out, with the directives of C: `os.date('%Y-%m-%d')`. `!` \
         before the format means UTC; `*t` gives `year`, `month`, `day`, `hour` and so on.",
    ),
    function(
        "os.difftime",
        "later: integer, earlier: integer",
        "seconds",
        "How long it is from one time to another.",
    ),
    function(
        "os.exit",
        "status?: integer or boolean",
        "never",
        "Ends the program with this status (`aikit run`), or leaves the prompt (`aikit repl`). In a \
         notebook it is an error that says to restart the kernel, and `pcall` catches it.",
    ),
    function(
        "os.time",
        "fields?: table",
        "seconds since 1970",
        "Tells what time it is, or which one `year`, `month`, `day`, `hour`, `min` and `sec` mean \
         here.",
    ),
];

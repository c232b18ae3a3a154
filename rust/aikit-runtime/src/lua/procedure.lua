-- Procedures of Lua functions: the way through middleware to the function, as Lua goes it itself,
-- so that arguments and results are any values of the script and the function may wait.
--
-- `native` has what Rust does: beginning and ending executions, schemas, events, tasks, handles.
local native = ...

local pack, unpack, type = table.pack, table.unpack, type
local setmetatable, pcall, error, tostring = setmetatable, pcall, error, tostring
local pairs, concat = pairs, table.concat
local runs = native.runs
local create, resume, status, close = coroutine.create, coroutine.resume, coroutine.status, coroutine.close

-- What a procedure is made of, by the value that the script holds.
local parts = setmetatable({}, { __mode = "k" })
local bundles = setmetatable({}, { __mode = "k" })
local Procedure, Pipeline = {}, {}
local methods = {}

-- What stands behind a value that `method` was called on.
local function behind(all, value, noun, method)
    local own = all[value]
    if not own then
        local hint = "write `" .. noun .. ":" .. method .. "(…)`, with a colon"
        native.refuse("`" .. method .. "` was not called on a " .. noun, hint)
    end
    return own
end

local function parts_of(value, method)
    return behind(parts, value, "procedure", method)
end

-- The rest of the way from the middleware at `position` on. Whatever has `run` has `execution`,
-- which keeps it.
local function through(own, envelope, execution, run, position, args)
    local middleware = own.middleware[position]
    if not middleware then
        return own.fn(unpack(args, 1, args.n))
    end
    return middleware(args, envelope, function(given)
        if not runs(run) then native.check_context(execution) end
        if given == nil then
            given = args
        elseif type(given) ~= "table" then
            native.refuse("`next` was given a " .. type(given), "call `next()` for the same arguments, or give a list of them")
        elseif given ~= args and not given.n then
            given.n = #given
        end
        return through(own, envelope, execution, run, position + 1, given)
    end)
end

-- What stands behind an envelope: the execution is none of the script's, which could end it.
local envelopes = setmetatable({}, { __mode = "k" })

local envelope_meta = {
    __index = function(self, key)
        local behind_it = envelopes[self]
        if key == "context" or key == "pid" then return native[key](behind_it.execution) end
        if key == "handle" then
            -- The same each time: it knows where whoever calls it stands.
            if behind_it.handle == nil then
                behind_it.handle = native.handle(behind_it.execution) or false
            end
            return behind_it.handle or nil
        end
        return behind_it.said[key]
    end,
    __newindex = function(_, key) native.refuse("`" .. tostring(key) .. "` of an envelope cannot be set", "give `next` other arguments, or keep it in a variable of your own") end,
    __tostring = function(self) return "envelope of `" .. envelopes[self].said.operation_name .. "`" end,
    __name = "Envelope",
    __metatable = false,
}

local function envelope_of(own, execution)
    local made = setmetatable({}, envelope_meta)
    envelopes[made] = { execution = execution, said = own.envelope }
    return made
end

local function invoke(own, execution, ...)
    if own.has_schema then
        native.check_args(own.native, (...))
    end
    if own.middleware[1] then
        local envelope = envelope_of(own, execution)
        return through(own, envelope, execution, native.check_context(execution), 1, pack(...))
    end
    return own.fn(...)
end

-- Ends an execution well. Where this is not reached, closing its variable ends it: with the error
-- that was raised, or as cancelled.
local function finished(execution, ...)
    native.finish(execution)
    return ...
end

local function explained(execution, ok, ...)
    if ok then
        native.finish(execution)
        return ...
    end
    error(native.fail(execution, (...)), 0)
end

-- One call of `body` as an execution.
local function within(own, body, ...)
    if own.is_limited then
        -- A task, because only that can be stopped from outside while it computes.
        local execution = native.begin(own.native)
        return explained(execution, pcall(native.run_task, execution, body, own, execution, ...))
    end
    local execution <close> = native.begin(own.native)
    return finished(execution, body(own, execution, ...))
end

local function call(self, ...)
    local own = parts[self]
    if own.is_generator then
        return methods.stream(self, ...)
    end
    return within(own, invoke, ...)
end

local meta = {
    __index = function(self, key)
        local method = methods[key]
        if method then return method end
        local own = parts[self]
        if key == "name" then return own.envelope.operation_name end
        if key == "metadata" then return own.envelope.metadata end
        native.refuse("a procedure has no member `" .. tostring(key) .. "`", "its members are call, name, metadata, pipe, run, start, stream, use, with_context, with_handle, with_metadata, with_middleware and with_timeout")
    end,
    __call = call,
    __tostring = function(self) return "procedure `" .. parts[self].envelope.operation_name .. "`" end,
    __name = "Procedure",
    __metatable = false,
    __newindex = function() native.refuse("a procedure cannot be changed", "make a new one with `:use(…)` or `:with_…(…)`") end,
}

-- The parts of a procedure; `options` are those of `Procedure.create`, checked already.
local function new_parts(options, fn, middleware, is_hook)
    local own = { fn = fn, middleware = middleware, options = options }
    own.native = native.options(options, is_hook or false)
    own.is_limited = (options.timeout or 0) > 0 or (options.context and options.context.timeout) ~= nil
    own.has_schema = options.schema ~= nil
    own.is_generator = options.generator or false
    own.is_hook = is_hook or false
    own.envelope = {
        operation_name = options.name,
        source_type = is_hook and "hook" or "procedure",
        metadata = options.metadata or {},
    }
    return own
end

local function make(options, fn, middleware, is_hook)
    local made = setmetatable({}, meta)
    parts[made] = new_parts(options, fn, middleware, is_hook)
    return made
end

local function flat(list, into)
    if type(list) ~= "table" then
        native.refuse("the middleware is a " .. type(list), "give a list of functions `function(args, envelope, next) return next(args) end`, or a pipeline")
    end
    for position = 1, list.n or #list do
        local it = list[position]
        if bundles[it] then
            flat(bundles[it], into)
        elseif type(it) == "function" then
            into[#into + 1] = it
        else
            native.refuse("middleware " .. position .. " is a " .. type(it), "write `function(args, envelope, next) return next(args) end`")
        end
    end
    return into
end

local function copy(from, changes)
    local made = {}
    for key, value in pairs(from) do made[key] = value end
    for key, value in pairs(changes) do made[key] = value end
    return made
end

local function changed(self, method, changes, middleware)
    local own = parts_of(self, method)
    return make(copy(own.options, changes), own.fn, middleware or own.middleware, own.is_hook)
end

function methods.run(self, ...)
    local own = parts_of(self, "run")
    if own.is_generator then
        local stream = methods.stream(self, ...)
        for _ in stream do end
        return stream.returned
    end
    return call(self, ...)
end

methods.call = methods.run

function methods.use(self, ...)
    local own = parts_of(self, "use")
    local middleware = { unpack(own.middleware) }
    return changed(self, "use", {}, flat(pack(...), middleware))
end

methods.with_middleware = methods.use

function methods.with_timeout(self, ...)
    parts_of(self, "with_timeout")
    native.check("with_timeout", ...)
    local seconds = ...
    return changed(self, "with_timeout", { timeout = seconds })
end

function methods.with_metadata(self, ...)
    local own = parts_of(self, "with_metadata")
    native.check("with_metadata", ...)
    local metadata = ...
    return changed(self, "with_metadata", { metadata = copy(own.options.metadata or {}, metadata) })
end

function methods.with_context(self, ...)
    parts_of(self, "with_context")
    native.check("with_context", ...)
    local overrides = ...
    return changed(self, "with_context", { context = overrides })
end

function methods.pipe(self, ...)
    parts_of(self, "pipe")
    return Procedure.pipe(self, ...)
end

-- All that a generator hands out, as events.
local function drain(own, execution, ...)
    local co = native.generates(create(invoke))
    local values = pack(resume(co, own, execution, ...))
    while values[1] and status(co) ~= "dead" do
        native.chunk(execution, values[2])
        values = pack(resume(co))
    end
    if not values[1] then error(values[2], 0) end
    return unpack(values, 2, values.n)
end

function methods.start(self, ...)
    local own = parts_of(self, "start")
    local body = own.is_generator and drain or invoke
    return native.start(function(...) return within(own, body, ...) end, ...)
end

methods.with_handle = methods.start

-- Streams: what a generator yields ----------------------------------------------------------------

local streams = setmetatable({}, { __mode = "k" })

local function stream_of(value, method)
    return behind(streams, value, "stream", method)
end

-- Closes what the code of a stream has open.
local function unwind(own)
    -- In a task, as in `advance`, where the code around can wait for one: a coroutine that is being
    -- closed itself cannot.
    if own.parts.is_limited and native.can_wait() then
        local is_done, ok, failure = pcall(native.run_task, own.execution, close, own.co)
        if not is_done then return false, ok end
        return ok, failure
    end
    native.enter(own.execution)
    local ok, failure = close(own.co)
    native.leave(own.execution)
    return ok, failure
end

-- Whether the code of a stream has been let run and has not come back.
local function is_read(own)
    local now = status(own.co)
    return now == "normal" or now == "running"
end

local function refuse_second(own, method)
    local name = own.parts.envelope.operation_name
    native.refuse("`" .. method .. "` was called while the stream of `" .. name .. "` is being read", "let one task read a stream, and hand on what it gives")
end

-- `raised` is what ends the block that closes it, if something was raised there.
local function close_stream(self, raised)
    local own = stream_of(self, "close")
    if own.ended then return end
    if is_read(own) then
        -- What was raised first goes on.
        if raised ~= nil then return end
        refuse_second(own, "close")
    end
    own.ended = true
    local ok, failure = unwind(own)
    if ok then return native.abandon(own.execution) end
    failure = native.fail(own.execution, failure)
    -- What was raised first goes on.
    if raised == nil then error(failure, 0) end
end

-- Lets the code of a stream run until it hands something out.
local function advance(own, ...)
    local execution = own.execution
    if own.parts.is_limited then
        -- In a task each time: see `within`.
        local values = pack(pcall(native.run_task, execution, resume, own.co, ...))
        -- It was stopped, or it tells as `resume` does.
        if not values[1] then return values end
        return pack(unpack(values, 2, values.n))
    end
    native.enter(execution)
    local values = pack(resume(own.co, ...))
    native.leave(execution)
    return values
end

local function next_chunk(self)
    local own = stream_of(self, "next")
    if own.ended then return nil end
    if is_read(own) then refuse_second(own, "next") end
    local values
    if own.args then
        local args = own.args
        own.args = nil
        values = advance(own, own.parts, own.execution, unpack(args, 1, args.n))
    else
        values = advance(own)
    end
    local ok, failure = values[1], values[2]
    local is_dead = status(own.co) == "dead"
    if ok and not is_dead then
        ok, failure = pcall(native.chunk, own.execution, values[2])
    end
    if not ok then
        own.ended = true
        error(native.fail(own.execution, failure), 0)
    end
    if is_dead then
        own.ended = true
        native.finish(own.execution)
        own.returned = values[2]
        return nil
    end
    return values[2]
end

local stream_meta = {
    __call = next_chunk,
    __close = close_stream,
    __index = function(self, key)
        if key == "returned" then return streams[self].returned end
        if key == "close" then return close_stream end
        if key == "next" then return next_chunk end
    end,
    __tostring = function(self) return "stream of `" .. streams[self].parts.envelope.operation_name .. "`" end,
    __name = "ProcedureStream",
    __metatable = false,
}

function methods.stream(self, ...)
    local own = parts_of(self, "stream")
    if not own.is_generator then
        native.refuse("`" .. own.envelope.operation_name .. "` is no generator", "make it with `generator = true`, and hand values out with `coroutine.yield(…)`")
    end
    local execution = native.open(own.native)
    local stream = setmetatable({}, stream_meta)
    local co = native.generates(create(invoke))
    streams[stream] = { co = co, parts = own, execution = execution, args = pack(...) }
    -- The fourth is closed when a loop over it is left.
    return stream, nil, nil, stream
end

-- The module --------------------------------------------------------------------------------------

-- `options` are those of `Procedure.create`, checked; `common` is the outermost middleware.
local function create_with(options, common, is_hook)
    local fn = options.fn or options[1]
    local middleware = options.middleware or {}
    options = copy(options, {})
    options.fn, options[1], options.middleware = nil, nil, nil
    options.name = options.name or native.name_of(fn)
    return make(options, fn, flat(bundles[middleware] or middleware, { unpack(common) }), is_hook)
end

function Procedure.create(options)
    return create_with(options, {})
end

function Procedure.pipe(...)
    local all = pack(...)
    local names = {}
    for position = 1, all.n do
        local own = parts[all[position]]
        if not own then
            native.refuse("`Procedure.pipe`: value " .. position .. " is no procedure", "make one with `Procedure.create{…}`")
        end
        if own.is_generator then
            native.refuse("`" .. own.envelope.operation_name .. "` is a generator, which has no one result to pass on", "collect what it yields in a function, or use `Stream.map`")
        end
        names[position] = own.envelope.operation_name
    end
    if all.n == 0 then native.refuse("`Procedure.pipe` was given no procedure", "give at least one") end
    if all.n == 1 then return all[1] end
    return make({ name = concat(names, " | ") }, function(...)
        local values = pack(all[1](...))
        for position = 2, all.n do
            values = pack(all[position](unpack(values, 1, values.n)))
        end
        return unpack(values, 1, values.n)
    end, {})
end

local bundle_meta = {
    __index = {
        use = function(self, ...)
            return Procedure.pipeline(self, ...)
        end,
    },
    __tostring = function(self) return "pipeline of " .. #bundles[self] .. " middleware" end,
    __len = function(self) return #bundles[self] end,
    __name = "Pipeline",
    __metatable = false,
}

function Procedure.pipeline(...)
    local made = setmetatable({}, bundle_meta)
    bundles[made] = flat(pack(...), {})
    return made
end

function Procedure.factory(middleware, options)
    local common = flat(bundles[middleware] or middleware, {})
    local is_hook = options and options.hook or false
    return function(given, fn)
        if type(given) == "function" then given = { given } end
        if type(given) == "table" then given = copy(given, { fn = fn }) end
        native.check_create(given)
        return create_with(given, common, is_hook)
    end
end

function Procedure.guard(allows, name)
    name = name or native.name_of(allows)
    return function(args, envelope, next)
        if not allows(args, envelope) then
            native.deny(name, envelope.operation_name)
        end
        return next()
    end
end

-- Tracked with options: as a procedure that is called once.
local function track_with(name, options, fn, ...)
    return within(new_parts(copy(options, { name = name }), fn, {}), invoke, ...)
end

function Procedure.track(name, fn, ...)
    if type(fn) == "table" and not native.is_callable(fn) then
        if native.is_callable((...)) then return track_with(name, fn, ...) end
        fn = (...)
    end
    if not native.is_callable(fn) then
        native.refuse("`Procedure.track`: `fn` must be a function, but it is a " .. type(fn), "write `Procedure.track('load', function() … end)`")
    end
    local execution <close> = native.begin_named(name)
    return finished(execution, fn(...))
end

function Procedure.is_procedure(value)
    return parts[value] ~= nil
end

function Procedure.double(name, answers)
    local calls, position = {}, 0
    local double = Procedure.create{ name = name, fn = function(...)
        position = position + 1
        calls[position] = pack(...)
        local answer = answers[position]
        if answer == nil then native.exhausted(name, position) end
        if type(answer) == "function" then return answer(...) end
        return answer
    end }
    return double, calls
end

return Procedure

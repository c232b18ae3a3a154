-- The module `Procedure`: calls, middleware, schemas, time limits, generators, handles, pipes.

local shout = Procedure.create{name = "shout", function(text, mark) return text:upper() .. (mark or ""), #text end}
assert(shout.name == "shout" and tostring(shout) == "procedure `shout`")
local text, length = shout("hi", "!")
assert(text == "HI!" and length == 2 and shout:run("x") == "X")

-- Each call is a node below its caller, and arguments are any values of the script.
local marked = setmetatable({}, {__index = function() return 7 end})
local keeps = Procedure.create{name = "keeps", function(value) return value, Context.node() end}
local same, node = keeps(marked)
assert(same == marked and same.anything == 7)
assert(node.name == "keeps" and node.status == "completed")
assert(Context.node() ~= node, "outside again")

-- The function may wait, also inside coroutines of the script, and stays in its Context.
local slow = Procedure.create{name = "slow", function(n)
  sleep(0.001)
  coroutine.yield(Context.node().name)
  sleep(0.001)
  return n + 1, Context.node().name
end}
local co = coroutine.wrap(function() return slow(1) end)
assert(co() == "slow" and (Context.node() == nil or Context.node().name ~= "slow"))
local value, name = co()
assert(value == 2 and name == "slow")

-- Errors keep their value and their place, and end the node.
local failing = Procedure.create{name = "failing", function() error({code = 5}) end}
local ok, raised = pcall(failing)
assert(not ok and raised.code == 5)
local nodes = Context.nodes()
assert(nodes[#nodes].name == "failing" and nodes[#nodes].status == "failed")

-- Closing a coroutine cancels what it has begun, and nothing around it.
local halted = coroutine.create(function() slow(1) end)
coroutine.resume(halted)
assert(coroutine.close(halted))
assert(coroutine.status(halted) == "dead")
nodes = Context.nodes()
assert(nodes[#nodes].name == "slow" and nodes[#nodes].status == "cancelled", nodes[#nodes].status)

-- What is closed with a coroutine is closed inside of what it had begun.
local closed_in
local tidy = Procedure.create{name = "tidy", function()
  local guard <close> = setmetatable({}, {__close = function() closed_in = Context.node().name end})
  coroutine.yield()
end}
local open = coroutine.create(function() tidy() end)
coroutine.resume(open)
assert(coroutine.close(open) and closed_in == "tidy")
assert(Context.node() == nil or Context.node().name ~= "tidy")

-- A value that nobody would take is refused, also in what a task and a middleware run.
local lost = Procedure.create{name = "lost", function(n) coroutine.yield(n) return "never" end}
for _, call in ipairs{
  function() return lost(1) end,
  function() return await(async(lost, 1)) end,
  function() return lost:start(1):result() end,
  function() coroutine.yield() end,
} do
  local ok, why = pcall(call)
  assert(not ok and why.kind == "invalid_args" and why.hint:find("generator = true", 1, true), tostring(why))
end
assert(coroutine.wrap(function() return lost(5) end)() == 5)

-- Middleware: arguments, result, answer, errors, and what it knows.
local seen
local double = function(args, envelope, next)
  seen = envelope.operation_name .. " " .. envelope.source_type .. " " .. tostring(envelope.metadata.topic)
  assert(envelope.pid == Context.node().pid and envelope.context == Context.get())
  return next{args[1] * 2} + 100
end
local add = Procedure.create{name = "add", metadata = {topic = "sums"}, function(n) return n + 1 end}
local doubled = add:use(double)
assert(doubled(5) == 111 and add(5) == 6 and seen == "add procedure sums")
assert(add:use(function() return "instead" end)(1) == "instead")
-- An envelope gives what it says and nothing else: no key to the execution, nothing to change.
add:use(function(_, envelope, next)
  assert(rawget(envelope, "execution") == nil and _G.next(envelope) == nil and envelope.execution == nil)
  local ok, why = pcall(function() envelope.operation_name = "other" end)
  assert(not ok and why.kind == "invalid_args" and why.message:find("`operation_name`", 1, true), tostring(why))
  assert(envelope.operation_name == "add" and tostring(envelope) == "envelope of `add`")
  return next()
end)(1)
local caught = add:use(function(_, _, next)
  local ok, why = pcall(next)
  return ok and "fine" or tostring(why)
end):use(function() error("within") end)
assert(caught(1):find("within"))
assert(add:use(function(args, _, next) sleep(0.001) return next() end)(1) == 2)
local order = {}
local function note(name) return function(_, _, next) order[#order + 1] = name return next() end end
add:use(note("a"), Procedure.pipeline(note("b"), note("c"))):use(note("d"))(1)
assert(table.concat(order) == "abcd")
local ok, why = pcall(add.use, add, 5)
assert(not ok and why.kind == "invalid_args")

-- Guards, factories, pipes.
local small = add:use(Procedure.guard(function(args) return args[1] < 10 end, "small"))
assert(small(5) == 6)
local ok, why = pcall(small, 50)
assert(not ok and why.kind == "denied" and why.message:find("small"))
local make = Procedure.factory({double}, {hook = true})
assert(make{name = "made", function(n) return n end}(5) == 110 and seen:find("made hook"))
assert(Procedure.pipe(add, doubled, add)(1) == 106 and Procedure.pipe(add) == add)
assert(add:pipe(add).name == "add | add" and not pcall(Procedure.pipe))

-- A schema names the field.
local checked = Procedure.create{name = "checked", schema = {type = "object", required = {"city"},
  properties = {city = {type = "string"}}}, function(args) return args.city end}
assert(checked{city = "Ulm"} == "Ulm")
for _, bad in ipairs{{}, {city = 5}} do
  local ok, why = pcall(checked, bad)
  assert(not ok and why.kind == "invalid_args" and why.message:find("city"), tostring(why))
end
assert(not pcall(Procedure.create, {name = "bad", schema = {type = "strange"}, print}))
-- An empty table is a list or a map, whichever is asked for; also inside.
for _, kind in ipairs{"array", "object"} do
  local takes = Procedure.create{name = "takes", schema = {type = kind}, function(it) return next(it) end}
  assert(takes{} == nil)
  local inside = Procedure.create{name = "inside", schema = {properties = {it = {type = kind}}}, function(args) return args.it end}
  assert(next(inside{it = {}}) == nil)
end
local why = select(2, pcall(Procedure.create{name = "number", schema = {type = "number"}, print}, {}))
assert(why.message:find("{}", 1, true), why.message)

-- Options that are none are refused, with the near name.
for _, call in ipairs{
  function() Procedure.create{nam = "x", print} end,
  function() Procedure.factory({})({timeot = 1, print}) end,
  function() add:with_context{metdata = {}} end,
  function() Context.get():child{metdata = {}} end,
} do
  local ok, why = pcall(call)
  assert(not ok and why.message:find("there is no option", 1, true) and why.hint:find("did you mean", 1, true), tostring(why))
end

-- A time limit ends waiting and computing, and is named; 0 is none.
for _, body in ipairs{function() sleep(60) end, function() while true do end end} do
  local ok, why = pcall(Procedure.create{name = "late", timeout = 0.01, body})
  assert(not ok and why.kind == "timeout" and why.message:find("late"), tostring(why))
end
assert(add:with_timeout(0)(1) == 2 and add:with_timeout(5)(1) == 2)

-- A body that returns after its limit, or after its Context was cancelled, has not ended well.
local function computes() return ("a"):rep(20000):find(".-b") end -- no function of Lua is asked meanwhile
local function cancels() Context.get():cancel("enough") return 1 end
for body, expected in pairs{[computes] = "timeout", [cancels] = "cancelled"} do
  local node
  local function noted() node = Context.node() return body() end
  local limit = expected == "timeout" and 0.01 or nil
  local ends_late = Procedure.create{name = "ends late", timeout = limit, noted}
  local calls = {
    ends_late,
    ends_late:use(function(_, _, next) return next() end),
    function() return ends_late:start():result() end,
    function() return Procedure.track("ends late", {timeout = limit}, noted) end,
    function() for _ in Procedure.create{name = "ends late", timeout = limit, generator = true, noted}:stream() do end end,
    function() return Procedure.create{name = "ends late", timeout = limit, generator = true, noted}:start():result() end,
  }
  if expected == "cancelled" then calls[#calls + 1] = function() return Procedure.track("ends late", noted) end end
  for position, call in ipairs(calls) do
    local ok, why = pcall(call)
    assert(not ok and why.kind == expected, position .. " " .. expected .. " " .. tostring(why))
    assert(node.name == "ends late" and node.status == "cancelled", position .. " " .. node.status)
  end
  Context.check()
end

-- A block has them as well; further arguments go to the function.
for _, body in ipairs{function() sleep(60) end, function() while true do end end} do
  local ok, why = pcall(Procedure.track, "late block", {timeout = 0.01}, body)
  assert(not ok and why.kind == "timeout" and why.message:find("late block"), tostring(why))
end
local before = Context.get().execution_id
local name, id, sum = Procedure.track("bounded", {timeout = 5, boundary = "always"}, function(a, b)
  return Context.node().name, Context.get().execution_id, a + b
end, 1, 2)
assert(name == "bounded" and id ~= before and sum == 3)
assert(Procedure.track("inside", {boundary = "never"}, function() return Context.get().execution_id end) == before)
local callable = setmetatable({timeout = "of its own"}, {__call = function(self, n) return self.timeout .. n end})
assert(Procedure.track("object", callable, 1) == "of its own1" and Procedure.track("object", {}, callable, 2) == "of its own2")
assert(Procedure.track("procedure", add, 1) == 2 and Procedure.track("procedure", {timeout = 5}, add, 1) == 2)
for _, wrong in ipairs{{{timeout = -1}, print}, {{timeot = 1}, print}, {{boundary = "some"}, print}, {{timeout = 1}}, {{timeout = 1}, 5}} do
  local ok, why = pcall(Procedure.track, "wrong", wrong[1], wrong[2])
  assert(not ok and why.kind == "invalid_args" and why.hint, tostring(why))
end

-- New ones; the old stay.
local own = add:with_context{metadata = {a = 1}, tick = 4}:with_metadata{b = 2}
assert(own.metadata.b == 2 and own.metadata.topic == "sums" and add.metadata.b == nil)
local where = Procedure.create{name = "where", function() return Context.get().tick, Context.get().metadata.a end}
local tick, a = where:with_context{metadata = {a = 1}, tick = 4}()
assert(tick == 4 and a == 1 and where() == nil)
assert(not pcall(function() add.name = "other" end))

-- Boundaries.
local id = Procedure.create{name = "id", function() return Context.get().execution_id end}
local around = Procedure.create{name = "around", function(inner) return Context.get().execution_id, inner() end}
local outer, inner = around(id)
assert(outer == inner)
outer, inner = around(Procedure.create{name = "own", boundary = "always", function() return Context.get().execution_id end})
assert(outer ~= inner)
assert(not pcall(Procedure.create, {name = "x", boundary = "often", print}))

-- Generators keep their Context, their chunks and what they return.
local count = Procedure.create{name = "count", generator = true, function(n)
  for i = 1, n do
    sleep(0)
    coroutine.yield({i = i, name = Context.node().name})
  end
  return "done"
end}
local got = {}
local stream = count:stream(3)
for chunk in stream do
  got[#got + 1] = chunk.i
  assert(chunk.name == "count" and (Context.node() == nil or Context.node().name ~= "count"))
end
assert(table.concat(got) == "123" and stream.returned == "done" and count:run(2) == "done")
for chunk in count(100) do if chunk.i == 2 then break end end
nodes = Context.nodes()
assert(nodes[#nodes].name == "count" and nodes[#nodes].status == "cancelled", nodes[#nodes].status)
do
  local early <close> = count:stream(100)
  assert(early().i == 1)
end
nodes = Context.nodes()
assert(nodes[#nodes].status == "cancelled", nodes[#nodes].status)
assert(not pcall(add.stream, add, 1))

-- A handle: events with replay, result, cancelling.
local handle = count:start(2)
assert(handle:result() == "done" and handle.status == "completed" and handle.is_finished and #handle.trace_id == 32)
local kinds = {}
for event in handle do kinds[#kinds + 1] = event.kind end
assert(table.concat(kinds, " ") == "procedure.start stream.chunk stream.chunk procedure.end", table.concat(kinds, " "))
-- Each loop over a handle begins with the first event, also inside of another one.
local pairs_of = 0
for _ in handle do
  for event in handle do pairs_of = pairs_of + event.sequence end
end
assert(pairs_of == 4 * (1 + 2 + 3 + 4), pairs_of)
-- A listener that fails is called again, and is heard of on standard error only.
local chunks, listened = 0, Event.subscribe("listened")
handle:on("stream:chunk", function(event)
  chunks = chunks + 1
  assert(event.data.value.i == chunks)
  Event.publish("listened")
  error("told")
end)
local ok, why = pcall(handle.on, handle, "stream.*", print)
assert(not ok and why.message:find("stream.*", 1, true))
for _ = 1, 2 do assert(listened:receive{timeout = 10}) end
assert(chunks == 2)
-- A call by hand gives the next event, and `nil` at the end; loops have places of their own.
local function by_hand(next_event)
  local kinds, event = {}, next_event()
  while event do
    kinds[#kinds + 1] = event.kind
    assert(#kinds < 10, "it ends")
    event = next_event()
  end
  return table.concat(kinds, " ")
end
local by_loop = {}
for event in handle do by_loop[#by_loop + 1] = event.kind end
assert(by_hand(handle) == table.concat(by_loop, " ") and #by_loop > 2)
assert(handle() == nil and by_hand(handle) == "")
-- Middleware sees the handle, when somebody holds one.
local watched
local watches = add:use(function(args, envelope, next)
  watched = envelope.handle
  return next()
end)
assert(watches(1) == 2 and watched == nil)
assert(watches:start(1):result() == 2 and #watched:events() >= 1 and watched.dropped == 0)
assert(by_hand(watched) == "procedure.start procedure.end")
local through = add:use(function(args, envelope, next)
  local first = envelope.handle()
  assert(first.kind == "procedure.start" and envelope.handle == envelope.handle)
  return next()
end)
assert(through:start(1):result() == 2)
assert(#handle:events() == 4 and handle.dropped == 0)
local endless = Procedure.create{name = "many", generator = true, function(count)
  for i = 1, count do coroutine.yield(i) end
end}:start(65536)
endless:result()
-- The start and the end beside them: too many.
assert(endless.dropped > 0)
local lost = endless()
assert(lost.kind == "events.lost" and lost.data.count == endless.dropped and lost.sequence == endless.dropped)
assert(endless().sequence == lost.sequence + 1)
assert(#endless:events() == 65537)
local waiting = Procedure.create{name = "waiting", function() sleep(60) end}:with_handle()
waiting:cancel("enough")
local ok, why = pcall(waiting.result, waiting)
assert(not ok and why.kind == "cancelled" and why.message == "enough", tostring(why))
assert(waiting.status == "cancelled")
local busy = Procedure.create{name = "busy", function() while true do end end}:start()
busy:cancel()
assert(not pcall(busy.result, busy) and busy.status == "cancelled")
-- In the middle of its turns as well.
local turns, begun = 0, Event.subscribe("turns.begun")
busy = Procedure.create{name = "busy", function()
  while true do
    turns = turns + 1
    if turns == 1000 then Event.publish("turns.begun") end
    if turns % 1000 == 0 then sleep(0) end
  end
end}:start()
assert(begun:receive{timeout = 10})
busy:cancel("enough")
local ok, why = pcall(busy.result, busy)
assert(not ok and why.kind == "cancelled" and turns >= 1000, tostring(why))
local ended_at = turns
sleep(0)
assert(turns == ended_at)

-- A cancelled Context ends a call before the function begins.
local called = false
local doomed = Context.child{}
local never = Procedure.create{name = "never", function() called = true end}
local ok, why = pcall(function()
  doomed:run(function() doomed:cancel("enough") never() end)
end)
assert(not ok and not called, tostring(why))

-- Tracking a block, doubles, and what is no procedure.
assert(Procedure.track("block", function(a) return a, Context.node().name end, 5) == 5)
local fetch, calls = Procedure.double("fetch", {1, function(x) return x * 2 end})
assert(fetch("a") == 1 and fetch(4) == 8 and calls[1][1] == "a" and calls[2][1] == 4)
local ok, why = pcall(fetch)
assert(not ok and why.message:find("fetch") and why.message:find("3"))
assert(Procedure.is_procedure(add) and not Procedure.is_procedure(print))
assert(not pcall(Procedure.create, {name = "none"}))
-- Whether `coroutine.yield` hands something out is what `isyieldable` says.
assert(not coroutine.isyieldable() and not pcall(coroutine.yield, 1))
assert(coroutine.wrap(function() return coroutine.isyieldable() end)())
local inside = coroutine.create(function() coroutine.yield(coroutine.isyieldable(), coroutine.isyieldable((coroutine.running()))) end)
local _, first, second = coroutine.resume(inside)
assert(first and second and coroutine.isyieldable(inside))
assert(await(async(coroutine.isyieldable)) == false)
assert(Procedure.create{name = "asks", generator = true, function() coroutine.yield(coroutine.isyieldable()) end}:stream()() == true)
-- A result that comes too late is none.
for kind, call in pairs{
  cancelled = function()
    Procedure.create{name = "late", function()
      Context.get():cancel("not wanted")
      return 1
    end}()
  end,
  cancelled_block = function()
    Procedure.track("late", function() Context.get():cancel("not wanted") end)
  end,
} do
  local ok, why = pcall(call)
  assert(not ok and why.kind == "cancelled" and why.message == "not wanted", kind .. tostring(why))
end

print("ok")

-- The module `Event`: publish, subscribe with patterns, bounds, functions that fail.

local events = Event.subscribe("build.*")
assert(events.name == "build.*")
local first = Event.publish("build.start", {files = 3})
Event.publish("other.thing")
Event.publish("build.done")
local event = events:receive()
assert(event.kind == "build.start" and event.data.files == 3 and event.sequence == first)
assert(#event.trace_id == 32 and #event.request_id > 0 and event.time > 1e9)
assert(events:receive{timeout = 1}.kind == "build.done")
assert(events:receive{timeout = 0} == nil)

-- What an event does not have is nil.
local bare = Event.subscribe("bare")
Event.publish("bare")
local event = bare:receive()
assert(event.data == nil and (event.source == nil or type(event.source) == "string"))
assert(event.data ~= JSON.null and event.source ~= JSON.null and event.execution_id ~= JSON.null)

-- What a tool does is an event too, of the same request.
local procedures = Event.subscribe("procedure.**")
Tool.count_words{text = "one two"}
local started = procedures:receive()
assert(started.kind == "procedure.start" and started.execution_id and started.source)

-- A queue of its own, with its own way to lose.
local latest = Event.subscribe("n", nil, {capacity = 2})
local oldest = Event.subscribe("n", nil, {capacity = 2, drop = "newest"})
for i = 1, 5 do Event.publish("n", i) end
assert(latest:receive().data == 4 and latest:receive().data == 5)
assert(oldest:receive().data == 1 and oldest:receive().data == 2)
assert(latest:stats().dropped == 3 and oldest:stats().dropped == 3 and latest:stats().waiting == 0)

-- A function is called with each event; one that fails harms only itself.
local seen, told = {}, Event.subscribe("told.*")
local bad = Event.subscribe("call.*", function(it)
  if it.kind == "call.last" then Event.publish("told.bad") else error("no") end
end)
local good = Event.subscribe("call.*", function(it)
  seen[#seen + 1] = it.kind
  if it.kind == "call.last" then Event.publish("told.good") end
end)
for _, name in ipairs{"a", "b", "last"} do Event.publish("call." .. name) end
for _ = 1, 2 do assert(told:receive{timeout = 10}) end
assert(seen[1] == "call.a" and seen[2] == "call.b")
assert(bad:stats().failed == 2 and bad:stats().error:find("no"))
assert(good:stats().failed == 0 and good:stats().error == nil)
good:stop()
bad:stop()
assert(good:stats().is_stopped)

-- A stream of events, a wait for one that a task publishes.
local numbers = Event.subscribe("count")
for i = 1, 3 do Event.publish("count", i) end
local sum = 0
for it in numbers:events{timeout = 0.01} do sum = sum + it.data end
assert(sum == 6)
local later = async(function() sleep(0.01) Event.publish("later", "now") end)
assert(Event.receive("later", {timeout = 10}).data == "now")
await(later)
assert(Event.receive("never", {timeout = 0.001}) == nil)
numbers:stop()
assert(numbers:receive() == nil)

local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
fails("invalid_args", Event.publish, "procedure.start")
fails("invalid_args", Event.publish, "a..b")
fails("invalid_args", Event.publish, "a.*")
fails("invalid_args", Event.subscribe, "")
for _, never in ipairs{"build*", "a.b*.c", "***", "*.x*"} do fails("invalid_args", Event.subscribe, never) end
fails("invalid_args", Event.subscribe, "a", nil, {capacity = 0})
fails("invalid_args", Event.subscribe, "a", nil, {drop = "latest"})
fails("invalid_args", Event.receive, "a", {timeout = -1})
fails("invalid_args", function() Event.subscribe("a", print):receive() end)
fails("invalid_args", Event.replay, {limit = 0})
fails("unavailable", Event.replay)

-- A flush waits until functions have been given what was published before.
local given, flushing = {}, nil
local slow = Event.subscribe("slow.*", function(it)
  sleep(0.001)
  given[#given + 1] = it.data
  if it.data == 3 then flushing = table.pack(pcall(Event.flush)) end
end)
local asked = Channel("slow")
local spoken = asked:subscribe(function(it) given[#given + 1] = it.payload end)
for i = 1, 3 do Event.publish("slow.it", i) end
asked:publish("it", 4)
assert(Event.flush() == 0 and #given == 4, #given)
table.sort(given)
assert(table.concat(given, " ") == "1 2 3 4")
assert(not flushing[1] and flushing[2].kind == "invalid_args" and flushing[2].message:find("itself"))
fails("invalid_args", Event.flush, {timeout = -1})
slow:stop() spoken:stop()

-- A stop gives what waits, and then the end; a function is called no more, and the rest is counted.
local rest = Event.subscribe("rest")
for i = 1, 3 do Event.publish("rest", i) end
rest:stop()
Event.publish("rest", 4)
assert(rest:stats().waiting == 3 and rest:stats().dropped == 0 and rest:stats().is_stopped)
local found = {}
for event in rest:events() do found[#found + 1] = event.data end
assert(table.concat(found, " ") == "1 2 3" and rest:receive() == nil)
local held = Event.subscribe("held", function() sleep(60) end)
for i = 1, 4 do Event.publish("held", i) end
while held:stats().waiting > 3 do sleep(0.001) end
assert(Event.flush{timeout = 0.001} == 4)
held:stop()
assert(held:stats().waiting == 0 and held:stats().dropped == 3)

-- An endless time limit is none.
local endless = Event.subscribe("endless")
Event.publish("endless", 1)
assert(endless:receive{timeout = math.huge}.data == 1)

-- More requests than a function has room for fail at once, and say why.
local few = Channel("few")
few:subscribe(function() sleep(60) end, {capacity = 1})
local requests = {}
for i = 1, 4 do requests[i] = async(function() return few:request(i) end) end
local failed = 0
while failed < 2 do
  sleep(0.001)
  failed = 0
  for _, request in ipairs(requests) do
    if request:status() ~= "running" then failed = failed + 1 end
  end
end
for _, request in ipairs(requests) do
  if request:status() ~= "running" then
    local ok, why = pcall(request.await, request)
    assert(not ok and why.kind == "limit_exceeded" and why.message:find("`capacity` is `1`"), tostring(why))
    assert(why.hint:find("larger `capacity`"))
  end
end
few:destroy()
for _, request in ipairs(requests) do pcall(request.await, request) end
print("ok")

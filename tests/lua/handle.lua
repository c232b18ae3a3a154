-- Handles: what their listeners are given and when, and waits that could not end.

local counts = Procedure.create{name = "counts", generator = true, function(n)
  for i = 1, n do coroutine.yield(i) end
  return n
end}

-- Listeners are given the events of a handle, in their order, before `result` returns.
for n = 1, 20 do
  local heard, waited = {}, {}
  local handle = counts:start(n)
  handle:on("*", function(event) heard[#heard + 1] = event.sequence end)
  handle:on("*", function(event) sleep(0.0001) waited[#waited + 1] = event.sequence end)
  assert(handle:result() == n)
  assert(#heard == n + 2 and #waited == n + 2, #heard .. " " .. #waited)
  for place = 1, n + 2 do assert(heard[place] == place and waited[place] == place) end
end

-- What the work has used until now, whatever it is, and in all that it calls.
local go_on
local spends = Procedure.create{name = "spends", function()
  Procedure.track("first", function() Context.add_usage{input_tokens = 100, cost_usd = 0.5} end)
  repeat sleep(0.001) until go_on
  Procedure.track("second", function() Context.add_usage{requests = 2, input_tokens = 1, output_tokens = 50} end)
end}
local seen_inside
spends = spends:use(function(_, envelope, next)
  next()
  seen_inside = envelope.handle.usage.requests
end)
local handle = spends:start()
repeat sleep(0.001) until handle.usage.input_tokens == 100
assert(handle.usage.cost_usd == 0.5 and handle.usage.requests == 0 and handle.status == "running")
go_on = true
handle:result()
local used = handle.usage
assert(used.requests == 2 and used.input_tokens == 101 and used.output_tokens == 50 and seen_inside == 2)
local other = spends:start()
other:result()
assert(other.usage.requests == 2 and handle.usage.requests == 2, "each has its own")

-- So it is where the work fails or is cancelled, and for listeners of the view that middleware has.
local seen = {}
local function note(event) seen[#seen + 1] = event.kind end
local fails = Procedure.create{name = "fails", function() error("broken") end}
fails = fails:use(function(_, envelope, next)
  if envelope.handle then envelope.handle:on("procedure.error", note) end
  return next()
end)
local handle = fails:start()
handle:on("procedure.start", note)
local ok, why = pcall(handle.result, handle)
assert(not ok and why.message:find("broken", 1, true) and #seen == 2, tostring(why))
seen = {}
handle = Procedure.create{name = "waits", function() sleep(60) end}:start()
handle:on("*", note)
assert(handle().kind == "procedure.start")
handle:cancel()
assert(not pcall(handle.result, handle) and table.concat(seen, " ") == "procedure.start procedure.error", table.concat(seen, " "))

-- A listener that asks for the result has it, however many do.
local results = 0
handle = counts:start(3)
for _ = 1, 3 do
  handle:on("stream.chunk", function()
    local result = handle:result()
    results = results + result
  end)
end
assert(timeout(10, function() return handle:result() end) == 3 and results == 27, results)

-- One that waits too long is given up with the wait.
handle = counts:start(1)
handle:on("procedure.end", function() sleep(1) end)
ok, why = pcall(timeout, 0.05, function() return handle:result() end)
assert(not ok and why.kind == "timeout")

-- Whoever waits for what waits for it is told, in each kind of procedure.
local kinds = {
  plain = {function(wait) return wait() end},
  limited = {timeout = 30, function(wait) return wait() end},
  generator = {generator = true, function(wait) coroutine.yield(1) return wait() end},
  nested = {function(wait) return Procedure.track("inner", function() return Context.fork({}, wait) end) end},
  coroutine = {function(wait) return coroutine.wrap(wait)() end},
  tasks = {function(wait) return gather{wait}[1] end},
}
for kind, options in pairs(kinds) do
  options.name = kind
  local own
  own = Procedure.create(options):start(function()
    sleep(0)
    return own:result()
  end)
  ok, why = pcall(timeout, 10, function() return own:result() end)
  assert(not ok and why.kind == "invalid_args", kind .. ": " .. tostring(why))
  assert(why.message == "the procedure waits for itself" and why.hint:find("elsewhere", 1, true), kind .. ": " .. why.message)
end
-- So are two that wait for each other.
local first, second
first = Procedure.create{name = "first", function() sleep(0) return second:result() end}:start()
second = Procedure.create{name = "second", function() sleep(0) return first:result() end}:start()
ok, why = pcall(timeout, 10, function() return first:result() end)
assert(not ok and why.message == "the procedure waits for itself", tostring(why))
assert(not pcall(second.result, second))
-- What has ended is no wait, whoever made it.
local stream
local made = async(function()
  stream = Procedure.create{name = "reads", generator = true, function()
    coroutine.yield(1)
    coroutine.yield(await(made_task))
  end}:stream()
  sleep(0)
  return 2
end)
made_task = made
sleep(0)
while not stream do sleep(0) end
assert(stream() == 1 and stream() == 2)
print("ok")

-- An event that comes in the moment in which a wait for it ends has arrived, or is the next one.

local COUNT = 500

-- Each number arrives, in the moment of a time limit as well.
local events = Event.subscribe("transit.number", nil, {capacity = 65536})
local publishing = async(function()
  for number = 1, COUNT do
    Event.publish("transit.number", number)
    sleep(0.0003)
  end
end)
local last = 0
while last < COUNT do
  local event = events:receive{timeout = 0.0004}
  if event then
    assert(event.data == last + 1, event.data .. " after " .. last)
    last = event.data
  elseif publishing:status() ~= "running" and events:stats().waiting == 0 then
    break
  end
end
assert(last == COUNT, last)
assert(events:stats().dropped == 0)

-- Whoever gave a wait up takes nothing from those that come after, in every way to give up.
local later = Event.subscribe("transit.later")
local function receive() return later:receive() end
local function loop() for event in later:events() do return event end end
for way, give_up in pairs{
  timeout = function() pcall(timeout, 0.001, receive) end,
  race = function() race{receive, function() sleep(0) end} end,
  cancel = function() local task = async(receive) sleep(0) task:cancel() pcall(await, task) end,
  coroutine = function() pcall(timeout, 0.001, function() coroutine.wrap(receive)() end) end,
  loop = function() pcall(timeout, 0.001, loop) end,
  cancelled_loop = function() local task = async(loop) sleep(0) task:cancel() pcall(await, task) end,
  procedure = function() pcall(Procedure.create{name = "late", timeout = 0.001, receive}) end,
} do
  for _ = 1, 3 do give_up() end
  local published = async(function() sleep(0.001) Event.publish("transit.later", way) end)
  local event = later:receive{timeout = 10}
  assert(event and event.data == way, way)
  await(published)
end
-- A coroutine whose wait was given up says so.
local begun = false
local waiting = coroutine.create(function() begun = true return receive() end)
local resumes = async(function() coroutine.resume(waiting) end)
-- It waits then: what is stopped in the middle of its code is dead instead.
repeat sleep(0) until begun
resumes:cancel()
pcall(await, resumes)
local ok, why = coroutine.resume(waiting)
assert(not ok and why.kind == "cancelled" and why.hint:find("coroutine", 1, true), tostring(why))
print("ok")

-- Coroutines of the engine are none of the script's: a task that waits is not taken over.

local events = Event.subscribe("gate.open")
local inside
local task = async(function()
  inside = coroutine.running()
  return events:receive().data
end)
repeat sleep(0) until inside
local ok, why = coroutine.resume(inside, "stolen")
assert(not ok and why == "cannot resume the coroutine of a cell or a task", why)
local closed, refused = pcall(coroutine.close, inside)
assert(not closed and tostring(refused):find("cancel the task", 1, true), tostring(refused))
Event.publish("gate.open", 7)
assert(await(task) == 7)
-- One that has ended is dead, as any other.
ok, why = coroutine.resume(inside)
assert(not ok and why == "cannot resume dead coroutine", why)
-- Nor is that of the cell, from a coroutine or a task inside of it.
local cell = coroutine.running()
local tried = coroutine.wrap(function() return coroutine.resume(cell) end)
assert(tried() == false)
local other = async(function() return select(2, coroutine.resume(cell)) end)
assert(await(other) == "cannot resume the coroutine of a cell or a task")

-- A coroutine that waits runs, to all but whoever has resumed it.
local gate = Event.subscribe("gate.two")
local began = false
local co = coroutine.create(function() began = true return gate:receive().data end)
local first = async(function() return select(2, coroutine.resume(co)) end)
repeat sleep(0) until began
assert(coroutine.status(co) == "normal" and coroutine.status(inside) == "dead")
ok, why = coroutine.resume(co, "stolen")
assert(not ok and why == "cannot resume non-suspended coroutine", why)
closed, refused = pcall(coroutine.close, co)
assert(not closed and refused == "cannot close a normal coroutine", tostring(refused))
Event.publish("gate.two", 8)
assert(await(first) == 8 and coroutine.status(co) == "dead")
-- So is one that was wrapped, and what it has resumed in turn.
local inner
began = false
local waits = coroutine.wrap(function()
  inner = coroutine.create(function() began = true return gate:receive().data end)
  return select(2, coroutine.resume(inner))
end)
first = async(waits)
repeat sleep(0) until began
ok, why = pcall(waits)
assert(not ok and tostring(why):find("cannot resume non-suspended coroutine", 1, true), tostring(why))
assert(coroutine.status(inner) == "normal" and not coroutine.resume(inner))
-- With the task that has resumed them they are free, for whoever closes them.
first:cancel()
assert(not pcall(await, first))
assert(coroutine.status(inner) == "suspended" and coroutine.close(inner))
-- The coroutine of a task that waits is active as well.
assert(await(async(function() return coroutine.status(cell) end)) == "normal")
print("ok")

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
print("ok")

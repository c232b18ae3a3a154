-- Collections go on, whatever becomes of an error that is on its way.

-- Kibibytes that are left of a loop which keeps nothing.
local function left()
  collectgarbage()
  local before = collectgarbage("count")
  for i = 1, 200000 do local _ = {i} end
  return collectgarbage("count") - before
end
local MOST = 4000
assert(left() < MOST)
local closing, go_on = false, false
local task = async(function()
  local held <close> = setmetatable({}, {__close = function()
    closing = true
    repeat sleep(0) until go_on
  end})
  error("on its way")
end)
repeat sleep(0) until closing
assert(left() < MOST, "while a variable that is closed waits")
task:cancel()
pcall(await, task)
assert(left() < MOST, "after the task is gone")
go_on = true
print("ok")

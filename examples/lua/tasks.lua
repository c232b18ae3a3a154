-- Runs functions at the same time: what waits lets the others go on.

local function work(name, seconds)
  sleep(seconds)
  return name
end

local first = async(work, "first", 0.02)
local second = async(work, "second", 0.01)
print(first:status(), second:status())
print(first:await(), second:await())

local ok, problem = pcall(timeout, 0.01, function()
  sleep(10)
end)
print(ok, problem.kind)

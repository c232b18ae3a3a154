-- `progress`: loops and jobs that show how far they are.

local seen = {}
for index, item in progress({"a", "b", "c"}, {label = "Letters"}) do
  seen[#seen + 1] = index .. item
end
assert(table.concat(seen, " ") == "1a 2b 3c")

local sum = 0
for step in progress(4) do sum = sum + step end
assert(sum == 10)
for _ in progress(0) do error("there is no step") end
for _ in progress({}) do error("there is no item") end

-- An iterator of the script, which may wait and give several values.
local words = {}
local function waiting()
  local next_word = string.gmatch("one two", "%a+")
  return function()
    sleep(0)
    local word = next_word()
    if word then return word, #word end
  end
end
for word, length in progress(waiting(), {label = "Words"}) do words[#words + 1] = word .. length end
assert(table.concat(words, " ") == "one3 two3")

-- A loop that is left early, by `break` or by an error, leaves its bar where it was.
for index in progress(10) do
  if index == 3 then break end
end
local ok = pcall(function()
  for index in progress(10) do
    if index == 2 then error("enough") end
  end
end)
assert(not ok)

local bar = progress{total = 3, label = "Job"}
assert(tostring(bar):find("Job:   0%", 1, true), tostring(bar))
bar:advance()
bar:advance(1)
assert(tostring(bar):find("2/3", 1, true), tostring(bar))
bar:update(3)
bar:close()
bar:close()
bar:update(1)
assert(tostring(bar):find("Job: 100%", 1, true) and tostring(bar):find("3/3", 1, true))
assert(tostring(progress{label = "Open"}):find("^Open: 0 "))

for _, wrong in ipairs{
  function() progress() end,
  function() progress("x") end,
  function() progress(1.5) end,
  function() progress(-1) end,
  function() progress{totl = 3} end,
  function() progress{total = "x"} end,
  function() progress({"a"}, {lable = "x"}) end,
  function() progress({"a"}, {label = 5}) end,
  function() bar:advance(-1) end,
} do
  local fine, problem = pcall(wrong)
  assert(not fine and problem.kind == "invalid_args", tostring(problem))
  assert(problem.hint ~= nil, problem.message)
end
print("ok")

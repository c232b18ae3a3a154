-- Coroutines that a script abandons inside of procedures end with them, and leave nothing behind.

local COUNT = 100000

local waits = Procedure.create{name = "waits", function()
  Context.add_metric("begun", 1)
  coroutine.yield()
end}
local outer = Procedure.create{name = "outer", function() waits() end}
local hands_out = Procedure.create{name = "hands out", generator = true, function()
  Context.add_metric("begun", 1)
  coroutine.yield(1)
end}

-- What stands around this file may be a procedure too.
local OWN = {waits = true, outer = true, ["hands out"] = true}
local function running()
  local found = 0
  for _, node in ipairs(Context.nodes()) do
    if node.status == "running" and OWN[node.name] then found = found + 1 end
  end
  return found
end

Procedure.track("all", function()
  for i = 1, COUNT do
    if i % 3 == 0 then
      assert(hands_out:stream()() == 1)
    elseif i % 3 == 1 then
      local co = coroutine.create(function() outer() end)
      assert(coroutine.resume(co))
      -- Some are closed, the others forgotten.
      if i % 2 == 0 then assert(coroutine.close(co)) end
    else
      coroutine.wrap(function() waits() end)()
    end
  end
  assert(Context.node().name == "all")
  collectgarbage()
  collectgarbage()
  -- Each has ended, as cancelled, and its metrics are its caller's.
  assert(Context.get_metric("begun") == COUNT, Context.get_metric("begun"))
  assert(running() == 0, running())
end)

-- One that goes on is in its procedure still, however many are gone.
local co = coroutine.create(function() outer() end)
assert(coroutine.resume(co))
for _ = 1, 1000 do coroutine.resume(coroutine.create(function() waits() end)) end
collectgarbage()
local node
for _, it in ipairs(Context.nodes()) do
  if it.name == "outer" and it.status == "running" then node = it end
end
assert(node and coroutine.resume(co) and node.status == "completed")
print("ok")

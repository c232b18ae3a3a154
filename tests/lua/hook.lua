-- The module `Hook`: functions around calls, every answer, failures, time limits, built-in hooks.

local function words(text) return Tool.count_words{text = text}.words end
local function clear()
  for _, hook in ipairs(Hook.list()) do Hook.unregister(hook.name) end
  assert(#Hook.list() == 0)
end

-- Points are listed with what they show and what may be changed.
local points = {}
for _, point in ipairs(Hook.points()) do points[point.name] = point end
assert(points["tool.before"].changes[1] == "args" and points["tool.before"].is_replaceable)
assert(points["security.violation"] and #points["security.violation"].changes == 0)
assert(points["cell.before"] and points["agent.step.after"] and points["session.checkpoint.error"])
assert(points["workflow.before"] == nil)

-- A hook sees a call and changes its arguments.
local seen = {}
local handle = Hook.register("tool.before", function(call)
  seen[#seen + 1] = call.tool .. " " .. call.args.text .. " " .. call.caller .. " " .. call.attempt
  return Hook.modify{args = {text = call.args.text .. " more"}}
end, {name = "longer", priority = "high"})
assert(handle.name == "longer" and handle.points[1] == "tool.before" and handle.priority == 500)
assert(words("a b") == 3 and seen[1] == "count_words a b user 1")
assert(handle:unregister() and not handle:unregister() and words("a b") == 2)

-- Every answer, before and after.
local function answered(point, answer)
  local hook = Hook.register(point, function() return answer end, {required = true})
  local ok, result = pcall(Tool.count_words, {text = "a b"})
  hook:unregister()
  return ok, result
end
local ok, result = answered("tool.before", Hook.replace{words = 7})
assert(ok and result.words == 7)
ok, result = answered("tool.before", Hook.skip())
assert(ok and result == nil)
ok, result = answered("tool.before", Hook.replace(nil))
assert(ok and result == nil)
ok, result = answered("tool.after", Hook.modify{result = {words = 8}})
assert(ok and result.words == 8)
ok, result = answered("tool.after", {replace = {words = 9}})
assert(ok and result.words == 9)
ok, result = answered("tool.before", Hook.stop("not on Sundays"))
assert(not ok and result.kind == "denied" and result.message:find("not on Sundays"))
ok, result = answered("tool.before", Hook.stop("enough", "limit_exceeded"))
assert(not ok and result.kind == "limit_exceeded")
ok, result = answered("tool.before", Hook.retry{delay_s = 0, max = 2})
assert(not ok and result.kind == "denied" and result.message:find("2 times"))
ok, result = answered("tool.before", nil)
assert(ok and result.words == 2)

-- A call that fails is made again, or answered for.
local failures = 0
Tool.create{name = "shaky", summary = "Fails at first.", fn = function()
  failures = failures + 1
  if failures <= 2 then error("shaky " .. failures) end
  return failures
end}
local errors = {}
Hook.register("tool.error", function(call)
  errors[#errors + 1] = call.error.kind .. " " .. call.attempt
  return Hook.retry{max = 2}
end, {name = "again"})
assert(Tool.shaky() == 3 and table.concat(errors, ", ") == "tool_failed 1, tool_failed 2")
clear()

-- Priorities; the same name at the same point takes the place of the earlier one.
local order = {}
for i, priority in ipairs{"low", 7, "highest", "normal"} do
  Hook.register("tool.before", function() order[#order + 1] = i end, {priority = priority, name = "p" .. i})
end
words("a")
assert(table.concat(order, " ") == "3 2 4 1")
Hook.register("tool.before", function() end, {name = "p3"})
order = {}
words("a")
assert(table.concat(order, " ") == "2 4 1")
clear()

-- Patterns and lists of points; a function keeps its name.
function note(call) order[#order + 1] = call.point end
order = {}
Hook.register({"tool.*", "state.write.after"}, note)
words("a") State.set("hooked", 1)
assert(table.concat(order, " ") == "tool.before tool.after state.write.after")
assert(Hook.list()[1].name == "note" and #Hook.list()[1].points == 4)
clear()

-- What a hook does itself is not shown to it again.
local depth = 0
Hook.register("tool.before", function(call)
  depth = depth + 1
  assert(words("a b c") == 3)
end, {name = "uses a tool", required = true})
assert(words("a") == 1 and depth == 1)
clear()

-- A hook that fails harms nobody but itself, and is switched off when it keeps failing.
local asked = 0
Hook.register("tool.before", function() asked = asked + 1 error("broken hook") end, {name = "bad"})
for _ = 1, 8 do assert(words("a") == 1) end
local bad = Hook.list()[1]
assert(asked == 5 and bad.state == "off" and bad.failures == 5 and bad.last_error:find("broken hook"))
assert(Hook.enable("bad") == 1 and Hook.list()[1].state == "on")
words("a")
assert(asked == 6)
clear()
Hook.register("tool.before", function() error("broken guard") end, {name = "guard", required = true})
for _ = 1, 8 do
  ok, result = pcall(words, "a")
  assert(not ok and result.message:find("broken guard") and result.message:find("guard"))
end
assert(Hook.list()[1].state == "on")
clear()

-- A hook in an endless loop, and one that waits, are cut off and named.
for name, endless in pairs{
  loop = function() while true do end end,
  caught = function() while true do pcall(function() while true do end end) end end,
  wait = function() sleep(1000) end,
} do
  Hook.register("tool.before", endless, {name = name, timeout_s = 0.05})
  assert(words("a b") == 2)
  local info = Hook.list()[1]
  assert(info.failures == 1 and info.last_error:find("`" .. name .. "`") and info.last_error:find("took longer"))
  clear()
end

-- Answers without a meaning are failures of the hook.
for _, wrong in ipairs{Hook.modify{tool = "x"}, {halt = true}, {stop = 1}, 7} do
  Hook.register("tool.before", function() return wrong end, {name = "wrong"})
  assert(words("a") == 1 and Hook.list()[1].failures == 1)
  clear()
end

-- Models, agents and their steps, state, sessions.
local model = Model("scripted:test", {answers = {"one", "two", "three"}})
Hook.register("model.after", function(call) return Hook.replace("better") end, {name = "m"})
assert(model:complete("hi").text == "better")
clear()
local steps = {}
Hook.register({"agent.before", "agent.step.before", "agent.step.after", "agent.after"}, function(call)
  steps[#steps + 1] = call.point
end, {name = "steps"})
assert(Agent{model = model}:run("go").output == "two" and #steps == 4)
clear()
Hook.register("state.write.before", function(call) return Hook.modify{value = call.value + 1} end, {name = "one more"})
State.set("number", 1)
assert(State.get("number") == 2)
clear()
Hook.register("session.start.before", function() return Hook.stop("closed") end, {name = "closed"})
ok, result = pcall(Session.create)
assert(not ok and result.kind == "denied")
clear()

-- Built-in hooks.
Hook.use("metrics", {on = "tool"})
words("a") words("b")
assert(Hook.list()[1].report.tool.count_words.calls == 2 and Hook.list()[1].origin == "built-in")
clear()
Hook.use("rate_limit", {on = "tool", calls = 1, per_s = 1000, wait = false})
words("a")
ok, result = pcall(words, "a")
assert(not ok and result.kind == "limit_exceeded")
clear()
Hook.use("approval", {names = {"count_words"}, approve = function(call) return call.args.text == "good" end})
assert(words("good") == 1)
ok, result = pcall(words, "bad")
assert(not ok and result.kind == "denied")
clear()
local cached = Hook.use("cache", {on = "tool", names = "count_words"})
words("a") words("a")
assert(#cached.points == 2 and Hook.list()[1].report.hits == 1 and cached:unregister())
clear()

-- One that says it was interrupted, where nobody pressed stop, has failed like any other.
Hook.register("tool.before", function() error({kind = "interrupted", message = "stop"}) end, {name = "stop"})
for _ = 1, 6 do assert(words("a b") == 2) end
assert(Hook.list()[1].state == "off" and Hook.list()[1].last_error:find("stop", 1, true))
clear()

local function fails(kind, fn, ...)
  local failed, err = pcall(fn, ...)
  assert(not failed and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
local function nothing() end
fails("not_found", Hook.register, "tools.before", nothing)
fails("not_found", Hook.use, "caches")
fails("invalid_args", Hook.register, "tool.before", 7)
fails("invalid_args", Hook.register, "tool.before", nothing, {priority = "urgent"})
fails("invalid_args", Hook.register, "tool.before", nothing, {timeout_s = 0})
fails("invalid_args", Hook.register, "tool.before", nothing, {prio = 1})
fails("invalid_args", Hook.use, "retry", {attempts = 0})
fails("invalid_args", Hook.use, "retry", {calls = 1})
for _, never in ipairs{"a*b", "*a", "a**"} do
  fails("invalid_args", Hook.use, "logging", {names = never})
end
fails("invalid_args", Hook.stop, "no", "nothing")
fails("invalid_args", Hook.retry, {max = 0})
assert(Hook.unregister("none") == 0 and Hook.enable("none") == 0)
print("ok")

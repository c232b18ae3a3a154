-- Hooks: functions that see calls of tools and models, change them, answer for them or stop them.

-- A hook sees each tool call before it happens.
Hook.register("tool.before", function(call)
  print("before", call.tool, call.args.text)
end, {name = "show", priority = "high"})

-- Another one changes its arguments; what it changes is checked as the caller's are.
Hook.register("tool.before", function(call)
  return Hook.modify{args = {text = call.args.text:gsub("secret", "…")}}
end, {name = "hide"})
print(Tool.count_words{text = "a secret text"}.words)

-- One that is required guards: when it fails, the call fails with it.
Hook.register("tool.before", function(call)
  if #call.args.text > 100 then return Hook.stop("the text is too long") end
end, {name = "guard", required = true})
print(pcall(Tool.count_words, {text = ("word "):rep(50)}))

-- A failed call is made again, twice at most.
local tries = 0
Tool.create{name = "shaky", summary = "Works the second time.", fn = function()
  tries = tries + 1
  if tries == 1 then error("not yet") end
  return tries
end}
Hook.unregister("show") Hook.unregister("hide") Hook.unregister("guard")
Hook.register("tool.error", function() return Hook.retry{max = 2} end, {name = "again"})
print(Tool.shaky())

-- Hooks that come with aikit: this one counts.
Hook.use("metrics", {on = {"tool"}})
Tool.count_words{text = "a b"}
for _, hook in ipairs(Hook.list()) do
  print(hook.name, hook.state, hook.report and hook.report.tool.count_words.calls)
end

-- The module `Agent`: a model with tools, events, limits.

local rolled = 0
function roll_dice(args)
  rolled = rolled + args.dice
  return {sum = 3 * args.dice}
end
local triple = Tool.create{name = "triple", summary = "Multiplies by three.", parameters = {n = "integer"},
  fn = function(args) sleep(0.001) return args.n * 3 end}

local function scripted(...) return Model("scripted:agent", {answers = {...}}) end
local function call(name, arguments) return {tool_calls = {{name = name, arguments = arguments}}} end

-- Functions, tools and names of tools stand side by side.
local agent = Agent{
  name = "helper",
  model = scripted(call("roll_dice", {dice = 2}), call("triple", {n = 5}),
    call("count_words", {text = "a b c"}), "all done"),
  instructions = "Use the tools.",
  tools = {roll_dice, triple, "count_words"},
}
assert(tostring(agent) == "Agent `helper`" and agent.model == "scripted:agent")
local run = agent:run("go")
assert(run.output == "all done" and rolled == 2 and run.usage.requests == 4)
assert(run.steps[1].tool_calls[1].result.sum == 6)
assert(run.steps[2].tool_calls[1].result == 15)
assert(run.steps[3].tool_calls[1].result.words == 3)

-- A run goes on where another ended.
local again = Agent{model = scripted("second")}:run("more", {history = run.messages})
assert(again.output == "second" and #again.messages > #run.messages)

-- Events arrive while it runs; the last one is the run.
local kinds, text, done = {}, {}, nil
for event in Agent{model = scripted(call("triple", {n = 1}), "streamed answer"), tools = {triple}}:stream("go") do
  kinds[event.kind] = (kinds[event.kind] or 0) + 1
  if event.kind == "agent.text.delta" then text[#text + 1] = event.data.text end
  done = event
end
assert(kinds["agent.tool.call"] == 1 and kinds["agent.tool.result"] == 1)
assert(table.concat(text) == "streamed answer" and done.kind == "done" and done.run.output == "streamed answer")

-- An error of a tool is told to the model, not to the caller.
local run = Agent{model = scripted(call("broken", {}), "sorry"),
  tools = {{name = "broken", summary = "Fails.", fn = function() error("no") end}}}:run("go")
assert(run.output == "sorry" and run.steps[1].tool_calls[1].is_error)

-- An agent is a tool of another.
local inner = Agent{name = "inner", model = scripted("from inside")}
local outer = Agent{model = scripted(call("inner", {prompt = "x"}), "outer done"), tools = {inner:as_tool("Answers.")}}
assert(outer:run("go").steps[1].tool_calls[1].result == "from inside")

local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
local endless = Agent{model = scripted(call("triple", {n = 1}), call("triple", {n = 1}), "late"),
  tools = {triple}, limits = {requests = 2}}
fails("limit_exceeded", endless.run, endless, "go")
fails("not_found", Agent, {model = scripted("x"), tools = {"no_such_tool"}})
fails("invalid_args", Agent, {model = scripted("x"), tool = {}})
fails("invalid_args", Agent, {model = scripted("x"), tools = {triple, triple}})
fails("invalid_args", agent.run, agent)
print("ok")

-- A function decides instead of the user; outside nobody is asked.
Tool.write_file{path = "mine.txt", content = "x"}
local asked = {}
local function deleting(path, approve)
  local agent = Agent{
    model = scripted(call("delete_file", {path = path}), "done"),
    tools = {"files"},
    approve = approve,
  }
  local run = agent:run("go")
  assert(run.output == "done")
  return run.steps[1].tool_calls[1].result
end
local function deciding(answer)
  return function(request)
    asked[#asked + 1] = request
    return answer
  end
end
local outside = deleting("/etc/hostname", deciding(true))
assert(outside.error.kind == "denied" and outside.error.message:find("outside", 1, true))
assert(#asked == 0)
local refused = deleting("mine.txt", deciding("no"))
assert(refused.error.message:find("did not allow", 1, true))
assert(asked[1].tool == "delete_file" and asked[1].args.path == "mine.txt" and #asked[1].digest == 64)
assert(deleting("mine.txt", deciding(true)).deleted)
assert(#Tool.list_directory{pattern = "mine.txt"}.entries == 0)

-- A tool that is named by itself and with its group counts once.
local both = Agent{model = Model("scripted:test", {answers = {"done"}}), tools = {"files", "write_file"}}
assert(both:run("go").output == "done")

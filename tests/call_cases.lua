-- The calls of the call matrix in Lua, as in `call_cases.py`: each from the cell and from a task.

local TEXT = "one two three"

local function count(text)
  local words = 0
  for _ in text:gmatch("%S+") do words = words + 1 end
  return words
end

local function create(name, summary, fn)
  Tool.create{name = name, summary = summary, parameters = {text = "string"}, fn = fn}
end

create("sync_tool", "Counts at once.", function(args)
  return {words = count(args.text)}
end)
create("async_tool", "Counts after a wait.", function(args)
  sleep(0.001)
  return {words = count(args.text)}
end)
create("nesting_tool", "Counts by calling tools while an agent waits for the answer.", function(args)
  local words = Tool.count_words{text = args.text}.words
  assert(Tool.async_tool{text = args.text}.words == words)
  return {words = words}
end)

local function run_agent()
  local call = {name = "nesting_tool", arguments = {text = TEXT}}
  local model = Model("scripted:matrix", {answers = {{tool_calls = {call}}, "done"}})
  local run = Agent{model = model, tools = {"nesting_tool"}}:run("count")
  assert(run.output == "done", run.output)
  return run.steps[1].tool_calls[1].result
end

local CASES = {
  rust_tool = function() return Tool.count_words{text = TEXT} end,
  sync_function = function() return Tool.sync_tool{text = TEXT} end,
  async_function = function() return Tool.async_tool{text = TEXT} end,
  nested_in_agent = run_agent,
}
local MODES = {
  sync = function(case) return case() end,
  -- Another task asks at the same time, and the cell waits for both.
  async = function(case)
    local beside = async(case)
    local answer = async(case):await()
    assert(beside:await().words == answer.words)
    return answer
  end,
}

function run_case(mode, case)
  print(JSON.stringify{words = MODES[mode](CASES[case]).words})
end

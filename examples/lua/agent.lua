-- An agent with a tool written in Lua, whose answer is shown while it arrives.

Tool.create{
  name = "roll_dice",
  summary = "Rolls dice and returns their sum.",
  schema = {
    type = "object",
    properties = {
      dice = {type = "integer", minimum = 1, maximum = 10},
      sides = {type = "integer", minimum = 2, maximum = 100},
    },
    required = {"dice", "sides"},
  },
  fn = function(args)
    local sum = 0
    for number = 1, args.dice do
      sum = sum + (number * 7919) % args.sides + 1 -- the same in every run
    end
    return {sum = sum}
  end,
}

local agent = Agent{
  -- Answers from a list. Name a real model instead, such as "openai:gpt-5-mini", or give the
  -- address of a local server: Model("openai-compatible:NAME", {base_url = "http://127.0.0.1:8080/v1"}).
  model = Model("scripted:dice", {answers = {
    {tool_calls = {{name = "roll_dice", arguments = {dice = 2, sides = 6}}}},
    "The dice were rolled.",
  }}),
  instructions = "Roll the dice when asked to.",
  tools = {"roll_dice"},
  limits = {requests = 3, tool_calls = 2},
}

for event in agent:stream("Roll two dice.") do
  if event.kind == "agent.tool.call" then
    print("calls", event.data.name)
  elseif event.kind == "agent.text.delta" then
    io.write(event.data.text)
  end
end
print()

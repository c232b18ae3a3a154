-- The module `Tool`: lists, calls, objects, functions as tools, errors.

-- Built-in tools, three ways.
assert(Tool.count_words{text = "a b c"}.words == 3)
assert(Tool.invoke("count_words", {text = "a b"}).words == 2)
local count = Tool.get("count_words")
assert(count:invoke{text = "a"}.words == 1)

-- Objects carry their fields and know each other.
assert(count.name == "count_words" and count.origin == "built-in")
assert(tostring(count) == "Tool `count_words`")
assert(count ~= Tool.get("count_words"))
assert(count.input_schema.properties.text.type == "string")

-- A function becomes a tool; it may wait, and call other tools.
local calls = 0
local double = Tool.create{
  name = "double_words",
  summary = "Counts words twice.",
  parameters = {text = "string"},
  fn = function(args)
    calls = calls + 1
    sleep(0.001)
    return {words = 2 * Tool.count_words{text = args.text}.words, list = {}, of = args.text}
  end,
}
local result = Tool.double_words{text = "x y"}
assert(result.words == 4 and result.of == "x y" and #result.list == 0)
assert(double:invoke{text = "x"}.words == 2 and calls == 2)
assert(Tool.get("double_words").origin == "lua")

-- The list has both.
local names = {}
for _, tool in ipairs(Tool.list()) do names[tool.name] = tool.summary end
assert(names.count_words and names.double_words == "Counts words twice.")

-- Data survives both ways: kinds of numbers, empty lists, null, bytes.
Tool.create{name = "echo", summary = "Gives its arguments back.", schema = {type = "object"},
  fn = function(args) return args end}
local echoed = Tool.echo{int = 1, float = 1.0, huge = math.mininteger, list = {1, "a", {b = true}},
  null = JSON.null, bytes = "\255\0", nested = {{}, {x = {}}}, inf = math.huge}
assert(math.type(echoed.int) == "integer" and math.type(echoed.float) == "float")
assert(echoed.huge == math.mininteger and echoed.inf == math.huge)
assert(echoed.list[3].b == true and echoed.null == JSON.null and echoed.bytes == "\255\0")

-- Errors keep kind, message and hint.
local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
fails("not_found", Tool.get, "count_word")
fails("invalid_args", Tool.count_words, {})
fails("invalid_args", Tool.count_words, {text = 5})
fails("invalid_args", Tool.invoke, 5)
fails("invalid_args", Tool.create, {name = "x", fn = print})
fails("invalid_args", Tool.double_words, {})
Tool.create{name = "broken", summary = "Fails.", fn = function() error("broken inside") end}
fails("tool_failed", Tool.broken, {})
Tool.create{name = "relay", summary = "Fails like another.", fn = function() return Tool.get("none") end}
fails("not_found", Tool.relay, {})
Tool.create{name = "slow", summary = "Takes long.", timeout_s = 0.01, fn = function() sleep(60) end}
fails("timeout", Tool.slow, {})
Tool.create{name = "gives_function", summary = "Gives no data.", fn = function() return print end}
fails("invalid_args", Tool.gives_function, {})

-- Several at once, in one session.
local sums = gather{
  function() return Tool.double_words{text = "a"}.words end,
  function() return Tool.double_words{text = "a b"}.words end,
  function() return Tool.double_words{text = "a b c"}.words end,
}
assert(sums[1] == 2 and sums[2] == 4 and sums[3] == 6)
print("ok")

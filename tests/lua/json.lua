-- The module `JSON`: text to data and back.

local data = JSON.parse('{"a": [1, 2.0, "x", null], "empty": [], "object": {}, "deep": {"b": true}}')
assert(math.type(data.a[1]) == "integer" and math.type(data.a[2]) == "float")
assert(#data.a == 4 and data.a[4] == JSON.null and data.deep.b == true)
assert(JSON.stringify(data.empty) == "[]" and JSON.stringify(data.object) == "{}")
assert(JSON.parse("null") == nil and JSON.stringify(JSON.null) == "null")
assert(JSON.stringify({1, 2, {x = "y"}}) == '[1,2,{"x":"y"}]')
assert(JSON.stringify({b = 1, a = 2}) == '{"a":2,"b":1}')
assert(JSON.stringify({a = 1}, {pretty = true}) == '{\n  "a": 1\n}')
assert(JSON.parse(JSON.stringify(data)).a[3] == "x")

local ok, problem = pcall(JSON.parse, "{")
assert(not ok and problem.kind == "invalid_args")
print(problem.message)
local loop = {}
loop.loop = loop
ok, problem = pcall(JSON.stringify, loop)
assert(not ok and problem.kind == "invalid_args")
print(problem.message)

-- JSON of others says nothing but itself, and what JSON lacks is not written.
for _, text in ipairs{'{"$bytes":"aGk="}', '{"$float":"nan"}', '{"$value":{"$bytes":"aGk="}}'} do
  assert(JSON.stringify(JSON.parse(text)) == text, text)
  local key = text:match('%$%a+')
  local found = Tool.query_json{data = JSON.parse(text), path = "$['" .. key .. "']"}.values[1]
  assert(JSON.stringify(found) == text:match(':(.*)}$'), text)
end
for _, value in ipairs{{a = 0/0}, {1/0}, {{"\xff\xfe"}}} do
  for _, write in ipairs{JSON.stringify, display.json} do
    ok, problem = pcall(write, value)
    assert(not ok and problem.kind == "invalid_args" and problem.hint, tostring(problem))
    print(problem.message)
  end
end
print("ok")

-- Lists the built-in tools, calls some of them, and shows what a refused call says.

for _, tool in ipairs(Tool.list()) do
  print(tool.name, tool.summary)
end

print(Tool.calculate{expression = "3 ft to cm"}.value)
print(Tool.count_words{text = "one wheel, three faces"}.words)

local record = {name = "Ada", languages = {"Lua", "Python"}}
print(Tool.query_json{data = record, query = ".languages | length"}.values[1])

-- An error is a value with a kind, a message and a hint.
local ok, problem = pcall(Tool.calculate, {expresion = "1 + 1"})
print(ok, problem.kind, problem.message)

-- What `first.cassette` was recorded of; it prints the same when that is replayed.
Tool.create{
  name = "log_in",
  summary = "Logs in.",
  schema = {
    type = "object",
    properties = {
      user = {type = "string"},
      password = {type = "string", description = "Its letters."},
    },
    required = {"user"},
  },
  fn = function(args) return {welcome = args.user} end,
}
local model = Model("scripted:demo", {answers = {
  "whole: the token is sk-abcdefghijklmnop1234",
  {text = "one two three"},
  {tool_calls = {{name = "log_in", arguments = {user = "ada", password = "lace"}}}},
  "you are in",
}})
print(model:complete("see https://user:pw@example.org/ and {\"api_key\": \"abc\"}").text)
for piece in model:stream("count") do io.write(piece.text or "", "|") end
print()
print(Agent{model = model, tools = {"log_in"}}:run("let me in").output)
print(Tool.list_directory{path = "."}.entries[1].path)
local ok, err = pcall(Tool.read_file, {path = "none.txt"})
print(ok, err.kind)
print(os.time(), math.random(1, 1000000000))

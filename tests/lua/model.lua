-- The module `Model`: answers, pieces of answers, tool calls, functions as models.

local model = Model("scripted:demo", {answers = {"first", {text = "", tool_calls = {{name = "t", arguments = {x = 1}}}}, "a longer third answer"}})
assert(model.name == "scripted:demo" and tostring(model) == "Model `scripted:demo`")

local answer = model:complete("hello")
assert(answer.text == "first" and answer.finish_reason == "stop" and answer.usage.requests == 1)

answer = model:complete{messages = {{role = "user", content = "use the tool"}}, tools = {
  {name = "t", summary = "A tool.", fn = print, parameters = {x = "integer"}},
}}
assert(answer.tool_calls[1].name == "t" and answer.tool_calls[1].arguments.x == 1)

local pieces, last = {}, nil
for piece in model:stream{prompt = "more"} do
  if piece.kind == "text" then pieces[#pieces + 1] = piece.text end
  last = piece
end
assert(table.concat(pieces) == "a longer third answer" and last.kind == "done")
assert(last.response.text == "a longer third answer")

-- A stream that is left early is closed, and gives nothing more.
local stream = Model("scripted:demo", {answers = {"one two three"}}):stream("x")
assert(stream:next().kind == "text")
stream:close()
assert(stream:next() == nil)

-- A function that waits is a model too.
local echo = Model(function(request)
  sleep(0.001)
  local message = request.messages[#request.messages]
  return "you said " .. JSON.stringify(message):match('"(hi %a+)"')
end)
assert(echo:complete("hi there").text == "you said hi there")

assert(#Model.list() > 0)
local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
fails("unavailable", Model, "openai:some-model")
fails("not_found", Model, "nobody:model")
fails("invalid_args", model.complete, model, {})
fails("invalid_args", model.complete, model, {promt = "x"})
fails("invalid_args", echo.embed, echo, {"text"})
print("ok")

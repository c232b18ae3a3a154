-- Procedures: functions with middleware, a schema, a time limit, pipes, a handle, and a graph.

-- A procedure is called like its function. It runs in a Context, which flows with the call.
local greet = Procedure.create{name = "greet", function(name)
  return "Hello, " .. name .. "! (user " .. Context.get().metadata.user .. ")"
end}
print(Context.fork({metadata = {user = "user-1"}}, greet, "World"))

-- Middleware stands around a call: here it says what is called and what came of it.
local function logging(args, envelope, next)
  print(envelope.operation_name .. " called with " .. tostring(args[1]))
  local ok, result = pcall(next)
  if not ok then
    print(envelope.operation_name .. " failed: " .. tostring(result.message or result))
    error(result, 0)
  end
  print(envelope.operation_name .. " completed")
  return result
end
local shout = Procedure.create{name = "shout", function(text) return text:upper() end}:use(logging)
print(shout("quiet"))

-- A schema is checked before anything else sees the arguments; a time limit ends the call.
local area = Procedure.create{
  name = "area",
  schema = {
    type = "object",
    required = {"width", "height"},
    properties = {width = {type = "number"}, height = {type = "number"}},
  },
  timeout = 5,
  function(sides) return sides.width * sides.height end,
}
print(area{width = 2, height = 3})
print(select(2, pcall(area, {width = 2})).message)
local slow = Procedure.create{name = "slow", function() sleep(60) end}
print(select(2, pcall(slow:with_timeout(0.01))).kind)

-- Procedures one after the other: the values of each go to the next.
local fetch = Procedure.create{name = "fetch", function(id) return {id = id, name = "Ada"} end}
local enrich = Procedure.create{name = "enrich", function(user)
  user.posts = {"On engines", "Notes"}
  return user
end}
local present = Procedure.create{name = "present", function(user)
  return user.name .. " wrote " .. #user.posts .. " posts, the last is " .. user.posts[#user.posts]
end}
print(Procedure.pipe(fetch, enrich, present)("user-123"))
local known = fetch:pipe(enrich)
print(known.name, #known("user-123").posts)

-- Middleware that belongs together is a pipeline; a factory makes procedures that all have it.
local function counting(args, envelope, next)
  Context.add_metric("calls." .. envelope.operation_name, 1)
  return next()
end
local adults = Procedure.guard(function(args) return args[1].age >= 18 end, "adults")
local make = Procedure.factory(Procedure.pipeline(counting, adults))
local admit = make{name = "admit", function(person) return person.name .. " may enter" end}
print(admit{name = "Ada", age = 36})
local ok, problem = pcall(admit, {name = "Tim", age = 9})
print(problem.kind, problem.message)

-- A generator hands values out before it returns; a handle tells of them, and of the end.
local count = Procedure.create{name = "count", generator = true, function(limit)
  for number = 1, limit do coroutine.yield({progress = number / limit}) end
  return "done"
end}
for chunk in count(2) do print("progress", chunk.progress) end
local handle = count:start(4)
handle:on("stream.chunk", function(event) print("chunk", event.data.value.progress) end)
print(handle:result())
for _, event in ipairs(handle:events()) do print(event.kind) end

-- A block of a program is one too, with a time limit if need be.
print(select(2, pcall(Procedure.track, "wait", {timeout = 0.01}, sleep, 60)).kind)

-- Who called whom, and what they counted: metrics go up to the callers.
Procedure.track("engine", function()
  Procedure.track("model", function()
    Context.add_usage{input_tokens = 100, output_tokens = 50}
    local info = Context.execution_info()
    print(info.name, "within engine:", Context.is_within("engine"), "depth " .. info.depth - Context.node():parent().depth)
  end)
  print("tokens of the engine", Context.usage().input_tokens)
end)

-- Forks run side by side and never see each other's Context.
local names = gather{
  function() return Context.fork({metadata = {name = "first"}}, function() sleep(0.01) return Context.get().metadata.name end) end,
  function() return Context.fork({metadata = {name = "second"}}, function() return Context.get().metadata.name end) end,
}
print(table.concat(names, " "))

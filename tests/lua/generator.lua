-- Generators: what is an item, what closing one runs, and where they do not fit.

local function fails(message, hint, fn, ...)
  local ok, why = pcall(fn, ...)
  assert(not ok and why.kind == "invalid_args", tostring(why) .. " is " .. tostring(why.kind))
  assert(why.message:find(message, 1, true), why.message)
  assert(why.hint:find(hint, 1, true), why.hint)
end
-- Waits in every case: a task begins when whoever awaits it has let it; `sleep(0)` may be over at once.
local function wait() await(async(function() end)) end
local function generator(name, fn, timeout)
  return Procedure.create{name = name, generator = true, timeout = timeout, fn}
end

-- An item is one value: what would be lost is refused where it is handed out, in each way to read.
for _, limit in ipairs{0, 30} do
  for message, fn in pairs{
    ["given 2 values"] = function() coroutine.yield(1, 2) end,
    ["given 3 values"] = function() coroutine.yield(nil, 1, nil) end,
  } do
    local gives = generator("gives", fn, limit)
    for _, read in ipairs{
      function() for _ in gives() do end end,
      function() return gives:run() end,
      function() return gives:start():result() end,
      function() return gives:stream()() end,
    } do
      fails(message, "yield one value, a table for several", read)
    end
  end
  for message, fn in pairs{
    ["given `nil`"] = function() sleep(0) coroutine.yield(nil) end,
    ["given nothing"] = function() coroutine.yield() end,
  } do
    local gives = generator("gives", fn, limit)
    fails(message, "JSON.null", function() for _ in gives() do end end)
    fails(message, "JSON.null", function() return gives:start():result() end)
  end
end
-- The generator may go on, and what is no item outside of one is handed out as ever.
local mends = generator("mends", function()
  local ok, why = pcall(coroutine.yield, 1, 2)
  coroutine.yield(ok or why.kind)
  local inner = coroutine.wrap(function() coroutine.yield() coroutine.yield(nil, 3) end)
  inner()
  local first, second = inner()
  coroutine.yield(second)
  coroutine.yield(false)
  coroutine.yield(JSON.null)
end)
local items = {}
for item in mends() do items[#items + 1] = item end
assert(#items == 4 and items[1] == "invalid_args" and items[2] == 3 and items[3] == false and items[4] == JSON.null)

-- So it is for what helpers read and give.
local function twos()
  local at = 0
  return function() at = at + 1 if at < 3 then return at, "more" end end
end
local function same(it) return it end
local one_value = "give one value, a table for several"
fails("`Stream.map`: the source gave several values", one_value, Stream.map(twos(), same))
fails("`Stream.tap`: the source gave several values", one_value, Stream.tap(twos(), same))
fails("`Stream.merge`: the source gave several values", one_value, Stream.merge{twos()})
fails("`Stream.map`: the function gave several values", one_value, Stream.map({"a"}, function(it) return it:gsub("a", "b") end))
assert(Stream.map({"a"}, function(it) return (it:gsub("a", "b")) end)() == "b")
assert(Stream.tap({"a"}, function(it) return it, it end)() == "a")
fails("which would end the iteration", "JSON.null", Stream.map({"a"}, function() end))

-- A generator has no one result to pass on.
local count = generator("count", function() coroutine.yield(1) end)
local add = Procedure.create{name = "add", function(n) return n + 1 end}
for _, call in ipairs{
  function() Procedure.pipe(count, add) end,
  function() Procedure.pipe(add, count) end,
  function() Procedure.pipe(count) end,
  function() count:pipe(add) end,
} do
  fails("`count` is a generator, which has no one result to pass on", "use `Stream.map`", call)
end

-- What closes a generator that is left early runs, but cannot wait; that is said, and closes the rest.
for _, limit in ipairs{0, 30} do
  local closed = {}
  local guards = generator("guards", function()
    local first <close> = setmetatable({}, {__close = function() closed[#closed + 1] = "first" end})
    local second <close> = setmetatable({}, {__close = function() wait() closed[#closed + 1] = "second" end})
    coroutine.yield(1)
  end, limit)
  fails("a function that waits was called where nothing can wait", "left early", function()
    for _ in guards() do break end
  end)
  assert(#closed == 1 and closed[1] == "first", #closed)
  local nodes = Context.nodes()
  assert(nodes[#nodes].name == "guards" and nodes[#nodes].status == "failed", nodes[#nodes].status)
  -- At its own end it can.
  for _ in guards() do end
  assert(#closed == 3 and closed[2] == "second" and closed[3] == "first")
end

-- A stream is read in one place at a time, and whoever reads it goes on.
for _, limit in ipairs{0, 30} do
  local gate, began = Event.subscribe("generator.gate"), false
  local stream = generator("slow", function()
    began = true
    coroutine.yield(gate:receive().data)
    coroutine.yield(2)
  end, limit):stream()
  local first = async(function() return stream:next() end)
  repeat wait() until began
  for _, method in ipairs{"next", "close"} do
    fails("`" .. method .. "` was called while the stream of `slow` is being read", "let one task",
      stream[method], stream)
  end
  Event.publish("generator.gate", 1)
  assert(await(first) == 1 and stream:next() == 2)
  stream:close()
end

fails("called where nothing can wait", "table.sort", table.sort, {1, 2}, wait)
fails("called where nothing can wait", "metamethods", function()
  return tostring(setmetatable({}, {__tostring = function() wait() return "it" end}))
end)
print("ok")

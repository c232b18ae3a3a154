-- Subscriptions: how many there may be, whom their functions act for, what is no payload.

local MOST = 10000

-- What is held counts, and stopping one makes room for one.
local held = {}
local ok, why = pcall(function()
  for at = 1, MOST + 10 do held[at] = Event.subscribe("count.held") end
end)
assert(not ok and why.kind == "limit_exceeded" and why.hint:find("stop those", 1, true), tostring(why))
assert(not pcall(Event.receive, "count.other", {timeout = 0}))
held[1]:stop()
-- Functions that are stopped give their place back: there is one for all of these.
for _ = 1, 20 do Event.subscribe("count.stopped", print):stop() end
held[1] = Event.subscribe("count.held")
assert(not pcall(Event.subscribe, "count.held"))
-- What was dropped does not count, whether or not it was collected.
held = nil
assert(Event.subscribe("count.held") and Event.receive("count.other", {timeout = 0}) == nil)

-- Functions act for who subscribed, wherever it is published.
local acts = Event.subscribe("acts")
local function note()
  local user = Context.get().user
  Event.publish("acts", {id = user.id, roles = user.roles, tenant_id = user.tenant_id, topic = Context.get().metadata.topic, within = Context.node() and Context.node().name})
end
local on_event, on_channel
Context.fork({roles = {}, metadata = {topic = "mine"}}, function()
  on_event = Event.subscribe("acts.event", note)
  on_channel = Channel("acts:channel"):subscribe(note)
end)
local own = Context.get().user
for _, publish in ipairs{
  function() Event.publish("acts.event") end,
  function() Channel("acts:channel"):publish("update") end,
} do
  Procedure.track("publishes", function()
    Context.fork({metadata = {topic = "other"}}, publish)
  end)
  local seen = acts:receive{timeout = 10}.data
  assert(seen.id == own.id and seen.tenant_id == own.tenant_id and #seen.roles == 0)
  assert(seen.topic == "mine" and seen.within ~= "publishes", tostring(seen.topic) .. " " .. tostring(seen.within))
end
on_event:stop()
on_channel:stop()

-- A function is no data: the error names the function that was called, and what to do.
for name, call in pairs{
  ["Event.publish"] = function() Event.publish("a", print) end,
  ["Event.publish "] = function() Event.publish("a", {x = {print}}) end,
  ["Channel:publish"] = function() Channel("a"):publish("update", print) end,
  ["Channel:publish "] = function() Channel("a"):publish("update", {x = print}) end,
  ["Channel:request"] = function() Channel("a"):request({x = {print}}, {timeout = 0}) end,
  ["Channel:respond"] = function() Channel("a"):respond("q", print) end,
  ["Context.emit"] = function() Context.emit("a", print) end,
  ["Context.emit "] = function() Context.emit("a", {x = print}) end,
  ["Context:emit"] = function() Context.get():emit("a", {x = print}) end,
} do
  local ok, why = pcall(call)
  assert(not ok and why.kind == "invalid_args", tostring(why))
  name = name:gsub(" $", "")
  assert(why.message:find("`" .. name .. "`", 1, true), name .. ": " .. why.message)
  assert(why.message:find("`data", 1, true) or why.message:find("`payload", 1, true), why.message)
  assert(why.message:find("function", 1, true) and why.hint:find("text", 1, true), why.message .. why.hint)
end

-- A pattern that fits no name is refused, with the reason.
for pattern, reason in pairs{
  ["a:"] = "",
  ["a b"] = "",
  ["a."] = "",
} do
  for _, call in ipairs{Event.subscribe, Event.receive, function(it) return Event.replay{pattern = it} end} do
    local ok, why = pcall(call, pattern)
    assert(not ok and why.kind == "invalid_args", pattern .. ": " .. tostring(why))
    assert(why.message:find(pattern, 1, true) and why.hint:find(reason, 1, true), why.message .. " " .. tostring(why.hint))
  end
end

-- A colon is a dot, in names and in patterns.
for _, pattern in ipairs{"colon.*", "colon:*", "colon:done"} do
  local found = Event.subscribe(pattern)
  Event.publish("colon:done", 1)
  Context.emit("colon:done", 2)
  for at = 1, 2 do
    local event = found:receive{timeout = 10}
    assert(event.kind == "colon.done" and event.data == at, pattern)
  end
  found:stop()
end
local starts = Event.subscribe("procedure:start")
Procedure.track("begins", function() end)
assert(starts:receive{timeout = 10}.kind == "procedure.start")
starts:stop()

-- An empty table is a list or a map, whichever a tool asks for.
local lists = Tool.create{name = "lists", summary = "takes a list", schema = {type = "object", properties = {
  items = {type = "array", items = {type = "number"}}, extra = {type = "object"}}},
  fn = function(args) return {count = #args.items, extra = next(args.extra or {}) == nil} end}
assert(lists:invoke{items = {}}.count == 0 and Tool.lists{items = {}, extra = {}}.extra == true)
assert(Tool.invoke("lists", {items = {1, 2}}).count == 2)
print("ok")

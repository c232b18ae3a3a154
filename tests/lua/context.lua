-- The module `Context`: identities, metadata, deadlines, cancellation, metrics, who called whom.

local here = Context.get()
assert(Context.is_context(here) and Context.try_get() == here and not Context.is_context({}))
assert(#here.trace_id == 32 and here.request_id ~= "" and here.caller == "user")
assert(here.user.id ~= nil and here.tick == nil and not here.is_cancelled)

-- A child shares, and narrows.
local child = here:child{metadata = {topic = "bees"}, timeout = 60, tick = 3}
assert(child.metadata.topic == "bees" and here.metadata.topic == nil)
assert(child.request_id == here.request_id and child.tick == 3 and child.remaining <= 60)
assert(child:child{timeout = 600}.remaining <= 60, "a deadline cannot be widened")

-- It is current where it is run, also across waiting and in tasks, and nowhere else.
local function topic()
  sleep(0.001)
  return Context.get().metadata.topic
end
assert(Context.run(child, topic) == "bees" and child:run(topic) == "bees")
assert(Context.fork({metadata = {topic = "wasps"}}, function(a, b)
  return await(async(topic)) .. a .. b
end, "!", "?") == "wasps!?")
assert(topic() == nil)
local seen = gather{
  function() return Context.fork({metadata = {topic = "a"}}, topic) end,
  function() return Context.fork({metadata = {topic = "b"}}, topic) end,
}
assert(seen[1] == "a" and seen[2] == "b")

-- A Context of its own has its own identities and graph, and the same user.
local own = Context.create{trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"}
assert(own.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736" and own.user.id == here.user.id)
assert(own:count() == 0)
own:run(function() Procedure.track("load", function() end) end)
assert(own:count() == 1 and own:root().name == "load" and own:root().status == "completed")
for _, bad in ipairs{{trace_id = "x"}, {request_id = ""}, {timeout = -1}, {tick = 0}, {user = "root"}, {metadata = 1}} do
  local ok, message = pcall(Context.create, bad)
  assert(not ok, next(bad))
  local name, value = next(bad)
  assert(tostring(message):find(name), tostring(message))
end
-- Whose a request is, the host alone says.
for _, name in ipairs{"session_id", "message_id"} do
  local forged = {metadata = {[name] = "forged"}}
  local procedure = Procedure.create{name = "idle", function() end}
  for _, make in ipairs{
    Context.create, Context.child,
    function(given) here:child(given) end,
    function(given) Context.fork(given, function() end) end,
    function(given) here:fork(given, function() end) end,
    function(given) procedure:with_context(given) end,
  } do
    local ok, why = pcall(make, forged)
    assert(not ok and why.kind == "invalid_args", tostring(why))
    assert(why.message:find("`metadata." .. name .. "`", 1, true), why.message)
  end
end

-- What is emitted is heard by subscribers and by the handle around it.
local heard = Event.subscribe("crawl.*")
local emits = Procedure.create{name = "emits", function()
  Context.emit("crawl.page", {url = "x"})
  Context.get():emit("crawl.done")
end}:start()
emits:result()
local kinds = {}
for event in emits do kinds[#kinds + 1] = event.kind end
assert(table.concat(kinds, " ") == "procedure.start crawl.page crawl.done procedure.end", table.concat(kinds, " "))
local page, done = heard:receive{timeout = 10}, heard:receive{timeout = 10}
assert(page.kind == "crawl.page" and page.data.url == "x" and page.source == "emits", tostring(page.source))
assert(done.kind == "crawl.done" and done.request_id == here.request_id)
heard:stop()

-- A chain of children has an end; cancelling and dropping a long one harms nobody.
local first = Context.create{}
local last = first
local ok, why = pcall(function()
  while true do last = last:child{} end
end)
assert(not ok and why.kind == "limit_exceeded" and why.message:find("10000"), tostring(why))
last:cancel()
assert(last.is_cancelled and not first.is_cancelled)
last = nil
collectgarbage()

-- Cancelling ends what runs inside, with its reason; outside everything goes on.
local doomed = Context.child{}
local task = async(function() return doomed:run(function() while true do end end) end)
async(function() doomed:cancel("not wanted") end)
local ok, why = pcall(task.await, task)
assert(not ok and why.kind == "cancelled" and why.message == "not wanted", tostring(why))
assert(doomed.is_cancelled and not pcall(doomed.check, doomed))
Context.check()
local ok, why = pcall(Context.fork, {timeout = 0.01}, function() while true do end end)
assert(not ok and why.kind == "timeout", tostring(why))

-- Forks of one procedure count for themselves, and what they add for it as well.
Procedure.track("forks", function()
  local function counts(pages)
    Context.add_metric("pages", pages)
    Context.set_metric("latency_ms", pages)
    sleep(0.001)
    Procedure.track("below", function() Context.add_metric("pages", 10) end)
    return {Context.get_metric("pages"), Context.metrics().latency_ms}
  end
  local counted = gather{
    function() return Context.fork({}, counts, 1) end,
    function() return Context.fork({}, counts, 2) end,
  }
  assert(counted[1][1] == 11 and counted[1][2] == 1, counted[1][1])
  assert(counted[2][1] == 12 and counted[2][2] == 2, counted[2][1])
  assert(Context.get_metric("pages") == 23 and Context.get_metric("latency_ms") == 0)
end)
-- A graph may be held longer than its Context, and be cleared.
local kept = Context.create{}
local graph = kept:graph()
kept:run(function() Procedure.track("load", function() Procedure.track("read", function() end) end) end)
kept = nil
collectgarbage()
assert(graph:count() == 2 and graph:children(graph:root().pid)[1].name == "read")
graph:clear()
assert(graph:count() == 0 and graph:root() == nil and #graph:all() == 0)

-- What was raised is what variables to be closed are given, in the outermost function too.
local raised
pcall(await, async(function()
  local guard <close> = setmetatable({}, {__close = function(_, why) raised = why end})
  error({code = 5})
end))
assert(raised.code == 5, tostring(raised[1]))

-- Metrics and where we are.
Procedure.track("outer", function()
  Context.add_metric("pages.read", 2)
  Context.add_metric("pages.read", 1)
  Procedure.track("inner", function()
    Context.set_metric("latency_ms", 250)
    Context.add_usage{input_tokens = 100, output_tokens = 50}
    Context.add_usage{input_tokens = 1, cost_usd = 0.5}
    local info = Context.execution_info()
    assert(info.name == "inner" and not info.is_standalone and info.parent_pid == Context.node():parent().pid)
    assert(Context.find_node(info.pid) == Context.node() and Context.find_node("p0") == nil)
    assert(Context.is_within("outer") and Context.has_ancestor_named("outer") and not Context.has_ancestor_named("inner"))
    assert(Context.node():has_ancestor(function(node) return node.name == "outer" end))
    -- The graph says the same by identities, of any node.
    local graph, pid, outer = Context.graph(), info.pid, info.parent_pid
    assert(graph == Context.get():graph() and graph ~= Context.create{}:graph() and tostring(graph):find("graph"))
    assert(graph:get(pid) == Context.node() and graph:parent(pid).name == "outer" and graph:children(outer)[1].pid == pid)
    assert(#graph:children(pid) == 0 and graph:root() == Context.root() and graph:count() == Context.count())
    assert(graph:has_ancestor_named(pid, "outer") and not graph:has_ancestor_named(outer, "inner"))
    assert(graph:has_ancestor(pid, function(node) return node.pid == outer end))
    assert(not graph:has_ancestor(outer, function(node) return node.pid == pid end))
    for message, fn in pairs{
      ["as wanted"] = function() error("as wanted", 0) end,
      ["of a table"] = function() error({kind = "conflict", message = "of a table"}) end,
    } do
      local ok, why = pcall(graph.has_ancestor, graph, pid, fn)
      assert(not ok and why.message == message, tostring(why))
    end
    for _, none in ipairs{"p0", "none", ""} do
      assert(graph:get(none) == nil and graph:parent(none) == nil and #graph:children(none) == 0)
      assert(not graph:has_ancestor_named(none, "outer") and not graph:has_ancestor(none, function() return true end))
    end
    local all = graph:all()
    assert(all[#all] == Context.node() and all[1] == graph:root())
    assert(Context.origin_name() == info.origin_name and Context.origin().pid == info.root_pid)
  end)
  assert(Context.get_metric("pages.read") == 3 and Context.metrics().pages.read == 3)
  local usage = Context.usage()
  assert(usage.input_tokens == 101 and usage.output_tokens == 50 and usage.cost_usd == 0.5)
  assert(Context.get_metric("latency_ms") == 250, "a child's metrics go up")
  assert(#Context.node():children() == 1 and Context.node():children()[1].status == "completed")
  local node = Context.node()
  node:add_metric("x", 1) node:merge_metrics({x = 2, y = 1}) node:set_metric("y", 5)
  -- All or nothing, and no list.
  for _, wrong in ipairs{{1, 2}, {a = 1, b = "x"}, {a = 1, b = -1/0}, {a = 1, [""] = 2}} do
    local ok, why = pcall(node.merge_metrics, node, wrong)
    assert(not ok and why.kind == "invalid_args", tostring(why))
    assert(node:get_metric("a") == 0 and node:get_metric("1") == 0)
  end
  node:merge_metrics{}
  for _, wrong in ipairs{{"", 1}, {"a\nb", 1}, {"x", 0/0}, {"x", 1/0}, {"usage.requests", -1}} do
    for _, count in ipairs{Context.add_metric, Context.set_metric} do
      local ok, why = pcall(count, wrong[1], wrong[2])
      assert(not ok and why.kind == "invalid_args", tostring(why))
    end
    local ok, why = pcall(node.add_metric, node, wrong[1], wrong[2])
    assert(not ok and why.kind == "invalid_args", tostring(why))
  end
  assert(not pcall(Context.add_usage, {input_tokens = -1}))
  assert(node:get_metric("x") == 3 and node:get_metric("y") == 5 and node:get_metric("none") == 0)
end)

-- The trace of a caller elsewhere goes on.
local trace_id = ("ab"):rep(16)
local header = "00-" .. trace_id .. "-" .. ("cd"):rep(8) .. "-01"
local continued = Context.create{traceparent = header}
assert(continued.trace_id == trace_id and continued.metadata.traceparent == header)
assert(continued:child{}.trace_id == trace_id and Context.create{traceparent = header, trace_id = trace_id}.trace_id == trace_id)
for _, wrong in ipairs{{traceparent = "00-x"}, {traceparent = header, trace_id = ("ef"):rep(16)}} do
  local ok, why = pcall(Context.create, wrong)
  assert(not ok and why.kind == "invalid_args" and why.message:find("traceparent", 1, true) and why.hint, tostring(why))
end

-- Metadata go along with a call of a tool, and with the function that it calls back.
Tool.create{name = "tells_topic", summary = "Says what it is about.", schema = {type = "object"}, fn = function()
  return {topic = Context.get().metadata.topic, own = Context.get().metadata.own}
end}
local told = Context.fork({metadata = {topic = "bees"}}, function()
  return Context.fork({metadata = {own = 1}}, Tool.invoke, "tells_topic", {})
end)
assert(told.topic == "bees" and told.own == 1, tostring(told.topic))
assert(Tool.invoke("tells_topic", {}).topic == nil)
assert(tostring(Context.get()):find("Context"))
print("ok")

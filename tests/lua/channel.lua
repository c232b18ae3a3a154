-- The module `Channel`: names, subscribers, requests and responses.

local channel = Channel(" UI:Progress ")
assert(channel.name == "ui:progress" and tostring(channel) == "Channel `ui:progress`")
assert(channel:subscriber_count() == 0)

-- Publish, by handle and by name, in parts and whole.
local subscription = channel:subscribe()
assert(channel:publish("update", {percent = 50}) == 1)
assert(Channel.publish("ui:progress", {type = "update", payload = 7, id = "a", metadata = {source = "me", x = 1}}) == 2)
channel:publish("update", nil, {metadata = {tick = 3}, target = {connection_id = "c"}})
local event = subscription:receive()
assert(event.type == "update" and event.channel == "ui:progress" and event.payload.percent == 50)
assert(event.metadata.timestamp > 1e9)
-- What an event does not have is nil.
assert(event.id == nil and event.target == nil and event.metadata.tick == nil)
event = subscription:receive()
assert(event.payload == 7 and event.id == "a" and event.metadata.source == "me" and event.metadata.x == 1)
event = subscription:receive()
assert(event.payload == nil and event.metadata.tick == 3 and event.target.connection_id == "c")
assert(subscription:receive{timeout = 0} == nil)

-- A handle receives from its first call on.
assert(channel:receive{timeout = 0} == nil)
channel:publish("seen")
assert(channel:receive().type == "seen")

-- Request and response: a subscriber answers while the script waits.
local input = Channel("user:input")
local answering = input:subscribe(function(request)
  if request.type == "request" then
    input:respond(request, {confirmed = request.payload.message == "go on?"})
  end
end)
local response = input:request({message = "go on?"}, {timeout = 10})
assert(response.type == "response" and response.payload.confirmed and response.id)
answering:stop()

-- A response that came before the wait; several waits at once, also for one id.
input:respond("early", 1)
assert(Channel.wait_for_response("user:input", "early").payload == 1)
assert(input:wait_for_response("early").payload == 1)
local waits = {}
for i, id in ipairs{"x", "y", "x"} do
  waits[i] = function() return input:wait_for_response(id, {timeout = 10}).payload end
end
local answers = async(function() sleep(0.01) input:respond("y", 2) input:respond("x", 1) end)
local got = gather(waits)
assert(got[1] == 1 and got[2] == 2 and got[3] == 1)
await(answers)

-- A slow subscriber holds up nobody.
local slow = input:subscribe(nil, {capacity = 1})
for i = 1, 3 do input:publish("n", i) end
assert(slow:receive().payload == 3 and slow:stats().dropped == 2)

-- The session.
local session = Channel.session()
assert(table.concat(session.channels, " ") == "ui:progress user:input", table.concat(session.channels, " "))
assert(Channel.try_get("ui:progress").name == "ui:progress")
assert(Channel.remove("none") == false)
assert(session.id == Channel.session().id and session:get_channel(" UI:Progress ").name == "ui:progress")
local made = session:get_channel("made")
local heard = Channel("made"):subscribe()
made:publish("hello")
assert(heard:receive().type == "hello", "it is the same channel")
assert(table.concat(session:channel_names(), " ") == "made ui:progress user:input" and #session.channels == 2)
assert(Channel.remove("made") and heard:receive() == nil and #session:channel_names() == 2)
-- Of another conversation; destroying it ends its channels and no others.
local other = Context.fork({metadata = {conversation_id = "other"}}, Channel.session)
assert(other.id ~= session.id and #other:channel_names() == 0)
local first, second = other:get_channel("first"), other:get_channel("second")
local waits = async(function() return pcall(first.wait_for_response, first, "never") end)
local ends = async(function() return second:receive() end)
repeat sleep(0) until second:subscriber_count() == 1
other:destroy()
local ok, why = waits:await()
assert(not ok and why.kind == "cancelled" and ends:await() == nil, tostring(why))
assert(#other:channel_names() == 0 and #session:channel_names() == 2)
local again = Context.fork({metadata = {conversation_id = "other"}}, Channel, "first")
assert(again:publish("anew") == 1)

-- Destroying ends waits and subscriptions; the name may be opened again.
local waiting = async(function() return pcall(input.wait_for_response, input, "never") end)
sleep(0.01)
input:destroy()
local ok, err = waiting:await()
assert(not ok)
local rest = 0
for _ in slow:events() do rest = rest + 1 end
assert(rest == 0 and slow:receive() == nil)
assert(Channel("user:input"):subscriber_count() == 0)

local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
fails("cancelled", function() input:wait_for_response("late") end)
fails("unavailable", function() input:publish("x") end)
fails("unavailable", function() input:subscribe() end)
fails("timeout", Channel.wait_for_response, "user:input", "none", {timeout = 0.01})
fails("timeout", timeout, 0.01, function() return Channel("user:input"):request(1) end)
fails("invalid_args", Channel, "  ")
fails("invalid_args", Channel, ("x"):rep(300))
fails("invalid_args", Channel, "ui:*")
fails("invalid_args", Channel.subscribe, "*", print)
fails("invalid_args", function() channel:publish{payload = 1} end)
fails("invalid_args", function() channel:publish{type = "x", data = 1} end)
fails("invalid_args", function() channel:publish({type = "x"}, 1) end)
fails("invalid_args", function() channel:publish("x", 1, {id = ""}) end)
fails("invalid_args", function() channel:respond({type = "update"}, 1) end)
fails("invalid_args", function() channel:respond({type = "request", payload = 1}, 1) end)
print("ok")

-- A tool asks the user over a channel, and whoever listens answers: a widget in a notebook (over a
-- comm of the target `aikit.channel`), or here a subscriber of the same script.

local input = Channel("user:input")
local answering = input:subscribe(function(event)
  if event.type == "request" then
    print("asked", event.payload.message)
    input:respond(event, {confirmed = true})
  end
end)

Tool.create{
  name = "ask_confirmation",
  summary = "Asks the user to confirm something.",
  schema = {type = "object", properties = {message = {type = "string"}}, required = {"message"}},
  fn = function(args)
    local response = Channel("user:input"):request({message = args.message, kind = "confirm"}, {timeout = 60})
    return {confirmed = response.payload.confirmed}
  end,
}
print("confirmed", Tool.ask_confirmation{message = "Delete the old index?"}.confirmed)
answering:stop()

-- Asking and waiting apart, under an id of one's own; an answer that came before the wait is given.
local answers = input:subscribe(function(event)
  if event.type == "request" then Channel.publish("user:input", {type = "response", id = event.id, payload = "blue"}) end
end)
Channel.publish("user:input", {type = "request", id = "colour-1", payload = {message = "Which colour?"}})
print("colour", Channel.wait_for_response("user:input", "colour-1", {timeout = 60}).payload)
answers:stop()

-- Code that also runs where there are no channels asks first.
local channel = Channel.try_get("ui:progress")
print("channels", channel ~= nil, table.concat(Channel.session():channel_names(), " "))

-- Progress for whoever looks; nobody has to.
local progress = Channel("ui:progress")
local shown = progress:subscribe()
for percent = 0, 100, 50 do progress:publish("update", {percent = percent}) end
for event in shown:events{timeout = 0} do print(event.type, event.payload.percent) end

-- What tools do are events; so are facts of your own.
local facts = Event.subscribe("**")
Tool.count_words{text = "one two three"}
Event.publish("report.done", {words = 3})
for event in facts:events{timeout = 0} do print(event.kind, event.source) end

-- Two sources as one, with their names.
local function ticks(count)
  return function()
    if count == 0 then return nil end
    count = count - 1
    sleep(0.001)
    return "tick"
  end
end
local counts = {}
for item in Stream.merge{fast = ticks(3), slow = ticks(1)} do
  counts[item.source] = (counts[item.source] or 0) + 1
end
print("fast", counts.fast, "slow", counts.slow)
for word in Stream.map({"hello", "streams"}, string.upper) do print(word) end

-- Looking on changes nothing of what passes.
local passed = 0
for word in Stream.tap({"look", "on"}, function() passed = passed + 1 end) do print(word, passed) end

-- An event that a task takes in the moment in which its time is up has arrived, or is the next one.

local COUNT = 2000

local events = Event.subscribe("transit.number", nil, {capacity = 65536})
local publishing = async(function()
  for number = 1, COUNT do
    Event.publish("transit.number", number)
    sleep(0.0003)
  end
end)
local last = 0
while last < COUNT do
  local ok, event = pcall(timeout, 0.0004, function() return events:receive() end)
  if ok and event then
    assert(event.data == last + 1, event.data .. " after " .. last)
    last = event.data
  else
    assert(ok or event.kind == "timeout", tostring(event))
    if publishing:status() ~= "running" and events:stats().waiting == 0 then break end
  end
end
assert(last == COUNT, last)
assert(events:stats().dropped == 0)
print("ok")

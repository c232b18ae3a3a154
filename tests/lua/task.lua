-- Tasks that each start the next one, and many that wait at once.

-- Nothing of those that have ended stays; without an end it cannot go on.
local refused, levels
local function tick(level)
  local ok, why = pcall(async, tick, level + 1)
  if not ok then refused, levels = why, level end
end
async(tick, 1)
repeat sleep(0) until refused
assert(refused.kind == "limit_exceeded" and refused.hint:find("loop", 1, true), tostring(refused))
assert(levels > 10000, levels)

-- As many calls as may wait, and one more as soon as one of them is given up.
local waiting = {}
for number = 1, 1024 do
  waiting[number] = async(function() return Event.receive("never.comes") end)
end
sleep(0)
local next_one = async(function() return Tool.count_words{text = "one two"}.words end)
sleep(0)
waiting[1]:cancel()
assert(await(next_one) == 2)
for _, task in ipairs(waiting) do task:cancel() end
assert(Tool.count_words{text = "one"}.words == 1)

-- What a subscription's function fails with ends no subscription, whatever its kind.
local seen = {}
local subscription = Event.subscribe("troubled.*", function(event)
  seen[#seen + 1] = event.data
  error({kind = "unavailable", message = "as wanted"})
end)
for number = 1, 3 do Event.publish("troubled.it", number) end
assert(Event.flush{timeout = 30} == 0)
assert(#seen == 3 and subscription:stats().failed == 3, #seen)
print("ok")

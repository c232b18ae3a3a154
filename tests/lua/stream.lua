-- The module `Stream`: map, tap and merge over lists, iterators, streams and each other.

local function collect(source)
  local items = {}
  for item in source do items[#items + 1] = item end
  return items
end
local function joined(source) return table.concat(collect(source), " ") end

-- Lists, iterators and nothing at all, changed.
assert(joined(Stream.map({"a", "b"}, string.upper)) == "A B")
assert(joined(Stream.map({}, string.upper)) == "")
assert(joined(Stream.map(string.gmatch("one two", "%a+"), string.upper)) == "ONE TWO")

-- Sources and functions may wait.
local function counter(from, to, pause)
  local at = from - 1
  return function()
    if at >= to then return nil end
    sleep(pause or 0)
    at = at + 1
    return at
  end
end
local seen = {}
local watched = Stream.tap(counter(1, 3), function(it) sleep(0) seen[#seen + 1] = it end)
assert(joined(Stream.map(watched, function(it) sleep(0) return it * 10 end)) == "10 20 30")
assert(table.concat(seen, " ") == "1 2 3")

-- A stream of the session: its events, changed.
local events = Event.subscribe("step.*")
for i = 1, 3 do Event.publish("step." .. i, i) end
assert(joined(Stream.map(events:events{timeout = 0.01}, function(it) return it.data end)) == "1 2 3")

-- An iterator is read one by one as well, and closed.
local stream = Stream.map({1, 2, 3}, function(it) return it + 1 end)
assert(stream:next() == 2 and stream() == 3)
stream:close()
assert(stream:next() == nil and tostring(stream) == "stream")
do local closing <close> = Stream.tap({1}, print) end

-- Merge: the order of the arrival, not of the list.
local function after(seconds, item)
  local is_done = false
  return function()
    if is_done then return nil end
    is_done = true
    sleep(seconds)
    return item
  end
end
assert(joined(Stream.merge{after(0.15, "slow"), after(0.05, "middle"), after(0, "fast")}) == "fast middle slow")
assert(joined(Stream.merge{}) == "")

-- Of sources that always have something, none goes before the others.
local function endless(item) return function() return item end end
local counts = {a = 0, b = 0, c = 0}
local merged = Stream.merge{endless("a"), endless("b"), endless("c")}
for _ = 1, 300 do
  local item = merged()
  counts[item] = counts[item] + 1
end
merged:close()
assert(merged() == nil)
for name, count in pairs(counts) do assert(count > 90, name .. " " .. count) end

-- By name, the source is told.
local sums = {}
for item in Stream.merge{odd = {1, 3}, even = counter(2, 2), more = Stream.map({5}, math.abs)} do
  sums[item.source] = (sums[item.source] or 0) + item.value
end
assert(sums.odd == 4 and sums.even == 2 and sums.more == 5)

-- An error ends all, and stops the other sources.
local function failing() error("broken source") end
local last = 0
local function ticking() last = last + 1 sleep(0.001) return last end
local ok, err = pcall(collect, Stream.merge{ticking, failing})
assert(not ok and tostring(err):find("broken source"), tostring(err))
sleep(0.02)
local stopped_at = last
sleep(0.02)
assert(last == stopped_at)
ok, err = pcall(collect, Stream.map({1}, function() error("broken function") end))
assert(not ok and tostring(err):find("broken function"))

-- A stream that is dropped stops its sources.
local function drop_one()
  local dropped = Stream.merge{ticking}
  assert(dropped() > 0)
end
drop_one()
collectgarbage() collectgarbage()
sleep(0.02)
stopped_at = last
sleep(0.02)
assert(last == stopped_at)

-- What can be read with `for` is known.
for _, value in ipairs{print, Stream.map({}, print), Stream.merge{}, events:events()} do
  assert(Stream.is_async_iterable(value))
end
for _, value in ipairs{1, "x", {1}, Channel("x"), true} do
  assert(not Stream.is_async_iterable(value))
end
assert(not Stream.is_async_iterable(nil))

local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
fails("invalid_args", Stream.map, 1, print)
fails("invalid_args", Stream.tap, {a = 1}, print)
fails("invalid_args", Stream.merge, 1)
fails("invalid_args", Stream.merge, print)
fails("invalid_args", Stream.merge, {1, 2})
fails("invalid_args", collect, Stream.map({1}, function() end))
print("ok")

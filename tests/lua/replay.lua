-- The module `Replay`: what a model answered is given again, and only that.

local function ask(prompt)
  -- A script of its own each time: what it says later is not asked for.
  return Model("scripted:demo", {answers = {"answer to " .. prompt}}):complete(prompt).text
end

local first = Replay.record("run.cassette", function()
  return ask("one") .. ", " .. ask("two")
end)
assert(first == "answer to one, answer to two")

Replay.replay("run.cassette")
local model = Model("scripted:demo", {answers = {"never given"}})
-- In another order than that of the recording.
assert(model:complete("two").text == "answer to two")
local text = ""
for piece in model:stream("one") do text = text .. piece.text end
assert(text == "answer to one")

local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.hint)
  return err
end
local miss = fails("cassette_miss", model.complete, model, "three")
assert(miss.message:find("asked:    user: three", 1, true), miss.message)
fails("cassette_miss", model.complete, model, "one")
fails("conflict", Replay.record, "other.cassette")
local report = Replay.stop()
assert(report.mode == "replay" and report.entries == 2 and report.unused == 0)
fails("invalid_args", Replay.stop)

-- Without `strict`, what is missing is asked for.
assert(Replay.replay("run.cassette", {strict = false}, function() return ask("four") end) == "answer to four")
assert(Replay.auto("run.cassette", {}, function() return ask("two") end) == "answer to two")

-- A recording that fails, or is not kept, writes nothing.
local error = fails("invalid_args", Replay.record, "none.cassette", function()
  ask("five")
  Tool.invoke("calculate", {})
end)
assert(error.message:find("expression", 1, true), error.message)
Replay.record("none.cassette")
Replay.stop{keep = false}
fails("not_found", Replay.replay, "none.cassette")
fails("denied", Replay.record, "../out.cassette")
fails("denied", Replay.record, ".git/config")
fails("denied", Replay.record, ".aikit/aikit.db", function() end)
-- Another file than a cassette is not overwritten.
Tool.invoke("write_file", {path = "notes.md", content = "mine"})
fails("invalid_args", Replay.record, "notes.md", function() end)
assert(Tool.invoke("read_file", {path = "notes.md"}).text == "mine")

-- The clock stands still while a cassette is in.
Replay.replay("run.cassette")
local now = os.time()
sleep(0.01)
assert(os.time() == now and os.date("!%c", now) == os.date("!%c"))
Replay.stop()
-- Numbers follow from the cassette, from the place on where it is put in.
local function numbers()
  local drawn = {}
  for place = 1, 3 do drawn[place] = math.random(1, 1 << 40) end
  return table.concat(drawn, " ")
end
math.randomseed(1)
local inside = Replay.record("numbers.cassette", numbers)
math.random()
assert(Replay.replay("numbers.cassette", {}, numbers) == inside)
math.randomseed(2)
Replay.replay("numbers.cassette", {strict = false})
-- Neither does what is done meanwhile change them: writing draws nothing.
Tool.invoke("write_file", {path = "drawn.txt", content = "x"})
assert(numbers() == inside and numbers() ~= inside)
Replay.stop()
Replay.replay("numbers.cassette")
assert(numbers() == inside)
Replay.stop()

-- A recording goes to another place, where its own is taken meanwhile.
Replay.record("taken.cassette")
ask("six")
assert(Tool.invoke("write_file", {path = "taken.cassette", content = "mine"}))
local error = fails("invalid_args", Replay.stop)
assert(error.hint:find("`path`", 1, true), error.hint)
fails("denied", Replay.stop, {path = ".git/x.cassette"})
fails("denied", Replay.stop, {path = "../x.cassette"})
fails("invalid_args", Replay.stop, {path = "x.cassette", keep = false})
fails("conflict", Replay.record, "x.cassette")
local report = Replay.stop{path = "elsewhere.cassette"}
assert(report.entries == 2 and report.path:find("elsewhere.cassette", 1, true), report.path)
assert(Tool.invoke("read_file", {path = "taken.cassette"}).text == "mine")
assert(Replay.replay("elsewhere.cassette", {}, function() return ask("six") end) == "answer to six")
Replay.replay("elsewhere.cassette")
fails("invalid_args", Replay.stop, {path = "x.cassette"})
Replay.stop()
fails("corrupt_record", Replay.replay, "notes.md")

-- Who fails leaves in what is not its own.
fails("invalid_args", Replay.record, "own.cassette", function()
  Replay.stop{keep = false}
  Replay.record("other.cassette")
  ask("seven")
  Tool.invoke("calculate", {})
end)
assert(Replay.stop().entries == 1)
assert(Replay.record("own.cassette", function() Replay.stop() return 8 end) == 8)

-- Whoever stops waiting leaves no cassette in.
local ok = pcall(timeout, 0.05, function()
  Replay.record("left.cassette", function() sleep(60) end)
end)
assert(not ok)
Replay.record("next.cassette")
assert(Replay.stop().path:find("next.cassette", 1, true))
fails("not_found", Replay.replay, "left.cassette")

assert(os.time{year = 2026, month = 1, day = 2} > 1.7e9)
print("ok")

-- The module `State`: scopes, values of every kind, changes that lose nothing.

State.set("count", 1)
assert(State.get("count") == 1 and math.type(State.get("count")) == "integer")
assert(State.get("none") == nil and State.get("none", 7) == 7)
assert(State.update("count", function(n) return n + 1 end) == 2)
assert(State.update("fresh", function(n) return (n or 0) + 1 end) == 1)
assert(State.scope("global"):get("count") == 2)

-- Values keep what they are.
State.set("values", {whole = 1, part = 1.0, nan = 0 / 0, bytes = "\xff\0", list = {1, 2}, text = "é"})
local values = State.get("values")
assert(math.type(values.whole) == "integer" and math.type(values.part) == "float")
assert(values.nan ~= values.nan and values.bytes == "\xff\0" and #values.list == 2 and values.text == "é")

-- Scopes do not see each other.
local mine, yours = State.scope("custom:mine"), State.scope("custom:yours")
mine:set("a/1", true) mine:set("a/2", true) mine:set("b", false)
assert(#yours:keys() == 0 and table.concat(mine:keys(), " ") == "a/1 a/2 b")
assert(table.concat(mine:keys("a/"), " ") == "a/1 a/2")
assert(mine:delete("b") and not mine:delete("b"))

-- Compare and set.
assert(mine:compare_and_set("owner", nil, "ada") and not mine:compare_and_set("owner", nil, "bob"))
assert(mine:compare_and_set("owner", "ada", "bob") and mine:get("owner") == "bob")

-- Tasks that count together lose no step.
local tasks = {}
for i = 1, 5 do
  tasks[i] = async(function()
    for _ = 1, 4 do mine:update("together", function(n) sleep(0) return (n or 0) + 1 end) end
  end)
end
gather(tasks)
assert(mine:get("together") == 20, mine:get("together"))

-- Other stores.
local memory = State.scope("global", {url = "memory:"})
assert(memory.scope == "global" and memory:get("count") == nil)
State.scope("global", {url = "sqlite:other.db"}):set("x", 1)
assert(State.scope("global", {url = "sqlite:other.db"}):get("x") == 1 and State.get("x") == nil)

local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
fails("invalid_args", State.scope, "session")
fails("invalid_args", State.scope, "global", {url = "postgres://x"})
fails("denied", State.scope, "global", {url = "sqlite:../x.db"})
fails("invalid_args", State.set, "", 1)
fails("invalid_args", State.set, "x", print)
fails("invalid_args", State.set, ("x"):rep(2000), 1)
fails("script", State.update, "count", function() error("no") end)
assert(State.get("count") == 2)
print("ok")

-- The module `Log`: levels, components, children, a level of one's own. Where records go is the
-- host's matter; what is written is tested in Python.

-- Each level is a function of the module and of a logger.
for _, level in ipairs{"trace", "debug", "info", "warn", "error", "fatal"} do
  assert(Log[level]("at " .. level) == nil)
  assert(Log[level]("at " .. level, {level = level, nested = {a = {1, 2}}}) == nil)
  assert(Log.get()[level](Log.get(), "of the object") == nil)
  assert(type(Log.is_level_enabled(level)) == "boolean")
end

-- A component and a child are loggers as well.
local log = Log.for_component("loader"):child{step = 1}
log:info("begun", {})
log:child{step = 2}:for_component("inner.part"):warn("odd")
assert(getmetatable(log) == getmetatable(Log.get()) and log:is_level_enabled("fatal") == Log.is_level_enabled("fatal"))

-- A level is of one logger and those made from it, or of the script.
local own = Log.create{level = "error"}
assert(not own:is_level_enabled("info"))
own:set_level("fatal")
assert(not own:for_component("x"):is_level_enabled("error"))
Log.configure{level = "fatal", context_fields = {experiment = "a"}}
assert(not Log.is_level_enabled("error"))
Log.configure{replace = true}

-- Fields of several tables: the later wins. How a line looks then is tested in Python.
local fields = Log.compose_context_fields{{run = 1, part = "a"}, {}, {run = 2}}
assert(fields.run == 2 and fields.part == "a")
Log.configure{context_fields = fields, format = "json"}
-- In the list part stand names of metadata of the Context.
fields = Log.compose_context_fields{{"turn", "part", run = 1}, {"run", part = "a"}, {"turn"}}
assert(#fields == 2 and fields[1] == "run" and fields[2] == "turn" and fields.part == "a" and fields.run == nil)
Log.configure{context_fields = fields}
Log.configure{context_fields = {"turn"}}
Log.configure{context_fields = {}}
Log.configure{replace = true, format = "text"}
Log.configure{replace = true}

-- Names are kept once, however often they are given; of different fields there are so many.
for _ = 1, 10000 do Log.configure{context_fields = {"turn", part = "a"}} end
local function until_full(add)
  local ok, why
  for index = 1, 1000 do
    ok, why = pcall(add, index)
    if not ok then break end
  end
  assert(not ok and why.kind == "limit_exceeded", tostring(why))
  assert(why.message:find("256", 1, true) and why.hint, why.message)
end
until_full(function(index) Log.configure{context_fields = {"turn" .. index}} end)
Log.info("as before")
Log.configure{replace = true}
until_full(function(index) Log.configure{context_fields = {["part" .. index] = index}} end)
Log.configure{replace = true}
local grown = Log.get()
until_full(function(index) grown = grown:child{["part" .. index] = index} end)
grown:info("as before")
local many = {}
for index = 1, 257 do many[index] = "turn" .. index end
until_full(function() Log.configure{context_fields = many} end)
until_full(function() Log.compose_context_fields{many} end)

-- Wrong arguments are named.
local function refused(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert(not ok and problem.kind == "invalid_args", tostring(problem))
  return problem
end
assert(refused(Log.set_level, "loud").message:find("`loud`", 1, true))
assert(refused(Log.set_level, "loud").hint:find("fatal", 1, true))
refused(Log.info)
refused(Log.info, "text", 3)
refused(Log.for_component, "no name")
refused(Log.configure, {colour = true})
assert(refused(Log.configure, {format = "xml"}).message:find("`xml`", 1, true))
refused(Log.compose_context_fields, {1})
for _, wrong in ipairs{{1}, {"a", 1, b = 2}, {[3] = "a"}, {[0.5] = "a"}} do
  assert(refused(Log.compose_context_fields, {{}, wrong}).message:find("fields[2]", 1, true))
end
refused(Log.configure, {context_fields = {1}})
refused(Log.configure, {context_fields = "turn"})
assert(refused(Log.configure, {context_fields = {"a", 1, b = 2}}).message:find("context_fields[2]", 1, true))
print("ok")

-- `plot`: charts that show themselves, and what they are made of.

local chart = plot{kind = "bar", data = {{fruit = "fig", sold = 3}, {fruit = "kiwi", sold = 6}},
  x = "fruit", y = "sold", title = "Sold"}
assert(chart.name == "bar: Sold", chart.name)
assert(#chart.display_id > 0)
assert(tostring(chart) == "Plot `bar: Sold`", tostring(chart))
assert(chart:svg():find("^<svg .*fig.*</svg>$"))
assert(chart:vega_lite().mark.type == "bar")
assert(chart:text() == "Sold\n fig │████████████████████ 3\n"
  .. "kiwi │████████████████████████████████████████ 6", chart:text())

-- What is given replaces, what is not given stays.
chart:update{data = {{fruit = "fig", sold = 1}}}
assert(chart:text() == "Sold\nfig │████████████████████████████████████████ 1", chart:text())
chart:update{kind = "line"}
assert(chart:vega_lite().mark.type == "line")
local ok, refused = pcall(chart.update, chart, {data = {}})
assert(not ok and refused.kind == "invalid_args" and refused.message:find("is empty"), refused)
assert(chart:vega_lite().mark.type == "line")
ok, refused = pcall(chart.update, chart, {display_id = "other"})
assert(not ok and refused.message:find("display_id"), refused)

-- Every form of data, every kind, an identity of one's own.
for _, kind in ipairs{"line", "bar", "scatter", "area"} do
  for _, data in ipairs{{3, 1, 2}, {{1, 3}, {2, 1}}, {x = {1, 2}, y = {3, 1}}} do
    assert(plot{kind = kind, data = data, display_id = "mine"}.display_id == "mine")
  end
end
assert(plot{kind = "histogram", data = {1, 1, 2}}:text():find("│"))
assert(plot{kind = "heatmap", data = {{1, 2}, {3, 4}}}:text():find("██"))
assert(plot{data = {1, 0/0, math.huge, 4}}:vega_lite().data.values[2].y == JSON.null)

-- Errors say what is wrong, as those of every other function.
local function refusal(options)
  local good, problem = pcall(plot, options)
  assert(not good)
  return problem
end
assert(refusal{}.message:find("`options.data` is missing", 1, true), refusal{}.message)
assert(refusal{data = {1}, knid = "bar"}.message:find("there is no option `knid`", 1, true))
assert(refusal{data = {1}, kind = "pie"}.message:find("there is no kind `pie`", 1, true))
assert(refusal{data = {print}}.message:find("function", 1, true))
assert(refusal{data = {{a = 1}}, x = "b"}.message:find("there is no column `b`", 1, true))
local many = {}
for i = 1, 50001 do many[i] = i end
assert(refusal{data = many}.kind == "limit_exceeded")

-- The executions of a call are a tree.
local node = Procedure.track("outer", function()
  Procedure.track("inner", function() end)
  return Context.node()
end)
assert(node:text():find("outer.*\n└─ ✓ inner"), node:text())
assert(node:svg():find("^<svg .*inner"))
assert(Context.graph():text():find("inner"))
assert(Context.graph():svg():find("inner"))
print("ok")

-- 10,000 procedures at once, in three levels: nothing of one is seen in another.

local TOPS, MIDDLES, LEAVES = 10, 10, 100

-- How the first leaf of a middle ends: by another leaf, by its own hand, or well.
local function fate(top, middle) return (top * 5 + middle) % 3 end
local BY_ANOTHER, BY_ITSELF = 0, 1

-- `beside` is what the leaves of one middle share: their tasks, and the node of the first.
local leaf = Procedure.create{name = "leaf", function(top, middle, number, beside)
  for turn = 0, (top * 7 + middle * 3 + number) % 4 do
    local here = Context.get()
    assert(here.metadata.top == top and here.metadata.middle == middle and here.tick == number)
    local node = Context.node()
    assert(node.name == "leaf" and node:parent().name == "middle" and node:parent():parent().name == "top")
    sleep(turn % 2 == 0 and 0 or 0.001)
  end
  -- Cancelled from inside, while it runs and the others do.
  if number == 1 and fate(top, middle) <= BY_ITSELF then
    Context.add_metric("cut", 1)
    beside.node = Context.node()
    if fate(top, middle) == BY_ITSELF then Context.get():cancel("by itself") end
    sleep(60)
  elseif number == 2 and fate(top, middle) == BY_ANOTHER then
    repeat sleep(0.001) until beside.node
    beside[1]:cancel()
  end
  -- Over the border: a tool of Rust's, and a function of the script that it calls back.
  Context.add_metric("leaves", 1)
  local result = Tool.invoke("where_" .. middle % 2, {})
  assert(result.top == top and result.middle == middle)
  return top * 100000 + middle * 1000 + number
end}

for index = 0, 1 do
  Tool.create{
    name = "where_" .. index,
    summary = "Says where it is called.",
    schema = {type = "object", properties = {}},
    fn = function()
      sleep(0)
      local here = Context.get()
      return {top = here.metadata.top, middle = here.metadata.middle}
    end,
  }
end

local middle = Procedure.create{name = "middle", function(top, number)
  local tasks = {}
  for index = 1, LEAVES do
    tasks[index] = async(function()
      return Context.fork({metadata = {middle = number}, tick = index}, leaf, top, number, index, tasks)
    end)
  end
  local cut = fate(top, number) <= BY_ITSELF and 1 or 0
  local results = gather(table.move(tasks, 1 + cut, LEAVES, 1, {}))
  for index, result in ipairs(results) do
    assert(result == top * 100000 + number * 1000 + index + cut, index)
  end
  if cut == 1 then
    local ok, why = pcall(tasks[1].await, tasks[1])
    assert(not ok and why.kind == "cancelled", tostring(why))
    assert((why.message == "by itself") == (fate(top, number) == BY_ITSELF), why.message)
    assert(tasks.node.status == "cancelled" and tasks.node:get_metric("leaves") == 0, tasks.node.status .. ": " .. tostring(tasks.node.error))
  end
  -- What the one counted until its end is not lost, and nothing else was cancelled.
  assert(Context.get_metric("cut") == cut and #results == LEAVES - cut)
  for _, node in ipairs(Context.node():children()) do
    assert(node.name == "leaf" and (node.status == "completed") == (node ~= tasks.node), node.status)
  end
  return #results
end}

local top = Procedure.create{name = "top", function(number)
  local tasks = {}
  for index = 1, MIDDLES do
    tasks[index] = async(middle, number, index)
  end
  local leaves = 0
  for _, count in ipairs(gather(tasks)) do leaves = leaves + count end
  assert(Context.get_metric("leaves") == leaves, Context.get_metric("leaves") .. " of " .. leaves)
  assert(Context.get_metric("cut") == MIDDLES * LEAVES - leaves, Context.get_metric("cut"))
  return leaves
end}

local tasks = {}
for number = 1, TOPS do
  tasks[number] = async(function()
    local own = Context.create{metadata = {top = number}}
    local leaves = own:run(top, number)
    assert(own:root().name == "top" and own:root().status == "completed" and #own:root():children() == MIDDLES)
    return leaves
  end)
end
local total = 0
for _, leaves in ipairs(gather(tasks)) do total = total + leaves end
local cut = 0
for top = 1, TOPS do
  for middle = 1, MIDDLES do
    if fate(top, middle) <= BY_ITSELF then cut = cut + 1 end
  end
end
assert(cut > TOPS * MIDDLES / 2 and total == TOPS * MIDDLES * LEAVES - cut, total)
-- A task that is cancelled ends what it has begun, and not what stands around it.
Procedure.track("around", function()
  local around, inside = Context.node(), nil
  local task = async(function()
    Procedure.track("outer", function()
      Procedure.track("inner", function()
        inside = Context.node()
        sleep(60)
      end)
    end)
  end)
  repeat sleep(0) until inside
  local outer = inside:parent()
  assert(outer.name == "outer" and outer:parent() == around)
  task:cancel()
  assert(not pcall(task.await, task))
  assert(inside.status == "cancelled" and outer.status == "cancelled", outer.status)
  assert(around.status == "running" and Context.node() == around)
end)
print("ok")

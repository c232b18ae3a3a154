-- A Context flows with every call: on whose behalf, how much time is left, what was counted. It is
-- current where it is run, in all that is called from there, and nowhere else.

-- One with identities and a graph of its own, for the same user.
local conversation = Context.create{metadata = {conversation_id = "c-1"}, timeout = 30}
print("inside", conversation:run(function()
  sleep(0.001) -- waiting keeps it
  return Context.get().metadata.conversation_id
end))
print("outside", Context.get().metadata.conversation_id)

-- Where a call stands: alone or inside of others, how deep, and what the chain began with.
local function where()
  local info = Context.execution_info()
  print(info.name, "depth " .. info.depth, "origin " .. info.origin_name, "standalone", Context.is_standalone())
end
local step = Procedure.create{name = "step", where}
local plan = Procedure.create{name = "plan", function()
  step()
  print("within plan", Context.is_within("plan"), "below engine", Context.has_ancestor_named("engine"))
  return Context.execution_info().pid
end}
conversation:run(step)
local pid = conversation:run(plan)

-- The graph keeps who called whom after the calls have ended.
local graph = conversation:graph()
for _, node in ipairs(graph:all()) do print(node.name, node.status, #graph:children(node.pid)) end
print("a step of", graph:parent(graph:children(pid)[1].pid).name)

-- Numbers of a call; those of the calls inside of it are in its sum.
Procedure.track("report", function()
  Context.set_metric("pages.wanted", 10)
  for page = 1, 3 do
    Procedure.track("page", function() Context.add_metric("pages.read", 1) end)
  end
  print("read", Context.get_metric("pages.read"), "of", Context.get_metric("pages.wanted"), "lost", Context.get_metric("pages.lost"))
end)

-- Cancelling ends all that runs in a Context, and nothing around it.
local search = Context.child{}
local task = async(function() return search:run(function() sleep(60) end) end)
async(function() search:cancel("the user has gone") end)
local ok, problem = pcall(task.await, task)
print(problem.kind, problem.message)

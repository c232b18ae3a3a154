-- The module `Session`: begin, take up, go back, and the conversation of agents.

assert(Session.current() == nil)
local session = Session.create("work", {tags = {"demo"}, metadata = {topic = "tests"}})
assert(session.name == "work" and Session.current().id == session.id)
local info = session:info()
assert(info.status == "active" and info.tags[1] == "demo" and info.metadata.topic == "tests")
assert(info.messages == 0 and info.created_s > 0)

-- An agent continues the conversation.
local function agent(...)
  return Agent{model = Model("scripted:talk", {answers = {...}})}
end
local first = agent("Hello Ada."):run("I am Ada.", {session = session})
assert(first.output == "Hello Ada." and session:info().messages == 2)
local second = agent("You are Ada."):run("Who am I?", {session = Session.resume("work")})
assert(#second.messages == 4 and second.messages[1].parts[1].text == "I am Ada.")
assert(#session:messages() == 4)
for _ in agent("Streamed."):stream("Go on.", {session = session}) do end
assert(#session:messages() == 6)

-- Checkpoints hold the conversation and the state.
local state = session:state()
state:set("step", 1)
local kept = session:checkpoint("before")
assert(kept.name == "before" and kept.messages == 6 and kept.values == 1)
session:append{{role = "user", content = "more"}}
state:set("step", 2)
state:set("other", true)
assert(session:checkpoint().name == "2")
assert(session:restore("before").messages == 6)
assert(#session:messages() == 6 and state:get("step") == 1 and state:get("other") == nil)
assert(State.scope("session:" .. session.id):get("step") == 1)
session:append{{role = "user", content = "another way"}}
assert(session:restore("2").messages == 7 and session:messages()[7].parts[1].text == "more")
assert(state:get("step") == 2 and #session:checkpoints() == 2)

-- A completed session takes nothing until it is taken up again.
local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
session:complete()
assert(Session.current() == nil and #Session.list{status = "completed"} == 1)
fails("conflict", session.append, session, {{role = "user", content = "x"}})
fails("conflict", session.checkpoint, session)
assert(Session.open("work"):info().status == "active")

local other = Session.open("second")
assert(Session.open("second").id == other.id and #Session.list() == 2 and #Session.list{tag = "demo"} == 1)
fails("conflict", Session.create, "work")
fails("not_found", Session.resume, "worj")
fails("not_found", session.restore, session, "befor")
fails("conflict", session.checkpoint, session, "before")
fails("invalid_args", Session.list, {status = "done"})
fails("invalid_args", function() agent("x"):run("x", {session = session, history = {{role = "user", parts = {}}}}) end)
Session.delete("work")
fails("not_found", Session.resume, "work")
assert(#State.scope("session:" .. session.id):keys() == 0 and #Session.list() == 1)
print("ok")

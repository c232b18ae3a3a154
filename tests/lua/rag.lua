-- The module `RAG`: documents go in, chunks come out.

local index = RAG.open()
local report = index:ingest("docs")
assert(report.added == 2 and #report.failed == 0)
assert(index:ingest("docs").unchanged == 2)
local hits = index:search("fruit that grows on trees", {k = 1})
assert(#hits == 1 and hits[1].text:find("apple") and hits[1].source:find("apple.md"))
local stats = index:stats()
assert(stats.documents == 2 and stats.index == "flat")

-- Records, and deleting them.
assert(index:ingest({{id = "owl", text = "Owls hunt mice at night.", metadata = {kind = "bird"}}}).added == 1)
local owl = index:search("who hunts mice", {k = 1})[1]
assert(owl.source == "owl" and owl.metadata.kind == "bird")
assert(index:delete{"owl"} == 1 and index:stats().documents == 2)

-- An embedder that is a function of the script.
local function embed(texts)
  local vectors = {}
  for i, text in ipairs(texts) do
    vectors[i] = {text:lower():find("river") and 1.0 or 0.0, text:lower():find("apple") and 1.0 or 0.0, 0.1}
  end
  return vectors
end
local own = RAG.open(nil, {embedder = embed, dim = 3})
assert(own:stats().dim == 3)
assert(own:delete("none") == 0 and own:delete({"none"}) == 0)
assert(own:ingest("docs").added == 2)
assert(own:search("what is near a river?", {k = 1})[1].source:find("bridge.md"))

-- A file keeps it.
local kept = RAG.open("kept")
kept:ingest("docs")
assert(RAG.open("kept"):stats().documents == 2)

-- The search is a tool of agents.
local agent = Agent{
  model = Model("scripted:rag", {answers = {
    {tool_calls = {{name = "search_documents", arguments = {query = "spans a river"}}}}, "A bridge.",
  }}),
  tools = {index:as_tool()},
}
assert(agent:run("what spans a river?").output == "A bridge.")

local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
fails("invalid_args", index.search, index, "")
fails("invalid_args", index.search, index, "x", {k = 0})
fails("not_found", RAG.open, nil, {index = "tree"})
fails("invalid_args", RAG.open, nil, {embeder = "lexical"})
print("ok")

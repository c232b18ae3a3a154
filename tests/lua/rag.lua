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

-- Words, vectors, both; filters.
local many = RAG.open(nil, {chunker = "markdown", language = "english"})
many:ingest({
  {id = "owl", text = "Owls hunt mice at night.", metadata = {year = 2024, tags = {"bird"}}},
  {id = "ship", text = "Ships cross the sea.", metadata = {year = 2020}},
})
for _, mode in ipairs{"hybrid", "dense", "keyword"} do
  local hits = many:search("hunting owls", {mode = mode, k = 1})
  assert(hits[1].source == "owl", mode)
  assert((hits[1].scores.keyword ~= nil) == (mode ~= "dense"))
  assert((hits[1].scores.dense ~= nil) == (mode ~= "keyword"))
end
assert(#many:search("zebra", {mode = "keyword"}) == 0)
assert(many:search("sea", {fusion = "rrf", dense_weight = 0.5})[1].source == "ship")
assert(#many:search("owl", {min_score = 2}) == 0)
local function kept(filter)
  local names = {}
  for _, hit in ipairs(many:search("owls and ships", {filter = filter})) do names[#names + 1] = hit.source end
  table.sort(names)
  return table.concat(names, " ")
end
assert(kept{year = {gte = 2024}} == "owl" and kept{year = 2020} == "ship")
assert(kept{tags = "bird"} == "owl" and kept{tags = {exists = false}} == "ship")
assert(kept{any_of = {{year = 2020}, {year = 2024}}} == "owl ship")
assert(kept{negate = {year = 2020}} == "owl" and kept{year = {one_of = {1, 2020}}} == "ship")

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
fails("not_found", RAG.open, nil, {language = "englsh"})
fails("invalid_args", index.search, index, "x", {mode = "fuzzy"})
fails("invalid_args", index.search, index, "x", {filter = {year = {gtt = 1}}})
fails("invalid_args", index.search, index, "x", {dense_weight = 2})
fails("invalid_args", RAG.open, nil, {embeder = "lexical"})
print("ok")

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

-- A tool has a name, a summary and a number of hits of its own.
local tool = index:as_tool("look_up", "Fruit and bridges.", 1)
assert(tool.name == "look_up" and #tool:invoke{query = "fruit river"} == 1)

-- An answer cites where it stands, and nothing that stands nowhere.
local reply = [[{"answer": "On trees [1], on Mars [1].", "citations": [
  {"passage": 1, "quote": "grow"}, {"passage": 1, "quote": "apples grow on Mars"}, %s]}]]
local quote = hits[1].text:match("%w+ %w+ %w+ %w+")
reply = reply:format(JSON.stringify({passage = 1, quote = quote}))
local answer = index:ask("where does fruit grow?", {model = Model("scripted:answer", {answers = {reply}}), k = 1})
assert(answer.answered and #answer.citations == 1 and answer.citations[1].quote == quote)
assert(#answer.unverified == 2 and answer.usage.requests == 1 and answer.hits[1].source:find("apple.md"))
local silent = Model(function() return '{"answered": false}' end)
assert(not index:ask("who won?", {model = silent}).answered)

-- Judged questions measure the search.
local measured = index:evaluate({
  {query = "fruit that grows on trees", relevant = hits[1].source},
  {query = "who won?", relevant = {"nobody"}},
}, {at = {1, 3}})
assert(measured.queries == 2 and measured.at[1].recall == 0.5 and measured.missed[1] == "who won?")

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
fails("invalid_args", index.ask, index, "", {model = silent})
fails("output_invalid", index.ask, index, "fruit", {model = Model(function() return "no" end)})
fails("invalid_args", index.evaluate, index, {{query = "x"}})
fails("invalid_args", index.evaluate, index, {{query = "x", relevant = "a"}}, {at = 0})
fails("invalid_args", index.as_tool, index, "look_up", "x", 0)
fails("invalid_args", RAG.open, nil, {embedder = "local:"})
fails("not_found", RAG.open, nil, {embedder = "local:none"})
print("ok")

-- Files that no loader reads are named with the reason.
Tool.write_file{path = "skipped/a.md", content = "words"}
Tool.write_file{path = "skipped/b.pdf", content = "%PDF"}
local report = RAG.open():ingest("skipped")
assert(report.added == 1 and #report.skipped == 1)
assert(report.skipped[1].source == "skipped/b.pdf" and report.skipped[1].reason:find("pdf"))
-- What nothing is alike is no hit.
local owls = RAG.open()
owls:ingest{{id = "a", text = "owls hunt at night"}}
assert(#owls:search("owls") == 1 and #owls:search("quantum") == 0)

-- Ingests the folder `notes` and searches it; run it again and nothing is embedded anew.

local index = RAG.open("notes-index", {embedder = "lexical"})
local report = index:ingest("notes")
print(("%d added, %d unchanged"):format(report.added, report.unchanged))

for rank, hit in ipairs(index:search("Which crate may link Python?", {k = 3})) do
  print(("%d. %.3f %s"):format(rank, hit.score, hit.source))
end

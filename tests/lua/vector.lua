-- The module `VectorIndex`: the nearest of many vectors.

for _, kind in ipairs{"flat", "hnsw"} do
  local index = VectorIndex{dim = 3, metric = "cosine", index = kind}
  assert(index:add({1, 2, 30}, {{1, 0, 0}, {0, 1, 0}, {0.9, 0.1, 0}}) == 3)
  local hits = index:search({1, 0, 0}, {k = 2})
  assert(#hits == 2 and hits[1].id == 1 and hits[2].id == 30 and hits[1].score > hits[2].score)
  assert(index:delete({1, 99}) == 1)
  assert(index:search({1, 0, 0}, {k = 1})[1].id == 30)
end
assert(#VectorIndex{dim = 2}:search({1, 0}) == 0)

local index = VectorIndex{dim = 2}
assert(index.dim == 2 and index.metric == "cosine")
local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
fails("invalid_args", index.add, index, {1}, {{1, 2, 3}})
fails("invalid_args", index.add, index, {1, 2}, {{1, 2}})
fails("invalid_args", index.add, index, {-1}, {{1, 2}})
fails("invalid_args", index.search, index, {1})
fails("invalid_args", VectorIndex, {dim = 2, metric = "manhattan"})
fails("invalid_args", VectorIndex, {metric = "dot"})
fails("not_found", VectorIndex, {dim = 2, index = "tree"})
-- 105 GB, if each of these had the numbers it should have.
local wide, ids, empty = VectorIndex{dim = 65536}, {}, {}
for i = 1, 4e5 do ids[i], empty[i] = i, {} end
fails("invalid_args", wide.add, wide, ids, empty)
print("ok")

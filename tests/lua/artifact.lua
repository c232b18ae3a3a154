-- The module `Artifact`: texts, data, bytes and files, kept once.

local report = Artifact.put("report.md", "# Done", {tags = {"draft"}, metadata = {by = "ada"}})
assert(report.mime == "text/markdown" and report.version == 1 and report.size_bytes == 6)
local found = Artifact.get("report.md")
assert(found.value == "# Done" and found.tags[1] == "draft" and found.metadata.by == "ada")
assert(found.hash == report.hash and #found.hash == 64)

-- Data and bytes come back as they were.
Artifact.put("data", {n = 42, list = {1, 2.5, "x"}})
local data = Artifact.get("data")
assert(data.mime == "application/json" and data.value.n == 42 and #data.value.list == 3)
Artifact.put("picture", "\x89PNG\r\n\x1a\n\0")
assert(Artifact.get("picture").mime == "image/png")

-- Files pass the path guard.
local file = Artifact.put("apple", nil, {file = "docs/apple.md"})
assert(file.mime == "text/markdown" and Artifact.get("apple").value:find("fruit"))

-- Equal contents are kept once, under each name.
local copy = Artifact.put("copy", "# Done", {mime = "text/plain"})
assert(copy.hash == report.hash)
assert(Artifact.put("copy", "# Done again").version == 2)
assert(Artifact.delete("report.md") and not Artifact.delete("report.md"))
assert(Artifact.get("copy").value == "# Done again")

local names = {}
for i, info in ipairs(Artifact.list()) do names[i] = info.name end
assert(table.concat(names, " ") == "apple copy data picture", table.concat(names, " "))
assert(#Artifact.list{prefix = "a"} == 1 and #Artifact.list{tag = "draft"} == 0)

-- Scopes do not see each other.
Artifact.put("data", "theirs", {scope = "custom:other"})
assert(Artifact.get("data", {scope = "custom:other"}).value == "theirs" and Artifact.get("data").value.n == 42)

local function fails(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert(not ok and err.kind == kind, tostring(err) .. " is " .. tostring(err.kind))
  print(kind, err.message, err.hint)
end
fails("not_found", Artifact.get, "dat")
fails("invalid_args", Artifact.put, "nothing")
fails("invalid_args", Artifact.put, "x", "y", {file = "docs/apple.md"})
fails("invalid_args", Artifact.put, "x", {0 / 0})
fails("invalid_args", Artifact.put, "x", "y", {mime = "no"})
fails("denied", Artifact.put, "x", nil, {file = "/etc/hostname"})
fails("not_found", Artifact.put, "x", nil, {file = "none.md"})
print("ok")

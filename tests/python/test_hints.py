"""A hint of a tool names only options that the tool has, and tools that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import aikit

COMPONENTS = Path(__file__).parents[2] / "rust" / "aikit-components" / "src"
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
# A name by itself: what else stands between backticks is an example.
NAME = re.compile(r"`([a-z][a-z0-9]*(?:_[a-z0-9]+)*)`")
TOOLS = {it.name: it for it in aikit.tools.list()}
# Words of the language that a tool reads, and who reads them.
OF_LANGUAGES = {"query_json": {"keys", "type"}}
# Code that several tools go through, and the tools.
SHARED = {
    "http/guard.rs": {"read_webpage", "request_http"},
    "tools/computation.rs": set(TOOLS),
    "tools/invoke.rs": set(TOOLS),
    "security/process.rs": {"run_process"},
}
# Hints of what one file tool alone can run into.
OF_FILES = ("security/sandbox.rs", "security/sandbox/change.rs", "security/sandbox/entries.rs")


def hints(source: str) -> list[str]:
    """Returns the texts of the hints in a Rust source."""
    found = []
    for start in re.finditer(r"with_hint\(|let hint = ", source):
        depth, end = 0, start.end()
        while end < len(source) and depth >= 0 and source[end] != ";":
            literal = LITERAL.match(source, end)
            if literal:
                found.append(re.sub(r"\\\n\s*", "", literal[1]))
                end = literal.end()
                continue
            depth += {"(": 1, ")": -1}.get(source[end], 0)
            end += 1
    return found


def words(source: str) -> set[str]:
    return {name for hint in hints(source) for name in NAME.findall(hint)}


def known(name: str) -> set[str]:
    """Returns the names that the schemas of a tool speak of: options, their words, results."""
    tool = TOOLS[name]
    schemas = json.dumps([tool.input_schema, tool.output_schema])
    return set(re.findall(r'["`]([a-z][a-z0-9_]*)["`]', schemas))


def test_the_hints_of_a_source_are_found() -> None:
    source = 'x.with_hint(format!("raise `max_bytes`, \\\n   or (see) `a b`")); let hint = "`y`";'
    assert words(source) == {"max_bytes", "y"}
    assert words('let message = "`no_hint`"; e.with_hint(f("a"))') == set()


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_a_hint_names_what_the_tool_has(name: str) -> None:
    (own,) = COMPONENTS.glob(f"tools/*/{name}.rs")
    files = [own, *own.with_suffix("").glob("*.rs")]
    named = {word for file in files for word in words(file.read_text(encoding="utf-8"))}
    assert named - known(name) - set(TOOLS) - OF_LANGUAGES.get(name, set()) == set()


@pytest.mark.parametrize("path", sorted(SHARED))
def test_a_hint_of_a_guard_names_what_all_its_tools_have(path: str) -> None:
    named = words((COMPONENTS / path).read_text(encoding="utf-8")) - set(TOOLS)
    lacking = {(word, tool) for tool in SHARED[path] for word in named - known(tool)}
    # What is followed by the tool it belongs to needs no other.
    assert {it for it in lacking if it[0] != "auth"} == set()


@pytest.mark.parametrize("path", OF_FILES)
def test_a_hint_of_the_path_guard_names_what_a_tool_of_files_has(path: str) -> None:
    files = {it for it in TOOLS if (COMPONENTS / "tools" / "file" / f"{it}.rs").exists()}
    named = words((COMPONENTS / path).read_text(encoding="utf-8")) - set(TOOLS)
    settings = {"roots", "security"}
    assert named - settings - {word for tool in files for word in known(tool)} == set()

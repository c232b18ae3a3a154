"""The table of what core offers names tests that exist, in each face that has the row."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
TABLE: dict[str, Any] = tomllib.loads((ROOT / "tests/core.toml").read_text(encoding="utf-8"))
TEST = re.compile(r"^\s*#\[(\w+::)?test\b", re.MULTILINE)
FACES = {"rust": "rust/", "python": "tests/", "lua": "tests/lua/"}


def lacking(test: str) -> str | None:
    """Says why a test that is named does not run or shows nothing, or None."""
    path, _, name = test.partition(": " if ".lua" in test else "::")
    file = ROOT / path
    if not file.is_file():
        return f"{path} is no file"
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".lua":
        return None if shows(text, name) else f"{path} has no part `{name}` that asserts"
    if not name and path.startswith("benches/"):
        return None  # a program that measures
    if not name:
        is_test = file.suffix == ".py" and (file.name[:5] != "test_" or "\ndef test_" in text)
        return None if is_test else f"{path} names no test"
    is_there = is_rust_test if file.suffix == ".rs" else is_python_test
    return None if is_there(text, name) else f"{path} has no test `{name}`, or skips it"


def is_rust_test(text: str, name: str) -> bool:
    above = written_above(text, rf"(pub )?(async )?fn {name}\b")
    return above is not None and "#[ignore" not in above and bool(TEST.search(above))


def is_python_test(text: str, name: str) -> bool:
    above = written_above(text, rf"(async )?def {name}\(")
    return name.startswith("test_") and above is not None and "mark.skip(" not in above


def written_above(text: str, function: str) -> str | None:
    """Attributes, decorators and comments of a function; None where it is not there."""
    lines = text.splitlines()
    places = (place for place, line in enumerate(lines) if re.match(rf"\s*{function}", line))
    place = next(places, None)
    if place is None:
        return None
    above = itertools.takewhile(str.strip, reversed(lines[:place]))
    return "\n".join(above)


def shows(text: str, comment: str) -> bool:
    """Whether a file of Lua has the part below ``comment``, and it asserts something."""
    _, is_there, part = text.partition(f"-- {comment}\n")
    own = re.split(r"^[ \t]*--", part, maxsplit=1, flags=re.MULTILINE)[0]
    return bool(comment and is_there) and re.search(r"\b(assert|refused|fails)\(", own) is not None


@pytest.mark.parametrize("row", TABLE["row"])
def test_each_row_is_shown_in_each_face(row: str) -> None:
    for face, folder in FACES.items():
        tests = TABLE["row"][row][face]
        if isinstance(tests, str):
            assert tests.startswith("none: ")
            continue
        assert tests
        assert [why for test in tests if (why := lacking(test))] == []
        assert all(test.startswith(folder) for test in tests)


@pytest.mark.parametrize("section", TABLE["sentence"])
def test_each_sentence_is_shown(section: str) -> None:
    for sentence, tests in TABLE["sentence"][section].items():
        assert tests, sentence
        assert [why for test in tests if (why := lacking(test))] == []


def test_a_test_that_is_not_there_is_found() -> None:
    here = "tests/python/test_core_table.py"
    assert lacking(f"{here}::test_none_of_this_name")
    assert lacking(f"{here}::lacking")
    assert lacking("tests/none.lua: anything")
    assert lacking("tests/lua/context.lua")
    assert lacking("tests/lua/context.lua: nothing of this")
    assert lacking("rust/aikit-core/src/graph.rs::new")
    assert lacking(f"{here}::test_each_sentence_is_shown") is None
    assert lacking("tests/lua/context.lua: A child shares, and narrows.") is None
    assert lacking("rust/aikit-core/src/graph.rs::a_node_knows_its_relatives") is None


@pytest.mark.parametrize(
    ("above", "is_test"),
    [
        ("#[test]", True),
        ('#[tokio::test]\n    #[expect(\n        unused,\n        reason = "x"\n    )]', True),
        ("/// Says something.\n    #[test]", True),
        ("#[inline]", False),
        ("", False),
        ('#[test]\n    #[ignore = "slow"]', False),
        ("#[test]\n    fn other() {}\n", False),
    ],
)
def test_a_function_of_rust_is_no_test_by_itself(*, above: str, is_test: bool) -> None:
    text = f"use a;\n\n    {above}\n    fn name() {{}}\n"
    assert is_rust_test(text, "name") is is_test


@pytest.mark.parametrize(
    ("above", "is_test"),
    [
        ("", True),
        ('@pytest.mark.parametrize(\n    "a",\n)\n', True),
        ('@pytest.mark.skip(reason="x")\n', False),
        ('@pytest.mark.skip(\n    reason="x"\n)\n', False),
    ],
)
def test_a_skipped_test_is_none(*, above: str, is_test: bool) -> None:
    assert (
        is_python_test(f"import a\n\n\n{above}def test_name() -> None:\n", "test_name") is is_test
    )


@pytest.mark.parametrize(
    ("part", "is_shown"),
    [
        ("-- Part.\nassert(true)\n", True),
        ("  -- Part.\n  refused(print)\n", True),
        ("-- Part.\nprint(1)\n-- Next.\nassert(true)\n", False),
        ("-- Part. And more.\nassert(true)\n", False),
        ("assert(true)\n", False),
    ],
)
def test_a_part_of_a_file_of_lua_is_named_and_asserts(*, part: str, is_shown: bool) -> None:
    assert shows(f"local a = 1\n\n{part}", "Part.") is is_shown

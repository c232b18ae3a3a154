"""The table of what core offers names tests that exist, in each face that has the row."""

from __future__ import annotations

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
FACES = {"rust": "rust/", "python": "tests/", "lua": "tests/lua/"}


def lacking(test: str) -> str | None:
    """Says why a test that is named cannot run, or None."""
    path, _, name = test.partition("::")
    file = ROOT / path
    if not file.is_file():
        return f"{path} is no file"
    keyword = {".rs": "fn", ".py": "def"}.get(file.suffix)
    if name and not re.search(rf"\b{keyword} {name}\b", file.read_text(encoding="utf-8")):
        return f"{path} has no test `{name}`"
    return None


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
    assert lacking("tests/python/test_core_table.py::test_none_of_this_name")
    assert lacking("tests/none.lua")
    assert lacking("tests/python/test_core_table.py::test_each_sentence_is_shown") is None

"""The judged questions of benches/rag: enough of them, and none holds its answer."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from documents import find_manual

if TYPE_CHECKING:
    from types import ModuleType

FILE = Path(__file__).resolve().parents[2] / "benches" / "rag" / "judged.py"


@pytest.fixture(scope="module")
def judged() -> ModuleType:
    spec = importlib.util.spec_from_file_location("judged", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up.
    sys.modules["judged"] = module
    spec.loader.exec_module(module)
    return module


TEXT = """\
.. index:: nothing

=====
Title
=====

Some words before.

.. _label:

Deleting a tree
---------------

.. function:: rmtree(path)
   :module: shutil

   Deleting a  tree is :func:`rmtree`, with ``path``.

Next
----
"""


def test_a_section_is_what_stands_below_its_heading(judged: ModuleType) -> None:
    sections = judged.sections_of(TEXT, "a")
    assert [(it.heading, it.text) for it in sections] == [
        ("Title", "Some words before."),
        ("Deleting a tree", "rmtree(path)\n\nDeleting a tree is rmtree, with path."),
        ("Next", ""),
    ]
    [passage] = judged.passages_of(sections[1], "a#1")
    assert passage.text == "rmtree(path) is rmtree, with path."


def test_no_passage_holds_the_heading_that_it_answers(judged: ModuleType) -> None:
    manual = find_manual()
    if manual is None:
        pytest.skip("needs Debian's package python3-doc")
    passages, questions = judged.build(manual)
    assert len(questions) >= 200
    assert len({it.query for it in questions}) == len(questions)
    assert len({it.id for it in passages}) == len(passages)
    headings = {it.section: " ".join(it.query.lower().split()) for it in questions}
    answered = {it.section for it in passages}
    assert set(headings) <= answered
    leaks = [
        it.id
        for it in passages
        if it.section in headings
        and re.search(re.escape(headings[it.section]), " ".join(it.text.lower().split()))
    ]
    assert leaks == []
    assert judged.build(manual) == (passages, questions)

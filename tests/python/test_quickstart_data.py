"""The documents and questions of the quickstart: every answer is where its question says."""

from __future__ import annotations

import itertools
import os
import re
from typing import TYPE_CHECKING

import documents
import pytest
from documents import Answer, Question, find_manual, load_questions, plain

if TYPE_CHECKING:
    from pathlib import Path

MANUAL_QUESTIONS = load_questions("python_docs_questions.json")
DOCSTRING_QUESTIONS = load_questions("docstring_questions.json")
ALL_QUESTIONS = MANUAL_QUESTIONS + DOCSTRING_QUESTIONS
UNDERLINE = re.compile(r"^([=\-~^\"'*#+])\1{2,}$")


def titles(text: str) -> set[str]:
    """Section titles of a reStructuredText file, in lower case."""
    lines = text.splitlines()
    return {
        plain(title).lower()
        for title, line in itertools.pairwise(lines)
        if UNDERLINE.match(line) and title.strip()
    }


@pytest.fixture(scope="session")
def manual() -> Path:
    folder = find_manual()
    if folder is None:
        if os.environ.get("TEST_REQUIRE_MANUAL"):
            pytest.fail("Python's manual is absent: install the package python3-doc")
        pytest.skip("needs Debian's package python3-doc")
    return folder


@pytest.fixture(scope="session")
def docstrings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("documents")
    assert documents.write_docstrings(folder / "stdlib") > 150
    assert documents.write_own_documents(folder / "aikit") >= 1
    return folder


def missing_answers(questions: tuple[Question, ...], folder: Path) -> list[str]:
    """Questions one of whose answers does not stand in the named file."""
    return [
        f"{answer.source}: {answer.phrase}"
        for it in questions
        for answer in it.answers
        if not (folder / answer.source).exists()
        or plain(answer.phrase) not in plain((folder / answer.source).read_text(encoding="utf-8"))
    ]


def test_every_answer_stands_in_the_manual(manual: Path) -> None:
    missing = missing_answers(MANUAL_QUESTIONS, manual)
    if manual.parts[-3] == "python3.11":
        assert missing == []
    # The questions were written over the manual of 3.11; other versions say some things anew.
    assert len(missing) <= 0.1 * sum(len(it.answers) for it in MANUAL_QUESTIONS)


def test_every_answer_stands_in_the_docstrings(docstrings: Path) -> None:
    assert missing_answers(DOCSTRING_QUESTIONS, docstrings) == []


def test_a_wrong_answer_is_noticed(docstrings: Path) -> None:
    wrong = Question("How?", (Answer("no such phrase", "stdlib/copy.rst"),))
    assert missing_answers((wrong,), docstrings) == ["stdlib/copy.rst: no such phrase"]


def test_no_question_is_a_title(manual: Path) -> None:
    all_titles = set[str]().union(
        *(titles(it.read_text(encoding="utf-8")) for it in manual.rglob("*.rst.txt"))
    )
    assert len(all_titles) > 1000
    assert [it.question for it in MANUAL_QUESTIONS if it.question.lower() in all_titles] == []


def test_no_question_holds_its_answer() -> None:
    assert [it.question for it in ALL_QUESTIONS if it.is_answered_by(it.question)] == []


def test_the_questions_cover_all_parts_of_the_manual() -> None:
    parts = {it.source.split("/")[0] for question in MANUAL_QUESTIONS for it in question.answers}
    assert parts >= {"tutorial", "library", "reference", "howto", "faq", "whatsnew"}
    assert len(MANUAL_QUESTIONS) >= 36
    assert len(DOCSTRING_QUESTIONS) >= 12


def test_questions_are_asked_once() -> None:
    questions = [it.question for it in ALL_QUESTIONS]
    assert len(set(questions)) == len(questions)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("call :meth:`str.join` at\n   the end", "call str.join at the end"),
        ("``**`` *matches* any :ref:`file <x>`", "matches any file"),
        (":func:`~copy.deepcopy`", "copy.deepcopy"),
    ],
)
def test_markup_is_no_part_of_an_answer(text: str, expected: str) -> None:
    assert plain(text) == expected

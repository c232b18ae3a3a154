"""Documents and questions of the quickstart: Python's manual, or docstrings where it is absent.

Debian's package `python3-doc` carries the reStructuredText sources of Python's manual, about 500
files. On a machine without them the standard library itself is the source: its docstrings, one
file a module, and the documentation of this project.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import json
import re
import shutil
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).resolve().parent.parent
QUESTIONS = ROOT / "tests" / "data"
MANUAL_FILES_MIN = 450

# Modules whose import or source has side effects, or that document nothing.
_SKIPPED_MODULES = frozenset({"antigravity", "idlelib", "lib2to3", "this", "turtledemo"})
_ROLE = re.compile(r":[A-Za-z:+-]+:`[~!]?([^`<]*?)(?: <[^>]*>)?`")


@dataclass(frozen=True)
class Answer:
    """A phrase that answers a question, and the file it stands in."""

    phrase: str
    source: str


@dataclass(frozen=True)
class Question:
    """A question, and the phrases of which one must be found."""

    question: str
    answers: tuple[Answer, ...]

    def is_answered_by(self, text: str) -> bool:
        """Whether one of the answers stands in the text.

        Args:
            text: Text of a chunk, with or without reStructuredText markup.

        Returns:
            True if one answer is found, white space and inline markup apart.
        """
        found = plain(text)
        return any(plain(it.phrase) in found for it in self.answers)


@dataclass(frozen=True)
class Corpus:
    """A folder of documents and the questions that it answers."""

    name: str
    folder: Path
    questions: tuple[Question, ...]


def plain(text: str) -> str:
    """Removes roles, emphasis and line breaks, which differ between a file and its chunks.

    Args:
        text: reStructuredText or Markdown.

    Returns:
        The words, separated by single spaces.
    """
    return " ".join(re.sub(r"[*`]", "", _ROLE.sub(r"\1", text)).split())


def load_questions(name: str) -> tuple[Question, ...]:
    """Reads a file of questions.

    Args:
        name: File name below `tests/data`.

    Returns:
        The questions, in the order of the file.
    """
    records = json.loads((QUESTIONS / name).read_text(encoding="utf-8"))
    return tuple(
        Question(it["question"], tuple(Answer(**answer) for answer in it["answers"]))
        for it in records
    )


def find_manual() -> Path | None:
    """Finds the sources of Python's manual as Debian installs them.

    Returns:
        The folder of the newest version with at least 450 files, or None.
    """
    for folder in sorted(Path("/usr/share/doc").glob("python3*/html/_sources"), reverse=True):
        if sum(1 for _ in folder.rglob("*.rst.txt")) >= MANUAL_FILES_MIN:
            return folder
    return None


def prepare(target: Path) -> Corpus:
    """Puts documents below a folder, since a script reads only its working directory.

    Args:
        target: Folder to fill; what is in it is replaced.

    Returns:
        The manual of Python if it is installed, else docstrings and the project's own pages.
    """
    if target.exists():
        shutil.rmtree(target)
    manual = find_manual()
    if manual is not None:
        shutil.copytree(manual, target)
        return Corpus("Python's manual", target, load_questions("python_docs_questions.json"))
    write_docstrings(target / "stdlib")
    write_own_documents(target / "aikit")
    name = "the standard library's docstrings and aikit's own pages"
    return Corpus(name, target, load_questions("docstring_questions.json"))


def write_own_documents(target: Path) -> int:
    """Copies the Markdown pages of this project.

    Args:
        target: Folder to write to.

    Returns:
        Number of files.
    """
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        copy = target / page.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, copy)
    return len(pages)


def write_docstrings(target: Path) -> int:
    """Writes the docstrings of the standard library, one reStructuredText file a module.

    Args:
        target: Folder to write to.

    Returns:
        Number of files.
    """
    target.mkdir(parents=True, exist_ok=True)
    count = 0
    for name in sorted(sys.stdlib_module_names - _SKIPPED_MODULES):
        if name.startswith("_"):
            continue
        sections = list(_sections(name))
        if sections:
            text = "\n".join(_as_restructured_text(name, sections))
            (target / f"{name}.rst").write_text(text, encoding="utf-8")
            count += 1
    return count


def _as_restructured_text(module: str, sections: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield from (module, "=" * len(module), "")
    for title, text in sections:
        if title:
            full = f"{module}.{title}"
            yield from (full, "-" * len(full), "")
        yield from (text, "")


def _sections(module: str) -> Iterator[tuple[str, str]]:
    """Yields name and docstring of a module and its public classes, methods and functions."""
    spec = importlib.util.find_spec(module)
    if spec is None:
        return
    if spec.origin is not None and spec.origin.endswith(".py"):
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        yield from _sections_of_source(tree, "")
    elif spec.origin is not None:
        # Built in or compiled: there is no source to read, and importing it has no effect.
        yield from _sections_of_module(module)


def _sections_of_source(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, prefix: str
) -> Iterator[tuple[str, str]]:
    docstring = ast.get_docstring(node)
    if docstring:
        yield prefix, docstring
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for child in node.body:
        if isinstance(
            child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and not child.name.startswith("_"):
            yield from _sections_of_source(child, f"{prefix}.{child.name}".lstrip("."))


def _sections_of_module(name: str) -> Iterator[tuple[str, str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = importlib.import_module(name)
    for title, member in [("", module), *inspect.getmembers(module)]:
        if title.startswith("_") or inspect.ismodule(member) != (not title):
            continue
        docstring = inspect.getdoc(member)
        if docstring and (not title or callable(member)):
            yield title, docstring

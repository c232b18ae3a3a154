"""Judged questions over Python's manual: a heading is the question, its section the answer.

Deterministic: the same manual gives the same passages and questions. A passage is a piece of one
section, up to `PASSAGE_WORDS` words, without the heading: its line is left out, and so is every
place in its own section that repeats it. A heading is a question if it has at least two words,
stands in the manual once, and has a section of at least `SECTION_WORDS` words. Every passage of the
section answers it.

    python benches/rag/judged.py     # prints how many there are, and the first ones
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))

from documents import find_manual, plain

PASSAGE_WORDS = 120
SECTION_WORDS = 40
HEADING_WORDS = 2
# What is shorter is the rest of a list or of a table.
PASSAGE_CHARS_MIN = 20

# Lists of changes: their headings are the names of modules, again in every version.
SKIPPED = ("whatsnew/", "changelog", "contents.", "bugs.", "copyright.", "license.", "about.")

_ADORNMENT = re.compile(r"^([=\-~^\"'*#+.`:])\1{2,}\s*$")
_INDEX = re.compile(
    r"^\s*\.\. (?:index|_|highlight|module|moduleauthor|sectionauthor|only|toctree)"
)
_DIRECTIVE = re.compile(r"^\s*\.\. [\w:-]+::\s*")
_FIELD = re.compile(r"^\s*:[\w ]+:(?:\s|$)")


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it, up to the next heading."""

    source: str
    heading: str
    text: str


@dataclass(frozen=True)
class Passage:
    """A piece of a section: what is indexed and found."""

    id: str
    section: str
    text: str


@dataclass(frozen=True)
class Judged:
    """A question and the section that answers it."""

    query: str
    section: str


def sections_of(text: str, source: str) -> list[Section]:
    """Splits a reStructuredText file at its headings.

    Args:
        text: The file.
        source: Its name.

    Returns:
        Sections in order; what stands before the first heading is left out.
    """
    lines = ["", *text.splitlines()]
    starts: list[tuple[int, int, str]] = []
    for title in range(1, len(lines) - 1):
        above, under = title - 1, title + 1
        if _is_heading(lines[above], lines[title], lines[under]):
            begin = above if _ADORNMENT.match(lines[above]) else title
            starts.append((begin, under + 1, plain(lines[title])))
    found = []
    for index, (_, begin, heading) in enumerate(starts):
        end = starts[index + 1][0] if index + 1 < len(starts) else len(lines)
        found.append(Section(source, heading, _body(lines[begin:end])))
    return found


def _is_heading(above: str, title: str, under: str) -> bool:
    return (
        _ADORNMENT.match(under) is not None
        and _ADORNMENT.match(title) is None
        and bool(title.strip())
        and not title[0].isspace()
        and len(under.rstrip()) >= len(title.rstrip()) - 2
        and (not above.strip() or _ADORNMENT.match(above) is not None)
    )


def _body(lines: list[str]) -> str:
    """The paragraphs of a section, without markup that no reader sees."""
    kept: list[str] = []
    skipped_indent: int | None = None
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if skipped_indent is not None and (not line.strip() or indent > skipped_indent):
            continue
        skipped_indent = None
        if _INDEX.match(line):
            skipped_indent = indent
        elif not _FIELD.match(line):
            kept.append(_DIRECTIVE.sub("", line))
    paragraphs = re.split(r"\n\s*\n", "\n".join(kept))
    return "\n\n".join(it for it in map(plain, paragraphs) if it)


def _without(heading: str, text: str) -> str:
    words = r"\s+".join(map(re.escape, heading.split()))
    return re.sub(words, " ", text, flags=re.IGNORECASE)


def passages_of(section: Section, name: str) -> list[Passage]:
    """Cuts a section into passages of whole paragraphs; a long paragraph is cut at words.

    Args:
        section: The section.
        name: Its identity.

    Returns:
        Passages in order.
    """
    pieces: list[list[str]] = [[]]
    for paragraph in section.text.split("\n\n"):
        words = paragraph.split()
        if len(pieces[-1]) + len(words) > PASSAGE_WORDS and pieces[-1]:
            pieces.append([])
        while len(words) > PASSAGE_WORDS:
            pieces[-1] = words[:PASSAGE_WORDS]
            words = words[PASSAGE_WORDS:]
            pieces.append([])
        pieces[-1] += words
    texts = (_without(section.heading, " ".join(it)) for it in pieces)
    texts = (" ".join(it.split()) for it in texts)
    return [
        Passage(f"{name}/{index}", name, text)
        for index, text in enumerate(texts)
        if len(text) > PASSAGE_CHARS_MIN
    ]


def build(manual: Path) -> tuple[list[Passage], list[Judged]]:
    """Makes passages and judged questions of a manual.

    Args:
        manual: Folder of reStructuredText files.

    Returns:
        Passages and questions, in the order of the files.
    """
    sections: list[Section] = []
    for file in sorted(manual.rglob("*.rst.txt")):
        source = file.relative_to(manual).as_posix().removesuffix(".rst.txt")
        if not any(it in f"{source}." for it in SKIPPED):
            sections += sections_of(file.read_text(encoding="utf-8"), source)
    times = Counter(it.heading.lower() for it in sections)
    passages: list[Passage] = []
    judged: list[Judged] = []
    for index, section in enumerate(sections):
        name = f"{section.source}#{index}"
        own = passages_of(section, name)
        passages += own
        words = sum(len(it.text.split()) for it in own)
        if _is_question(section.heading, times) and words >= SECTION_WORDS:
            judged.append(Judged(section.heading, name))
    return passages, judged


def _is_question(heading: str, times: Counter[str]) -> bool:
    words = re.findall(r"[A-Za-z]{2,}", heading)
    return len(words) >= HEADING_WORDS and times[heading.lower()] == 1


def find_or_exit() -> Path:
    """Finds Python's manual, or ends the program.

    Returns:
        Its folder.
    """
    manual = find_manual()
    if manual is None:
        sys.exit("the judged questions need Python's manual: install Debian's package python3-doc")
    return manual


def main() -> None:
    """Prints what there is."""
    passages, judged = build(find_or_exit())
    words = sum(len(it.text.split()) for it in passages)
    print(f"{len(passages)} passages of {words} words, {len(judged)} judged questions")
    for it in judged[:: max(1, len(judged) // 20)]:
        print(f"  {it.query}  [{it.section}]")


if __name__ == "__main__":
    main()

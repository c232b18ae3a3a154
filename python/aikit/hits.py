"""Hits: the chunks that a search found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from .records import Record, table

if TYPE_CHECKING:
    from collections.abc import Mapping


class StageScores(Record):
    """What each kind of search said of a hit, in its own measure.

    Attributes:
        dense: Nearness of the vectors; None when it was not among the nearest.
        keyword: BM25 of the words; None when it was not among the best.
    """

    dense: float | None = None
    keyword: float | None = None


class Hit(Record):
    """A chunk that a search found.

    Attributes:
        id: Identity of the chunk: its document and its place there.
        text: The text.
        score: How well it fits; higher is better, comparable within one answer only.
        scores: What each kind of search said of it.
        source: Path or id of the document.
        title: Title of the document.
        headings: Headings above the text, outermost first.
        start: First character of the text in the document.
        end: One past its last character.
        metadata: What is known about the document.
    """

    id: str
    text: str
    score: float
    scores: StageScores
    source: str
    title: str | None
    headings: list[str]
    start: int
    end: int
    metadata: dict[str, Any]

    _records: ClassVar[Mapping[str, type[Record]]] = {"scores": StageScores}


class Hits(list[Hit]):
    """Hits, best first; a table in notebooks."""

    def _repr_html_(self) -> str:
        return table(self, ["score", "source", "text"])

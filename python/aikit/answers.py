"""Answers from documents, and where they stand."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, ClassVar

from .handles import Usage
from .hits import Hit
from .records import Record

if TYPE_CHECKING:
    from collections.abc import Mapping


class Citation(Record):
    """A place in the documents that an answer rests on.

    Attributes:
        number: The number in the text; one number may have several places.
        id: Identity of the chunk.
        quote: The words as they stand in the document.
        source: Path or id of the document.
        title: Title of the document.
        headings: Headings above the words, outermost first.
        start: First character of the quote in the document.
        end: One past its last character.
        metadata: What is known about the document, such as its page.
    """

    number: int
    id: str
    quote: str
    source: str
    title: str | None
    headings: list[str]
    start: int
    end: int
    metadata: dict[str, Any]


class UnverifiedQuote(Record):
    """A quote of a model that stands in no chunk it was given.

    Attributes:
        number: The number that the model gave it.
        quote: The words that the model claims to have read.
    """

    number: int
    quote: str


class Answer(Record):
    """What the documents say to a question.

    Attributes:
        text: The answer, with ``[1]`` where it rests on the citation of that number; that the
            documents do not answer, where they do not.
        answered: Whether the documents answer the question: the model says so, and at least one
            quote stands in them.
        citations: Where the answer stands in the documents.
        unverified: Quotes of the model that stand in no chunk it was given.
        draft: What the model said although no quote of it could be found; nothing vouches for it.
        hits: The chunks that the model was given, best first.
        usage: What the requests to the model consumed.
        model: The model that answered, in the provider's word; None when none was asked.
    """

    text: str
    answered: bool
    citations: list[Citation]
    unverified: list[UnverifiedQuote]
    draft: str | None
    hits: list[Hit]
    usage: Usage
    model: str | None

    _records: ClassVar[Mapping[str, type[Record]]] = {
        "citations": Citation,
        "unverified": UnverifiedQuote,
        "hits": Hit,
        "usage": Usage,
    }

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        items = "".join(
            f"<li>[{it.number}] <q>{html.escape(it.quote)}</q> <small>"
            f"{html.escape(' > '.join([it.source, *it.headings]))}</small></li>"
            for it in self.citations
        )
        sources = f"<ul>{items}</ul>" if items else ""
        return f"<p>{html.escape(self.text)}</p>{sources}"

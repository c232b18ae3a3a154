"""Typed results: attributes, data and a table in notebooks."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

# Longest value shown in a `repr` and in a cell of a table, in characters.
SHOWN_CHARS_MAX = 80
CELL_CHARS_MAX = 200


class Record:
    """A result with named fields.

    Subclasses declare their fields as annotations. Two records are equal when they are of one
    class and have equal fields.
    """

    # Fields that are records themselves, or lists of records.
    _records: ClassVar[Mapping[str, type[Record]]] = {}

    def __init__(self, fields: Mapping[str, Any]) -> None:
        for name, value in fields.items():
            record = self._records.get(name)
            self.__dict__[name] = value if record is None else _wrap(record, value)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain data."""
        return {name: _plain(value) for name, value in self.__dict__.items()}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # only for what is not there
        known = ", ".join(self.__dict__) or "none"
        raise AttributeError(f"{type(self).__name__} has no field {name!r}; its fields: {known}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record) or type(self) is not type(other):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), _frozen(self.__dict__)))

    def __repr__(self) -> str:
        fields = ", ".join(
            f"{name}={_shorten(repr(value), SHOWN_CHARS_MAX)}"
            for name, value in self.__dict__.items()
        )
        return f"{type(self).__name__}({fields})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{_cell(value)}</td></tr>"
            for name, value in self.__dict__.items()
        )
        return f"<table>{rows}</table>"


def table(records: list[Any], columns: list[str]) -> str:
    """Returns an HTML table with one row for each record."""
    head = "".join(f"<th>{html.escape(column)}</th>" for column in columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(getattr(it, column))}</td>" for column in columns) + "</tr>"
        for it in records
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _wrap(record: type[Record], value: Any) -> Any:  # noqa: ANN401  # any field
    if isinstance(value, dict):
        return record(value)
    if isinstance(value, list):
        return [_wrap(record, item) for item in value]
    return value


def _frozen(value: object) -> Hashable:
    """Returns what is equal for equal values, and can be hashed."""
    if isinstance(value, dict):
        # Without an order of its own; keys of one mapping are compared by their hashes as well.
        return frozenset((key, _frozen(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    try:
        hash(value)
    except TypeError:
        return None  # it cannot tell records apart; equality does
    return value


def _plain(value: Any) -> Any:  # noqa: ANN401  # any field
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _cell(value: object) -> str:
    text = f"{value:.4f}" if isinstance(value, float) else str(value)
    return html.escape(_shorten(text, CELL_CHARS_MAX))


def _shorten(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"

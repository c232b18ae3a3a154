"""Typed results: attributes, data, tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest

from aikit.records import Record, table

if TYPE_CHECKING:
    from collections.abc import Mapping


class Inner(Record):
    number: int


class Outer(Record):
    name: str
    inner: Inner
    many: list[Inner]

    _records: ClassVar[Mapping[str, type[Record]]] = {"inner": Inner, "many": Inner}


FIELDS = {"name": "<a>", "inner": {"number": 1}, "many": [{"number": 2}, {"number": 3}]}


def test_fields_are_attributes_and_go_back_to_data() -> None:
    outer = Outer(FIELDS)
    assert (outer.name, outer.inner.number, outer.many[1].number) == ("<a>", 1, 3)
    assert outer.to_dict() == FIELDS
    assert outer == Outer(FIELDS)
    assert outer != Outer({**FIELDS, "name": "b"})
    assert outer != FIELDS
    assert hash(outer) == hash(Outer(FIELDS))


def test_records_that_are_equal_have_equal_hashes() -> None:
    # Numbers are equal across their types, and the order of fields does not count.
    equal = [
        (Inner({"number": 1}), Inner({"number": 1.0})),
        (Inner({"number": True}), Inner({"number": 1})),
        (Inner({"a": 1, "b": [2, {"c": 3}]}), Inner({"b": [2.0, {"c": 3.0}], "a": 1.0})),
        (Outer(FIELDS), Outer(dict(reversed(FIELDS.items())))),
    ]
    for left, right in equal:
        assert left == right
        assert hash(left) == hash(right)
        assert len({left, right}) == 1
    assert Inner({"number": 1}) != Inner({"number": 2})
    assert len({Inner({"number": it}) for it in range(100)}) == 100


def test_a_missing_field_is_named_with_those_that_are_there() -> None:
    with pytest.raises(AttributeError, match="Inner has no field 'nmber'; its fields: number"):
        _ = Inner({"number": 1}).nmber


def test_tables_show_no_markup_of_the_data() -> None:
    assert "&lt;a&gt;" in Outer(FIELDS)._repr_html_()  # what a notebook calls
    assert table([Inner({"number": 1})], ["number"]).count("<tr>") == 2


def test_a_long_value_is_shortened_where_it_is_shown() -> None:
    shown = repr(Outer({**FIELDS, "name": "x" * 1000}))
    assert len(shown) < 300
    assert shown.startswith("Outer(name='xxx")

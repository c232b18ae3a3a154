"""What of an argument is held against the type hint of its parameter."""

from __future__ import annotations

import enum
import math
import typing
from collections import abc, deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ._schema import UNIONS, schema_of
from .errors import InvalidArgsError

# Makes of an argument the data that are held against its schema.
View = Callable[[Any], Any]


class UncheckedError(Exception):
    """The argument is fit for its hint in a way that data cannot tell, or would take to be read."""


class Check(NamedTuple):
    """How arguments are held against a hint.

    Attributes:
        schema: JSON Schema of what `view` gives; an empty one takes anything.
        view: What of an argument is looked at: all of it when None.
    """

    schema: dict[str, Any]
    view: View | None = None


_ANYTHING = Check({})
_LISTS = (list, tuple, abc.Sequence, abc.MutableSequence)
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
# The integers of JSON.
_INT_MAX = 2**63 - 1


def check_of(hint: Any, place: str) -> Check:  # noqa: ANN401, PLR0911  # any hint
    """Returns how arguments are held against a type hint; what has no schema takes anything.

    Args:
        hint: The type hint.
        place: What is described.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return check_of(parts[0], place)
    if origin in UNIONS:
        return _any_of([check_of(part, place) for part in parts])
    if origin is typing.Literal:
        return _one_of(parts)
    kind = hint if origin is None else origin
    if not isinstance(kind, type):
        return _other(hint, place)
    if kind in _LISTS:
        return _list_of(kind, [part for part in parts if part is not Ellipsis], place)
    if kind in _MAPPINGS:
        return _map_of(kind, parts, place)
    if issubclass(kind, (set, frozenset, enum.Flag)):
        return _ANYTHING  # no data; and members of a `Flag` are put together
    return _one_of(kind) if issubclass(kind, enum.Enum) else _other(hint, place)


def items_of(check: Check) -> Check:
    """How the arguments of ``*args`` are checked, whose hint is that of each."""
    return _items(check, is_sequence=False) if check.schema else _ANYTHING


def values_of(check: Check) -> Check:
    """How the arguments of ``**kwargs`` are checked, whose hint is that of each."""
    return _values(check, is_mapping=False) if check.schema else _ANYTHING


def _other(hint: Any, place: str) -> Check:  # noqa: ANN401  # any hint
    try:
        return Check(schema_of(hint, place))
    except InvalidArgsError:
        return _ANYTHING  # an object of the program
    except Exception:  # noqa: BLE001  # the code of others, such as names that are missing, or a
        return _ANYTHING  # class that contains itself


def _one_of(choices: Iterable[Any]) -> Check:
    values = [it.value if isinstance(it, enum.Enum) else it for it in choices]
    return Check({"enum": values}) if all(map(_is_plain, values)) else _ANYTHING


def _is_plain(value: object) -> bool:
    if type(value) is int:
        return -_INT_MAX <= value <= _INT_MAX
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in {str, bool, bytes}


def _any_of(checks: list[Check]) -> Check:
    if not all(it.schema for it in checks):
        return _ANYTHING
    views = [it.view for it in checks if it.view is not None]

    def view(value: Any) -> Any:  # noqa: ANN401  # any argument
        for one in views:
            seen = one(value)
            if seen is not value:
                return seen
        return value

    return Check({"anyOf": [it.schema for it in checks]}, view if views else None)


def _list_of(kind: type, items: list[Any], place: str) -> Check:
    is_alike = len(set(map(str, items))) == 1
    # Of a tuple whose items differ only that it is one is looked at.
    item = check_of(items[0], place) if is_alike else _ANYTHING
    return _items(item, is_sequence=kind not in {list, tuple})


def _items(item: Check, *, is_sequence: bool) -> Check:
    each = item.view

    def view(value: Any) -> Any:  # noqa: ANN401  # any argument
        if is_sequence and isinstance(value, (range, deque)):
            value = [*value]
        if not isinstance(value, (list, tuple)):
            if is_sequence and isinstance(value, abc.Sequence):
                # A text is a sequence of texts, and reading one of the program may take long.
                raise UncheckedError
            return value
        if not item.schema:
            return []
        return value if each is None else [each(it) for it in value]

    schema = {"type": "array", **({"items": item.schema} if item.schema else {})}
    return Check(schema, view if is_sequence or each or not item.schema else None)


def _map_of(kind: type, parts: tuple[Any, ...], place: str) -> Check:
    is_named = bool(parts) and parts[0] is str
    value = check_of(parts[1], place) if is_named else _ANYTHING
    return _values(value, is_mapping=kind is not dict)


def _values(value: Check, *, is_mapping: bool) -> Check:
    each = value.view

    def view(given: Any) -> Any:  # noqa: ANN401  # any argument
        if not isinstance(given, dict):
            if is_mapping and isinstance(given, abc.Mapping):
                raise UncheckedError
            return given
        if not value.schema:
            return {}
        return given if each is None else {key: each(it) for key, it in given.items()}

    schema = {
        "type": "object",
        **({"additionalProperties": value.schema} if value.schema else {}),
    }
    return Check(schema, view if is_mapping or each or not value.schema else None)

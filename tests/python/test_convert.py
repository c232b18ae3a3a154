"""What crosses the border with Rust keeps its kind, and what cannot cross is named."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import math
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest

import aikit
from aikit import errors


@dataclasses.dataclass
class Point:
    x: int
    label: str | None = None


class Colour(enum.Enum):
    RED = "red"


class Modelled:
    """Stands for a pydantic model."""

    def model_dump(self) -> dict[str, Any]:
        return {"field": 1}


def there_and_back(value: object) -> object:
    """Sends a value through Rust into a function and back."""

    def give(request: dict[str, Any]) -> Any:  # noqa: ANN401  # what came in
        seen.append(request["value"])
        return request["value"]

    seen: list[Any] = []
    schema = {"type": "object", "properties": {"value": {}}}
    described = {"name": "give", "summary": "Gives back.", "schema": schema}
    native = aikit._aikit.Tool.from_function(described, give)  # noqa: SLF001  # the border itself
    answer = native.invoke({"value": value})
    assert repr(seen[0]) == repr(answer)
    return answer


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        1,
        -(2**63),
        2**63 - 1,
        1.0,
        -0.0,
        1e300,
        math.inf,
        "",
        "ä\x00😀",
        b"",
        b"\x00\xff",
        [],
        [1, 1.0, "1", b"1", True, None],
        {},
        {"a": {"b": [{"c": None}]}},
    ],
)
def test_plain_data_comes_back_as_it_was(value: object) -> None:
    assert repr(there_and_back(value)) == repr(value)


def test_not_a_number_stays_one() -> None:
    answer = there_and_back(math.nan)
    assert isinstance(answer, float)
    assert math.isnan(answer)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (Point(1), {"x": 1, "label": None}),
        ([Point(1, "a")], [{"x": 1, "label": "a"}]),
        (Modelled(), {"field": 1}),
        (Colour.RED, "red"),
        (PurePosixPath("a/b"), "a/b"),
        (dt.date(2026, 11, 21), "2026-11-21"),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (aikit.Event({"kind": "x", "data": 1}), {"kind": "x", "data": 1}),
    ],
)
def test_what_is_like_data_becomes_data(value: object, expected: object) -> None:
    assert there_and_back(value) == expected


def cycle() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**63, "`9223372036854775808` does not fit in 64 bits"),
        (10**100, "`100000000000000000000000…` does not fit in 64 bits"),
        ({1: 2}, "the key `1` is of type int; keys are of type str at `value`"),
        ([0, {"a": object()}], r"an object of type object is not data at `value\[1\]\.a`"),
        (cycle(), "nested deeper than 128 levels, or contains itself"),
        ("\ud800", "half of a surrogate pair"),
        ({1, 2}, "an object of type set is not data"),
        (lambda: None, "an object of type function is not data"),
    ],
)
def test_what_is_not_data_is_named_with_its_place(value: object, message: str) -> None:
    with pytest.raises(errors.InvalidArgsError, match=message) as caught:
        there_and_back(value)
    assert caught.value.hint is not None


def test_a_result_that_is_not_data_is_an_error_of_the_tool() -> None:
    @aikit.tool
    def broken() -> object:
        """Returns what is no data."""
        return object()

    with pytest.raises(errors.ToolError, match="`broken` returned what is not data"):
        broken.invoke({})

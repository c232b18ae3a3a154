"""Type hints as the schema of a procedure."""

# ruff: noqa: ANN401, ARG001  # what is taken and given is the point

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any, Literal

import pytest

import aikit
from aikit import Procedure
from aikit.errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def test_type_hints_are_the_schema_and_objects_pass_untouched() -> None:
    thing = object()

    @aikit.procedure
    def keeps(value: object, numbers: list[int], lock: threading.Lock, untyped) -> object:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return value, lock, untyped

    lock = threading.Lock()
    assert keeps(thing, [1], lock, thing) == (thing, lock, thing)
    with pytest.raises(InvalidArgsError, match=r"`keeps`: field `numbers/0`") as failed:
        keeps(thing, ["one"], lock, thing)
    assert failed.value.hint
    with pytest.raises(InvalidArgsError, match="untyped"):
        keeps(thing, [1], lock)
    schema = {"type": "object", "properties": {"left": {"minimum": 0}}}
    with pytest.raises(InvalidArgsError, match="left"):
        Procedure(lambda left: left, name="own", schema=schema)(-1)
    assert Procedure(lambda left: left, schema=False)(-1) == -1
    with pytest.raises(InvalidArgsError, match="schema"):
        Procedure(lambda left: left, schema={"type": "strange"})


def test_hints_that_data_cannot_tell_admit_everything() -> None:
    @aikit.procedure
    def takes(
        numbers: set[int],
        by_number: dict[int, str],
        things: list,  # type: ignore[type-arg]
        rows: Sequence[int],
    ) -> int:
        return len(numbers) + len(by_number) + len(things) + len(rows)

    assert takes({1}, {1: "a"}, [threading.Lock()], range(3)) == 6


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 1e308, 5, 2**100, -(2**2000)])
def test_a_float_is_any_number(number: float) -> None:
    @aikit.procedure
    def takes(
        value: float, several: list[float], maybe: float | None, named: dict[str, float]
    ) -> Any:
        return value, several[1], maybe, named["a"]

    assert all(it is number for it in takes(number, [1.0, number], number, {"a": number}))
    wrongs: list[dict[str, Any]] = [
        {"value": "1"},
        {"several": [number, "1"]},
        {"maybe": "1"},
        {"named": {"a": []}},
    ]
    for wrong in wrongs:
        given = {"value": number, "several": [1, number], "maybe": number, "named": {}, **wrong}
        with pytest.raises(InvalidArgsError, match=next(iter(wrong))):
            takes(**given)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30, -(10**400), 2**64 - 1])
def test_an_int_is_a_whole_number_of_any_size(number: int) -> None:
    @aikit.procedure
    def takes(value: int, several: list[int]) -> Any:
        return value, several[0]

    assert takes(number, [number]) == (number, number)
    with pytest.raises(InvalidArgsError, match="several/1"):
        takes(number, [number, "1"])


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_whole_number_is_refused_by_its_name(number: float) -> None:
    @aikit.procedure
    def takes(value: int, word: Literal["a", "b"] = "a") -> None:
        """Takes a number."""

    with pytest.raises(InvalidArgsError, match="`value`") as refused:
        takes(number)
    assert f"{number} is not of type" in str(refused.value)
    with pytest.raises(InvalidArgsError, match="`word`"):
        takes(1, number)


def test_bounds_hold_for_numbers_that_json_does_not_have() -> None:
    def bounded(**bounds: float) -> Callable[[float], object]:
        schema = {"type": "object", "properties": {"value": {"type": "number", **bounds}}}
        return Procedure(lambda value: value, name="bounded", schema=schema)

    fits = [
        ({"minimum": 0}, math.inf),
        ({"maximum": 0}, -math.inf),
        ({}, math.nan),
        ({"minimum": 0}, 2**70),
    ]
    for bounds, number in fits:
        assert bounded(**bounds)(number) is number
    refused = [
        ({"minimum": 0}, -math.inf),
        ({"maximum": 0}, math.inf),
        ({"minimum": 0}, math.nan),
        ({"maximum": 0}, math.nan),
        ({"maximum": 0}, 2**70),
    ]
    for bounds, number in refused:
        with pytest.raises(InvalidArgsError, match=r"`value`: (-?inf|nan|1\.18\d*e\+?21)"):
            bounded(**bounds)(number)

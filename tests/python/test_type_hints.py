"""Type hints as the schema of a procedure."""

# ruff: noqa: ANN401, ARG001  # what is taken and given is the point
# ruff: noqa: UP006, UP007, UP035, UP045  # every way to write a type

from __future__ import annotations

import dataclasses
import enum
import math
import threading
from collections import UserList, abc, deque
from types import MappingProxyType
from typing import (
    Annotated,
    Any,
    Concatenate,
    Generic,
    List,
    Literal,
    NewType,
    Optional,
    ParamSpec,
    Sequence,
    TypeVar,
    Union,
)

import pytest
from typing_extensions import Unpack

import aikit
from aikit import Procedure
from aikit.errors import InvalidArgsError


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
    def bounded(**bounds: float) -> abc.Callable[[float], object]:
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


Item = TypeVar("Item")
Options = ParamSpec("Options")
UserId = NewType("UserId", int)


class Box(Generic[Item]):
    pass


class Color(enum.Enum):
    RED = "red"


class Thing(enum.Enum):
    LOCK = threading.Lock()


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Tree:
    children: list[Tree]


@dataclasses.dataclass
class Unresolved:
    value: Missing  # type: ignore[name-defined]  # noqa: F821


class Unusual:
    """As pydantic does for fields that have no schema."""

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        raise ValueError("cannot generate a JSON Schema")


class Line:
    """As a pydantic model with models inside."""

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        point = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
        return {
            "$defs": {"Point": point, "Line": {"$ref": "#/$defs/Line"}},
            "type": "object",
            "properties": {
                "start": {"$ref": "#/$defs/Point", "title": "Start"},
                "others": {"items": {"$ref": "#/$defs/Line"}},
            },
            "required": ["start"],
        }

    def model_dump(self) -> dict[str, Any]:
        return {"start": {"x": 1}}


def takes(hint: object) -> Procedure[Any]:
    """A procedure with one parameter of that type."""

    def give(value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return value

    give.__annotations__["value"] = hint
    return Procedure(give)


@pytest.mark.parametrize(
    "hint",
    [
        abc.Callable[[int], int],
        Optional[abc.Callable[[int], int]],
        abc.Callable[..., int],
        abc.Callable[Options, Item],
        abc.Callable[Concatenate[int, Options], Item],
        Annotated[Any, [1]],
        Annotated[Optional[abc.Callable[[int], int]], [1]],
        Literal[[1]],
        Literal[2**70],
        Item,
        UserId,
        Box,
        Box[int],
        type[int],
        Tree,
        Unresolved,
        Unusual,
        Thing,
        Rights,
        set[int],
        "Missing",
        "Missing | None",
        "no type at all",
        "1 / 0",
        "math.nothing",
        5,
        [1],
    ],
    ids=str,
)
def test_a_hint_that_is_no_data_takes_anything(hint: object) -> None:
    thing = threading.Lock()
    for given in (thing, len, 5, "five", Rights.READ | Rights.WRITE):
        assert takes(hint)(given) is given


def test_so_do_those_of_arguments_without_names() -> None:
    def around(function: abc.Callable[Options, Item]) -> abc.Callable[Options, Item]:
        @aikit.procedure
        def call(*args: Options.args, **kwargs: Options.kwargs) -> Item:
            return function(*args, **kwargs)

        return call

    @aikit.procedure
    def unpacked(*args: Unpack[tuple[int, str]]) -> int:
        return len(args)

    assert around(sorted)([1, 2], reverse=True) == [2, 1]
    assert unpacked(1, "a") == 2


LOCK = threading.Lock()


@pytest.mark.parametrize(
    ("hint", "fit", "unfit"),
    [
        (list, [[], [LOCK], (LOCK,)], [5, "ab", {}, None]),
        (list[Any], [[], [LOCK]], [5, "ab", {}]),
        (list[object], [[LOCK]], [5]),
        (List, [[LOCK]], [5]),
        (dict, [{}, {"a": LOCK}, {1: 2}], [5, "ab", []]),
        (dict[str, Any], [{"a": LOCK}], [5, []]),
        (dict[int, str], [{1: LOCK}], [5, []]),
        (dict[str, list[Any]], [{"a": [LOCK]}], [{"a": 5}, 5]),
        (list[dict[str, Any]], [[{"a": LOCK}]], [[5], 5]),
        (Optional[list], [None, [LOCK]], [5]),
        (Union[list, dict[str, int]], [[LOCK], {"a": 1}], [5, {"a": "b"}]),
        (Union[list[Any], dict[str, Any]], [[LOCK], {"a": LOCK}], [5]),
        (tuple, [(LOCK, 1)], [5]),
        (tuple[int, str], [(1, "a"), (LOCK, 1)], [5, "ab"]),
        (tuple[int, ...], [(1, 2), ()], [("a",), 5]),
        (abc.Sequence, [[LOCK], range(3), "text", UserList([LOCK])], [5, {}]),
        (abc.Sequence[int], [[1], (1,), range(3), deque([1]), UserList("a")], [5, ["a"], {1: 2}]),
        (Sequence[int], [[1]], [5, ["a"], deque(["a"])]),
        (Union[Sequence[int], str], ["text", [1]], [5, ["a"]]),
        (list[abc.Sequence[int]], [[range(3)], [UserList("a")]], [[["a"]], [5]]),
        (abc.Mapping[str, int], [{"a": 1}, MappingProxyType({"a": LOCK})], [5, {"a": "b"}]),
        (Color, [Color.RED, "red"], ["blue", 5, LOCK]),
        (list[Color], [[Color.RED]], [["blue"], Color.RED]),
        (Optional[Color], [None, Color.RED], [5]),
        (Literal[Color.RED, 1], [Color.RED, 1], [2, "a"]),
        (Annotated[list[int], [1]], [[1]], [["a"], 5]),
        (Line, [Line(), {"start": {"x": 1}}], [5, {"start": 1}]),
    ],
    ids=lambda it: "" if isinstance(it, list) else str(it),
)
def test_of_containers_and_enumerations_is_checked_what_data_can_tell(
    hint: object, fit: list[object], unfit: list[object]
) -> None:
    procedure = takes(hint)
    for given in fit:
        assert procedure(given) is given
    for given in unfit:
        with pytest.raises(InvalidArgsError, match="value"):
            procedure(given)


def test_arguments_without_names_of_their_own_are_checked_one_by_one() -> None:
    @aikit.procedure
    def total(*numbers: int, **named: float) -> float:
        return sum(numbers) + sum(named.values())

    assert total(1, 2, c=3.5) == 6.5
    with pytest.raises(InvalidArgsError, match="`total`: field `numbers/1`"):
        total(1, "two")
    with pytest.raises(InvalidArgsError, match="`total`: field `named/c`"):
        total(1, c="three")

    class Adder:
        @aikit.procedure
        def add(self, *numbers: int) -> int:
            return sum(numbers)

        @aikit.procedure
        def count(*args: object, **named: int) -> int:
            return len(args) + len(named)

    assert Adder().add(1, 2) == 3
    assert Adder().count(1, 2, a=3) == 4
    with pytest.raises(InvalidArgsError, match="numbers/0"):
        Adder().add("one")


def test_a_model_with_models_inside_is_a_parameter_of_a_tool() -> None:
    @aikit.tool
    def length(line: Line) -> str:
        """Measures."""
        return str(line)

    assert length.info.input_schema["properties"]["line"]["properties"]["start"] == {
        "type": "object",
        "properties": {"x": {"type": "integer"}},
        "required": ["x"],
        "title": "Start",
    }
    with pytest.raises(InvalidArgsError, match="line/start"):
        length.invoke({"line": {"start": 1}})


@pytest.mark.parametrize(
    ("hint", "why"),
    [(Tree, "contains itself"), (Unresolved, "Missing"), (Annotated[Item, [1]], "no JSON Schema")],
)
def test_a_tool_says_which_hint_has_no_schema(hint: object, why: str) -> None:
    def give(value):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        return value

    give.__annotations__["value"] = hint
    with pytest.raises(InvalidArgsError, match=f"`value` of `give`.*{why}") as failed:
        aikit.tool(give)
    assert failed.value.hint

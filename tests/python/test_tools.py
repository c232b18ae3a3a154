"""Tools from Python: the golden cases, functions as tools, schemas of signatures."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import enum
import inspect
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest

import aikit
from aikit import errors
from aikit.records import Record
from servers.http_server import HttpServer

CASES = Path(__file__).parent.parent / "cases" / "tools"
GOLDEN = [
    pytest.param(file.stem, case, id=f"{file.stem}: {case['name']}")
    for file in sorted(CASES.glob("*.json"))
    for case in json.loads(file.read_text(encoding="utf-8"))
]


def plain(value: Any) -> Any:  # noqa: ANN401  # data
    """Returns a result as the golden cases write it."""
    if isinstance(value, Record):
        return plain(value.to_dict())
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: plain(it) for name, it in value.items()}
    return [plain(it) for it in value] if isinstance(value, list) else value


def unescaped(value: Any) -> Any:  # noqa: ANN401  # data
    """Returns arguments as Python writes them."""
    if isinstance(value, dict):
        if set(value) == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        return {name: unescaped(it) for name, it in value.items()}
    return [unescaped(it) for it in value] if isinstance(value, list) else value


@pytest.mark.parametrize(("tool", "case"), GOLDEN)
def test_golden_case(
    tool: str, case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("aikit._ask._is_interactive", lambda: True)
    monkeypatch.setattr("builtins.input", str.upper)
    with ExitStack() as stack:
        if case.get("server"):
            server = stack.enter_context(HttpServer())
            case = json.loads(json.dumps(case).replace("{server}", server.url))
        for name, text in case.get("files", {}).items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(text.encode())
        args = unescaped(case["args"])
        if "error" in case:
            with pytest.raises(errors.AikitError) as caught:
                aikit.tools.invoke(tool, args)
            assert caught.value.kind == case["error"]
            return
        answer = plain(aikit.tools.invoke(tool, args))
    expected = case["output"]
    for name in case.get("ignore", []):
        answer.pop(name, None)
        expected.pop(name, None)
    # The text tells 1 from 1.0, which are equal.
    assert json.dumps(answer, sort_keys=True) == json.dumps(expected, sort_keys=True)


def test_every_built_in_tool_is_a_function_with_signature_and_docstring() -> None:
    for info in aikit.tools.list():
        function = getattr(aikit.tools, info.name)
        parameters = inspect.signature(function).parameters
        assert set(parameters) == set(info.input_schema.get("properties", {}))
        for name, parameter in parameters.items():
            is_required = name in info.input_schema.get("required", [])
            assert (parameter.default is inspect.Parameter.empty) == is_required
        assert inspect.getdoc(function).startswith(info.summary)  # type: ignore[union-attr]
        assert info.name in dir(aikit.tools)
    assert "<table>" in aikit.tools.list()._repr_html_()  # what a notebook calls


def test_a_result_has_its_fields_as_attributes() -> None:
    result = aikit.tools.count_words(text="a b")
    assert (result.words, type(result).__name__) == (2, "CountWordsOutput")
    assert type(result) is aikit.tools.CountWordsOutput


def test_an_unknown_tool_is_answered_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match="count_words"):
        _ = aikit.tools.no_such_tool  # type: ignore[attr-defined]  # wrong on purpose
    with pytest.raises(errors.NotFoundError):
        asyncio.run(aikit.tools.ainvoke("no_such_tool"))


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5


def everything(  # noqa: PLR0913, PLR0917  # one parameter for each kind of hint
    text: str,
    many: list[int],
    point: Point,
    colour: Colour,
    choice: Literal["a", "b"] = "a",
    maybe: Optional[int] = None,  # noqa: UP045  # as older programs write it
    either: int | str = 1,
    table: dict[str, float] | None = None,
    said: Annotated[str, "what was said"] = "",
    anything: Any = None,  # noqa: ANN401  # it is meant
) -> dict[str, Any]:
    """Takes everything
    there is.

    More words.

    Args:
        text: A text,
            on two lines.
        many (list): Numbers.

    Returns:
        What came in.
    """
    assert (text, many, maybe, either, anything) == ("t", [1], None, 1, None)
    assert isinstance(point, Point)
    assert isinstance(colour, Colour)
    return {"x": point.x, "colour": colour.name, "choice": choice, "said": said, "table": table}


def test_the_schema_follows_from_hints_and_docstring() -> None:
    info = aikit.tool(everything).info
    assert info.summary == "Takes everything there is."
    properties = info.input_schema["properties"]
    assert info.input_schema["required"] == ["text", "many", "point", "colour"]
    assert properties["text"] == {"type": "string", "description": "A text, on two lines."}
    assert properties["many"] == {
        "type": "array", "items": {"type": "integer"}, "description": "Numbers.",
    }  # fmt: skip
    assert properties["point"]["required"] == ["x"]
    assert properties["colour"] == {"enum": ["red"]}
    assert properties["choice"] == {"enum": ["a", "b"], "default": "a"}
    assert properties["maybe"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert properties["either"]["anyOf"] == [{"type": "integer"}, {"type": "string"}]
    assert properties["said"] == {"type": "string", "description": "what was said", "default": ""}
    assert properties["anything"] == {}


def test_arguments_come_as_the_function_declares_them() -> None:
    args = {"text": "t", "many": [1], "point": {"x": 3}, "colour": "red", "table": {"a": 1}}
    answer = aikit.tool(everything).invoke(args)
    assert answer == {"x": 3, "colour": "RED", "choice": "a", "said": "", "table": {"a": 1}}


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"left": "x"},
        {"left": 1, "extra": 2},
        {"left": 1.5},
        {"left": None},
    ],
)
def test_wrong_arguments_are_refused_before_the_function_runs(args: dict[str, Any]) -> None:
    ran: list[int] = []

    @aikit.tool
    def add(left: int, right: int = 1) -> int:
        """Adds."""
        ran.append(left)
        return left + right

    with pytest.raises(errors.InvalidArgsError, match="`add`"):
        add.invoke(args)
    assert ran == []
    assert (add(1, 2), add.invoke({"left": 1})) == (3, 2)


def test_methods_and_decorators_with_options() -> None:
    class Counter:
        def __init__(self) -> None:
            self.count = 10

        @aikit.tool(name="count_up", summary="Counts up.", timeout_s=5)
        def up(self, by: int) -> int:
            self.count += by
            return self.count

    counter = Counter()
    assert counter.up.invoke({"by": 1}) == 11
    assert counter.up(2) == 13
    assert (counter.up.name, counter.up.info.timeout_s) == ("count_up", 5.0)
    assert "self" not in counter.up.info.input_schema["properties"]


def test_a_function_that_takes_too_long_is_left_behind() -> None:
    @aikit.tool(timeout_s=0.05)
    async def forever() -> None:
        """Never ends."""
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError) as caught:
        forever.invoke({})
    assert isinstance(caught.value, errors.DeadlineError)
    assert caught.value.retryable


def test_tools_that_call_themselves_end_at_a_limit() -> None:
    depths: list[int] = []

    @aikit.tool
    def dig(depth: int) -> int:
        """Digs deeper."""
        depths.append(depth)
        return int(dig.invoke({"depth": depth + 1}))

    with pytest.raises(errors.LimitExceededError, match="`tool:dig` is nested in 64") as caught:
        dig.invoke({"depth": 1})
    assert caught.value.hint
    assert max(depths) == 64

    @aikit.tool
    async def burrow(depth: int) -> int:
        """Digs deeper on a loop."""
        depths.append(depth)
        return int(await burrow.ainvoke({"depth": depth + 1}))

    depths.clear()
    with pytest.raises(errors.LimitExceededError):
        asyncio.run(burrow.ainvoke({"depth": 1}))
    assert max(depths) == 64


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda *args: args, r"`\*args` of"),
        (lambda x, /: x, "`x` of"),
    ],
)
def test_a_signature_that_no_model_could_call_is_refused(
    function: Any,  # noqa: ANN401  # wrong on purpose
    message: str,
) -> None:
    with pytest.raises(errors.InvalidArgsError, match=message):
        aikit.tool(function)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises((TypeError, errors.InvalidArgsError)):
        aikit.tool(3)  # type: ignore[call-overload]  # wrong on purpose

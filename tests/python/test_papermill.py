"""Parameters of papermill in Lua: each value arrives as it was, and cells tell what they take."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from papermill.engines import NBClientEngine, papermill_engines
from papermill.inspection import inspect_notebook
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from papermill.translators import papermill_translators

from aikit import errors
from aikit.papermill import LuaTranslator

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KERNEL = {"name": "aikit", "display_name": "Aikit", "language": "lua"}

CASES: dict[str, Any] = {
    "nothing": None,
    "yes": True,
    "no": False,
    "zero": 0,
    "negative": -17,
    "most": 2**63 - 1,
    "least": -(2**63),
    "float": 0.1,
    "whole_float": 1.0,
    "tiny": 5e-324,
    "large": 1.7976931348623157e308,
    "infinity": math.inf,
    "minus_infinity": -math.inf,
    "not_a_number": math.nan,
    "text": "plain",
    "empty": "",
    "quotes": "\"'`]] --[[ ]] \\",
    "lines": "a\nb\r\nc\td",
    "controls": "".join(map(chr, range(32))) + "\x7f1",
    "unicode": "äöü 漢字 🍹\u2028",
    "list": [1, "two", [3.5, False], []],
    "holes": [1, None, 3],
    "record": {"a": 1, "b c": [2], "end": 3, "": 4, "1": 5, "deep": {"x": {"y": "z"}}},
    "empty_record": {},
}


def in_lua(parameters: Mapping[str, Any]) -> dict[str, str]:
    """What a real Lua makes of them, as JSON by name; `nil` where there is none."""
    code = LuaTranslator.codify(parameters, "Parameters")
    shown = "\n".join(
        f"print({LuaTranslator.translate(name)}, {name} == nil and 'nil' or "
        f"math.type({name}) or type({name}), type({name}) == 'number' and "
        f"string.format(math.type({name}) == 'integer' and '%d' or '%.17g', {name}) or "
        f"JSON.stringify({name}))"
        for name in parameters
    )
    ended = subprocess.run(
        [sys.executable, "-m", "aikit", "run", "-"],
        input=f"{code}\n{shown}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    # Not by `splitlines`: some of the texts hold what it takes for an end.
    lines = ended.stdout.rstrip("\n").split("\n")
    return dict(line.split("\t", 1) for line in lines)


@pytest.fixture(scope="module")
def arrived() -> dict[str, str]:
    return in_lua(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_value_arrives_as_it_was(arrived: dict[str, str], name: str) -> None:
    value = CASES[name]
    kind, shown = arrived[name].split("\t", 1)
    if value is None:
        assert kind == "nil"
    elif isinstance(value, bool):
        assert (kind, json.loads(shown)) == ("boolean", value)
    elif isinstance(value, int):
        assert (kind, int(shown)) == ("integer", value)
    elif isinstance(value, float):
        assert kind == "float"
        found = float(shown.replace("-nan", "nan"))
        assert found == value or (math.isnan(found) and math.isnan(value))
    elif value == {}:
        # An empty table of Lua is an empty list as well.
        assert json.loads(shown) in ({}, [])
    else:
        assert json.loads(shown) == _without_empty(value)


def _without_empty(value: Any) -> Any:  # noqa: ANN401  # any data
    """The value with empty lists as Lua writes them: an empty table is an object."""
    if isinstance(value, list):
        return {} if not value else [_without_empty(it) for it in value]
    if isinstance(value, dict):
        return {name: _without_empty(it) for name, it in value.items()}
    return value


@pytest.mark.parametrize(
    ("value", "problem", "hint"),
    [
        (
            2**63,
            "has the number 9223372036854775808, and Lua's integers go from -2^63 to 2^63 - 1",
            "hand it over as a text, or as a float",
        ),
        (
            [{"a": -(2**63) - 1}],
            "has the number -9223372036854775809, and Lua's integers go from -2^63 to 2^63 - 1",
            "hand it over as a text, or as a float",
        ),
        (
            1 - (1 << 256),
            f"has the number -{(1 << 256) - 1}, and Lua's integers go from -2^63 to 2^63 - 1",
            "hand it over as a text, or as a float",
        ),
        (
            1 << 256,
            "has a number of 257 bits, and Lua's integers go from -2^63 to 2^63 - 1",
            "hand it over as a text",
        ),
        # Python itself refuses to write so many digits, also for the name of a test.
        pytest.param(
            -(1 << 20000),
            "has a number of 20001 bits, and Lua's integers go from -2^63 to 2^63 - 1",
            "hand it over as a text",
            id="digits",
        ),
        (
            object(),
            "has a value of type object, which Lua does not have",
            "give None, booleans, numbers, texts, lists and dicts of these",
        ),
        (
            {None: 1},
            "has the key `None`, which is no text",
            "give dicts whose keys are texts",
        ),
        (
            "\ud800",
            "has the half of a character, '\\ud800'",
            "decode the text with the encoding it was written in",
        ),
    ],
)
def test_what_lua_has_not_is_refused(value: object, problem: str, hint: str) -> None:
    with pytest.raises(errors.InvalidArgsError) as caught:
        LuaTranslator.translate(value)
    assert (caught.value.message, caught.value.hint) == (f"a parameter {problem}", hint)
    with pytest.raises(errors.InvalidArgsError) as caught:
        LuaTranslator.codify({"fine": 1, "given": value})
    assert (caught.value.message, caught.value.hint) == (f"the parameter `given` {problem}", hint)


def test_endless_nesting_is_refused() -> None:
    nested: list[Any] = []
    for _ in range(150):
        nested = [nested]
    with pytest.raises(errors.InvalidArgsError, match="a parameter is nested more than 100 deep"):
        LuaTranslator.translate(nested)
    with pytest.raises(errors.InvalidArgsError, match="parameter `deep` is nested more than 100"):
        LuaTranslator.codify({"deep": nested})


@pytest.mark.parametrize("name", ["end", "a-b", "1a", "", "a b", "ä", "x = 1 --"])
def test_a_name_that_is_no_variable_is_refused(name: str) -> None:
    with pytest.raises(errors.InvalidArgsError, match="no name of a variable"):
        LuaTranslator.assign(name, "1")


def test_a_comment_stays_in_its_line() -> None:
    assert LuaTranslator.comment("one\ntwo") == "-- one two"
    assert LuaTranslator.codify({"a": 1}).splitlines() == ["-- Parameters", "a = 1"]


CELL = """\
-- What the notebook takes.
local rate = 0.1 -- between 0 and 1
count = -10
title = "a -- b = c"; -- of the page
local on = true --[[ whether ]]
nothing = nil
names = {
  "a", -- first
  b = { c = 1 },
} -- the names
sum = count + 1
text = [[
x = 1
]]
function helper(a) local inside = 1; inside = 2 end
if on then other = 1 elseif no then other = 2 else other = 3 end
for index = 1, 3 do names[index] = index end
last = {} -- seen
rate.field = 3
"""


def test_a_cell_tells_its_parameters() -> None:
    found = LuaTranslator.inspect({"source": CELL})
    assert [(it.name, it.inferred_type_name, it.help) for it in found] == [
        ("rate", "number", "between 0 and 1"),
        ("count", "number", ""),
        ("title", "string", "of the page"),
        ("on", "boolean", "whether"),
        ("nothing", "nil", ""),
        ("names", "table", "the names"),
        ("sum", "None", ""),
        ("text", "string", ""),
        ("last", "table", "seen"),
    ]
    assert [it.default for it in found[:3]] == ["0.1", "-10", '"a -- b = c"']
    assert found[6].default == "count + 1"


SEVERAL = """\
local a, b = 1, 2 -- two
c, d = "x, y", {1, 2}; -- both
local e <const>, f <close> = 3, nil
local g <const> = 1 -- stays
h, i = f(1, 2), -- first
  5 -- second
first, second = f()
last, nothing_for_it = 1
j, t.field = 1, 2
t.field, k = 1, 2
f("x", {1}).field["y"]:z(3) [1], l, t[1] = 1, 2, 3 -- of three
t.field = function() p = 1 end
m, n = f "x, y", f{1}
for o, p in pairs(t) do end
local q, r
if t[1] < 2 then s = 3 end
u = 1
"""


def test_one_assignment_may_have_several_parameters() -> None:
    found = LuaTranslator.inspect({"source": SEVERAL})
    assert [(it.name, it.default, it.help) for it in found] == [
        ("a", "1", "two"),
        ("b", "2", "two"),
        ("c", '"x, y"', "both"),
        ("d", "{1, 2}", "both"),
        ("e", "3", ""),
        ("f", "nil", ""),
        ("g", "1", "stays"),
        ("h", "f(1, 2)", "first"),
        ("i", "5", "second"),
        # What a call gives beside its first value only Lua could tell.
        ("first", "f()", ""),
        ("last", "1", ""),
        ("j", "1", ""),
        ("k", "2", ""),
        ("l", "2", "of three"),
        ("m", 'f "x, y"', ""),
        ("n", "f{1}", ""),
        ("u", "1", ""),
    ]


# Far more than people write: with a search through all of it for each name this takes minutes.
MANY = 20_000


def test_a_cell_of_many_assignments_tells_each() -> None:
    source = "".join(f"a{at} = {at} -- no. {at}\n" for at in range(MANY))
    found = LuaTranslator.inspect({"source": source})
    assert [(it.name, it.default, it.help) for it in found] == [
        (f"a{at}", str(at), f"no. {at}") for at in range(MANY)
    ]


def test_an_assignment_of_many_names_tells_each() -> None:
    names = ", ".join(f"a{at}" for at in range(MANY))
    values = ", ".join(str(at) for at in range(MANY))
    found = LuaTranslator.inspect({"source": f"local {names} =\n{values} -- all"})
    assert [(it.name, it.default, it.help) for it in found] == [
        (f"a{at}", str(at), "all") for at in range(MANY)
    ]


def test_a_cell_of_many_brackets_without_an_end_tells_what_is_before() -> None:
    found = LuaTranslator.inspect({"source": "x = 1\n" + "--[[\n" * MANY})
    assert [(it.name, it.default) for it in found] == [("x", "1")]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("", []),
        ("=", []),
        ("= 1", []),
        ("x =", []),
        ("x, x =", []),
        ("x, = 1", []),
        ("x <const = 1", []),
        ("x <const> .y = 1", []),
        ("x, x", []),
        ("x. = 1", []),
        ("x[1 = 1", []),
        ("x, f( = 1, 2", []),
        ("x = {", [("x", "{")]),
        ("x = 1, , 2", [("x", "1")]),
        ("[[", []),
        ("x = 1 --[[ y\nz = 2", [("x", "1")]),
        ("x = [=[ ]]\nz = 2", [("x", "[=[ ]]\nz = 2")]),
        ('"', []),
        ("end end", []),
        ("end = 1", []),
        ("x, end = 1, 2", []),
        ("x, t.end = 1, 2", []),
        ("x = )", [("x", ")")]),
        ("\0", []),
    ],
)
def test_a_cell_that_is_no_lua_harms_nobody(source: str, told: list[tuple[str, str]]) -> None:
    found = LuaTranslator.inspect({"source": source})
    assert [(it.name, it.default) for it in found] == told


def notebook(path: Path, *codes: str) -> Path:
    document = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
    document.cells = [nbformat.v4.new_code_cell(code) for code in codes]
    document.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(document, path)
    return path


def test_papermill_knows_the_translator_and_the_engine(tmp_path: Path) -> None:
    for names in [("aikit", "lua"), ("another", "lua"), ("aikit", "")]:
        assert papermill_translators.find_translator(*names) is LuaTranslator
    assert papermill_engines.get_engine("aikit") is NBClientEngine
    path = notebook(tmp_path / "in.ipynb", "rate = 0.1 -- a share", "print(rate)")
    found = inspect_notebook(path)
    assert found["rate"]["inferred_type_name"] == "number"
    document = load_notebook_node(str(path))
    written = parameterize_notebook(document, {"rate": 0.5})
    assert written.cells[1].source == "-- Parameters\nrate = 0.5\n"


# Each of them imports the others, or is asked for while one of them is not whole.
@pytest.mark.parametrize(
    "first",
    [
        "papermill",
        "papermill.translators",
        "papermill.engines",
        "aikit.papermill",
        "aikit._papermill_entry",
    ],
)
def test_the_translator_is_there_whatever_is_imported_first(first: str) -> None:
    code = (
        f"import {first}\n"
        "import papermill\n"
        "from papermill.translators import papermill_translators\n"
        "print(papermill_translators.find_translator('aikit', 'lua').__name__)"
    )
    ended = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ended.stdout, ended.stderr) == ("LuaTranslator\n", "")

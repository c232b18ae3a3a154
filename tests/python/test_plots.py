"""Charts from Python: what they are made of, how a notebook and a terminal show them."""

from __future__ import annotations

import datetime as dt
import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import aikit
from aikit import errors

ROWS = [{"fruit": "fig", "sold": 3}, {"fruit": "kiwi", "sold": 6}]


class Series(list[Any]):
    """A column as a data frame has it."""

    def to_list(self) -> list[Any]:
        return list(self)


class Frame:
    """What a data frame is to others: names, and columns by name."""

    columns = ("day", "price")

    def __getitem__(self, name: str) -> Series:
        columns: dict[str, list[Any]] = {
            "day": [dt.date(2026, 1, day) for day in (1, 2)],
            "price": [1.5, 2.5],
        }
        return Series(columns[name])


def test_a_notebook_is_given_three_representations() -> None:
    chart = aikit.plot(ROWS, "bar", x="fruit", y="sold", title="Sold")
    bundle = chart._repr_mimebundle_(include=None, exclude=None)
    assert list(bundle) == ["application/vnd.vegalite.v5+json", "image/svg+xml", "text/plain"]
    assert bundle["application/vnd.vegalite.v5+json"] == chart.vega_lite()
    assert bundle["image/svg+xml"] == chart.svg()
    assert bundle["text/plain"] == str(chart) == chart.text()
    assert repr(chart) == "Plot('bar: Sold')"


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ([1, 2], {}),
        ((1, 2), {}),
        (np.array([1, 2]), {}),
        (np.array([[1, 1], [2, 2]]), {}),
        ([(1, 1), (2, 2)], {}),
        ({"x": np.arange(1, 3), "y": range(1, 3)}, {}),
        ({"x": Series([1, 2]), "y": [1, 2]}, {}),
        ([{"a": 1, "b": 1}, {"a": 2, "b": 2}], {"x": "a", "y": "b"}),
    ],
)
def test_data_comes_in_any_form(data: object, options: dict[str, Any]) -> None:
    values = aikit.plot(data, **options).vega_lite()["data"]["values"]
    assert values == [{"x": 1, "y": 1}, {"x": 2, "y": 2}]


def test_a_data_frame_is_drawn_with_dates_as_texts() -> None:
    described = aikit.plot(Frame(), x="day", y="price").vega_lite()
    assert described["data"]["values"][0] == {"x": "2026-01-01", "y": 1.5}
    assert described["encoding"]["x"]["type"] == "ordinal"


@pytest.mark.parametrize("kind", ["line", "bar", "scatter", "area", "histogram", "heatmap"])
def test_every_drawing_is_xml(kind: str) -> None:
    data = [[1, 2], [3, 4]] if kind in ("heatmap", "scatter") else [3, float("nan"), 2, None]
    chart = aikit.plot(data, kind, title="<&\0>", x_title='"', width=400, height=200)
    root = ET.fromstring(chart.svg())  # noqa: S314  # our own
    assert (root.attrib["width"], root.attrib["height"]) == ("400", "200")
    assert "<&\ufffd>" in [it.text for it in root.iter("{http://www.w3.org/2000/svg}text")] or any(
        it.text and it.text.startswith("<&") for it in root.iter("{http://www.w3.org/2000/svg}text")
    )


def test_errors_are_those_of_lua() -> None:
    with pytest.raises(errors.InvalidArgsError, match="there is no kind `pie`"):
        aikit.plot([1], "pie")
    with pytest.raises(errors.InvalidArgsError, match="`data` is empty"):
        aikit.plot([])
    with pytest.raises(errors.InvalidArgsError, match="there is no column `c`") as refused:
        aikit.plot(ROWS, x="c")
    assert "`fruit`" in str(refused.value.hint)
    with pytest.raises(errors.InvalidArgsError, match="`width` must be a number of pixels"):
        aikit.plot([1], width=1)
    with pytest.raises(errors.LimitExceededError, match="50001 values"):
        aikit.plot(np.zeros(50_001))


def test_a_million_numbers_are_counted() -> None:
    numbers = np.random.default_rng(1).normal(size=1_000_000)
    values = aikit.plot(numbers, "histogram", bins=50).vega_lite()["data"]["values"]
    assert sum(it["count"] for it in values) == 1_000_000
    expected, _ = np.histogram(numbers, bins=50)
    assert [it["count"] for it in values] == [it for it in expected.tolist() if it]


def test_the_executions_of_a_context_are_a_tree() -> None:
    with aikit.Context.create() as context:
        with aikit.track("outer"):
            with aikit.track("inner<b>"):
                pass
            with pytest.raises(ValueError, match="bad"), aikit.track("failing"):
                raise ValueError("bad")
        graph = context.graph
        text = graph.text()
        assert re.search(r"✓ outer .*\n├─ ✓ inner<b>.*\n└─ ✗ failing", text), text
        bundle = graph._repr_mimebundle_()
        assert bundle["text/plain"] == text
        assert "inner&lt;b&gt;" in bundle["text/html"]
        assert "<script" not in bundle["text/html"]
        outer = graph.root
        assert outer is not None
        assert outer.text() == text
        ET.fromstring(outer.svg())  # noqa: S314  # our own


def test_a_run_of_an_agent_is_shown_as_its_answer_and_its_tree() -> None:
    answers: list[Any] = [
        {"tool_calls": [{"name": "calculate", "arguments": {"expression": "6*7"}}]},
        "It is <42>.",
    ]
    model = aikit.testing.ScriptedModel(answers)
    run = aikit.Agent(model, tools=["calculate"], name="counter").run("How much?")
    bundle = run._repr_mimebundle_()
    assert bundle is not None
    lines = bundle["text/plain"].splitlines()
    assert lines[0] == "It is <42>."
    assert re.search(r"✓ agent counter +\S+ \S+ · \d+ → \d+ tokens", lines[2]), lines
    assert any("tool:calculate" in line for line in lines)
    assert "It is &lt;42&gt;." in bundle["text/html"]
    assert "<details open>" in bundle["text/html"]


def test_a_run_that_travels_shows_its_fields() -> None:
    import pickle  # noqa: PLC0415  # for this test alone

    run = aikit.Agent(aikit.testing.ScriptedModel(["hi"])).run("hello")
    copy = pickle.loads(pickle.dumps(run))  # noqa: S301  # our own
    assert copy == run
    assert copy._repr_mimebundle_() is None
    assert "<th>output</th>" in copy._repr_html_()


def test_started_work_is_shown_as_its_tree() -> None:
    handle = aikit.Agent(aikit.testing.ScriptedModel(["hi"]), name="quick").start("hello")
    run = handle.result()
    assert "✓ agent quick" in handle._repr_mimebundle_()["text/plain"]
    bundle = run._repr_mimebundle_()
    assert bundle is not None
    assert bundle["text/plain"].startswith("hi\n\n✓ agent quick")

"""Agents from Python: tools of every kind, limits, history, handles and their events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import aikit
from aikit import errors


@aikit.tool
def double(number: int) -> int:
    """Doubles a number."""
    return 2 * number


def plain(word: str) -> str:
    """Repeats a word."""
    return word * 2


def calls(*names_and_arguments: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"tool_calls": [{"name": it, "arguments": args} for it, args in names_and_arguments]}


def test_a_tool_that_is_named_by_itself_and_with_its_group_counts_once() -> None:
    model = aikit.testing.ScriptedModel(["done"])
    assert aikit.Agent(model, tools=["files", "write_file"]).run("go").output == "done"


def test_an_agent_calls_functions_tools_and_built_in_tools() -> None:
    asked = calls(
        ("double", {"number": 4}), ("plain", {"word": "ab"}), ("calculate", {"expression": "2+3"})
    )
    model = aikit.testing.ScriptedModel([asked, "done"])
    run = aikit.Agent(model, tools=[double, plain, "calculate"], name="worker").run("go")
    assert (run.agent, run.output, run.finish_reason) == ("worker", "done", "stop")
    used = run.steps[0].tool_calls
    assert [it.name for it in used] == ["double", "plain", "calculate"]
    assert [it.result for it in used[:2]] == [8, "abab"]
    assert used[2].result["value"] == "5"
    assert run.usage.requests == 2
    assert "<table>" in run._repr_html_()  # what a notebook calls


def test_an_agent_is_a_tool_of_another() -> None:
    inner = aikit.Agent(aikit.testing.ScriptedModel(["inner answer"]), name="inner")
    asked = calls(("inner", {"prompt": "help"}))
    model = aikit.testing.ScriptedModel([asked, {"text": "ok", "expect": "inner answer"}])
    assert aikit.Agent(model, tools=[inner.as_tool("Helps.")]).run("go").output == "ok"


def test_an_interrupt_in_a_tool_ends_the_run() -> None:
    @aikit.tool
    def stopped() -> None:
        """Is interrupted, as when Ctrl-C arrives in the function."""
        raise KeyboardInterrupt

    @aikit.tool
    async def stopped_later() -> None:
        """Is interrupted."""
        raise KeyboardInterrupt

    for tool in (stopped, stopped_later):
        model = aikit.testing.ScriptedModel([calls((tool.name, {})), "done"])
        with pytest.raises(KeyboardInterrupt):
            aikit.Agent(model, tools=[tool]).run("go")
        inner = aikit.Agent(
            aikit.testing.ScriptedModel([calls((tool.name, {})), "done"]),
            tools=[tool],
            name="inner",
        )
        outer = aikit.testing.ScriptedModel([calls(("inner", {"prompt": "go"})), "done"])
        with pytest.raises(KeyboardInterrupt):
            aikit.Agent(outer, tools=[inner.as_tool("Helps.")]).run("go")


def test_an_error_of_a_tool_is_told_to_the_model() -> None:
    @aikit.tool
    def fail() -> None:
        """Fails."""
        raise ValueError("no luck")

    model = aikit.testing.ScriptedModel([calls(("fail", {})), {"text": "ok", "expect": "no luck"}])
    run = aikit.Agent(model, tools=[fail]).run("go")
    assert run.steps[0].tool_calls[0].is_error
    assert run.output == "ok"


def test_a_conversation_goes_on_with_its_history() -> None:
    def count(request: dict[str, Any]) -> str:
        return str(len(request["messages"]))

    agent = aikit.Agent(aikit.testing.FunctionModel(count), instructions="Count.")
    first = agent.run("one")
    second = agent.run("two", history=first.messages)
    assert (first.output, second.output) == ("2", "4")


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (aikit.Limits(requests=1), "`requests`"),
        (aikit.Limits(tool_calls=0), "`tool_calls`"),
    ],
)
def test_a_limit_ends_the_run_with_what_was_done(limits: aikit.Limits, message: str) -> None:
    model = aikit.testing.ScriptedModel([calls(("double", {"number": 1}))] * 5)
    with pytest.raises(errors.LimitExceededError, match=message) as caught:
        aikit.Agent(model, tools=[double], limits=limits).run("go")
    assert caught.value.run is not None
    assert caught.value.run["usage"]["requests"] == 1


def test_a_limit_of_time_ends_a_tool_that_never_would() -> None:
    @aikit.tool
    async def wait() -> None:
        """Waits."""
        await asyncio.Event().wait()

    agent = aikit.Agent(
        aikit.testing.ScriptedModel([calls(("wait", {}))]),
        tools=[wait],
        limits=aikit.Limits(seconds=0.05),
    )
    with pytest.raises(errors.LimitExceededError, match="`seconds`"):
        agent.run("go")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"tools": [double, double]}, errors.InvalidArgsError),
        ({"tools": ["no_such_tool"]}, errors.NotFoundError),
        ({"name": "a b"}, errors.InvalidArgsError),
    ],
)
def test_what_cannot_be_an_agent_is_refused(
    options: dict[str, Any], error: type[errors.AikitError]
) -> None:
    with pytest.raises(error):
        aikit.Agent(aikit.testing.ScriptedModel(["x"]), **options)


@pytest.mark.parametrize(
    "limits",
    [{"requests": 0}, {"requests": -3}, {"requests": "3"}, {"tool_calls": -1}, {"seconds": -1.0}],
)
def test_limits_out_of_range_are_refused_where_they_are_written(limits: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidArgsError, match=f"`{next(iter(limits))}` is"):
        aikit.Limits(**limits)


@pytest.mark.parametrize("name", ["my docs", "<lambda>", "", "x" * 65])
def test_a_name_that_providers_refuse_is_refused_before(name: str) -> None:
    def helps(text: str) -> str:
        """Helps."""
        return text

    with pytest.raises(errors.InvalidArgsError, match="not a name for a tool"):
        aikit.tool(name=name or " ")(helps)
    with pytest.raises(errors.InvalidArgsError, match="not a name for a tool"):
        aikit.RAG().as_tool(name)


def test_a_tool_knows_the_step_of_the_agent() -> None:
    seen = []

    @aikit.tool
    def look() -> int:
        """Looks where it is."""
        here = aikit.Context.get()
        seen.append((here.tick, here.is_within("agent step")))
        return 1

    model = aikit.testing.ScriptedModel([calls(("look", {}))] * 2 + ["done"])
    aikit.Agent(model, tools=[look]).run("go")
    assert seen == [(1, True), (2, True)]

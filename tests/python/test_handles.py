"""Handles: events for `for` and `async for`, results that may be asked again, usage."""

from __future__ import annotations

import pytest

import aikit
from aikit import errors


def agent(answer: str = "one two") -> aikit.Agent:
    call = {"name": "count_words", "arguments": {"text": "a b"}}
    model = aikit.testing.ScriptedModel([{"tool_calls": [call]}, answer])
    return aikit.Agent(model, tools=["count_words"])


def test_events_tell_the_whole_run_and_may_be_read_again() -> None:
    handle = agent().start("go")
    events = list(handle)
    kinds = [it.kind for it in events]
    assert (kinds[0], kinds[-1]) == ("procedure.start", "procedure.end")
    assert {"agent.tool.call", "agent.tool.result", "agent.text.delta", "agent.usage"} <= set(kinds)
    deltas = [it.data["text"] for it in events if it.kind == "agent.text.delta"]
    assert "".join(deltas) == "one two"
    assert [it.sequence for it in events] == list(range(1, len(events) + 1))
    assert list(handle) == handle.events == events
    assert handle.is_finished
    assert len(handle.trace_id) == 32


async def test_events_and_results_may_be_awaited_more_than_once() -> None:
    handle = agent().stream("go")
    kinds = [it.kind async for it in handle]
    assert kinds[-1] == "procedure.end"
    assert (await handle).output == "one two"
    assert (await handle).output == handle.result().output
    assert handle.usage.requests == 2
    assert handle.usage == (await handle).usage


def test_a_failed_run_raises_at_every_ask_and_still_has_its_events() -> None:
    model = aikit.testing.ScriptedModel([])
    handle = aikit.Agent(model).start("go")
    for _ in range(2):
        with pytest.raises(errors.ModelError, match="exhausted"):
            handle.result()
    assert [it.kind for it in handle][-1] == "procedure.error"

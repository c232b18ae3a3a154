"""Messages and log lines stay short, whatever names and arguments they are about."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Channel, Context, Model, State, errors, events, hooks, telemetry, tools

if TYPE_CHECKING:
    from collections.abc import Callable

BIG = "ä" * 1_000_000
# A cut text, its length and what a message says round it; some quote two.
LONGEST = 1_200

CALLS: dict[str, Callable[[], object]] = {
    "tools.get": lambda: tools.get(BIG),
    "tools.invoke": lambda: tools.invoke(BIG, {}),
    "an option of a tool": lambda: tools.invoke("count_words", {BIG: 1}),
    "a value of a tool": lambda: tools.invoke("read_file", {"path": BIG}),
    "events.publish": lambda: events.publish(BIG),
    "events.subscribe": lambda: events.subscribe("a", drop=BIG),
    "Channel": lambda: Channel(BIG),
    "Channel.wait_for_response": lambda: Channel("quotes").wait_for_response(BIG),
    "Channel.publish": lambda: Channel("quotes").publish({"type": "a", BIG: 1}),
    "Context.create": lambda: Context.create(trace_id=BIG),
    "Context.create, traceparent": lambda: Context.create(traceparent=BIG),
    "Model": lambda: Model(BIG).complete("x"),
    "Model, provider": lambda: Model(f"{BIG}:x").complete("x"),
    "Agent": lambda: aikit.Agent(BIG).run("x"),
    "Agent, tool": lambda: aikit.Agent("ollama:x", tools=[BIG]).run("x"),
    "State, scope": lambda: State(scope=BIG),
    "State, url": lambda: State(url=BIG),
    "hooks.register": lambda: hooks.register(BIG, print),
    "VectorIndex": lambda: aikit.VectorIndex(dim=2, metric=BIG),
    "RAG": lambda: aikit.RAG(embedder=BIG).search("x"),
    "telemetry.counter": lambda: telemetry.counter(BIG).add(1),
    "Session": lambda: aikit.Session.resume(BIG),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_message_cuts_what_it_quotes(name: str) -> None:
    with pytest.raises(errors.AikitError) as raised:
        CALLS[name]()
    assert len(str(raised.value)) < LONGEST, str(raised.value)[:LONGEST]
    assert len(str(raised.value.hint or "")) < LONGEST


def test_no_tool_quotes_an_argument_whole() -> None:
    told: dict[str, errors.AikitError] = {}
    for tool in tools.list():
        schema = tool.input_schema
        texts = {
            name: BIG
            for name, described in schema.get("properties", {}).items()
            if described.get("type") == "string"
        }
        try:
            tools.invoke(tool.name, texts)
        except errors.AikitError as error:
            told[tool.name] = error
    for name, said in told.items():
        assert len(str(said)) < LONGEST, f"{name}: {str(said)[:LONGEST]}"
        assert len(str(said.hint or "")) < LONGEST, name
    assert len(told) > 10


def test_a_log_line_cuts_the_names_in_it(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Any) -> None:  # noqa: ANN401
        raise ValueError("as wanted")

    fail.__name__ = BIG
    with caplog.at_level(logging.DEBUG, "aikit"):
        subscription = events.subscribe("quoted.*", fail)
        events.publish("quoted.it")
        assert events.flush(timeout=30) == 0
        aikit.procedure(name=BIG[:2000])(lambda: 1)()
        with pytest.raises(errors.InvalidArgsError, match="name of the procedure"):
            aikit.procedure(name=BIG)(lambda: 1)()
    subscription.stop()
    assert caplog.records
    for record in caplog.records:
        assert len(record.getMessage()) < LONGEST, record.getMessage()[:LONGEST]
        assert len(str(getattr(record, "procedure", ""))) < LONGEST

"""Handles: events for `for` and `async for`, results that may be asked again, usage."""

# ruff: noqa: ANN401, ARG001  # middleware has one signature, whatever it needs of it

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context, Procedure, errors
from aikit.errors import CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from aikit.middleware import Arguments, Envelope

# An end that comes later than this has not been brought about by what the test did.
LATE_S = 30.0


@aikit.procedure
def add(left: int, right: int = 1) -> int:
    """Adds."""
    return left + right


@aikit.procedure
async def aadd(left: int, right: int = 1) -> int:
    await asyncio.sleep(0)
    return left + right


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


def test_usage_is_what_the_work_has_consumed_until_now() -> None:
    halfway, go_on = threading.Event(), threading.Event()
    model = aikit.testing.ScriptedModel(["one", "two", "three"])

    @aikit.procedure
    def asks() -> None:
        model.complete("a")
        with aikit.track("inside"):
            model.complete("b")
            Context.get().add_usage(cost_usd=0.5)
            halfway.set()
            go_on.wait(LATE_S)
            model.complete("c")

    with Context.create(), aikit.track("around"):
        model_of_another = aikit.testing.ScriptedModel(["elsewhere"])
        model_of_another.complete("not of the handle")
        handle = asks.start()
        assert halfway.wait(LATE_S)
        until_now = handle.usage
        go_on.set()
        handle.result()
        around = Context.get().usage
    assert until_now.requests == 2
    assert handle.usage.requests == 3
    assert handle.usage.input_tokens > until_now.input_tokens > 0
    assert around.requests == 4


async def test_usage_of_two_agents_in_one_procedure_adds_up() -> None:
    @aikit.procedure
    async def both() -> list[aikit.handles.Usage]:
        inner = agent().start("inner")
        await inner
        runs = [await agent().arun("go"), await agent("three").arun("go")]
        return [inner.usage, *(it.usage for it in runs)]

    handle = both.start()
    parts = await handle
    assert [it.requests for it in parts] == [2, 2, 2]
    for name in ("requests", "input_tokens", "output_tokens"):
        assert getattr(handle.usage, name) == sum(getattr(it, name) for it in parts)


def test_events_are_made_when_they_are_looked_at() -> None:
    @aikit.procedure
    def counts() -> Iterator[int]:
        yield from range(20_000)

    handle = counts.start()
    handle.result()
    began = time.perf_counter()
    first = [handle.events[1] for _ in range(20)]
    took = time.perf_counter() - began
    began = time.perf_counter()
    whole = [*handle.events]
    whole_took = time.perf_counter() - began
    assert first == [whole[1]] * 20
    # Twenty looks at one event cost less than one at all of them.
    assert took < whole_took
    events = handle.events
    assert (events[-1], events[1:3]) == (whole[-1], whole[1:3])
    assert events == whole != events[1:]
    assert next(reversed(events)) == whole[-1]
    assert events.index(whole[7]) == 7
    with pytest.raises(IndexError):
        events[len(events)]
    with pytest.raises(TypeError):
        hash(events)


def test_a_failed_run_raises_at_every_ask_and_still_has_its_events() -> None:
    model = aikit.testing.ScriptedModel([])
    handle = aikit.Agent(model).start("go")
    for _ in range(2):
        with pytest.raises(errors.ModelError, match="exhausted"):
            handle.result()
    assert [it.kind for it in handle][-1] == "procedure.error"


def test_a_handle_tells_its_events_also_to_those_who_come_late() -> None:
    @aikit.procedure
    def count(limit: int) -> Generator[dict[str, int], None, str]:
        for number in range(limit):
            yield {"number": number}
        return "done"

    handle = count.start(2)
    assert handle.result() == "done"
    assert (handle.status, handle.is_finished, len(handle.trace_id)) == ("completed", True, 32)
    kinds = ["procedure.start", "stream.chunk", "stream.chunk", "procedure.end"]
    assert [event.kind for event in handle] == kinds
    heard: list[object] = []
    listening = handle.events.on("stream:chunk", lambda event: heard.append(event.data["value"]))
    listening.join(LATE_S)
    assert heard == [{"number": 0}, {"number": 1}]
    start, end = handle.events[0].data, handle.events[-1].data
    assert start["execution_id"] == end["execution_id"]
    assert (start["name"], start["pid"]) == ("count", end["pid"])
    assert end["duration_us"] >= 0

    async def listen() -> list[str]:
        started = aadd.start(1)
        assert await started == 2
        return [event.kind async for event in started.events]

    assert asyncio.run(listen()) == ["procedure.start", "procedure.end"]


def test_a_listener_that_raises_harms_nobody_and_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reported: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_value))
    handle = add.start(1)
    heard: list[str] = []

    def listen(event: aikit.Event) -> None:
        heard.append(event.kind)
        raise RuntimeError("broken")

    handle.events.on("*", listen).join(LATE_S)
    assert handle.result() == 2
    assert heard == ["procedure.start", "procedure.end"]
    assert reported == []
    assert [it.getMessage() for it in caplog.records if it.name == "aikit.handles"] == [
        "the listener `listen` failed at the event `procedure.start`",
        "the listener `listen` failed at the event `procedure.end`",
    ]
    for record in caplog.records:
        assert record.levelname == "WARNING"
        assert record.exc_info is not None
        assert str(record.exc_info[1]) == "broken"


def test_a_handle_cancels() -> None:
    release = threading.Event()
    blocks: Procedure[bool] = Procedure(lambda: release.wait(LATE_S), name="blocks")
    handle = blocks.with_handle()
    handle.cancel("enough")
    with pytest.raises(CancelledError, match="enough"):
        handle.result()
    assert handle.status == "cancelled"
    release.set()


def test_a_listener_that_is_closed_leaves_its_thread_at_once() -> None:
    release = threading.Event()
    blocks: Procedure[bool] = Procedure(lambda: release.wait(LATE_S), name="blocks")
    handle = blocks.start()
    heard: list[str] = []
    listening = handle.events.on("*", lambda event: heard.append(event.kind))
    next(iter(handle))
    began = time.monotonic()
    listening.close()
    listening.join(LATE_S)
    assert time.monotonic() - began < LATE_S / 2
    assert not [it for it in threading.enumerate() if it.name == "aikit-listener"]
    release.set()
    assert handle.result()
    assert set(heard) <= {"procedure.start"}


def test_two_loops_over_one_handle_each_have_their_place() -> None:
    handle = agent().start("go")
    pairs = list(zip(handle, handle, strict=False))
    assert [first for first, _ in pairs] == [second for _, second in pairs] == list(handle)

    async def both() -> None:
        first, second = aiter(handle), aiter(handle.events)
        for event in list(handle):
            assert await anext(first) == event == await anext(second)

    asyncio.run(both())


def _catching(procedure: Procedure[Any]) -> None:
    with pytest.raises(CancelledError, match="enough"):
        procedure()
    Context.get().check()


def test_middleware_sees_the_handle_of_its_operation() -> None:
    seen: list[object] = []

    def look(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
        handle = envelope.handle
        if handle is None:
            return following()
        seen.append([event.kind for event in handle.events])
        handle.cancel("enough")
        return following()

    looked: Procedure[int] = Procedure(lambda: 1, name="looked").use(look)
    assert looked() == 1
    with pytest.raises(CancelledError, match="enough"):
        looked.start().result()
    assert seen == [["procedure.start"]]

    # Of what the work calls as well: the operation is all of it.
    outer: Procedure[int] = Procedure(looked, name="outer", schema=False)
    seen.clear()
    with pytest.raises(CancelledError, match="enough"):
        Procedure(_catching, schema=False).start(outer).result()
    assert seen == [["procedure.start"] * 3]
    seen.clear()

    async def watch(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
        assert envelope.handle is not None
        told = envelope.handle

        async def listen() -> None:
            async for event in told:
                seen.append(event.kind)
                if event.kind == "step.done":
                    return

        listener = asyncio.create_task(listen())
        answer = await following()
        await asyncio.wait_for(listener, LATE_S)
        return answer

    async def answers() -> int:
        Context.get().emit("step.done")
        return 2

    watched: Procedure[int] = Procedure(answers, name="watched").use(watch)
    seen.clear()
    assert watched.start().result() == 2
    assert seen == ["procedure.start", "step.done"]


def test_a_handle_counts_the_events_it_keeps_no_more_and_tells_late_readers() -> None:
    @aikit.procedure
    def many(count: int) -> Generator[int, None, None]:
        yield from range(count)

    handle = many.start(65_536)
    handle.result()
    dropped = handle.dropped
    # The start and the end are events too.
    assert dropped == 2
    late = iter(handle)
    lost, first = next(late), next(late)
    assert (lost.kind, lost.data, lost.sequence) == ("events.lost", {"count": dropped}, dropped)
    assert (first.kind, first.sequence) == ("stream.chunk", dropped + 1)
    assert handle.events[:2] == [lost, first]
    assert len(handle.events) == 65_537
    told: list[str] = []
    handle.events.on("events.lost", lambda event: told.append(event.kind)).join(LATE_S)
    assert told == ["events.lost"]

    seen: list[int] = []

    def note(args: Any, envelope: Any, next: Any) -> Any:  # noqa: A002
        seen.append(envelope.handle.dropped)
        return next(args)

    assert add.use(note).start(1).result() == 2
    assert seen == [0]

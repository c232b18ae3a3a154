"""Channels from Python: subscribers, requests and responses, sync and async."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Channel, ChannelEvent, Context, channels, errors, events, streams

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# An end that comes later than this has not been brought about by what the test did.
LATE_S = 30.0


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> Iterator[Channel]:
    channel = Channel(request.node.name)
    yield channel
    channel.destroy()


def test_names_are_normalised_and_one_name_is_one_channel() -> None:
    channel = Channel("  UI:Names ")
    assert (channel.name, repr(channel)) == ("ui:names", "Channel('ui:names')")
    with channel.subscribe() as events:
        assert Channel("ui:NAMES").publish("update", {"percent": 50}) == 1
        event = events.receive()
    assert isinstance(event, ChannelEvent)
    assert (event.type, event.channel, event.payload) == ("update", "ui:names", {"percent": 50})
    assert event.metadata["timestamp"] > 1e9
    assert "ui:names" in Channel.session().channels
    assert Channel.remove("UI:names")
    assert not Channel.remove("ui:names")
    found = Channel.try_get("ui:names")
    assert found is not None
    assert found.subscriber_count() == 0


def test_an_event_is_given_whole_or_in_parts(channel: Channel) -> None:
    parts: dict[str, Any] = {"id": "a", "metadata": {"tick": 1, "x": 2}, "target": {"who": "me"}}
    with channel.subscribe() as events:
        channel.publish("update", 7, **parts)
        channel.publish({"type": "update", "payload": 7, **parts})
        first, second = events.receive(), events.receive()
    assert first is not None
    assert second is not None
    for event in (first, second):
        event.metadata.pop("timestamp")
    assert first == second
    assert first.metadata == {"tick": 1, "x": 2}
    assert (first.id, first.target) == ("a", {"who": "me"})


def test_iterating_gives_the_events_from_then_on(channel: Channel) -> None:
    channel.publish("before")
    events = iter(channel)
    for number in range(3):
        channel.publish("n", number)
    assert [next(events).payload for _ in range(3)] == [0, 1, 2]
    assert channel.receive(timeout=0) is None
    channel.publish("seen")
    event = channel.receive()
    assert event is not None
    assert event.type == "seen"
    ending = channel.events(timeout=0.01)
    channel.publish("last")
    assert [it.type for it in ending] == ["last"]
    channel.destroy()
    assert [it.type for it in events] == ["seen", "last"]


def test_async_iteration_gives_the_events_and_ends_with_the_channel(channel: Channel) -> None:
    async def run() -> list[Any]:
        seen = []
        events = aiter_of(channel)

        async def read() -> None:
            async for event in events:
                seen.append(event.payload)  # noqa: PERF401  # what was seen until it ended

        reading = asyncio.create_task(read())
        for number in range(3):
            channel.publish("n", number)
        await asyncio.sleep(0)
        channel.destroy()
        await reading
        return seen

    assert asyncio.run(run()) == [0, 1, 2]


def aiter_of(channel: Channel) -> Any:  # noqa: ANN401  # `aiter` is new in Python 3.10
    return type(channel).__aiter__(channel)


def test_a_function_gets_the_events_and_what_it_raises_harms_nobody(channel: Channel) -> None:
    seen: list[Any] = []
    done = threading.Event()

    def broken(event: ChannelEvent) -> None:
        raise ValueError(event.type)

    def note(event: ChannelEvent) -> None:
        seen.append(event.payload)
        if len(seen) == 3:
            done.set()

    failing, noting = channel.subscribe(broken), channel.subscribe(note)
    for number in range(3):
        channel.publish("n", number)
    assert done.wait(30)
    assert seen == [0, 1, 2]
    while failing.stats().failed < 3:
        time.sleep(0.001)
    assert "n" in str(failing.stats().error)
    assert noting.stats().failed == 0
    with pytest.raises(errors.InvalidArgsError):
        noting.receive()
    for subscription in (failing, noting):
        subscription.stop()
        assert subscription.stats().is_stopped


def test_functions_that_do_not_look_async_are_awaited_as_well(channel: Channel) -> None:
    class Notes:
        async def __call__(self, event: ChannelEvent) -> None:
            await note(event)

    async def note(event: ChannelEvent) -> None:
        await asyncio.sleep(0)
        seen.append(event.payload)

    for fn in (lambda event: note(event), Notes()):  # noqa: PLW0108  # a function that is not async
        seen: list[Any] = []
        with channel.subscribe(fn) as listening:
            channel.publish("n", 1)
            assert events.flush(timeout=LATE_S) == 0
            assert (seen, listening.stats().failed) == ([1], 0)


def test_an_async_function_gets_the_events_on_the_callers_loop(channel: Channel) -> None:
    async def run() -> tuple[list[Any], bool]:
        seen: list[Any] = []
        loop, done = asyncio.get_running_loop(), asyncio.Event()
        here = []

        async def note(event: ChannelEvent) -> None:
            await asyncio.sleep(0)
            seen.append(event.payload)
            here.append(asyncio.get_running_loop() is loop)
            if len(seen) == 2:
                done.set()

        channel.subscribe(note)
        channel.publish("n", 1)
        channel.publish("n", 2)
        await asyncio.wait_for(done.wait(), 30)
        return seen, all(here)

    assert asyncio.run(run()) == ([1, 2], True)


def test_a_request_is_answered_by_a_subscriber(channel: Channel) -> None:
    def answer(event: ChannelEvent) -> None:
        if event.type == "request":
            channel.respond(event, event.payload["n"] + 1)

    channel.subscribe(answer)
    response = channel.request({"n": 1}, timeout=30)
    assert (response.type, response.payload) == ("response", 2)

    async def run() -> list[Any]:
        answers = await asyncio.gather(*(channel.arequest({"n": n}, timeout=30) for n in range(50)))
        return [it.payload for it in answers]

    assert asyncio.run(run()) == list(range(1, 51))


def test_a_response_before_the_wait_is_delivered_and_several_wait_at_once(
    channel: Channel,
) -> None:
    channel.respond("early", 1)
    assert channel.wait_for_response("early").payload == 1

    async def run() -> list[Any]:
        waits = [
            asyncio.create_task(channel.await_for_response(it, timeout=30))
            for it in ("a", "b", "a")
        ]
        await asyncio.sleep(0.01)
        channel.respond("b", 2)
        channel.respond("a", 1)
        return [(await it).payload for it in waits]

    assert asyncio.run(run()) == [1, 2, 1]


def test_a_wait_ends_at_its_limit_at_a_cancel_and_with_the_channel(channel: Channel) -> None:
    with pytest.raises(errors.DeadlineError, match="`none`"):
        channel.wait_for_response("none", timeout=0.01)
    with pytest.raises(TimeoutError):
        channel.request("nobody", timeout=0.01)

    async def run() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(channel.await_for_response("none"), 0.01)
        waiting = asyncio.create_task(channel.await_for_response("none"))
        receiving = asyncio.create_task(channel.areceive())
        await asyncio.sleep(0.01)
        channel.destroy()
        with pytest.raises(errors.CancelledError, match="destroyed"):
            await waiting
        assert await receiving is None

    asyncio.run(run())
    with pytest.raises(errors.UnavailableError):
        channel.publish("late")
    with pytest.raises(errors.UnavailableError):
        channel.subscribe()


def test_a_slow_subscriber_loses_events_and_holds_up_nobody(channel: Channel) -> None:
    latest = channel.subscribe(capacity=2)
    first = channel.subscribe(capacity=2, drop="newest")
    for number in range(5):
        channel.publish("n", number)
    assert [it.payload for it in latest.events(timeout=0)] == [3, 4]
    assert [it.payload for it in first.events(timeout=0)] == [0, 1]
    assert (latest.stats().dropped, first.stats().dropped) == (3, 3)
    latest.stop()
    assert (latest.receive(), latest.stats().dropped) == (None, 3)


def test_a_stopped_subscription_lets_go_of_its_function(channel: Channel) -> None:
    def note(event: ChannelEvent) -> None:
        del event

    gone = weakref.ref(note)
    for _ in range(100):
        channel.subscribe(note).stop()
    del note
    while gone() is not None or channel.subscriber_count():
        time.sleep(0.001)
        gc.collect()


def test_a_dropped_iteration_ends_its_subscription(channel: Channel) -> None:
    events = channel.events()
    assert channel.subscriber_count() == 1
    del events
    assert channel.subscriber_count() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": {"payload": 1}},
        {"event": {"type": "x", "data": 1}},
        {"event": {"type": "x"}, "payload": 1},
        {"event": ""},
        {"event": "x", "id": ""},
    ],
)
def test_what_is_no_event_is_refused(channel: Channel, wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidArgsError) as raised:
        channel.publish(**wrong)
    assert raised.value.hint


def test_bad_names_and_queues_are_refused(channel: Channel) -> None:
    for name in ("", "  ", "x" * 300, "a\0"):
        with pytest.raises(errors.InvalidArgsError, match="name of the channel"):
            Channel(name)
    wrong: list[dict[str, Any]] = [{"capacity": 0}, {"capacity": 1 << 20}, {"drop": "latest"}]
    for options in wrong:
        with pytest.raises(errors.InvalidArgsError):
            channel.subscribe(**options)
    with pytest.raises(errors.InvalidArgsError):
        channel.receive(timeout=-1)
    with pytest.raises(errors.InvalidArgsError):
        channel.respond({"type": "update"}, 1)


def test_channels_hold_in_whatever_folder_the_program_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channel: Channel
) -> None:
    with channel.subscribe() as events, aikit.events.subscribe("moved") as facts:
        monkeypatch.chdir(tmp_path)
        Channel(channel.name).publish("moved")
        aikit.events.publish("moved")
        event, fact = events.receive(timeout=5), facts.receive(timeout=5)
    assert event is not None
    assert fact is not None


def test_a_program_with_subscribers_ends() -> None:
    code = """
        import aikit
        channel = aikit.Channel("end")
        channel.subscribe(lambda event: channel.publish("again") if event.type == "once" else None)
        aikit.events.subscribe("**", lambda event: None)
        channel.publish("once")
        aikit.events.publish("once")
        print("done")
    """
    ran = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ},
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "done\n", "")


async def test_the_iterator_of_a_channel_is_closed_with_its_subscription(channel: Channel) -> None:
    for close in ("close", "aclose", "map"):
        events = channel.events()
        channel.publish("update", 1)
        assert (next(events).payload, channel.subscriber_count()) == (1, 1)
        if close == "close":
            events.close()
        elif close == "aclose":
            await events.aclose()
        else:
            async with aclosing(streams.map(events, lambda event: event.payload)) as payloads:
                channel.publish("update", 2)
                assert await anext(payloads) == 2
        assert channel.subscriber_count() == 0
        with pytest.raises(StopIteration):
            next(events)
        with pytest.raises(StopAsyncIteration):
            await anext(events)
    # What belongs to somebody else goes on.
    with channel.subscribe() as subscription:
        subscription.events().close()
        channel.publish("update", 3)
        event = subscription.receive(timeout=30)
        assert event is not None
        assert event.payload == 3


def test_channels_are_reached_by_name_for_the_context_around() -> None:
    seen: list[Any] = []
    with Context.create(user="ada", metadata={"conversation_id": "by name"}):
        with channels.subscribe("ui:By Name", lambda it: seen.append(it.payload)) as listening:
            assert channels.publish("ui:by name", "request", 1, id="q") == 1
            assert Channel("ui:by name").respond("q", 2) == 2
            assert channels.wait_for_response("ui:by name", "q", timeout=LATE_S).payload == 2
            waited = channels.await_for_response("ui:by name", "q", timeout=LATE_S)
            assert asyncio.run(waited).payload == 2
            found = channels.try_get_channel("ui:by name")
            assert found is not None
            assert channels.get_channel("ui:by name").subscriber_count() == 1
            # What waits for a function that is stopped is dropped.
            assert events.flush(timeout=LATE_S) == 0
        listening.stop()
        with pytest.raises(errors.DeadlineError):
            channels.wait_for_response("ui:by name", "other", timeout=0.01)
    assert seen == [1, 2]
    with Context.create(user="ada", metadata={"conversation_id": "another"}):
        assert channels.get_channel("ui:by name").subscriber_count() == 0


def test_a_session_opens_its_channels_from_anywhere_and_destroys_them() -> None:
    with Context.create(user="ada", metadata={"conversation_id": "session"}):
        session = Channel.session()
        Channel("ui:one").publish("update", 1)
    assert (session.id, session.channels) == ("-/ada/session", ["ui:one"])
    assert session.to_dict() == {"id": session.id, "channels": ["ui:one"]}
    one, two = session.get_channel("UI:one"), session.get_channel("ui:two")
    assert one.publish("update", 2) == 2
    assert session.channels == ["ui:one", "ui:two"]
    with pytest.raises(errors.InvalidArgsError):
        session.get_channel("")
    with two.subscribe() as events:
        session.destroy()
        assert events.receive(timeout=LATE_S) is None
    assert session.channels == []
    with pytest.raises(errors.UnavailableError):
        one.publish("update", 3)
    assert session.get_channel("ui:one").publish("update", 4) == 1

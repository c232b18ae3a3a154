"""Events from Python: patterns, bounds, functions, and the log that outlives the process."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Channel, Context, _callbacks, errors, events

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aikit.subscriptions import Subscription


def test_a_subscription_gives_what_fits_in_order_with_its_identities() -> None:
    with events.subscribe("build.*") as build:
        first = events.publish("build.start", {"files": 3})
        events.publish("other.thing")
        second = events.publish("build.done")
        seen = list(build.events(timeout=0.01))
    assert [(it.kind, it.sequence) for it in seen] == [
        ("build.start", first),
        ("build.done", second),
    ]
    assert seen[0].data == {"files": 3}
    assert len(seen[0].trace_id) == 32
    assert seen[0].request_id
    assert seen[0].execution_id is None


def test_what_a_tool_does_is_an_event_of_its_request() -> None:
    with events.subscribe("procedure.**") as procedures:
        aikit.tools.count_words(text="one two")
        started, ended = procedures.receive(timeout=5), procedures.receive(timeout=5)
    assert started is not None
    assert ended is not None
    assert (started.kind, ended.kind) == ("procedure.start", "procedure.end")
    assert started.execution_id == ended.execution_id is not None
    assert started.request_id == ended.request_id


def test_functions_get_events_and_async_code_waits_for_them() -> None:
    done = threading.Event()
    subscription = events.subscribe(
        "call.*", lambda event: done.set() if event.data == 2 else 1 / 0
    )
    events.publish("call.a", 1)
    events.publish("call.b", 2)
    assert done.wait(30)
    assert subscription.stats().failed == 1
    assert "ZeroDivisionError" in str(subscription.stats().error) or subscription.stats().error
    subscription.stop()

    async def run() -> tuple[int, list[str]]:
        waiting = asyncio.create_task(events.areceive("later", timeout=30))
        await asyncio.sleep(0.01)
        sequence = events.publish("later")
        received = await waiting
        assert received is not None
        assert received.sequence == sequence
        with events.subscribe("n.*") as numbers:
            events.publish("n.1")
            events.publish("n.2")
            kinds = [it.kind async for it in numbers.events(timeout=0.01)]
        return sequence, kinds

    assert asyncio.run(run())[1] == ["n.1", "n.2"]
    assert events.receive("never", timeout=0.001) is None


def test_names_of_aikit_and_patterns_that_fit_nothing_are_refused() -> None:
    for kind in ("policy.decision", "", "a..b", "a.*", "a b"):
        with pytest.raises(errors.InvalidArgsError) as raised:
            events.publish(kind)
        assert raised.value.hint
    for pattern in ("", "a..b", "x" * 300):
        with pytest.raises(errors.InvalidArgsError):
            events.subscribe(pattern)
    with pytest.raises(errors.InvalidArgsError, match="capacity"):
        events.subscribe("a", capacity=0)


PROGRAM = """
    import sys
    from aikit import events

    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        events.publish("job.step", number)
    events.publish("other")
    for event in events.replay(after=int(sys.argv[3]), pattern="job.**"):
        print(event.sequence, event.data)
"""


def run(folder: Path, *args: int) -> list[str]:
    ran = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ},
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()


def test_kept_events_are_replayed_after_a_restart(tmp_path: Path) -> None:
    text = '[events]\npersist = ["job.**"]\nretention = 4\n'
    (tmp_path / "aikit.toml").write_text(text, encoding="utf-8")
    assert run(tmp_path, 0, 3, 0) == ["1 0", "2 1", "3 2"]
    assert run(tmp_path, 3, 5, 2) == ["3 2", "4 3", "5 4"]
    # The retention has forgotten the first of the five.
    assert run(tmp_path, 5, 5, 0) == ["2 1", "3 2", "4 3", "5 4"]


def test_what_a_program_publishes_last_is_kept(tmp_path: Path) -> None:
    (tmp_path / "aikit.toml").write_text('[events]\npersist = ["**"]\n', encoding="utf-8")
    code = "from aikit import events; [events.publish('last', n) for n in range(100)]"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=60, check=True)  # noqa: S603
    assert len(run(tmp_path, 0, 1, 0)) == 1
    code = "from aikit import events; print(len(events.replay(pattern='last')))"
    counted = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", code],
        cwd=tmp_path,
        timeout=60,
        check=True,
        capture_output=True,
        text=True,
    )
    assert counted.stdout == "100\n"


def test_without_a_configuration_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    events.publish("job.step")
    with pytest.raises(errors.UnavailableError) as raised:
        events.replay()
    assert "persist" in str(raised.value.hint)
    assert not (tmp_path / ".aikit" / "aikit.db").exists()
    with pytest.raises(errors.InvalidArgsError, match="limit"):
        asyncio.run(events.areplay(limit=0))


@pytest.mark.parametrize("text", ["persist = ['a..b']", "retention = 0", "persists = []"])
def test_a_wrong_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "aikit.toml").write_text(f"[events]\n{text}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.ConfigError) as raised:
        events.publish("a")
    assert text.split(" ", maxsplit=1)[0] in str(raised.value)


def until(is_true: Callable[[], bool]) -> None:
    """Waits, without letting an event loop of this thread go on."""
    deadline = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("source", ["events", "iteration", "channel"])
def test_a_wait_that_is_cancelled_as_an_event_comes_loses_none(source: str) -> None:
    channel = Channel(f"cancelled:{source}")
    subscription: Any = channel.subscribe() if source == "channel" else events.subscribe("take.*")
    publish = channel.publish if source == "channel" else events.publish

    async def step() -> Any:  # noqa: ANN401  # an event of either kind
        if source == "iteration":
            return await anext(aiter(subscription))
        return await subscription.areceive()

    async def main() -> list[str]:
        waiting = asyncio.ensure_future(step())
        await asyncio.sleep(0)
        publish("take.first", 1)
        # Rust has taken the event, and this loop has not heard of it yet.
        until(lambda: subscription.stats().waiting == 0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        publish("take.second", 2)
        # What comes back comes first.
        found = [await subscription.areceive(timeout=30) for _ in range(2)]
        return [it.type if source == "channel" else it.kind for it in found]

    with subscription:
        assert asyncio.run(main()) == ["take.first", "take.second"]


def test_a_wait_with_a_time_limit_of_asyncio_loses_no_event() -> None:
    count = 200

    async def main(subscription: Subscription[events.Event]) -> list[int]:
        found: list[int] = []
        publisher = threading.Thread(
            target=lambda: [events.publish("limit.it", index) for index in range(count)]
        )
        publisher.start()
        while len(found) < count:
            try:
                event = await asyncio.wait_for(subscription.areceive(), timeout=0.0005)
            except asyncio.TimeoutError:
                continue
            assert event is not None
            found.append(event.data)
        publisher.join()
        return found

    with events.subscribe("limit.*") as subscription:
        # Each once, and in order.
        assert asyncio.run(main(subscription)) == list(range(count))


def test_a_function_is_called_on_behalf_of_who_subscribed() -> None:
    seen: list[tuple[Any, ...]] = []

    def note(_: events.Event) -> None:
        here = aikit.Context.get()
        session = Channel.session()
        seen.append((here.user.id, here.user.tenant_id, list(here.user.roles), session.id))

    subscriptions = []
    for user in ("ann", "ben"):
        with aikit.Context.create(user=user, tenant_id="t", roles=["reader"], timeout=60):
            subscriptions.append(events.subscribe("behalf.*", note))
    events.publish("behalf.it")
    until(lambda: len(seen) == 2)
    for subscription in subscriptions:
        subscription.stop()
    seen.sort()
    assert [it[:3] for it in seen] == [(user, "t", ["reader"]) for user in ("ann", "ben")]
    # Channels are those of the user who subscribed.
    assert ["ann" in seen[0][3], "ben" in seen[1][3]] == [True, True]


def test_an_async_function_ends_with_its_loop_and_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    called: list[object] = []
    heard: asyncio.Event

    async def note(event: events.Event) -> None:
        called.append(event.data)
        heard.set()

    async def main() -> Subscription[events.Event]:
        nonlocal heard
        heard = asyncio.Event()
        subscription = events.subscribe("gone.*", note)
        events.publish("gone.a", 1)
        await heard.wait()
        return subscription

    # Closed before the event comes, and while the call waits for it to go on.
    for is_waiting in (False, True):
        called.clear()
        caplog.clear()
        loop = asyncio.new_event_loop()
        subscription = loop.run_until_complete(main())
        if is_waiting:
            events.publish("gone.b", 2)
            until(lambda: loop in _callbacks._waiting)  # noqa: B023, SLF001
        loop.close()
        for _ in range(3):
            events.publish("gone.b", 3)
        until(lambda: subscription.stats().is_stopped)  # noqa: B023
        assert called == [1]
        assert subscription.stats().failed == 1
        assert "the event loop of the Python function `note` has ended" in str(
            subscription.stats().error
        )
        assert loop not in _callbacks._waiting  # noqa: SLF001
        warnings = [it for it in caplog.records if "a subscriber failed" in it.getMessage()]
        assert len(warnings) == 1


def test_what_no_event_can_be_called_is_refused_with_the_reason() -> None:
    wrong = {
        "a:": "has an empty part",
        "a..b": "has an empty part",
        "a b": "has a space",
        "a.*b": "because of `*b`",
    }
    for pattern, reason in wrong.items():
        for call in (events.subscribe, lambda it: events.receive(it, timeout=0)):
            with pytest.raises(errors.InvalidArgsError, match=re.escape(reason)) as caught:
                call(pattern)
            assert caught.value.hint
    with pytest.raises(errors.InvalidArgsError, match="an event of aikit itself"):
        events.publish("procedure:start")


@pytest.mark.parametrize("pattern", ["build.*", "build:*", "build:done", "build.done"])
def test_a_colon_in_a_name_is_a_dot(pattern: str) -> None:
    with Context.create() as ctx, events.subscribe(pattern) as found:
        ctx.emit("build:done", 1)
        ctx.emit("build.done", 2)
        events.publish("build:done", 3)
        heard = [found.receive(timeout=30) for _ in range(3)]
    assert [(it.kind, it.data) for it in heard if it] == [("build.done", it) for it in (1, 2, 3)]
    with events.subscribe("procedure:start") as starts, Context.create():
        aikit.Procedure(lambda: None, name="begins")()
        started = starts.receive(timeout=30)
    assert started is not None
    assert started.kind == "procedure.start"

"""What functions are given of the last events: at an exit, by a flush, after a stop and a fork."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from aikit import Channel, errors, events

if TYPE_CHECKING:
    from pathlib import Path

# Far above any exit: a process that reaches it hangs.
WAIT_S = 60.0


def started(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  # our own
        [sys.executable, *command], capture_output=True, text=True, timeout=WAIT_S, check=False
    )


def run(code: str) -> subprocess.CompletedProcess[str]:
    return started("-c", textwrap.dedent(code))


SUBSCRIBED = {
    "an event": "aikit.events.subscribe('last.*', FN); publish = aikit.events.publish",
    "a channel": "aikit.Channel('last').subscribe(FN); publish = aikit.Channel('last').publish",
}


@pytest.mark.parametrize("source", SUBSCRIBED)
@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("end", ["", "raise SystemExit(0)"])
def test_functions_get_what_a_program_publishes_last(source: str, kind: str, end: str) -> None:
    define = "def note(event):" if kind == "sync" else "async def note(event):"
    code = f"""
        import aikit
        {define}
            print(getattr(event, "data", None) or event.payload, flush=True)
        {SUBSCRIBED[source].replace("FN", "note")}
        for number in range(1, 201):
            publish("last.it", number)
        {end}
        """
    done = run(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [str(number) for number in range(1, 201)]


def test_an_exit_waits_for_a_function_without_an_end_no_longer_than_it_may() -> None:
    code = """
        import threading, time, aikit
        def spin(event):
            while True:
                time.sleep(0.001)
        aikit.events.subscribe("last.*", spin, capacity=65536)
        for number in range(5):
            aikit.events.publish("last.it", number)
        def forever():
            while True:
                aikit.events.publish("last.more")
                time.sleep(0.0001)
        threading.Thread(target=forever, daemon=True).start()
        print(time.monotonic(), flush=True)
        """
    done = run(code)
    took = time.monotonic() - float(done.stdout)
    assert done.returncode == 0
    assert 1.9 < took < WAIT_S / 2  # two seconds, on a machine that may be busy
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert "the program ended before the functions of its subscriptions" in lines[0]
    left = int(lines[0].partition("left=")[2].split()[0])
    # Five and what the thread had published before the exit began.
    assert left >= 5


def test_the_end_of_a_script_gives_functions_what_it_published_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, reader = tmp_path / "last.lua", tmp_path / "reader.lua"
    monkeypatch.chdir(tmp_path)
    reader.write_text(
        "for _, key in ipairs(State.keys()) do print(key) State.delete(key) end", encoding="utf-8"
    )
    expected = sorted(f"{word}/{n:02}" for word in ("channel", "event") for n in range(1, 21))
    # What is printed after an exit is not shown; what is done is done.
    for end in ("", "os.exit(0)"):
        script.write_text(
            f"""
            local function note(word, number) State.set(("%s/%02d"):format(word, number), 1) end
            Event.subscribe("last.*", function(event) note("event", event.data) end)
            local channel = Channel("last")
            channel:subscribe(function(event) note("channel", event.payload) end)
            for number = 1, 20 do
              Event.publish("last.it", number)
              channel:publish("it", number)
            end
            {end}
            """,
            encoding="utf-8",
        )
        done = started("-m", "aikit", "run", str(script))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        read = started("-m", "aikit", "run", str(reader))
        assert sorted(read.stdout.split()) == expected, end


def test_a_script_whose_function_never_ends_still_ends(tmp_path: Path) -> None:
    script = tmp_path / "endless.lua"
    script.write_text(
        """
        Event.subscribe("last.*", function() while true do sleep(0.01) end end)
        for number = 1, 3 do Event.publish("last.it", number) end
        """,
        encoding="utf-8",
    )
    done = started("-m", "aikit", "run", str(script))
    assert done.returncode == 0
    assert done.stderr.count("the program ended before the functions") == 1, done.stderr
    assert "left=3" in done.stderr


def test_a_flush_waits_for_functions_and_says_what_they_have_not_had() -> None:
    seen: list[object] = []
    held, go_on = threading.Event(), threading.Event()

    def hold(event: object) -> None:
        held.set()
        assert go_on.wait(WAIT_S)
        seen.append(event)

    channel = Channel("flushed")
    subscriptions: list[Any] = [events.subscribe("flushed.*", hold), channel.subscribe(hold)]
    assert events.flush() == 0
    for number in range(3):
        events.publish("flushed.it", number)
    channel.publish("it")
    assert held.wait(WAIT_S)
    assert events.flush(timeout=0.01) == 4
    assert asyncio.run(events.aflush(timeout=0)) == 4
    go_on.set()
    assert events.flush() == 0
    assert len(seen) == 4
    events.publish("flushed.it")
    assert asyncio.run(events.aflush(timeout=WAIT_S)) == 0
    assert len(seen) == 5
    for subscription in subscriptions:
        subscription.stop()
    with pytest.raises(errors.InvalidArgsError, match="length of time"):
        events.flush(timeout=-1)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_that_flushes_is_told_that_it_would_wait_for_itself(is_async: bool) -> None:  # noqa: FBT001
    def flush(_: object) -> None:
        events.flush()

    async def aflush(_: object) -> None:
        await events.aflush()

    subscription = events.subscribe("self.*", aflush if is_async else flush)
    events.publish("self.it")
    assert events.flush(timeout=WAIT_S) == 0
    stats = subscription.stats()
    subscription.stop()
    assert stats.failed == 1
    assert "cannot wait for itself" in str(stats.error)


@pytest.mark.parametrize("source", ["events", "channel"])
def test_a_stopped_subscription_gives_what_waits_and_ends(source: str) -> None:
    channel = Channel(f"stopped:{source}")
    subscription: Any = channel.subscribe() if source == "channel" else events.subscribe("stop.*")
    publish = channel.publish if source == "channel" else events.publish
    for number in range(3):
        publish("stop.it", number)
    subscription.stop()
    publish("stop.late", 3)
    stats = subscription.stats()
    assert (stats.waiting, stats.dropped, stats.is_stopped) == (3, 0, True)
    assert channel.subscriber_count() == 0

    async def rest() -> list[Any]:
        return [getattr(it, "data", None) or it.payload async for it in subscription]

    first = subscription.receive()
    assert first is not None
    got = asyncio.run(rest()) if source == "channel" else [it.data for it in subscription]
    assert got == [1, 2]
    assert subscription.receive() is None


@pytest.mark.parametrize("source", ["events", "channel"])
def test_a_stopped_function_is_called_no_more_and_the_rest_is_counted(source: str) -> None:
    seen: list[object] = []
    held, go_on = threading.Event(), threading.Event()

    def hold(event: object) -> None:
        seen.append(event)
        held.set()
        assert go_on.wait(WAIT_S)

    channel = Channel("stopped:function")
    subscription: Any = (
        channel.subscribe(hold) if source == "channel" else events.subscribe("held.*", hold)
    )
    publish = channel.publish if source == "channel" else events.publish
    for number in range(4):
        publish("held.it", number)
    assert held.wait(WAIT_S)
    assert subscription.stats().waiting == 3
    subscription.stop()
    publish("held.it", 4)
    go_on.set()
    assert events.flush(timeout=WAIT_S) == 0
    stats = subscription.stats()
    assert (stats.waiting, stats.dropped, stats.is_stopped) == (0, 3, True)
    assert len(seen) == 1


FORK = """
    import asyncio, os, sys, warnings
    import aikit
    from aikit import Channel, events

    warnings.simplefilter("ignore")  # Python warns of forks with threads

    def note(event):
        print(sys.argv[0], os.getpid() == parent, event.data, flush=True)

    async def anote(event):
        await asyncio.sleep(0)
        note(event)

    parent = os.getpid()
    events.subscribe("sync.*", note)
    events.subscribe("async.*", anote)
    channel = Channel("asked")
    channel.subscribe(lambda it: it.type == "request" and channel.respond(it, it.payload + 1))
    events.publish("sync.it", 1)
    assert events.flush(timeout=30) == 0
    events.publish("async.it", 2)
    assert events.flush(timeout=30) == 0
    for child in range(2):
        pid = os.fork()
        if pid == 0:
            try:
                assert events.flush(timeout=30) == 0
                events.publish("sync.it", 3)
                assert events.flush(timeout=30) == 0
                events.publish("async.it", 4)
                assert events.flush(timeout=30) == 0
                assert channel.request(41, timeout=30).payload == 42
                # A child of the child.
                pid = os.fork()
                if pid == 0:
                    events.publish("sync.it", 5)
                    os._exit(events.flush(timeout=30))
                os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    events.publish("sync.it", 6)
    assert channel.request(1, timeout=30).payload == 2
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_functions_go_on_in_a_forked_child_and_in_its_parent() -> None:
    done = run(FORK)
    assert (done.returncode, done.stderr) == (0, "")
    in_parent = [line.split()[2] for line in done.stdout.splitlines() if "True" in line]
    in_children = [line.split()[2] for line in done.stdout.splitlines() if "False" in line]
    assert in_parent == ["1", "2", "6"]
    assert in_children == ["3", "4", "5"] * 2


HELD = """
    import os, sys, threading, warnings
    from aikit import events

    warnings.simplefilter("ignore")
    go_on, held, seen = threading.Event(), threading.Event(), []

    def hold(event):
        held.set()
        assert go_on.wait(30)
        seen.append(event.data)

    subscription = events.subscribe("held.*", hold)
    for number in range(3):
        events.publish("held.it", number)
    assert held.wait(30)
    pid = os.fork()
    if pid == 0:
        try:
            go_on.set()
            # What waited in the parent is given there.
            assert events.flush(timeout=30) == 0
            events.publish("held.it", 7)
            assert events.flush(timeout=30) == 0
            assert seen == [7], seen
            subscription.stop()
            events.publish("held.it", 8)
            assert events.flush(timeout=30) == 0
            assert seen == [7], seen
            assert subscription.stats().is_stopped
            os._exit(0)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    go_on.set()
    assert events.flush(timeout=30) == 0
    assert seen == [0, 1, 2], seen
    assert not subscription.stats().is_stopped
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_gives_its_functions_nothing_that_waits_in_its_parent() -> None:
    done = run(HELD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


REQUESTS = 5_000


def ask_at_once(channel: Channel) -> list[Any]:
    async def main() -> list[Any]:
        asked = (channel.arequest(number, timeout=WAIT_S) for number in range(REQUESTS))
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(main())


def test_a_function_with_room_answers_thousands_of_requests_at_once() -> None:
    channel = Channel("crowd:roomy")

    def answer(event: Any) -> None:  # noqa: ANN401
        assert event.type == "request"
        channel.respond(event, event.payload + 1)

    subscription = channel.subscribe(answer, capacity=REQUESTS)
    answers = ask_at_once(channel)
    assert [it.payload for it in answers] == list(range(1, REQUESTS + 1))
    stats = subscription.stats()
    # It is not given its own responses.
    assert (stats.dropped, stats.failed, stats.waiting) == (0, 0, 0)
    channel.destroy()


def test_without_room_a_request_fails_at_once_and_names_the_capacity() -> None:
    channel = Channel("crowd:full")
    go_on = threading.Event()

    def answer(event: Any) -> None:  # noqa: ANN401
        assert go_on.wait(WAIT_S)
        channel.respond(event, event.payload + 1)

    subscription = channel.subscribe(answer)
    began = time.monotonic()

    async def main() -> list[Any]:
        asked = [
            asyncio.ensure_future(channel.arequest(number, timeout=10 * WAIT_S))
            for number in range(REQUESTS)
        ]
        # One is at the function, and 1,024 wait.
        for failed in itertools.islice(asyncio.as_completed(asked), REQUESTS - 1025):
            with pytest.raises(errors.LimitExceededError):
                await failed
        go_on.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(main())
    assert time.monotonic() - began < WAIT_S
    failed = [it for it in answers if isinstance(it, BaseException)]
    assert subscription.stats().dropped == len(failed) == REQUESTS - 1025
    for error in failed:
        assert isinstance(error, errors.LimitExceededError)
        assert "`capacity` is `1024`" in str(error)
        assert "larger `capacity`" in str(error.hint)
    assert all(it.payload > 0 for it in answers if not isinstance(it, BaseException))
    channel.destroy()


KEPT = """
    import multiprocessing, warnings
    from aikit import events

    warnings.simplefilter("ignore")  # Python warns of forks with threads

    def work(number):
        events.publish("build.done", number)
        # Such a child ends without the end of a program.
        assert events.flush(timeout=30) == 0

    if __name__ == "__main__":
        events.publish("build.done", 0)
        fork = multiprocessing.get_context("fork")
        children = [fork.Process(target=work, args=(number,)) for number in range(1, 4)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        assert [child.exitcode for child in children] == [0, 0, 0]
        print(sorted(event.data for event in events.replay()))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_flush_waits_until_kept_events_are_written(tmp_path: Path) -> None:
    (tmp_path / "aikit.toml").write_text('[events]\npersist = ["build.**"]\n')
    done = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", textwrap.dedent(KEPT)],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 1, 2, 3]\n", "")

"""Calls beside their caller: who may wait for them, how they end, and their threads."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context, Procedure
from aikit.errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Iterator

# An end that comes later than this has not been brought about by what the test did.
LATE_S = 30.0


def run(program: str) -> None:
    """Runs a program in a process of its own, because what is tested is that it ends."""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr[-2000:]


@pytest.mark.parametrize("wait", ["await own[0]", "own[0].result()", "await inner(own)"])
def test_who_awaits_its_own_handle_is_told_so(wait: str) -> None:
    run(f"""
import asyncio
import aikit
from aikit.errors import InvalidArgsError

async def inner(own):
    return await own[0]

@aikit.procedure(schema=False)
async def waits(own):
    await asyncio.sleep(0)
    return {wait}

async def main():
    own = []
    own.append(waits.start(own))
    try:
        await own[0]
    except InvalidArgsError as error:
        assert "event loop" in str(error) or "`waits` waits for itself" in str(error), error
        assert error.hint
        print("ended")

asyncio.run(main())
""")


def test_a_sync_function_that_waits_for_its_own_handle_is_told_so() -> None:
    run("""
import threading
import aikit
from aikit.errors import InvalidArgsError

is_there, own = threading.Event(), []

@aikit.procedure
def waits():
    is_there.wait(30)
    own[0].result()

own.append(waits.start())
is_there.set()
try:
    own[0].result()
except InvalidArgsError as error:
    assert error.message == "the handle of `waits` waits for itself", error
    assert "await it from elsewhere" in error.hint
    print("ended")
""")


def test_two_that_wait_for_each_other_are_told_so() -> None:
    run("""
import asyncio, threading
import aikit
from aikit.errors import InvalidArgsError

async def main():
    handles = {}

    @aikit.procedure
    async def waits(name: str):
        await asyncio.sleep(0)
        return await handles[name]

    handles["a"], handles["b"] = waits.start("b"), waits.start("a")
    for handle in handles.values():
        try:
            await handle
        except InvalidArgsError as error:
            assert error.message == "the handle of `waits` waits for itself", error
        else:
            raise AssertionError

asyncio.run(main())

are_there, handles = threading.Event(), {}

@aikit.procedure
def waits(name: str):
    are_there.wait(30)
    return handles[name].result()

handles["a"], handles["b"] = waits.start("b"), waits.start("a")
are_there.set()
for handle in handles.values():
    try:
        handle.result()
    except InvalidArgsError as error:
        assert error.message == "the handle of `waits` waits for itself", error
    else:
        raise AssertionError
print("ended")
""")


async def test_a_task_beside_the_work_and_who_has_ended_may_await_it() -> None:
    beside: list[asyncio.Task[int]] = []
    own: list[aikit.Handle[int]] = []

    async def watch() -> int:
        return await own[0] + 1

    @aikit.procedure
    async def works() -> int:
        await asyncio.sleep(0)
        beside.append(asyncio.create_task(watch()))
        return 1

    own.append(works.start())
    assert await own[0] == 1
    assert await beside[0] == 2

    @aikit.procedure
    async def asks() -> int:
        # It has ended, so it may be asked by anybody.
        again: int = await works.start()
        return await own[0] + again

    assert await asks.start() == 2


async def test_one_waits_for_another_that_waits() -> None:
    @aikit.procedure
    async def chain(length: int) -> int:
        await asyncio.sleep(0)
        return 0 if length == 0 else 1 + await chain.start(length - 1)

    assert await chain.start(20) == 20


def test_a_sync_generator_whose_handle_is_dropped_ends_at_its_next_item() -> None:
    has_begun, go_on, has_ended = threading.Event(), threading.Event(), threading.Event()

    @aikit.procedure
    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
                has_begun.set()
                assert go_on.wait(LATE_S)
        finally:
            has_ended.set()

    handle = endless.start()
    assert has_begun.wait(LATE_S)
    del handle
    go_on.set()
    assert has_ended.wait(LATE_S)


def test_a_sync_function_whose_handle_is_dropped_sees_that_its_context_has_ended() -> None:
    has_begun, go_on, has_ended = threading.Event(), threading.Event(), threading.Event()
    raised: list[BaseException] = []

    @aikit.procedure
    def looks() -> None:
        ctx = Context.get()
        has_begun.set()
        assert go_on.wait(LATE_S)
        try:
            while True:
                ctx.check()
                threading.Event().wait(0.001)
        except BaseException as error:
            raised.append(error)
            raise
        finally:
            has_ended.set()

    with Context.create() as around:
        handle = looks.start()
    assert has_begun.wait(LATE_S)
    del handle
    go_on.set()
    assert has_ended.wait(LATE_S)
    assert "stopped waiting" in str(raised[0])
    # It ended itself alone.
    around.check()


def test_one_warning_is_enough_for_all_dropped_handles_of_a_procedure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = threading.Event()
    running = threading.Semaphore(0)

    def body() -> None:
        running.release()
        release.wait(LATE_S)

    blocks: Procedure[None] = Procedure(body, name="blocks for the warning")
    with caplog.at_level(logging.DEBUG, "aikit"):
        for _ in range(40):
            handle = blocks.start()
            assert running.acquire(timeout=LATE_S)
            del handle
        # A record is made where the work is thrown away, which is soon.
        for _ in range(int(LATE_S * 100)):
            told = [it for it in caplog.records if "outlived its caller" in it.getMessage()]
            if len(told) == 40:
                break
            threading.Event().wait(0.01)
    release.set()
    assert [it.levelname for it in told].count("WARNING") == 1
    assert len(told) == 40


def test_threads_of_functions_are_used_again_and_end_when_nobody_needs_them() -> None:
    run("""
import threading
import aikit
from aikit import _threads

_threads.IDLE_S = 0.2

def threads():
    return [it for it in threading.enumerate() if it.name.startswith("aikit-function")]

together = threading.Barrier(8)
meets = aikit.Procedure(lambda: together.wait(30), name="meets")
for handle in [meets.start() for _ in range(8)]:
    handle.result()
assert len(threads()) >= 8, threads()
for it in threads():
    it.join(30)
assert threads() == []
# Others are made when they are needed, and one is enough for one after the other.
names = set()
called = aikit.Procedure(lambda: names.add(threading.current_thread().name), timeout=30)
for _ in range(50):
    called()
assert len(names) <= 3, names
for it in threads():
    it.join(30)
assert threads() == []
print("ended")
""")


def test_many_threads_that_end_lose_no_call() -> None:
    run("""
import threading
import aikit
from aikit import _threads

_threads.IDLE_S = 0.0
answers = aikit.Procedure(lambda number: number, name="answers", schema=False, timeout=30)
for begin in range(0, 1000, 20):
    handles = [answers.start(begin + it) for it in range(20)]
    assert [it.result() for it in handles] == [*range(begin, begin + 20)]
print("ended")
""")


def test_a_value_that_a_listener_is_no_name_of_is_refused() -> None:
    handle: aikit.Handle[Any] = Procedure(lambda: 1, name="one").start()
    for wrong in ("", "a..b", "a b", "stream.*", "**", 5, None, b"*"):
        with pytest.raises(InvalidArgsError, match="`kind`") as caught:
            handle.events.on(wrong, print)  # type: ignore[arg-type]
        assert caught.value.hint

    async def waits(_: object) -> None:
        """Would never be awaited."""

    with pytest.raises(InvalidArgsError, match=r"`listener`.*async"):
        handle.events.on("*", waits)
    for nothing in (5, None, "print"):
        with pytest.raises(InvalidArgsError, match="`listener`"):
            handle.events.on("*", nothing)  # type: ignore[arg-type]
    heard: list[str] = []
    handle.events.on("procedure:start", lambda it: heard.append(it.kind)).join(LATE_S)
    assert heard == ["procedure.start"]

"""Handles whose work cannot go on: blocked loops, loops that have ended, forks. Nobody hangs.

Each in a process of its own, because what is tested is that it ends.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PRELUDE = """
import asyncio, threading, time
import aikit
from aikit.errors import AikitError, CancelledError, InvalidArgsError, UnavailableError

begun = threading.Event()

@aikit.procedure
async def slow(seconds=LATE_S):
    begun.set()
    await asyncio.sleep(seconds)
    return "done"

@aikit.procedure
async def around(seconds=LATE_S):
    return await slow(seconds)

async def has_begun():
    while not begun.is_set():
        await asyncio.sleep(0.001)

def says(kind, text, wait):
    try:
        found = wait()
    except kind as error:
        assert text in str(error) and error.hint, error
    else:
        raise AssertionError(f"got {found!r}")
"""


def run(program: str) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", PRELUDE.replace("LATE_S", "300") + program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr[-2000:]


def test_a_blocking_wait_on_the_loop_that_does_the_work_is_refused() -> None:
    run("""
async def main():
    for procedure in (slow, around):
        begun.clear()
        handle = procedure.start(0.05)
        await has_begun()
        says(InvalidArgsError, "event loop", handle.result)
        says(InvalidArgsError, "event loop", lambda: list(handle))
        assert await handle == "done"
        # What has ended is there to be asked.
        assert handle.result() == "done"
        assert [it.kind for it in handle][-1] == "procedure.end"
    # What has not begun goes to another loop.
    assert slow.start(0.0).result() == "done"
    # Work of somebody else's stands here too, but not in the way.
    begun.clear()
    other = slow.start(0.05)
    await has_begun()
    assert aikit.Procedure(lambda: 1, name="one").start().result() == 1
    assert await other == "done"

asyncio.run(main())
print("ended")
""")


def test_work_that_a_handle_has_started_beside_itself_is_not_in_the_way_of_its_end() -> None:
    run("""
go_on, beside = threading.Event(), []

async def start():
    beside.append(slow.start())

def starts(loop):
    asyncio.run_coroutine_threadsafe(start(), loop).result(300)
    go_on.wait(300)
    return "ended by itself"

starts = aikit.Procedure(starts, schema=False)

async def main():
    handle = starts.start(asyncio.get_running_loop())
    await has_begun()
    threading.Timer(0.1, go_on.set).start()
    assert handle.result() == "ended by itself"
    beside.clear()

asyncio.run(main())
print("ended")
""")


def test_a_handle_says_that_its_loop_has_ended_before_the_work_began() -> None:
    run("""
async def start():
    return slow.start()

async def ask(handle):
    return await handle

for _ in range(20):
    handle = asyncio.run(start())
    says(CancelledError, "event loop", handle.result)
    says(CancelledError, "event loop", lambda: asyncio.run(ask(handle)))
print("ended")
""")


def test_a_handle_says_that_its_loop_has_ended_while_it_worked() -> None:
    run("""
async def start():
    handle = slow.start()
    await has_begun()
    return handle

async def ask(handle):
    return await handle

# `asyncio.run` cancels what runs on its loop.
handle = asyncio.run(start())
says(CancelledError, "event loop" if hasattr(asyncio.Task, "cancelling") else "cancelled",
     handle.result)
says(CancelledError, "", lambda: asyncio.run(ask(handle)))

# A loop that is closed by hand leaves its tasks as they are.
for way in (lambda: handle.result(), lambda: asyncio.run(ask(handle))):
    begun.clear()
    loop = asyncio.new_event_loop()
    handle = loop.run_until_complete(start())
    # Nobody goes on with it while this thread waits.
    says(InvalidArgsError, "event loop", handle.result)
    loop.close()
    says(CancelledError, "event loop", way)
print("ended")
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_is_told_that_the_work_is_its_parents() -> None:
    run(
        """
import os
handle, finished = slow.start(), slow.start(0)
assert finished.result() == "done"
listening = handle.events
view = aikit.handles.HandleView(handle._native.view())
pid = os.fork()
if pid == 0:
    code = 1
    try:
        for wait in (
            handle.result, lambda: asyncio.run(ask()), lambda: next(iter(handle)),
            handle.cancel, lambda: handle.status, lambda: handle.is_finished,
            lambda: listening.on("*", print), lambda: handle.events, lambda: handle.usage,
            view.cancel, lambda: view.events, lambda: next(iter(view)),
        ):
            says(UnavailableError, str(os.getppid()), wait)
        assert finished.result() == "done"
        assert slow.start(0).result() == "done"
        code = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
handle.cancel("enough")
try:
    handle.result()
except CancelledError as error:
    assert "enough" in str(error)
    print("ended")
""".replace(
            "handle, finished",
            """
async def ask():
    return await handle

handle, finished""",
            1,
        )
    )

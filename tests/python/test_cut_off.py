"""Sync functions that were cut off and keep their threads: others run, until too many are kept."""

from __future__ import annotations

import subprocess
import sys

PRELUDE = """
import asyncio, logging, threading
import aikit
from aikit.errors import CancelledError, DeadlineError, LimitExceededError

release = threading.Event()
records = []

class Handler(logging.Handler):
    def emit(self, record):
        records.append(record)

logging.getLogger("aikit").addHandler(Handler())
logging.getLogger("aikit").setLevel("DEBUG")

running = threading.Semaphore(0)

def stuck():
    running.release()
    release.wait(300)

def other():
    running.release()
    release.wait(300)

cut = aikit.Procedure(stuck, timeout=200)
quick = aikit.Procedure(lambda: "ran", name="quick", timeout=200)

def cut_off(count, procedure=cut):
    # Each of them runs on a thread of its own when it is ended.
    ctx = aikit.Context.create()
    with ctx:
        handles = [procedure.start() for _ in range(count)]
    for _ in range(count):
        assert running.acquire(timeout=100)
    ctx.cancel("enough")
    for handle in handles:
        try:
            handle.result()
        except CancelledError:
            continue
        raise AssertionError(handle)
"""


def run(program: str) -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PRELUDE + program],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr[-2000:]


def test_functions_that_were_cut_off_leave_room_for_others() -> None:
    run("""
for _ in range(5):
    cut_off(20)
assert [quick() for _ in range(50)] == ["ran"] * 50
told = [it for it in records if "outlived" in it.getMessage()]
assert max(it.cut_off for it in told) == len(told) == 100, told
# One warning for each name is enough.
assert [it.function for it in told if it.levelname == "WARNING"] == ["stuck"]
release.set()
print("ended")
""")


def test_too_many_that_were_cut_off_are_named_and_room_comes_back() -> None:
    run("""
cut_off(16, aikit.Procedure(other, timeout=200))
for _ in range(8):
    cut_off(30)
try:
    quick()
except LimitExceededError as error:
    limit = error
assert limit.message == (
    "too many functions were cut off to call the Python function `quick`: 256 threads are kept by "
    "those that have not returned: `stuck` (240), `other` (16)"
), limit
# One that has just returned may be replaced before it is idle again.
threads = [it for it in threading.enumerate() if it.name.startswith("aikit-function")]
assert len(threads) <= 256 + 2 * 32, len(threads)
assert "check()" in limit.hint
for way in (quick, quick.run, lambda: asyncio.run(quick.arun()), lambda: quick.start().result()):
    try:
        way()
    except LimitExceededError:
        continue
    raise AssertionError(way)
# Async functions need no thread.
@aikit.procedure(timeout=200)
async def awaits():
    return "ran"
assert awaits.run() == "ran"
release.set()
while True:
    try:
        assert quick() == "ran"
        break
    except LimitExceededError:
        pass
print("ended")
""")


def test_a_wait_for_a_thread_that_was_in_vain_is_told() -> None:
    run("""
# Legitimately running, without a limit of their own.
busy = aikit.Procedure(stuck)
handles = [busy.start() for _ in range(32)]
while sum(it.name.startswith("aikit-function") for it in threading.enumerate()) < 32:
    release.wait(0.001)
try:
    quick.with_timeout(0.05)()
except DeadlineError as error:
    pass
(told,) = [it for it in records if "before a thread was free" in it.getMessage()]
assert (told.function, told.cut_off) == ("quick", 0), vars(told)
release.set()
print("ended")
""")

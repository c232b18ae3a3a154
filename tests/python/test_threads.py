"""Threads that use aikit at the same time."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import types
import weakref
from typing import Any, cast

import pytest

import aikit
from aikit._threads import Threads

FIRST_USE = """
import sys, threading
sys.setswitchinterval(1e-6)
import aikit
together = threading.Barrier(8)
answers = []
def use() -> None:
    together.wait()
    answers.append(aikit.tools.count_words(text="a b").words)
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(answers)
"""


def test_the_first_use_may_come_from_many_threads_at_once() -> None:
    for _ in range(3):
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", FIRST_USE],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.strip() == str([2] * 8)


def test_an_event_loop_that_has_ended_is_not_kept() -> None:
    @aikit.tool
    async def wait() -> None:
        """Waits a moment."""
        await asyncio.sleep(0)

    async def call() -> weakref.ref[asyncio.AbstractEventLoop]:
        await wait.ainvoke({})
        return weakref.ref(asyncio.get_running_loop())

    async def call_blocked() -> weakref.ref[asyncio.AbstractEventLoop]:
        wait.invoke({})
        return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(kind()) for kind in (call, call_blocked) for _ in range(10)]
    gc.collect()
    assert [it for it in loops if it() is not None] == []


def test_a_module_that_another_thread_imports_is_not_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As it stands there while it is imported: without its parts.
    monkeypatch.setitem(sys.modules, "asyncio", types.ModuleType("asyncio"))
    assert aikit.tools.count_words(text="a b").words == 2


def test_a_thread_that_cannot_start_leaves_no_call_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    class Call:
        def __init__(self) -> None:
            self.has_run = threading.Event()

        def run(self) -> None:
            self.has_run.set()

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    threads, lost, later = Threads(), Call(), [Call(), Call()]
    gone = weakref.ref(lost)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            threads.put(cast("Any", lost))
    has_run = lost.has_run
    del lost
    gc.collect()
    assert gone() is None
    for call in later:
        threads.put(cast("Any", call))
        assert call.has_run.wait(30)
    assert not has_run.is_set()
    kept = [weakref.ref(call) for call in later]
    del later, call
    # A thread that waits for the next call keeps the last one no longer.
    until = time.monotonic() + 30
    while any(it() is not None for it in kept):
        assert time.monotonic() < until
        gc.collect()

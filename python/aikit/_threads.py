"""Threads on which sync functions run that Rust calls."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._callbacks import _SyncCall

# Seconds after which a thread ends that has nothing to do.
IDLE_S = 10.0


class Threads:
    """Daemon threads that run sync functions; Rust bounds how many calls there are at a time.

    One that has run its function takes the next; one that gets none in time ends.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[_SyncCall] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._started = 0

    def put(self, call: _SyncCall) -> None:
        """Has the call run, on a thread that is idle or on a new one."""
        with self._lock:
            is_idle = self._idle > 0
            if is_idle:
                self._idle -= 1
            else:
                self._started += 1
                number = self._started
        if is_idle:
            self._calls.put(call)
            return
        # Not by way of the queue: where the system gives no thread, the call would stay there, and
        # another thread would take it that is not counted as one that works.
        name = f"aikit-function-{number}"
        threading.Thread(target=self._work, args=([call],), name=name, daemon=True).start()

    def _work(self, first: list[_SyncCall]) -> None:
        # Out of the list: the thread keeps what it was started with.
        call: _SyncCall | None = first.pop()
        while call is not None:
            call.run()
            call = None  # an idle thread keeps nothing alive
            with self._lock:
                self._idle += 1
            call = self._next()

    def _next(self) -> _SyncCall | None:
        """The next call; None when the thread is not needed any more."""
        while True:
            try:
                return self._calls.get(timeout=IDLE_S)
            except Empty:  # noqa: PERF203  # seconds later
                with self._lock:
                    # Otherwise there are as many calls as threads that wait for one.
                    if self._idle > 0:
                        self._idle -= 1
                        return None

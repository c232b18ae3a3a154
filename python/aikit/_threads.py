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
            if self._idle > 0:
                self._idle -= 1
                is_new = False
            else:
                self._started += 1
                is_new = True
                number = self._started
        self._calls.put(call)
        if is_new:
            name = f"aikit-function-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def _work(self) -> None:
        while True:
            call = self._next()
            if call is None:
                return
            call.run()
            del call  # an idle thread keeps nothing alive
            with self._lock:
                self._idle += 1

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

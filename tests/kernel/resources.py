"""What a process uses: memory, watched while it works, and descriptors."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from typing_extensions import Self

# How often memory is looked at. A peak may be missed for as long; what is kept is seen.
INTERVAL_S = 0.01
# How long a process may take to give back what it no longer uses.
SETTLE_S = 20.0


class MemoryWatch:
    """The most memory that a process had while this was open, over what it had before."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.peak = self.now()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def now(self) -> int:
        """Resident bytes."""
        return int(self._process.memory_info().rss)

    @property
    def grown_mib(self) -> float:
        """The peak over the beginning, in MiB."""
        return (self.peak - self.before) / 2**20

    def _watch(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            while not self._ended.wait(INTERVAL_S):
                self.peak = max(self.peak, self.now())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self._ended.set()
        self._thread.join()


def descriptors_fall_to(pid: int, count: int) -> bool:
    """Whether a process has at most that many descriptors, at once or soon."""
    process = psutil.Process(pid)
    deadline = time.monotonic() + SETTLE_S
    while process.num_fds() > count:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True

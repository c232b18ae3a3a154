"""Coroutines that end with the Context they run in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from ._callbacks import running_loop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Generator

    from . import _aikit

T = TypeVar("T")


def watched(
    execution: _aikit.Execution, coroutine: Coroutine[Any, Any, T]
) -> Generator[Any, Any, T]:
    """Runs ``coroutine``; once it waits, the end of the Context cancels the task.

    A cancellation that this brought about is taken back when the coroutine ends, however it does:
    the task goes on, and `cancellations` counts those of others only.
    """
    running = coroutine.__await__()
    try:
        waited = running.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    canceller = _Canceller()
    watch = execution.watch(canceller.ask)
    try:
        while True:
            try:
                sent = yield waited
            except BaseException as error:  # noqa: BLE001, PERF203  # passed on to the function
                waited = running.throw(error)
            else:
                waited = running.send(sent)
    except StopIteration as stop:
        value = stop.value
        return value
    finally:
        watch.close()
        canceller.close()


class Watch:
    """Cancels the task that runs when a Context ends, until it is closed: for blocks.

    Args:
        native: What can be watched: a Context or an execution.
    """

    __slots__ = ("_before", "_canceller", "_watch")

    def __init__(self, native: _aikit.Context | _aikit.Execution) -> None:
        self._before = cancellations()
        self._canceller = _Canceller()
        self._watch = native.watch(self._canceller.ask)

    def close(self, error: BaseException | None) -> bool:
        """Lets nothing more happen.

        Args:
            error: What leaves the block.

        Returns:
            Whether that is the cancellation which this brought about, and nobody else's.
        """
        self._watch.close()
        self._canceller.close()
        module = sys.modules.get("asyncio")
        is_own = module is not None and isinstance(error, module.CancelledError)
        return is_own and self._canceller.has_cancelled and cancellations() <= self._before


def cancellations() -> int:
    """Returns how often the current task was asked to end; 0 where Python cannot say (3.10)."""
    cancelling = getattr(_current_task(), "cancelling", None)
    return 0 if cancelling is None else int(cancelling())


def _current_task() -> asyncio.Task[Any] | None:
    loop = running_loop()
    # Of another library's loop there is none: its work ends at the next call of aikit.
    return None if loop is None else sys.modules["asyncio"].current_task(loop)


class _Canceller:
    """Cancels the task that made it, at most once and not after its work has ended."""

    __slots__ = ("_is_open", "_loop", "_task", "has_cancelled")

    def __init__(self) -> None:
        self._task = _current_task()
        self._loop = None if self._task is None else self._task.get_loop()
        self._is_open = True
        self.has_cancelled = False

    def ask(self) -> None:
        """Called from another thread when the Context ends."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._is_open and self._task is not None:
            self.has_cancelled = True
            self._task.cancel()

    def close(self) -> None:
        """Lets nothing more happen, and takes back what has."""
        self._is_open = False
        uncancel = getattr(self._task, "uncancel", None)  # new in Python 3.11
        if self.has_cancelled and uncancel is not None:
            uncancel()

"""Coroutines that end with the Context they run in."""

from __future__ import annotations

import contextvars
import sys
from typing import TYPE_CHECKING, Any, TypeVar

from ._callbacks import running_loop
from .errors import AikitError

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

    __slots__ = ("_before", "_canceller", "_has_ended", "_native", "_stream", "_watch")

    def __init__(self, native: _aikit.Context | _aikit.Execution) -> None:
        self._native = native
        self._before = cancellations()
        self._canceller = _Canceller()
        self._has_ended = False
        self._watch = native.watch(self._canceller.ask)
        self._stream = STREAM.get()
        if self._stream is not None:
            self._stream.add(self)

    def rest(self) -> None:
        """Cancels nothing until `resume`."""
        self._canceller.close()

    def resume(self) -> AikitError | None:
        """Cancels the task that runs now; returns the end of the Context, if that came before."""
        self._before = cancellations()
        try:
            self._native.check()
        except AikitError as ended:
            self._has_ended = True
            return ended
        self._canceller.reopen()
        return None

    def close(self, error: BaseException | None) -> bool:
        """Lets nothing more happen.

        Args:
            error: What leaves the block.

        Returns:
            Whether that is the cancellation which this brought about, and nobody else's.
        """
        self._watch.close()
        if self._stream is not None:
            self._stream.discard(self)
        self._canceller.close()
        # Another thread may be importing it: then nothing was cancelled here.
        cancelled = getattr(sys.modules.get("asyncio"), "CancelledError", None)
        if cancelled is None or not isinstance(error, cancelled):
            return False
        is_brought_about = self._has_ended or self._canceller.has_cancelled
        return is_brought_about and cancellations() <= self._before


class StreamWatches:
    """The watches of the blocks in which an async stream stands.

    They rest between two items: the task is its reader's then, who is not inside of the blocks.
    """

    __slots__ = ("_open", "_task")

    def __init__(self) -> None:
        self._open: list[Watch] = []
        self._task: asyncio.Task[Any] | None = None

    def add(self, watch: Watch) -> None:
        """A block was begun; one of another task than the stream's is none of its own."""
        task = _current_task()
        if task is not None and task is self._task:
            self._open.append(watch)

    def discard(self, watch: Watch) -> None:
        """A block was left."""
        if watch in self._open:
            self._open.remove(watch)

    def rest(self) -> None:
        """The stream has given an item."""
        self._task = None
        for watch in self._open:
            watch.rest()

    def resume(self) -> AikitError | None:
        """The stream goes on; returns why the innermost of its blocks that has ended did so."""
        self._task = _current_task()
        ends = [watch.resume() for watch in self._open]
        return next((end for end in reversed(ends) if end is not None), None)


# The async stream that runs.
STREAM: contextvars.ContextVar[StreamWatches | None] = contextvars.ContextVar(
    "aikit_stream", default=None
)


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

    __slots__ = ("_is_open", "_is_taken_back", "_loop", "_task", "has_cancelled")

    def __init__(self) -> None:
        self._task = _current_task()
        self._loop = None if self._task is None else self._task.get_loop()
        self._is_open = True
        self._is_taken_back = False
        self.has_cancelled = False

    def ask(self) -> None:
        """Called from another thread when the Context ends."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._is_open and self._task is not None:
            self.has_cancelled = True
            self._task.cancel()

    def reopen(self) -> None:
        """Goes on after `close`, with the task that runs now."""
        self._task = _current_task()
        self._loop = None if self._task is None else self._task.get_loop()
        self.has_cancelled = False
        self._is_taken_back = False
        self._is_open = True

    def close(self) -> None:
        """Lets nothing more happen, and takes back what has; a second time it does nothing."""
        self._is_open = False
        uncancel = getattr(self._task, "uncancel", None)  # new in Python 3.11
        if self.has_cancelled and not self._is_taken_back and uncancel is not None:
            # Once: a block that rested is closed again when it is left.
            self._is_taken_back = True
            uncancel()

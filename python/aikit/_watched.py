"""Coroutines that end with the Context they run in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Generator

    from . import _aikit

T = TypeVar("T")


def watched(
    execution: _aikit.Execution, coroutine: Coroutine[Any, Any, T]
) -> Generator[Any, Any, T]:
    """Runs ``coroutine``; once it waits, the end of the Context cancels the task."""
    running = coroutine.__await__()
    try:
        waited = running.send(None)
    except StopIteration as stop:
        value: T = stop.value
        return value
    watch = execution.watch(_canceller())
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


def _canceller() -> Callable[[], None]:
    module = sys.modules.get("asyncio")
    task: asyncio.Task[Any] | None = None if module is None else module.current_task()
    if task is None:
        return lambda: None  # another library's loop: it ends at the next call of aikit
    loop = task.get_loop()

    def cancel() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    return cancel


def forget_cancellation() -> None:
    """The task was cancelled by its Context, which is told by an exception of aikit's."""
    module = sys.modules.get("asyncio")
    task = None if module is None else module.current_task()
    uncancel = getattr(task, "uncancel", None)  # new in Python 3.11
    if uncancel is not None:
        uncancel()

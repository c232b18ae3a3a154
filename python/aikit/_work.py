"""Calls of procedures beside their caller: what they give, where they run, who waits for them."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from ._callbacks import place
from .errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# A thread, and the task that runs on it.
_Place = tuple[int, int]


class Work(Generic[T]):
    """One call on another thread or in a task of its own."""

    __slots__ = ("_value", "name", "place")

    def __init__(self, name: str) -> None:
        self.name = name
        # Where it runs, while it does.
        self.place: _Place | None = None
        self._value: T | None = None

    def value(self) -> T:
        """What the function gave, once it has."""
        return cast("T", self._value)

    def function(self, call: Callable[[], T]) -> Callable[[], None]:
        """A function without arguments and without a result that stands for ``call``."""

        def run() -> None:
            self.place = place()
            try:
                self._value = call()
            finally:
                self.place = None

        run.__name__ = self.name
        return run

    def async_function(self, call: Callable[[], Any]) -> Callable[[], Any]:
        """Is ``function`` for an async ``call``."""

        async def run() -> None:
            self.place = place()
            try:
                self._value = await call()
            finally:
                self.place = None

        run.__name__ = self.name
        return run


class Waiting:
    """Says, in a ``with`` block, that this thread or task waits for work.

    Raises:
        InvalidArgsError: If the work waits for this one, over others or itself: neither would end.
    """

    __slots__ = ("_before", "_place", "_work")

    def __init__(self, work: Work[Any]) -> None:
        self._work = work
        self._place: _Place = (0, 0)
        self._before: Work[Any] | None = None

    def __enter__(self) -> None:
        self._place = here = place()
        with _lock:
            if _comes_back(self._work, here):
                raise InvalidArgsError(
                    f"the handle of `{self._work.name}` waits for itself",
                    hint="a handle ends when its function does; await it from elsewhere",
                )
            self._before = _waits.get(here)
            _waits[here] = self._work

    def __exit__(self, *_: object) -> None:
        with _lock:
            if self._before is None:
                _waits.pop(self._place, None)
            else:
                _waits[self._place] = self._before


# Who waits for which work.
_waits: dict[_Place, Work[Any]] = {}
_lock = threading.Lock()


def _comes_back(work: Work[Any], here: _Place) -> bool:
    """Whether the work runs here, or waits for what runs here."""
    following: Work[Any] | None = work
    while following is not None and following.place is not None:
        if following.place == here:
            return True
        following = _waits.get(following.place)
    return False


def _after_fork() -> None:
    global _lock  # noqa: PLW0603  # somebody may have held it who does not exist here
    _lock = threading.Lock()
    _waits.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""Subscriptions: the events that come after one has asked for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _aikit
from . import _given as given
from ._callbacks import is_async
from .records import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType

ItemT = TypeVar("ItemT")

# Events that wait for one subscriber, unless it says otherwise.
CAPACITY = 1024

# What is lost when more wait.
DROPS = ("oldest", "newest")


class SubscriptionStats(Record):
    """How a subscription is.

    Attributes:
        waiting: Events that nobody has taken yet.
        dropped: Events that were lost because nobody took them in time, or the function was
            stopped before it had them.
        failed: Calls of its function that raised.
        error: What the last of these raised; None if none did.
        is_stopped: Whether it has ended.
    """

    waiting: int
    dropped: int
    failed: int
    error: str | None
    is_stopped: bool


class Subscription(Generic[ItemT]):
    """A subscription to events or to a channel, from the moment it was made.

    Iterating, with ``for`` or ``async for``, takes the events as they come; each is given once,
    whoever takes it. Leaving a ``with`` block, ``stop`` and dropping it end the subscription; one
    with a function goes on until ``stop``.
    """

    def __init__(
        self, native: _aikit.Subscription, wrap: Callable[[dict[str, Any]], ItemT]
    ) -> None:
        self._native = native
        self._wrap = wrap

    def receive(self, *, timeout: float | None = None) -> ItemT | None:
        """Waits for the next event.

        Args:
            timeout: Longest wait in seconds; None for no limit.

        Returns:
            The event; None when none came in time, or there will be none any more.

        Raises:
            InvalidArgsError: If a function gets the events.
        """
        found = self._native.receive(given.seconds("timeout", timeout))
        return None if found is None else self._wrap(found)

    async def areceive(self, *, timeout: float | None = None) -> ItemT | None:
        """Is ``receive`` for async code. A wait that is cancelled loses no event.

        One that was on its way then is the next one again, before all others.
        """
        event = await arrive(self._native, given.seconds("timeout", timeout))
        return None if event is None else self._wrap(event)

    def events(self, *, timeout: float | None = None) -> Events[ItemT]:
        """Returns an iterator, also for ``async for``, over the events as they come.

        Args:
            timeout: After how many seconds without an event it ends; None for never.
        """
        return Events(self, timeout)

    def stats(self) -> SubscriptionStats:
        """Returns how the subscription is: what waits, what was lost, what failed."""
        return SubscriptionStats(self._native.stats())

    def stop(self) -> None:
        """Ends the subscription.

        Events that wait can still be received, and then None is; iterations end after them. A
        function is called no more: what waited for it counts as ``dropped``.
        """
        self._native.stop()

    def __iter__(self) -> Iterator[ItemT]:
        return self.events()

    def __aiter__(self) -> AsyncIterator[ItemT]:
        return self.events()

    def __enter__(self) -> Subscription[ItemT]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Subscription[ItemT]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


async def arrive(
    native: _aikit.Subscription | _aikit.Channel, timeout: float | None
) -> dict[str, Any] | None:
    """Waits for the next event; one that comes for a wait that is cancelled goes back."""
    arrival = _aikit.Arrival()
    try:
        await native.areceive(arrival, timeout)
        return arrival.keep()
    finally:
        arrival.give_up()


class Events(Generic[ItemT]):
    """The events of a subscription, one by one.

    Closing it ends the iteration, and the subscription where that was made for it alone.
    """

    __slots__ = ("_is_closed", "_is_own", "_subscription", "_timeout")

    def __init__(
        self, subscription: Subscription[ItemT], timeout: float | None, *, is_own: bool = False
    ) -> None:
        self._subscription = subscription
        self._timeout = given.seconds("timeout", timeout)
        self._is_own = is_own
        self._is_closed = False

    def close(self) -> None:
        """Ends the iteration."""
        self._is_closed = True
        if self._is_own:
            self._subscription.stop()

    async def aclose(self) -> None:
        """Is ``close``, where an async iterator is closed."""
        self.close()

    def __iter__(self) -> Events[ItemT]:
        return self

    def __next__(self) -> ItemT:
        event = None
        if not self._is_closed:
            event = self._subscription.receive(timeout=self._timeout)
        if event is None:
            raise StopIteration
        return event

    def __aiter__(self) -> Events[ItemT]:
        return self

    async def __anext__(self) -> ItemT:
        event = None
        if not self._is_closed:
            event = await self._subscription.areceive(timeout=self._timeout)
        if event is None:
            raise StopAsyncIteration
        return event


def subscriber(
    fn: Callable[[ItemT], object] | None, wrap: Callable[[dict[str, Any]], ItemT]
) -> Callable[[dict[str, Any]], object] | None:
    """Returns what the binding calls: a function of a mapping, async when ``fn`` is."""
    if fn is None:
        return None
    given.function("fn", fn)

    def call(data: dict[str, Any]) -> object:
        return fn(wrap(data))  # an awaitable is awaited

    async def acall(data: dict[str, Any]) -> None:
        called: Any = fn(wrap(data))
        await called

    function = acall if is_async(fn) else call
    # Errors and log lines call it what the user calls it.
    name = getattr(fn, "__name__", "subscriber")
    function.__name__ = name if isinstance(name, str) else "subscriber"
    return function

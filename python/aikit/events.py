"""Events: facts that others observe, what procedures, tools and agents do among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _aikit
from . import _given as given
from .handles import Event
from .subscriptions import CAPACITY, DROPS, Subscription, subscriber

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Event",
    "aflush",
    "areceive",
    "areplay",
    "flush",
    "publish",
    "receive",
    "replay",
    "subscribe",
]


def publish(kind: str, data: Any = None) -> int:  # noqa: ANN401  # any data
    """Publishes an event; never waits.

    Args:
        kind: Dotted name of your own, such as ``build.step.done``.
        data: What belongs to the event.

    Returns:
        Its sequence number, from 1 in each process.

    Raises:
        InvalidArgsError: If the name is none, or that of an event of aikit itself.
    """
    return _aikit.publish_event(given.text("kind", kind), data)


def subscribe(
    pattern: str,
    fn: Callable[[Event], object] | None = None,
    *,
    capacity: int = CAPACITY,
    drop: str = "oldest",
) -> Subscription[Event]:
    """Subscribes to the events from now on whose names fit a pattern.

    Args:
        pattern: Dotted name where ``*`` stands for one part and ``**`` for any number of parts.
        fn: Called with each event, one after the other; may be async. What it raises harms nobody
            else. Without one, the subscription gives the events.
        capacity: Most events that wait, 1 to 65536.
        drop: What is lost when more wait: ``oldest`` or ``newest``.

    Raises:
        InvalidArgsError: If no event can fit the pattern.
    """
    pattern, function = given.text("pattern", pattern), subscriber(fn, Event)
    size, lost = given.whole("capacity", capacity), given.one_of("drop", drop, DROPS)
    return Subscription(_aikit.subscribe_events(pattern, function, size, lost), Event)


def receive(pattern: str, *, timeout: float | None = None) -> Event | None:
    """Waits for the next event whose name fits a pattern.

    Args:
        pattern: As for ``subscribe``.
        timeout: Longest wait in seconds; None for no limit.

    Returns:
        The event; None when none came in time.
    """
    with subscribe(pattern) as events:
        return events.receive(timeout=timeout)


async def areceive(pattern: str, *, timeout: float | None = None) -> Event | None:
    """Is ``receive`` for async code."""
    with subscribe(pattern) as events:
        return await events.areceive(timeout=timeout)


def flush(*, timeout: float | None = None) -> int:
    """Waits until functions have been given what was published before this call.

    Those that subscribed to events count, and those that subscribed to the channels of the caller's
    user and conversation. It also waits until what is kept (``events.persist``) is written. The
    exit of the interpreter does this by itself, for two seconds at most.

    Args:
        timeout: Longest wait in seconds; None for no limit.

    Returns:
        How many events they have not been given; 0 unless the time was too short.

    Raises:
        InvalidArgsError: In such a function, which would wait for itself.
    """
    return _aikit.flush_events(given.seconds("timeout", timeout))


async def aflush(*, timeout: float | None = None) -> int:
    """Is ``flush`` for async code."""
    flushed: int = await _aikit.aflush_events(given.seconds("timeout", timeout))
    return flushed


def replay(*, after: int = 0, pattern: str = "**", limit: int = 1000) -> list[Event]:
    """Reads events that the project has kept, those of earlier processes included.

    ``events.persist`` in the configuration says which are kept.

    Args:
        after: Number of the last event that is known; 0 for the beginning.
        pattern: As for ``subscribe``.
        limit: Most events, 1 to 10000.

    Returns:
        The events, oldest first; ``sequence`` is their number in the log.

    Raises:
        UnavailableError: If no events are kept.
    """
    found = _aikit.replay_events(*_replayed(after, pattern, limit))
    return [Event(it) for it in found]


async def areplay(*, after: int = 0, pattern: str = "**", limit: int = 1000) -> list[Event]:
    """Is ``replay`` for async code."""
    found = await _aikit.areplay_events(*_replayed(after, pattern, limit))
    return [Event(it) for it in found]


def _replayed(after: int, pattern: str, limit: int) -> tuple[int, str, int]:
    pattern = given.text("pattern", pattern)
    return given.whole("after", after), pattern, given.whole("limit", limit)

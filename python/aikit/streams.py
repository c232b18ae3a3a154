"""Streams: changes each item, looks at each item, reads several sources as one.

A source is an async iterator, such as a handle, a channel or an async generator; an ordinary
iterable is one too, as long as it does not wait. Nothing runs before an item is asked for, and
closing a stream (``aclose``, or leaving ``async with aclosing(…)``) closes its sources.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from . import _given as given
from ._given import InvalidTypeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import TypeAlias

ItemT = TypeVar("ItemT")
MadeT = TypeVar("MadeT")
Source: TypeAlias = AsyncIterable[ItemT] | Iterable[ItemT]


@dataclass(frozen=True)
class Tagged(Generic[ItemT]):
    """An item of several sources that are read as one.

    Attributes:
        source: Name of the source it came from.
        value: The item.
    """

    source: str
    value: ItemT


def is_async_iterable(value: object) -> bool:
    """Returns whether ``async for`` can go through a value."""
    return hasattr(type(value), "__aiter__")


async def map(  # noqa: A001  # the name in every language
    source: Source[ItemT], fn: Callable[[ItemT], MadeT | Awaitable[MadeT]]
) -> AsyncGenerator[MadeT, None]:
    """Gives what a function makes of each item.

    Args:
        source: An async iterator, or an iterable.
        fn: Takes an item and returns the new one; may be async.

    Yields:
        The new items, in order.
    """
    given.function("fn", fn)
    async with _opened(source) as items:
        async for item in items:
            made = fn(item)
            if inspect.isawaitable(made):
                yield await made
            else:
                yield made


async def tap(source: Source[ItemT], fn: Callable[[ItemT], object]) -> AsyncGenerator[ItemT, None]:
    """Gives the items as they are, after a function has seen each.

    Args:
        source: An async iterator, or an iterable.
        fn: Takes an item; may be async.

    Yields:
        The items, in order.
    """
    given.function("fn", fn)
    async with _opened(source) as items:
        async for item in items:
            seen = fn(item)
            if inspect.isawaitable(seen):
                await seen
            yield item


@overload
def merge(
    sources: Mapping[str, Source[ItemT]],
) -> AsyncGenerator[Tagged[ItemT], None]: ...


@overload
def merge(sources: Iterable[Source[ItemT]]) -> AsyncGenerator[ItemT, None]: ...


def merge(
    sources: Mapping[str, Source[Any]] | Iterable[Source[Any]],
) -> AsyncGenerator[Any, None]:
    """Reads several sources as one, each in a task of its own.

    Args:
        sources: Async iterators and iterables; a mapping gives each a name.

    Returns:
        An async iterator over the items in the order in which they arrive, no source before the
        others; for a mapping over ``Tagged`` items. The first error ends all.
    """
    if isinstance(sources, Mapping):
        return _merge({name: _checked(it) for name, it in sources.items()}, Tagged)
    if not isinstance(sources, Iterable):
        given.refuse("sources", sources, "list or mapping of sources", "give a list of sources")
    numbered = {str(number): _checked(it) for number, it in enumerate(sources)}
    return _merge(numbered, lambda _, item: item)


def _checked(source: Source[ItemT]) -> Source[ItemT]:
    if not is_async_iterable(source) and not isinstance(source, Iterable):
        raise InvalidTypeError(
            f"{given.shown(source)} is no source of items",
            hint="give an async iterator, such as a channel, or an iterable",
        )
    return source


class _End:
    """What a source puts into the queue when it has no more items."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


async def _merge(
    sources: dict[str, Source[Any]], tag: Callable[[str, Any], Any]
) -> AsyncGenerator[Any, None]:
    # One place: each source waits until its item was taken, in the order of their coming.
    queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue(maxsize=1)

    is_over = False

    async def read(name: str, source: Source[Any]) -> None:
        end = _End()
        try:
            async with _opened(source) as items:
                async for item in items:
                    await queue.put((name, item))
        except asyncio.CancelledError as error:
            if is_over:
                raise
            # Raised by the source itself.
            end = _End(error)
        except BaseException as error:  # noqa: BLE001  # it ends the whole
            end = _End(error)
        await queue.put((name, end))

    tasks = [asyncio.ensure_future(read(name, it)) for name, it in sources.items()]
    try:
        running = len(tasks)
        while running:
            name, item = await queue.get()
            if not isinstance(item, _End):
                yield tag(name, item)
            elif item.error is None:
                running -= 1
            else:
                raise item.error
    finally:
        is_over = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _opened(source: Source[ItemT]) -> AsyncIterator[AsyncIterable[ItemT]]:
    """Gives the items of a source, and closes it however the reading ends."""
    source = _checked(source)
    if not isinstance(source, AsyncIterable):
        yield _each(source)
        return
    iterator = source.__aiter__()
    try:
        yield iterator
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


async def _each(source: Iterable[ItemT]) -> AsyncGenerator[ItemT, None]:
    for item in source:
        yield item

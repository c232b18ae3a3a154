"""Streams: changes each item, looks at each item, and reads several sources as they come.

python examples/python/streams.py
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aikit
from aikit import streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@aikit.procedure
async def words(text: str) -> AsyncIterator[str]:
    """A procedure that hands out items is a source like any other."""
    for word in text.split():
        yield word


async def turns(name: str, count: int) -> AsyncIterator[str]:
    """Waits a turn of the loop before each item, as a source on a network does."""
    for number in range(count):
        await asyncio.sleep(0)
        yield f"{name} {number}"


async def main() -> None:
    """Shows one after the other."""
    seen: list[str] = []
    loud = streams.map(streams.tap(words("to be or not"), seen.append), str.upper)
    print([it async for it in loud], "from", seen)

    # Items come in the order of their arrival; an error of one source ends all of them.
    merged = [it async for it in streams.merge([turns("a", 2), turns("b", 2)])]
    print(sorted(merged))

    # Of named sources each item says where it came from.
    async for item in streams.merge({"fast": turns("item", 2), "slow": turns("item", 1)}):
        print(item.source, item.value)

    print(streams.is_async_iterable(words("x")), streams.is_async_iterable(["x"]))


if __name__ == "__main__":
    asyncio.run(main())

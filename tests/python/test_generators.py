"""Procedures of generator functions: their items, their Context, their ends."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

import aikit
from aikit import Context
from aikit.errors import CancelledError, InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

# An end that comes later than this has not been brought about by what the test did.
LATE_S = 30.0


@aikit.procedure
def add(left: int, right: int = 1) -> int:
    """Adds."""
    return left + right


def nodes(ctx: Context) -> list[tuple[str, str]]:
    return [(node.name, node.status) for node in ctx.graph]


def test_generators_keep_their_context_their_items_and_what_they_return() -> None:
    @aikit.procedure
    def count(limit: int) -> Generator[tuple[int, str], None, str]:
        for number in range(limit):
            yield number, Context.get().node.name  # type: ignore[union-attr]
        return "done"

    with Context.create() as ctx:
        stream = count(3)
        assert list(stream) == [(0, "count"), (1, "count"), (2, "count")]
        assert stream.returned == "done"
        assert count.run(2) == "done"
        with count.stream(100) as early:
            assert next(early)[0] == 0
        with pytest.raises(StopIteration):
            next(early)
        dropped = count(100)
        next(dropped)
        del dropped
        with pytest.raises(InvalidArgsError, match="limit"):
            next(count("many"))
        assert Context.get() == ctx
    assert [status for _, status in nodes(ctx)] == [
        "completed",
        "completed",
        "cancelled",
        "cancelled",
        "failed",
    ]
    with pytest.raises(InvalidArgsError, match="generator"):
        add.stream(1)


def test_async_generators_do_the_same() -> None:
    @aikit.procedure
    async def count(limit: int) -> AsyncIterator[int]:
        for number in range(limit):
            await asyncio.sleep(0)
            assert Context.get().is_within("count")
            yield number

    async def main() -> Context:
        async with Context.create() as ctx:
            assert [number async for number in count(3)] == [0, 1, 2]
            async with count.stream(100) as early:
                assert await early.__anext__() == 0
            ctx.cancel("enough")
            with pytest.raises(CancelledError, match="enough"):
                async for _ in count(3):
                    pass
        return ctx

    ctx = asyncio.run(main())
    assert [status for _, status in nodes(ctx)] == ["completed", "cancelled"]
    assert count.run(3) is None


def test_a_generator_that_is_left_cleans_up_in_its_context_and_is_ended() -> None:
    seen: list[object] = []

    @aikit.procedure
    def count() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            seen.append(Context.get().is_within("count"))
            raise RuntimeError("while it is closed")

    with Context.create() as ctx:
        stream = count()
        next(stream)
        with pytest.raises(RuntimeError, match="while it is closed"):
            stream.close()
    assert seen == [True]
    assert nodes(ctx) == [("count", "cancelled")]


def test_a_generator_stays_in_the_block_it_has_begun() -> None:
    def names() -> list[str]:
        node = Context.get().node
        return [] if node is None else [node.name]

    @aikit.procedure
    def sync() -> Iterator[list[str]]:
        with aikit.track("inside"):
            yield names()
            yield names()
        yield names()

    @aikit.procedure
    async def async_() -> AsyncIterator[list[str]]:
        with aikit.track("inside"), Context.get().child():
            yield names()
            await asyncio.sleep(0)
            yield names()
        yield names()

    async def collect() -> list[list[str]]:
        seen = []
        async for item in async_():
            assert names() == ["around"]
            seen.append(item)
        return seen

    expected = [["inside"], ["inside"]]
    with Context.create(), aikit.track("around"):
        seen = []
        for item in sync():
            assert names() == ["around"]
            seen.append(item)
        assert seen == [*expected, ["sync"]]
        assert asyncio.run(collect()) == [*expected, ["async_"]]
        assert names() == ["around"]


class Open:
    """Counts how many generators stand in their block."""

    count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1


async def test_a_cleanup_that_fails_ends_the_call_with_its_own_error() -> None:
    @aikit.procedure
    async def count() -> AsyncIterator[int]:
        try:
            yield 1
            Context.get().cancel("enough")
            yield 2
        finally:
            await asyncio.sleep(0)
            raise RuntimeError("while it is closed")

    with Context.create() as ctx:
        stream = count()
        assert await anext(stream) == 1
        with pytest.raises(RuntimeError, match="while it is closed") as failed:
            await anext(stream)
        assert isinstance(failed.value.__context__, (CancelledError, GeneratorExit))
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
    assert nodes(ctx) == [("count", "failed")]


@pytest.mark.parametrize("way", ["iterate", "run", "start"])
def test_a_generator_whose_call_ends_between_two_items_cleans_up(way: str) -> None:
    standing = Open()
    ended: list[bool] = []
    cleaned = threading.Event()

    @aikit.procedure
    def count() -> Iterator[int]:
        with standing:
            for number in range(10):
                if number == 2:
                    Context.get().cancel("enough")
                yield number
        ended.append(True)  # never: it is left by its end

    @aikit.procedure
    async def acount() -> AsyncIterator[int]:
        try:
            with standing:
                for number in range(10):
                    if number == 2:
                        Context.get().cancel("enough")
                    yield number
        finally:
            await asyncio.sleep(0)
            ended.append(Context.get().is_within("acount"))
            cleaned.set()

    async def collect() -> None:
        async for _ in acount():
            pass

    ways: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "iterate": (lambda: list(count()), lambda: asyncio.run(collect())),
        "run": (count.run, acount.run),
        "start": (lambda: count.start().result(), lambda: acount.start().result()),
    }
    sync, async_ = ways[way]
    with Context.create() as ctx:
        with pytest.raises(CancelledError, match="enough") as first:
            sync()
        assert standing.count == 0
        assert ended == []
        with pytest.raises(CancelledError, match="enough") as second:
            async_()
        # Who blocks does not wait for it.
        assert cleaned.wait(LATE_S)
        # While the exceptions are there: what they keep alive is not what has ended.
        assert (standing.count, ended) == (0, [True])
        assert first.value is not second.value
    assert nodes(ctx) == [("count", "cancelled"), ("acount", "cancelled")]

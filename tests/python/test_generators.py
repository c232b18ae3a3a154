"""Procedures of generator functions: their items, their Context, their ends."""

from __future__ import annotations

import asyncio
import contextlib
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


async def test_of_two_reads_at_once_the_second_is_refused_and_the_first_goes_on() -> None:
    go_on = asyncio.Event()

    @aikit.procedure
    async def count(limit: int) -> AsyncIterator[int]:
        for number in range(limit):
            await go_on.wait()
            yield number

    with Context.create() as ctx:
        stream = count(3)
        first = asyncio.ensure_future(_following(stream))
        await asyncio.sleep(0)
        for way in (stream.__anext__, stream.aclose, lambda: stream.athrow(ValueError("no"))):
            with pytest.raises(InvalidArgsError, match="`count` is at work") as caught:
                await way()
            assert isinstance(caught.value, RuntimeError)
            assert caught.value.hint
        go_on.set()
        assert await first == 0
        assert [number async for number in stream] == [1, 2]
    assert nodes(ctx) == [("count", "completed")]


async def _following(stream: AsyncIterator[int]) -> int:
    return await stream.__anext__()


def test_of_two_threads_that_read_at_once_the_second_is_refused() -> None:
    has_begun, go_on = threading.Event(), threading.Event()

    @aikit.procedure
    def count(limit: int) -> Iterator[int]:
        for number in range(limit):
            has_begun.set()
            assert go_on.wait(LATE_S)
            yield number

    stream = count(3)
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(next(stream)))
    thread.start()
    assert has_begun.wait(LATE_S)
    for way in (lambda: next(stream), stream.close):
        with pytest.raises(InvalidArgsError, match="`count` is at work"):
            way()
    go_on.set()
    thread.join(LATE_S)
    assert (found, [*stream]) == ([0], [1, 2])


def test_what_is_sent_and_thrown_reaches_the_generator() -> None:
    heard: list[object] = []

    @aikit.procedure
    def talks() -> Generator[int, str, str]:
        while True:
            try:
                heard.append((yield len(heard)))
            except ValueError as error:
                heard.append(str(error))
                yield -1
            if heard[-1] == "end":
                return "done"

    stream = talks()
    assert (next(stream), stream.send("a"), stream.throw(ValueError("b"))) == (0, 1, -1)
    assert next(stream) == 2
    with pytest.raises(StopIteration) as ended:
        stream.send("end")
    assert (ended.value.value, stream.returned, heard) == ("done", "done", ["a", "b", "end"])
    with pytest.raises(KeyError):
        stream.throw(KeyError("late"))
    with Context.create() as ctx, pytest.raises(KeyError, match="no"):
        talks().throw(KeyError("no"))
    assert nodes(ctx) == [("talks", "failed")]


async def test_what_is_sent_and_thrown_reaches_the_async_generator() -> None:
    heard: list[object] = []

    @aikit.procedure
    async def talks() -> AsyncIterator[int]:
        while len(heard) < 3:
            try:
                heard.append((yield len(heard)))
            except ValueError as error:  # noqa: PERF203  # that is what it is about
                heard.append(str(error))

    stream = talks()
    assert await stream.__anext__() == 0
    assert await stream.asend("a") == 1
    assert await stream.athrow(ValueError("b")) == 2
    with pytest.raises(StopAsyncIteration):
        await stream.asend("c")
    assert heard == ["a", "b", "c"]


def _fails() -> None:
    raise KeyError


def test_generators_are_managers_of_contexts_as_functions_with_yield_are() -> None:
    entered: list[str] = []

    @contextlib.contextmanager
    @aikit.procedure
    def opens(name: str) -> Iterator[str]:
        try:
            yield name
        except KeyError:
            entered.append("caught")
        finally:
            entered.append(name)

    with opens("a") as name:
        assert name == "a"
    with opens("b"):
        _fails()
    assert entered == ["a", "caught", "b"]

    @contextlib.asynccontextmanager
    @aikit.procedure
    async def aopens(name: str) -> AsyncIterator[str]:
        try:
            yield name
        finally:
            entered.append(name)

    async def main() -> None:
        async with aopens("c") as name:
            assert name == "c"
        with pytest.raises(KeyError):
            async with aopens("d"):
                _fails()

    asyncio.run(main())
    assert entered[3:] == ["c", "d"]

"""Streams from Python: map, tap and merge over async iterators and iterables."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import errors, streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine


def run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401  # whatever it gives
    return asyncio.run(work)


async def collect(source: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in source]


async def counter(
    count: int, closed: list[str] | None = None, name: str = ""
) -> AsyncIterator[int]:
    try:
        for number in range(count):
            await asyncio.sleep(0)
            yield number
    finally:
        if closed is not None:
            closed.append(name)


def test_map_gives_what_sync_and_async_functions_make() -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    assert run(collect(streams.map(counter(3), lambda it: it + 1))) == [1, 2, 3]
    assert run(collect(streams.map(counter(3), double))) == [0, 2, 4]
    assert run(collect(streams.map("ab", str.upper))) == ["A", "B"]


def test_tap_sees_each_item_and_changes_none() -> None:
    seen: list[int] = []

    async def note(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(number)

    assert run(collect(streams.tap(streams.tap(counter(3), seen.append), note))) == [0, 1, 2]
    assert seen == [0, 0, 1, 1, 2, 2]


def test_merge_gives_items_in_the_order_of_their_arrival() -> None:
    async def ordered() -> list[str]:
        turns = [asyncio.Event() for _ in range(4)]
        turns[0].set()

        async def at(name: str, *numbers: int) -> AsyncIterator[str]:
            for number in numbers:
                await turns[number].wait()
                yield f"{name}{number}"

        merged = streams.merge([at("a", 1, 2), at("b", 0, 3)])
        seen = []
        async for item in merged:
            seen.append(item)
            if len(seen) < len(turns):
                turns[len(seen)].set()
        return seen

    assert run(ordered()) == ["b0", "a1", "a2", "b3"]


def test_no_source_goes_before_the_others() -> None:
    async def endless(name: str) -> AsyncIterator[str]:
        while True:
            yield name

    async def first() -> list[str]:
        seen: list[str] = []
        merged = streams.merge([endless("a"), endless("b"), endless("c")])
        async for item in merged:
            seen.append(item)
            if len(seen) == 300:
                break
        await merged.aclose()
        return seen

    seen = run(first())
    assert all(seen.count(name) > 90 for name in "abc")


def test_a_mapping_tells_the_source_of_each_item() -> None:
    tagged = run(collect(streams.merge({"numbers": counter(2), "letters": ["x"]})))
    assert sorted((it.source, it.value) for it in tagged) == [
        ("letters", "x"),
        ("numbers", 0),
        ("numbers", 1),
    ]
    assert isinstance(tagged[0], streams.Tagged)


def test_an_error_ends_all_and_closes_the_other_sources() -> None:
    closed: list[str] = []

    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    async def read() -> None:
        with pytest.raises(ValueError, match="broken"):
            await collect(streams.merge([counter(10**9, closed, "endless"), broken()]))

    run(read())
    assert closed == ["endless"]

    async def failing() -> None:
        with pytest.raises(ZeroDivisionError):
            await collect(streams.map(counter(3, closed, "mapped"), lambda it: 1 / it))

    run(failing())
    assert closed == ["endless", "mapped"]


def test_a_closed_stream_closes_its_sources() -> None:
    closed: list[str] = []

    async def leave() -> None:
        for stream in (
            streams.map(counter(9, closed, "map"), str),
            streams.tap(counter(9, closed, "tap"), str),
            streams.merge([streams.map(counter(9, closed, "merge"), str)]),
        ):
            assert await stream.__anext__() in {0, "0"}
            await stream.aclose()

    run(leave())
    assert closed == ["map", "tap", "merge"]


def test_channels_and_subscriptions_are_sources() -> None:
    async def read() -> list[Any]:
        with aikit.events.subscribe("stream.*") as subscription:
            channel = aikit.Channel("streams")
            sources: dict[str, Any] = {"channel": channel, "events": subscription}
            merged = streams.merge(sources)
            reading = asyncio.create_task(merged.__anext__())
            await asyncio.sleep(0.01)
            channel.publish("first")
            first = await reading
            aikit.events.publish("stream.second")
            second = await merged.__anext__()
            await merged.aclose()
            return [first.source, first.value.type, second.source, second.value.kind]

    assert run(read()) == ["channel", "first", "events", "stream.second"]


def test_what_can_be_read_with_async_for_is_known() -> None:
    assert streams.is_async_iterable(counter(1))
    assert streams.is_async_iterable(aikit.Channel("streams"))
    values: list[Any] = [[1], "x", 1, None, iter([])]
    for value in values:
        assert not streams.is_async_iterable(value)


def test_what_is_no_source_is_named() -> None:
    with pytest.raises(errors.InvalidArgsError, match="`1`"):
        streams.merge([1])  # type: ignore[arg-type]
    with pytest.raises(errors.InvalidArgsError):
        run(collect(streams.map(1, str)))  # type: ignore[arg-type]


def test_a_source_that_raises_a_cancellation_ends_the_merge() -> None:
    async def cancels() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    async def main() -> None:
        merged = streams.merge([cancels(), counter(0)])
        assert await merged.__anext__() == 1
        with pytest.raises(asyncio.CancelledError):
            await merged.__anext__()

    run(main())

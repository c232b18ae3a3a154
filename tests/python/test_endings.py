"""Ends of blocks and calls: deadlines, cancellations, and what they leave alone."""

# ruff: noqa: ANN401, ARG001  # middleware has one signature, whatever it needs of it

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context, Procedure
from aikit.errors import CancelledError, DeadlineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


# An end that comes later than this has not been brought about by what the test did.
LATE_S = 30.0


async def _awaited(value: Any) -> Any:  # any awaitable
    return await value


def nodes(ctx: Context) -> list[tuple[str, str]]:
    return [(node.name, node.status) for node in ctx.graph]


async def block(ctx: Context) -> None:
    async with ctx:
        await asyncio.sleep(LATE_S)


async def nested_block(ctx: Context) -> None:
    async with ctx, aikit.track("inside"):
        await asyncio.sleep(LATE_S)


async def run_in(ctx: Context) -> None:
    await ctx.run(asyncio.sleep, LATE_S)


async def forked(ctx: Context) -> None:
    await ctx.fork(asyncio.sleep, LATE_S)


async def procedure_in(ctx: Context) -> None:
    async with ctx:
        await Procedure(asyncio.sleep, schema=False)(LATE_S)


async def gathered(ctx: Context) -> None:
    async with ctx:
        await asyncio.gather(asyncio.sleep(LATE_S), asyncio.sleep(LATE_S))


BLOCKS = [block, nested_block, run_in, forked, procedure_in, gathered]


def _is_as_it_was() -> bool:
    task = asyncio.current_task()
    return getattr(task, "cancelling", int)() == 0


@pytest.mark.parametrize("kind", BLOCKS)
async def test_a_deadline_ends_a_block_that_waits(
    kind: Callable[[Context], Awaitable[None]],
) -> None:
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(DeadlineError, match="deadline"):
            await kind(Context.create(timeout=0.05))
        await asyncio.sleep(0)
        assert _is_as_it_was()
    assert time.monotonic() - began < LATE_S


@pytest.mark.parametrize("kind", BLOCKS)
async def test_a_cancellation_ends_a_block_that_waits(
    kind: Callable[[Context], Awaitable[None]],
) -> None:
    for cancels in ("itself", "above"):
        above = Context.create()
        ctx = above.child()
        task = asyncio.ensure_future(_awaited(kind(ctx)))
        asyncio.get_running_loop().call_later(
            0.01, (above if cancels == "above" else ctx).cancel, "enough"
        )
        with pytest.raises(CancelledError, match="enough"):
            await task
        assert not task.cancelled()


@pytest.mark.parametrize("kind", BLOCKS)
async def test_who_cancels_the_task_gets_the_cancellation_of_asyncio(
    kind: Callable[[Context], Awaitable[None]],
) -> None:
    for ctx in (Context.create(), Context.create(timeout=LATE_S)):
        task = asyncio.ensure_future(_awaited(kind(ctx)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
    # Both at once: somebody else has cancelled as well. Python 3.10 does not count who has asked:
    # there it may be the end of the Context, too.
    ends: tuple[type[BaseException], ...] = (asyncio.CancelledError,)
    if not hasattr(asyncio.Task, "cancelling"):
        ends = (asyncio.CancelledError, CancelledError)
    ctx = Context.create()
    task = asyncio.ensure_future(_awaited(kind(ctx)))
    await asyncio.sleep(0)
    task.cancel()
    ctx.cancel("enough")
    with pytest.raises(ends):
        await task


async def test_a_block_that_ends_in_time_leaves_the_task_alone() -> None:
    async with Context.create(timeout=0.05):
        await asyncio.sleep(0)
    ctx = Context.create()
    async with ctx:
        await asyncio.sleep(0)
    ctx.cancel("late")
    async with Context.create(timeout=0.02):
        time.sleep(0.1)  # noqa: ASYNC251  # past its limit, without letting the loop go on
    with pytest.raises(ValueError, match="own"):
        async with Context.create(timeout=LATE_S):
            raise ValueError("own")
    await asyncio.sleep(0.05)
    assert _is_as_it_was()


def test_without_a_loop_of_asyncio_blocks_work_and_end_at_the_next_call() -> None:
    async def steps() -> str:
        with Context.create() as ctx, pytest.raises(CancelledError, match="enough"):
            await inside(ctx.child())
        return "ended"

    async def inside(ctx: Context) -> None:
        async with ctx, aikit.track("inside"):
            ctx.cancel("enough")
            with pytest.raises(CancelledError, match="enough"):
                aikit.tools.count_words(text="a")

    with pytest.raises(StopIteration) as ended:
        steps().send(None)
    assert ended.value.value == "ended"


async def test_the_innermost_block_that_has_ended_raises() -> None:
    ended: list[str] = []

    async def blocks() -> None:
        async with Context.create(timeout=LATE_S) as outer:
            with pytest.raises(DeadlineError):
                await block(outer.child(timeout=0.02))
            ended.append("inner")
            async with outer.child(timeout=0.02):
                try:
                    await asyncio.sleep(LATE_S)
                finally:
                    ended.append("cleaned up")

    with pytest.raises(DeadlineError):
        await blocks()
    assert ended == ["inner", "cleaned up"]


async def test_a_tracked_block_ends_with_its_context_and_its_node_says_how() -> None:
    with Context.create(timeout=0.05) as ctx, pytest.raises(DeadlineError):
        async with aikit.track("waits"):
            await asyncio.sleep(LATE_S)
    with Context.create() as cancelled:
        asyncio.get_running_loop().call_later(0.01, cancelled.cancel, "enough")
        with pytest.raises(CancelledError, match="enough"):
            async with aikit.track("waits"):
                await asyncio.sleep(LATE_S)
    assert nodes(ctx) == [("waits", "cancelled")]
    assert nodes(cancelled) == [("waits", "cancelled")]
    assert _is_as_it_was()


def test_a_sync_block_is_left_at_the_next_call_of_aikit() -> None:
    with Context.create(timeout=0.02) as ctx:
        threading.Event().wait(0.05)
        with pytest.raises(DeadlineError):
            ctx.check()
    with Context.create() as ctx:
        ctx.cancel("enough")
        with pytest.raises(CancelledError, match="enough"):
            aikit.tools.count_words(text="a")


async def test_a_block_that_another_task_leaves_leaves_the_others_watched() -> None:
    ctx = Context.create()
    inside = asyncio.Event()

    async def waits() -> None:
        async with ctx:
            inside.set()
            await asyncio.sleep(LATE_S)

    async def items() -> AsyncIterator[int]:
        async with ctx:
            yield 1

    waiting = asyncio.create_task(waits())
    await inside.wait()
    generator: Any = items()

    async def begin() -> None:
        await generator.__anext__()

    await asyncio.create_task(begin())
    await asyncio.create_task(generator.aclose())
    ctx.cancel("enough")
    with pytest.raises(CancelledError, match="enough"):
        await waiting


async def _tracked(ctx: Context, ends: list[str]) -> AsyncIterator[int]:
    try:
        async with ctx, aikit.track("inner"):
            yield 1
            ends.append("went on")
    finally:
        ends.append("left")


async def _blocks(ctx: Context, ends: list[str]) -> AsyncIterator[int]:
    try:
        async with ctx, ctx.child(), Context.create():
            yield 1
            ends.append("went on")
    finally:
        ends.append("left")


async def _around(args: Any, envelope: Any, following: Any) -> AsyncIterator[Any]:
    async for item in following():
        yield item


@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize("function", [_tracked, _blocks])
async def test_a_block_in_a_generator_rests_while_the_reader_has_the_item(
    function: Any, *, around: bool
) -> None:
    ctx, ends = Context.create(), list[str]()
    procedure: Procedure[Any] = Procedure(function, schema=False)
    if around:
        procedure = procedure.use(_around)
    stream: Any = procedure(ctx, ends)
    assert await stream.__anext__() == 1
    ctx.cancel("enough")
    await asyncio.sleep(0.05)  # the reader's own, and not ended
    assert Context.try_get() is None
    with pytest.raises(CancelledError, match="enough"):
        await stream.__anext__()
    if around:
        await asyncio.sleep(0)  # Python itself closes what the middleware has left
        gc.collect()
        await asyncio.sleep(0)
    assert ends == ["left"]
    assert _is_as_it_was()
    await asyncio.sleep(0)


async def test_a_block_in_a_generator_that_rested_ends_it_where_it_waits_later() -> None:
    ctx = Context.create()

    @aikit.procedure
    async def items() -> AsyncIterator[int]:
        async with ctx:
            yield 1
            await asyncio.sleep(LATE_S)
            yield 2

    stream: Any = items()
    assert await stream.__anext__() == 1
    asyncio.get_running_loop().call_later(0.02, ctx.cancel, "enough")

    async def read() -> None:
        with pytest.raises(CancelledError, match="enough"):
            await stream.__anext__()

    # Another task than that which read the first item.
    await asyncio.create_task(read())
    assert _is_as_it_was()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks count no requests there")
async def test_a_cancellation_that_was_taken_back_is_not_taken_back_again() -> None:
    ctx = Context.create()

    @aikit.procedure
    async def items() -> AsyncIterator[int]:
        async with ctx:
            yield 1
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(LATE_S)
            yield 2

    stream: Any = items()
    assert await stream.__anext__() == 1
    asyncio.get_running_loop().call_later(0.02, ctx.cancel, "enough")
    # The block was cancelled and goes on all the same; the reader's task is not cancelled by that.
    assert await stream.__anext__() == 2
    assert _is_as_it_was()
    task: Any = asyncio.current_task()
    task.cancel()
    with pytest.raises(CancelledError, match="enough"):
        await stream.__anext__()
    # What somebody else has asked for is asked for still.
    assert task.cancelling() == 1
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(LATE_S)
    assert task.uncancel() == 0

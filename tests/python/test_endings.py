"""Ends of blocks and calls: deadlines, cancellations, and what they leave alone."""

# ruff: noqa: ANN401, ARG001  # middleware has one signature, whatever it needs of it

from __future__ import annotations

import asyncio
import gc
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context, Procedure
from aikit.errors import AikitError, CancelledError, DeadlineError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from aikit.middleware import Arguments, Envelope

# An end that comes later than this has not been brought about by what the test did.
LATE_S = 30.0


async def _awaited(value: Any) -> Any:  # any awaitable
    return await value


@aikit.procedure
def add(left: int, right: int = 1) -> int:
    """Adds."""
    return left + right


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


def cancels_itself() -> None:
    Context.get().cancel("enough")
    Context.get().check()


async def acancels_itself() -> None:
    Context.get().cancel("enough")
    await asyncio.sleep(LATE_S)


@pytest.mark.parametrize("function", [cancels_itself, acancels_itself])
def test_a_procedure_that_cancels_its_context_ends_alone(function: Callable[[], Any]) -> None:
    ends: Procedure[Any] = Procedure(function, name="ends")

    @aikit.procedure
    def caller() -> str:
        ways: list[Callable[[], object]] = [
            ends.run,
            lambda: ends.start().result(),
            ends.with_timeout(LATE_S).run,
        ]
        for way in ways:
            with pytest.raises(CancelledError, match="enough"):
                way()
        Context.get().check()
        return "goes on"

    @aikit.procedure
    async def acaller() -> str:
        for way in (ends.arun, ends.start):
            with pytest.raises(CancelledError, match="enough"):
                await way()
        await asyncio.sleep(0)
        Context.get().check()
        return "goes on"

    with Context.create() as ctx:
        assert caller() == acaller.run() == "goes on"
        assert not ctx.is_cancelled
        assert [it for it in nodes(ctx) if it[0] == "ends"] == [("ends", "cancelled")] * 5


def test_what_a_cancelled_procedure_has_called_ends_with_it() -> None:
    ended: list[str] = []

    @aikit.procedure
    async def inner() -> None:
        try:
            await asyncio.sleep(LATE_S)
        except AikitError:
            ended.append("aikit")
        except asyncio.CancelledError:
            ended.append("asyncio")
            raise

    @aikit.procedure
    async def outer() -> None:
        own = Context.get()
        asyncio.get_running_loop().call_later(0.01, own.cancel, "enough")
        await asyncio.gather(inner(), inner())

    with pytest.raises(CancelledError, match="enough"):
        asyncio.run(outer.arun())
    assert ended == ["asyncio"] * 2


def test_a_sync_block_is_left_at_the_next_call_of_aikit() -> None:
    with Context.create(timeout=0.02) as ctx:
        threading.Event().wait(0.05)
        with pytest.raises(DeadlineError):
            ctx.check()
    with Context.create() as ctx:
        ctx.cancel("enough")
        with pytest.raises(CancelledError, match="enough"):
            aikit.tools.count_words(text="a")


def test_a_time_limit_ends_waiting_and_blocking_and_is_named() -> None:
    release = threading.Event()

    @aikit.procedure(timeout=0.05)
    def blocks() -> None:
        release.wait(LATE_S)

    @aikit.procedure(timeout=0.05)
    async def waits() -> None:
        await asyncio.sleep(LATE_S)

    began = time.monotonic()
    with pytest.raises(DeadlineError, match="`blocks` took longer than 50ms"):
        blocks()
    with pytest.raises(DeadlineError, match="`waits` took longer than 50ms"):
        asyncio.run(_awaited(waits()))
    with pytest.raises(DeadlineError, match="`waits`"):
        waits.run()
    assert time.monotonic() - began < LATE_S
    release.set()
    assert add.with_timeout(0)(1) == 2
    assert add.with_timeout(LATE_S)(1) == 2
    with Context.create(timeout=0.05), pytest.raises(DeadlineError):
        Procedure(lambda: release.wait() and threading.Event().wait(LATE_S), name="late")()


def test_a_cancelled_context_ends_a_coroutine_and_a_sync_wait() -> None:
    async def main() -> None:
        entered = asyncio.Event()
        ended: list[str] = []

        @aikit.procedure
        async def waits() -> None:
            entered.set()
            try:
                await asyncio.sleep(LATE_S)
            except asyncio.CancelledError:
                ended.append("cleanly")
                raise

        # Not `async with`, which would end with its Context itself.
        with Context.create() as ctx:
            task = asyncio.ensure_future(_awaited(waits()))
            await entered.wait()
            ctx.cancel("enough")
            with pytest.raises(CancelledError, match="enough"):
                await task
        assert ended == ["cleanly"]
        assert not task.cancelled()

        # Whoever awaits can still cancel, and then it is an asyncio one.
        task = asyncio.ensure_future(_awaited(waits()))
        entered.clear()
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    called: list[int] = []
    with Context.create() as ctx:
        ctx.cancel("enough")
        with pytest.raises(CancelledError, match="enough"):
            Procedure(lambda: called.append(1), name="never")()
    assert called == []


def test_a_result_that_comes_too_late_is_none() -> None:
    @aikit.procedure
    def cancels() -> str:
        Context.get().cancel("not wanted")
        return "done"

    @aikit.procedure(timeout=0.05)
    def computes() -> str:
        time.sleep(0.2)
        return "done"

    @aikit.procedure
    async def acancels() -> str:
        Context.get().cancel("not wanted")
        return "done"

    @aikit.procedure
    def counts() -> Iterator[int]:
        yield 1
        Context.get().cancel("not wanted")

    with Context.create() as ctx:
        with pytest.raises(CancelledError, match="not wanted"):
            cancels()
        with pytest.raises(DeadlineError, match="computes"):
            computes()
        with pytest.raises(CancelledError, match="not wanted"):
            asyncio.run(acancels())
        stream = counts()
        assert next(stream) == 1
        with pytest.raises(CancelledError, match="not wanted"):
            next(stream)
        with pytest.raises(CancelledError, match="not wanted"), aikit.track("block"):
            Context.get().cancel("not wanted")
        names = ["cancels", "computes", "acancels", "counts", "block"]
        assert nodes(ctx) == [(name, "cancelled") for name in names]


def test_a_deadline_leaves_the_task_as_it_was() -> None:
    @aikit.procedure
    async def waits() -> None:
        await asyncio.sleep(LATE_S)

    @aikit.procedure
    async def around() -> None:
        await waits()

    @aikit.procedure(timeout=0.05)
    async def limited() -> None:
        await around()

    @aikit.procedure(timeout=0.05)
    async def blocks() -> str:
        await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251  # past its limit, without letting the loop go on
        return "ok"

    @aikit.procedure(timeout=0.05)
    async def stubborn() -> str:
        try:
            await asyncio.sleep(LATE_S)
        except asyncio.CancelledError:
            return "caught"
        return "late"

    async def main() -> None:
        task = asyncio.current_task()
        for _ in range(3):
            with pytest.raises(DeadlineError, match="limited"):
                await limited()
            # What comes too late is no result.
            with pytest.raises(DeadlineError, match="blocks"):
                await blocks()
            with pytest.raises(DeadlineError, match="stubborn"):
                await stubborn()
            # Nothing of it is left for what comes next.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert task is not None
            assert getattr(task, "cancelling", int)() == 0

    asyncio.run(main())


def test_middleware_that_cancels_keeps_the_function_from_being_called() -> None:
    called: list[int] = []

    def cancel(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
        envelope.context.cancel("enough")
        return following()

    with Context.create(), pytest.raises(CancelledError, match="enough"):
        Procedure(lambda: called.append(1), name="never").use(cancel)()
    assert called == []


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

"""Ends of procedures: time limits, cancellations, results that come too late."""

# ruff: noqa: ANN401, ARG001  # middleware has one signature, whatever it needs of it

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context, Procedure
from aikit.errors import AikitError, CancelledError, DeadlineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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

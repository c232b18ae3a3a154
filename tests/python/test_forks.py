"""Thousands of procedures at once never mix; what ends leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context
from aikit.errors import CancelledError, DeadlineError

if TYPE_CHECKING:
    from collections.abc import Callable

TENANTS, MIDDLES, LEAVES = 10, 20, 50
LATE_S = 30.0
# What a cancelled context may take to end something, beside whatever else the machine does.
SOON_S = 2.0


@aikit.tool
def where() -> list[str]:
    """Says where it is called: on a thread that Rust chose."""
    ctx = Context.get()
    return [str(ctx.user.tenant_id), str(ctx.metadata["middle"]), ctx.node.parent.name]  # type: ignore[union-attr]


# Of each middle, by tenant and number: its leaves that have begun, whether one of them has
# cancelled it, its Context, and its leaves that were ended while they waited.
running: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
cancelled: defaultdict[tuple[str, int], bool] = defaultdict(bool)
middles: dict[tuple[str, int], Context] = {}
ended: defaultdict[tuple[str, int], list[int]] = defaultdict(list)


@aikit.procedure
async def leaf(tenant: str, middle: int, number: int, is_doomed: bool) -> None:  # noqa: FBT001
    running[tenant, middle].add(number)
    for _ in range((middle + number) % 4):
        ctx = Context.get()
        assert (ctx.user.tenant_id, ctx.metadata["middle"], ctx.tick) == (
            tenant,
            middle,
            number + 1,
        )
        assert ctx.node.parent.name == "middle"  # type: ignore[union-attr]
        assert ctx.origin_name == "root"
        await asyncio.sleep(0)
    Context.get().add_metric("leaves", 1)
    if number % 25 == 0:
        assert await where.ainvoke({}) == [tenant, str(middle), "leaf"]
    if is_doomed:
        # All of them are here or above, and none has ended, when the last one cancels them.
        if len(running[tenant, middle]) == LEAVES and not cancelled[tenant, middle]:
            cancelled[tenant, middle] = True
            middles[tenant, middle].cancel(f"{tenant} {middle}")
        try:
            await asyncio.sleep(LATE_S)
        finally:
            ended[tenant, middle].append(number)


@aikit.procedure(name="middle")
async def middle_of(tenant: str, number: int) -> bool:
    ctx = Context.get()
    is_doomed = number % 5 == 0
    calls = [
        ctx.fork(
            leaf.arun,
            *(tenant, number, index, is_doomed),
            metadata={"middle": number},
            tick=index + 1,
        )
        for index in range(LEAVES)
    ]
    middles[tenant, number] = ctx
    await asyncio.gather(*calls)
    return True


@aikit.procedure(name="root")
async def root_of(tenant: str) -> int:
    ctx = Context.get()
    calls = [ctx.fork(middle_of.arun, tenant, number) for number in range(MIDDLES)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for number, outcome in enumerate(outcomes):
        if number % 5 == 0:
            assert isinstance(outcome, CancelledError), outcome
            assert outcome.message == f"{tenant} {number}"
        else:
            assert outcome is True
    return sum(outcome is True for outcome in outcomes)


async def request(tenant: str) -> None:
    async with Context.create(user="ada", tenant_id=tenant) as ctx:
        assert await root_of(tenant) == MIDDLES * 4 // 5
    root = ctx.graph.root
    assert root is not None
    assert root.name == "root"
    middles = root.children
    assert [node.status for node in middles].count("cancelled") == MIDDLES // 5
    assert root.get_metric("leaves") == sum(node.get_metric("leaves") for node in middles)
    assert root.get_metric("leaves") >= MIDDLES * 4 // 5 * LEAVES


def test_ten_thousand_coroutines_in_three_levels_never_mix() -> None:
    async def main() -> None:
        await asyncio.gather(*(request(f"tenant-{number}") for number in range(TENANTS)))

    asyncio.run(main())
    doomed = [place for place, is_cancelled in cancelled.items() if is_cancelled]
    assert len(doomed) == TENANTS * MIDDLES // 5
    for place in doomed:
        # What was cancelled ran, all of it.
        assert len(running[place]) == LEAVES
        assert ended[place]


def _calls(count: int) -> None:
    @aikit.procedure
    def plain(value: int) -> int:
        return value

    @aikit.procedure
    async def waiting(value: int) -> int:
        await asyncio.sleep(0)
        return value

    @aikit.procedure
    def breaks(value: int) -> None:
        message = f"broken {value}"
        raise ValueError(message)

    async def main() -> None:
        for number in range(count // 10):
            assert await waiting(number) == number
            with pytest.raises(ValueError, match="broken"):
                await breaks.start(number)
        doomed = Context.create()
        doomed.cancel("enough")
        for number in range(count // 100):
            with doomed, pytest.raises(CancelledError):
                await waiting(number)

    for number in range(count):
        assert plain(number) == number
    for number in range(count // 10):
        handle = breaks.start(number)
        with pytest.raises(ValueError, match="broken"):
            handle.result()
    asyncio.run(main())


def _objects() -> dict[str, int]:
    gc.collect()
    counts: dict[str, int] = {}
    for it in gc.get_objects():
        counts[type(it).__name__] = counts.get(type(it).__name__, 0) + 1
    return counts


@pytest.mark.slow
def test_calls_leave_no_references_tasks_or_threads() -> None:
    count = 100_000 if os.environ.get("TEST_SOAK") else 5_000
    _calls(500)
    before, threads = _objects(), threading.active_count()
    _calls(count)
    after = _objects()
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert {name: it for name, it in grown.items() if it > 50} == {}
    assert threading.active_count() <= threads


@pytest.mark.parametrize("way", ["coroutine", "sync tool", "sync procedure", "stream"])
def test_a_cancelled_context_ends_what_waits_soon(way: str) -> None:
    entered, release = threading.Event(), threading.Event()

    @aikit.tool
    def blocks() -> None:
        """Blocks."""
        entered.set()
        release.wait(LATE_S)

    @aikit.procedure
    async def waits() -> None:
        entered.set()
        await asyncio.sleep(LATE_S)

    @aikit.procedure(timeout=LATE_S)
    def holds() -> None:
        entered.set()
        release.wait(LATE_S)

    @aikit.procedure
    async def counts() -> Any:  # noqa: ANN401  # an async generator
        entered.set()
        await asyncio.sleep(LATE_S)
        yield 1

    async def drain() -> None:
        async for _ in counts():
            pass

    works: dict[str, Callable[[], object]] = {
        "coroutine": lambda: asyncio.run(_awaited(waits())),
        "sync tool": lambda: blocks.invoke({}),
        "sync procedure": holds,
        "stream": lambda: asyncio.run(drain()),
    }
    ctx = Context.create()
    cancelled: list[float] = []

    def cancel() -> None:
        entered.wait(LATE_S)
        cancelled.append(time.monotonic())
        ctx.cancel("enough")

    thread = threading.Thread(target=cancel)
    thread.start()
    with ctx, pytest.raises(CancelledError, match="enough"):
        works[way]()
    took = time.monotonic() - cancelled[0]
    release.set()
    thread.join()
    assert took < SOON_S


async def _awaited(value: Any) -> Any:  # noqa: ANN401  # any awaitable
    return await value


def test_a_deadline_ends_a_coroutine_that_waits() -> None:
    @aikit.procedure
    async def waits() -> None:
        await asyncio.sleep(LATE_S)

    began = time.monotonic()
    with Context.create(timeout=0.05), pytest.raises(DeadlineError):
        asyncio.run(_awaited(waits()))
    assert time.monotonic() - began < LATE_S

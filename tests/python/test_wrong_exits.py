"""Blocks that are left by who has not entered them, or once too often."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context
from aikit.errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAKERS: list[Callable[[], Any]] = [Context.create, lambda: aikit.track("block")]
NOTHING = (None, None, None)

both = pytest.mark.parametrize("make", MAKERS, ids=["Context", "track"])


def refused(wrong: Callable[[], object], why: str) -> None:
    with pytest.raises(InvalidArgsError, match=why) as failed:
        wrong()
    assert failed.value.hint


def on_a_thread(wrong: Callable[[], object]) -> BaseException | None:
    """What a call of ``wrong`` raises on a thread of its own."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(wrong).exception(30)


@both
def test_a_block_is_left_as_often_as_it_was_entered(make: Callable[[], Any]) -> None:
    block = make()
    refused(lambda: block.__exit__(*NOTHING), "more often")
    with block:
        assert Context.try_get() is not None
    refused(lambda: block.__exit__(*NOTHING), "more often")
    refused(lambda: asyncio.run(block.__aexit__(*NOTHING)), "more often")
    with block:
        assert Context.try_get() is not None
    assert Context.try_get() is None


@both
def test_another_thread_cannot_leave_it(make: Callable[[], Any]) -> None:
    block = make()
    with block:
        inside = Context.get()
        error = on_a_thread(lambda: block.__exit__(*NOTHING))
        assert isinstance(error, InvalidArgsError)
        assert "another thread" in str(error)
        assert error.hint
        error = on_a_thread(lambda: asyncio.run(block.__aexit__(*NOTHING)))
        assert isinstance(error, InvalidArgsError)
        assert Context.get() == inside
    assert Context.try_get() is None


@both
def test_another_task_cannot_leave_it(make: Callable[[], Any]) -> None:
    async def main() -> None:
        block = make()

        async def leave() -> None:
            await block.__aexit__(*NOTHING)

        async with block:
            with pytest.raises(InvalidArgsError, match="task, which is still inside"):
                await asyncio.create_task(leave())
            assert Context.try_get() is not None
        assert Context.try_get() is None

    asyncio.run(main())


def test_the_owner_of_a_tracked_block_still_ends_it() -> None:
    with Context.create() as ctx:
        block = aikit.track("work")
        node = block.__enter__()
        assert on_a_thread(lambda: block.__exit__(*NOTHING)) is not None
        assert node.status == "running"
        block.__exit__(None, None, None)
        assert [it.status for it in ctx.graph] == ["completed"]


def test_a_session_is_the_current_one_of_many_at_once() -> None:
    session = aikit.Session("shared")
    ready = asyncio.Event()

    async def first() -> None:
        with session:
            await ready.wait()
            assert aikit.Session.current() is session
        assert aikit.Session.current() is None

    async def second() -> None:
        with session:
            ready.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert aikit.Session.current() is session
        assert aikit.Session.current() is None

    async def main() -> None:
        await asyncio.gather(first(), second())

    asyncio.run(main())
    refused(lambda: session.__exit__(*NOTHING), "more often")
    with session:
        assert isinstance(on_a_thread(lambda: session.__exit__(*NOTHING)), InvalidArgsError)
        assert aikit.Session.current() is session
    assert aikit.Session.current() is None


@both
def test_what_nobody_else_could_leave_is_left(make: Callable[[], Any]) -> None:
    # A fixture that enters in one task and leaves in another one, once that has ended.
    async def main() -> None:
        block = make()

        async def enter() -> None:
            await block.__aenter__()

        await asyncio.create_task(enter())
        await block.__aexit__(None, None, None)
        assert Context.try_get() is None

    asyncio.run(main())
    block = make()
    thread = threading.Thread(target=block.__enter__)
    thread.start()
    thread.join()
    block.__exit__(None, None, None)
    assert Context.try_get() is None


@both
def test_the_frame_around_a_stack_tells_whose_block_it_is(make: Callable[[], Any]) -> None:
    # As a web framework runs the two halves of a dependency on whatever threads are free.
    def dependency() -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            stack.enter_context(make())
            yield

    steps = dependency()
    ready, done = threading.Event(), threading.Event()

    def first() -> None:
        next(steps)
        ready.set()
        done.wait(30)

    thread = threading.Thread(target=first)
    thread.start()
    assert ready.wait(30)
    assert next(steps, "the end") == "the end"
    done.set()
    thread.join()

    async def stacked() -> None:
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(make())
            stack.enter_context(make())
            assert Context.try_get() is not None
        assert Context.try_get() is None

    asyncio.run(stacked())

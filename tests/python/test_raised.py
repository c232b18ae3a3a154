"""What a function raises is what its caller gets, in every way of calling."""

# ruff: noqa: ANN401, ARG001  # middleware has one signature, whatever it needs of it

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import traceback
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context, Procedure
from aikit.errors import AikitError, CancelledError, DeadlineError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

# An end that comes later than this has not been brought about by what the test did.
LATE_S = 30.0


class OwnError(Exception):
    """An error of the program's own, which cannot be made of a text."""

    def __init__(self, code: int, *, detail: object) -> None:
        super().__init__(code)
        self.detail = detail


class OwnAikitError(NotFoundError):
    """One below those of aikit."""


def made() -> list[BaseException]:
    return [
        OwnError(7, detail=object()),
        OwnAikitError("no such thing", hint="look elsewhere"),
        NotFoundError("plain"),
        KeyError("key"),
        DeadlineError("of something else"),
        TimeoutError("of the program"),
        CancelledError("of something else"),
        KeyboardInterrupt("stop"),
        SystemExit(3),
        OSError(2, "gone"),
        StopIteration(4),
        StopAsyncIteration(5),
        # It has the name of asyncio's, and no more.
        concurrent.futures.CancelledError(),
    ]


def kinds(error: BaseException) -> dict[str, Procedure[Any]]:
    def raises() -> object:
        raise error

    async def araises() -> object:
        await asyncio.sleep(0)
        raise error

    def generates() -> Iterator[int]:
        yield 1
        raise error

    async def agenerates() -> AsyncIterator[int]:
        yield 1
        raise error

    return {it.__name__: Procedure(it) for it in (raises, araises, generates, agenerates)}


def through(args: Any, envelope: Any, following: Callable[..., Any]) -> Any:
    return following()


def collect(stream: Any) -> object:
    if hasattr(stream, "__anext__"):

        async def read() -> list[object]:
            return [item async for item in stream]

        return asyncio.run(read())
    return list(stream) if hasattr(stream, "__next__") else stream


def awaited(value: Any) -> object:
    async def wait() -> object:
        return await value

    return asyncio.run(wait()) if hasattr(value, "__await__") else collect(value)


async def twice(handle: Any) -> object:
    ends: Any = await asyncio.gather(handle, handle, return_exceptions=True)
    assert itself(ends[0]) is itself(ends[1])
    raise ends[0]


def itself(raised: BaseException) -> BaseException:
    """What was raised, where Python has put a RuntimeError in its place (PEP 479)."""
    if type(raised) is RuntimeError and isinstance(raised.__cause__, _STOPS):
        return raised.__cause__
    return raised


async def _waits(procedure: Procedure[Any]) -> object:
    return await procedure.start()


WAYS: dict[str, Callable[[Procedure[Any]], object]] = {
    "call": lambda it: awaited(it()),
    "run": lambda it: it.run(),
    "arun": lambda it: asyncio.run(it.arun()),
    "result": lambda it: it.start().result(),
    "await": lambda it: awaited(it.start()),
    "awaited by two": lambda it: asyncio.run(twice(it.start())),
    "limited": lambda it: awaited(it.with_timeout(LATE_S)()),
    "limited run": lambda it: it.with_timeout(LATE_S).run(),
    "limited arun": lambda it: asyncio.run(it.with_timeout(LATE_S).arun()),
    "limited start": lambda it: it.with_timeout(LATE_S).start().result(),
    "middleware": lambda it: it.use(through).with_timeout(LATE_S).run(),
    "own context": lambda it: it.with_context(timeout=LATE_S).run(),
    "in a handle's work": lambda it: Procedure(it.run, name="outer").start().result(),
    "handle in a handle": lambda it: (
        Procedure(lambda: it.start().result(), name="outer", timeout=LATE_S).start().result()
    ),
    "await in a handle": lambda it: Procedure(_waits, schema=False).start(it).result(),
    "in a context": lambda it: Context.create().run(it.run),
}

# An exit, or a Ctrl-C, that a task raises goes through the loop at once.
_ENDS_LOOPS = (KeyboardInterrupt, SystemExit)
# These end an iteration; where they would do it by mistake, they have to be the cause of another.
_STOPS = (StopIteration, StopAsyncIteration)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["raises", "araises", "generates", "agenerates"])
def test_what_a_function_raises_reaches_its_caller_as_it_is(way: str, kind: str) -> None:
    for error in made():
        if isinstance(error, _ENDS_LOOPS) and (kind.startswith("a") or "await" in way):
            continue
        expected = (type(error), RuntimeError) if isinstance(error, _STOPS) else type(error)
        with Context.create(), pytest.raises(expected) as caught:
            WAYS[way](kinds(error)[kind])
        assert itself(caught.value) is error
        if kind == "raises" and not ("await" in way or "arun" in way):
            assert caught.value is error
        frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert frames[-1] == kind
        assert error.__cause__ is None


@pytest.mark.parametrize("limit", [0, LATE_S])
def test_what_a_part_of_a_pipe_raises_is_what_the_pipe_raises(limit: float) -> None:
    error = OwnError(1, detail=None)
    parts = kinds(error)
    first: Procedure[Any] = Procedure(lambda: 1, name="first", timeout=limit)
    for name in ("raises", "araises"):
        last: Procedure[Any] = Procedure(lambda _, it=parts[name]: it(), name="last", timeout=limit)
        chain = aikit.pipe(first, last).with_timeout(limit)
        for way in ("call", "run", "arun", "result"):
            with pytest.raises(OwnError) as caught:
                awaited(WAYS[way](chain))
            assert caught.value is error


def test_the_traceback_of_a_handles_exception_does_not_grow() -> None:
    error = OwnError(1, detail=None)
    handle = kinds(error)["raises"].start()
    lengths = []
    for _ in range(3):
        with pytest.raises(OwnError):
            handle.result()
        lengths.append(len(traceback.extract_tb(error.__traceback__)))
    assert len(set(lengths)) == 1


def test_a_time_limit_says_so_whatever_the_function_makes_of_it() -> None:
    @aikit.procedure(timeout=0.05)
    async def gives_up() -> None:
        try:
            await asyncio.sleep(LATE_S)
        except asyncio.CancelledError:
            raise OwnError(1, detail=None) from None

    for way in ("run", "result"):
        with pytest.raises(DeadlineError, match="`gives_up` took longer"):
            WAYS[way](gives_up)


def test_a_cancellation_of_asyncios_stays_one_of_aikits_for_who_holds_a_handle() -> None:
    @aikit.procedure
    async def cancels() -> None:
        raise asyncio.CancelledError

    for way in ("run", "result", "await"):
        with pytest.raises(CancelledError, match="`cancels` was cancelled"):
            WAYS[way](cancels)


def test_a_tool_still_says_which_function_raised() -> None:
    @aikit.tool
    def breaks() -> None:
        """Breaks."""
        raise OwnError(1, detail=None)

    with pytest.raises(AikitError, match="`breaks` raised OwnError") as caught:
        breaks.invoke({})
    assert isinstance(caught.value.__cause__, OwnError)


@pytest.mark.parametrize("kind", ["raises", "araises", "generates"])
@pytest.mark.parametrize("way", [lambda it: it.result(), awaited], ids=["result", "await"])
def test_what_a_handle_raised_goes_with_the_frames_it_went_through(
    kind: str, way: Callable[[Any], object]
) -> None:
    class Local:
        """What a frame holds."""

    held: list[weakref.ref[Local]] = []

    def ask() -> None:
        local = Local()
        held.append(weakref.ref(local))
        handle = kinds(OwnError(1, detail=local))[kind].start()
        for _ in range(2):
            with pytest.raises(OwnError) as caught:
                way(handle)
            assert caught.value.detail is local

    for _ in range(20):
        ask()
    for _ in range(3):
        gc.collect()
    # Whatever thread ran the last one may still be at it.
    assert sum(it() is not None for it in held) <= 1


def test_a_handle_in_use_keeps_what_it_raises() -> None:
    handle = kinds(OwnError(1, detail=None))["raises"].start()
    with pytest.raises(OwnError) as first:
        handle.result()
    gc.collect()
    with pytest.raises(OwnError) as second:
        handle.result()
    assert first.value is second.value


def test_a_task_that_cancels_itself_is_no_loop_that_has_ended() -> None:
    @aikit.procedure
    async def gives_up() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(LATE_S)

    for way in ("run", "result", "await"):
        with pytest.raises(CancelledError, match="`gives_up` was cancelled"):
            WAYS[way](gives_up)

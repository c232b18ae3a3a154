"""Time limits of generators that block: they hold, and what is left behind cleans up."""

from __future__ import annotations

import _thread
import gc
import logging
import threading
import time
from typing import TYPE_CHECKING

import pytest

import aikit
from aikit import Context
from aikit.errors import CancelledError, DeadlineError, InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# An end that comes later than this has not been brought about by what the test did.
LATE_S = 30.0


def nodes(ctx: Context) -> list[tuple[str, str]]:
    return [(node.name, node.status) for node in ctx.graph]


class Stuck:
    """A generator that gives one item and then blocks until it is released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.closed = threading.Event()
        self.closed_in: list[bool] = []

    def items(self) -> Iterator[int]:
        try:
            yield 1
            self.release.wait(LATE_S)
            yield 2
        finally:
            node = Context.get().node
            self.closed_in.append(node is not None and node.name.startswith("stuck"))
            self.closed.set()


@pytest.mark.parametrize("around", ["own limit", "limit of the Context", "limit of the call"])
def test_a_limit_ends_a_generator_that_blocks(
    around: str, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = Stuck()
    name = f"stuck {around}"
    procedure: aikit.Procedure[None] = aikit.Procedure(stuck.items, name=name)
    if around == "own limit":
        procedure = procedure.with_timeout(0.2)
    elif around == "limit of the call":
        procedure = procedure.with_context(timeout=0.2)
    began = time.monotonic()
    limit = 0.2 if around == "limit of the Context" else None
    with caplog.at_level(logging.WARNING), Context.create(timeout=limit) as ctx:
        stream = procedure()
        assert next(stream) == 1
        said = f"`{name}` took longer than 200ms" if around == "own limit" else "deadline"
        with pytest.raises(DeadlineError, match=said):
            next(stream)
        # It has ended, and neither waits for what still runs.
        with pytest.raises(StopIteration):
            next(stream)
        stream.close()
    assert time.monotonic() - began < LATE_S
    assert nodes(ctx) == [(name, "cancelled")]
    assert not stuck.closed.is_set()
    told = [it.getMessage() for it in caplog.records if "outlived" in it.getMessage()]
    assert len(told) == 1
    assert name in told[0]
    stuck.release.set()
    assert stuck.closed.wait(LATE_S), "it is closed when it has given its item"
    assert stuck.closed_in == [True]


def test_a_limit_ends_a_generator_that_blocks_before_its_first_item() -> None:
    release = threading.Event()

    @aikit.procedure(timeout=0.05)
    def blocks() -> Iterator[int]:
        release.wait(LATE_S)
        yield 1

    with pytest.raises(DeadlineError, match="`blocks` took longer than 50ms"):
        list(blocks())
    release.set()


def test_a_generator_between_two_items_is_closed_at_the_limit() -> None:
    closed: list[bool] = []

    @aikit.procedure(timeout=0.05)
    def counts() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.append(Context.get().is_within("counts"))

    stream = counts()
    assert next(stream) == 0
    threading.Event().wait(0.1)
    with pytest.raises(DeadlineError, match="`counts` took longer"):
        next(stream)
    assert closed == [True]


def test_a_cancelled_context_ends_a_generator_that_blocks() -> None:
    stuck = Stuck()
    procedure: aikit.Procedure[None] = aikit.Procedure(stuck.items, name="stuck", timeout=LATE_S)
    with Context.create() as ctx:
        stream = procedure()
        assert next(stream) == 1
        threading.Timer(0.05, ctx.cancel, ["enough"]).start()
        with pytest.raises(CancelledError, match="enough"):
            next(stream)
    stuck.release.set()
    assert stuck.closed.wait(LATE_S)


def test_with_a_limit_a_generator_does_what_it_does_without() -> None:
    @aikit.procedure
    def talks(limit: int) -> Generator[object, object, str]:
        with Context.get().child(metadata={"inside": "yes"}), aikit.track("inside"):
            for _ in range(limit):
                node = Context.get().node
                assert node is not None
                Context.get().add_metric("items", 1)
                answer = yield node.name, Context.get().metadata["inside"]
                if answer is not None:
                    yield answer
        return "done"

    def outcome(timeout: float | None) -> list[object]:
        procedure = talks.with_timeout(timeout)
        with Context.create() as ctx:
            stream = procedure(2)
            seen = [next(stream), stream.send("hello"), *stream, stream.returned]
            with pytest.raises(InvalidArgsError, match="limit"):
                next(procedure("many"))
            thrown = procedure(2)
            next(thrown)
            error = ValueError("no")
            with pytest.raises(ValueError, match="no") as caught:
                thrown.throw(error)
            assert caught.value is error
            with procedure(100) as left:
                next(left)
            dropped = procedure(100)
            next(dropped)
            del dropped
            gc.collect()
            assert Context.get() == ctx
        root = ctx.graph.root
        assert root is not None
        return [*seen, root.get_metric("items"), *nodes(ctx)]

    expected = outcome(None)
    assert expected[:4] == [("inside", "yes"), "hello", ("inside", "yes"), "done"]
    assert outcome(LATE_S) == expected


def test_an_interrupt_ends_the_wait_and_the_context_of_the_generator() -> None:
    begun, ended = threading.Event(), threading.Event()

    @aikit.procedure(timeout=LATE_S)
    def looks() -> Iterator[int]:
        begun.set()
        try:
            while not ended.wait(0.01):
                Context.get().check()
            yield 1
        except CancelledError:
            ended.set()
            raise

    def interrupt() -> None:
        begun.wait(LATE_S)
        _thread.interrupt_main()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with Context.create() as ctx:
        stream = looks()
        with pytest.raises(KeyboardInterrupt):
            next(stream)
        assert list(stream) == []
    thread.join()
    assert ended.wait(LATE_S)
    assert [name for name, _ in nodes(ctx)] == ["looks"]
    assert nodes(ctx)[0][1] != "running"

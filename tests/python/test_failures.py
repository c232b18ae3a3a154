"""What a failure costs: in proportion to the calls around it, and not to what it says."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

import aikit
from aikit import Context, Procedure
from aikit.errors import InvalidArgsError, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable

LONG = "x" * 1_000_000
# More than what is kept of a message, and of the lines of a traceback.
MESSAGE_CHARS_MAX = 10_100
TRACEBACK_LINES_MAX = 32 * 4


def _fail(message: str) -> None:
    raise ValueError(message)


fail: Procedure[None] = Procedure(_fail, name="fail", schema=False)


def _nest(depth: int) -> None:
    if depth == 0:
        raise ValueError("deep")
    nest(depth - 1)


nest: Procedure[None] = Procedure(_nest, name="nest", schema=False)


def test_a_failure_that_nobody_watches_reads_no_files() -> None:
    # A traceback is written down with its lines, which stand in files.
    program = """
import sys
import aikit

opened = []
is_on = False
sys.addaudithook(lambda event, args: opened.append(args[0]) if is_on and event == "open" else None)

@aikit.procedure(schema=False)
def nest(depth):
    if depth == 0:
        raise ValueError("deep")
    nest(depth - 1)

for _ in range(2):
    try:
        nest(20)
    except ValueError as error:
        assert str(error) == "deep"
    # What is done once is done.
    is_on, opened[:] = True, []
assert is_on and not opened, opened
print("ended")
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "ended\n"), done.stderr[-2000:]


def _shortest(depth: int) -> float:
    times: list[float] = []
    for _ in range(7):
        began = time.thread_time()
        with pytest.raises(ValueError, match="deep"):
            nest(depth)
        times.append(time.thread_time() - began)
    return min(times)


def test_nested_failures_cost_in_proportion_to_their_depth() -> None:
    def both() -> tuple[float, float]:
        return _shortest(14), _shortest(56)

    nest_few = both()
    # Four times as deep: 4 times as long, not 16 times. The rest is left for noise.
    assert nest_few[1] < 10 * nest_few[0], nest_few
    watched: Procedure[tuple[float, float]] = Procedure(both, name="watched", schema=False)
    # Somebody holds the handle, so every failure is written down, with more frames the deeper it is
    # until there are enough.
    few, many = watched.start().result()
    assert many < 12 * few, (few, many)


def test_a_traceback_is_written_down_from_within_up_to_a_length() -> None:
    def watched() -> None:
        with pytest.raises(ValueError, match="deep"):
            nest(40)

    handle: aikit.Handle[None] = Procedure(watched, name="watched", schema=False).start()
    handle.result()
    failed = [it.data["error"] for it in handle.events if it.kind == "procedure.error"]
    assert len(failed) == 41
    for error in failed:
        lines = error["traceback"]
        assert lines[0].startswith("Traceback")
        assert any('raise ValueError("deep")' in it for it in lines)
        assert len(lines) <= TRACEBACK_LINES_MAX
    assert "more frames around these" in failed[-1]["traceback"][1]


@pytest.mark.parametrize("way", ["call", "run", "handle"])
def test_a_long_message_is_raised_whole_and_noted_in_part(way: str) -> None:
    ways: dict[str, Callable[[str], object]] = {
        "call": fail,
        "run": fail.with_timeout(60).run,
        "handle": lambda message: fail.start(message).result(),
    }
    with Context.create() as ctx, pytest.raises(ValueError, match="xxx") as caught:
        ways[way](LONG)
    assert str(caught.value) == LONG
    (node,) = ctx.graph
    said = node.error or ""
    assert said.startswith("the Python function `fail` raised ValueError: xxx")
    assert said.endswith("more characters)")
    assert len(said) < MESSAGE_CHARS_MAX


def test_long_messages_of_aikits_own_errors_and_of_tools_are_noted_in_part() -> None:
    def raises() -> None:
        raise InvalidArgsError(LONG, hint="do otherwise")

    own: Procedure[None] = Procedure(raises, name="own")
    with Context.create() as ctx, pytest.raises(InvalidArgsError) as caught:
        own()
    assert caught.value.message == LONG
    assert len(ctx.graph.all()[0].error or "") < MESSAGE_CHARS_MAX

    @aikit.tool
    def says_much() -> None:
        """Says much."""
        raise ValueError(LONG)

    with pytest.raises(ToolError) as failed:
        says_much.invoke({})
    assert len(failed.value.message) < MESSAGE_CHARS_MAX
    assert str(failed.value.__cause__) == LONG


def test_what_an_exception_says_may_be_no_text_of_unicode_and_may_fail() -> None:
    class Mute(Exception):  # noqa: N818  # it says nothing
        def __str__(self) -> str:
            raise RuntimeError("no words")

    def raises(error: Exception) -> None:
        raise error

    strange: Procedure[None] = Procedure(raises, name="strange", schema=False)
    for error in (Mute(), ValueError("\ud800 half")):
        with Context.create() as ctx, pytest.raises(type(error)) as caught:
            strange(error)
        assert caught.value is error
        assert "raised" in (ctx.graph.all()[0].error or "")

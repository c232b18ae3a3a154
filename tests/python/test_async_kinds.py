"""Functions that are async without being written so: what they give is awaited all the same."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

import pytest

import aikit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


async def plain(value: int) -> int:
    """Adds one."""
    await asyncio.sleep(0)
    return value + 1


@functools.wraps(plain)
def wrapped(value: int) -> Any:  # noqa: ANN401  # a coroutine
    return plain(value)


@functools.wraps(plain)
def answered(value: int) -> int:
    # It only wraps an async function.
    return asyncio.run(plain(value))


class Called:
    """Adds one."""

    __name__ = "called"

    async def __call__(self, value: int) -> int:
        return await plain(value)


KINDS: list[Callable[..., Any]] = [
    plain,
    wrapped,
    answered,
    Called(),
    functools.partial(plain),
    lambda value: plain(value),  # noqa: PLW0108  # no async function itself
]


@pytest.mark.parametrize("function", KINDS)
def test_a_tool_and_a_change_of_a_value_take_each_kind(
    function: Callable[..., Any], tmp_path: Path
) -> None:
    tool = aikit.tool(name="add_one", summary="Adds one.")(function)
    assert tool.invoke({"value": 1}) == 2
    state = aikit.State(url=f"sqlite:{tmp_path / 'state.db'}")
    state["n"] = 1
    assert state.update("n", function) == 2
    assert state["n"] == 2


def test_what_an_async_change_raised_is_raised_as_it_was(tmp_path: Path) -> None:
    raised = ValueError("not now")

    async def change(_: object) -> None:
        raise raised

    state = aikit.State(url=f"sqlite:{tmp_path / 'state.db'}")
    for given in (change, functools.partial(change)):
        with pytest.raises(ValueError, match="not now") as caught:
            state.update("n", given)
        assert caught.value is raised

"""Contexts: who calls, where a call stands, what it counts, and how it reaches callbacks.

python examples/python/contexts.py
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING

import aikit
from aikit import Context

if TYPE_CHECKING:
    from collections.abc import Callable


def whose() -> str:
    """Says on whose behalf it runs, and for which request."""
    context = Context.get()
    return f"{context.user.id} ({context.request_id}, {context.caller})"


@aikit.procedure
def outer() -> None:
    """Begins a chain of calls."""
    print("outer is standalone:", Context.get().is_standalone)
    inner()
    print("steps, inner ones included:", Context.get().get_metric("steps"))


@aikit.procedure
def inner() -> None:
    """Stands below it, and can see that."""
    context = Context.get()
    if info := context.execution_info:
        print(info.name, "at depth", info.depth, "below", info.origin_name)
    print("inner is standalone:", context.is_standalone, "within:", context.is_within("outer"))
    if origin := context.origin:
        print("origin:", origin.name, origin.status)
    # Each execution has its own counters; what it has counted is added to its caller's.
    context.add_metric("steps", 2)
    context.add_metric("steps", 1)
    context.set_metric("tokens.limit", 100)
    print(context.get_metric("steps"), context.get_metric("unknown"), context.metrics)


class Button:
    """Calls a function later, when nobody is inside of a Context any more."""

    def __init__(self) -> None:
        self.on_click: Callable[[], None] = lambda: None


def connect(button: Button) -> None:
    """Keeps the Context of now for the callback."""
    context = Context.get()
    button.on_click = lambda: print("clicked for", context.run(whose))


async def main() -> None:
    """Shows one after the other."""
    context = Context.create(user="ada", request_id="request-1", metadata={"locale": "de"})
    print(context.run(whose), "current outside:", Context.try_get())

    button = Button()
    with context:
        outer()
        graph = context.graph
        for node in graph:
            print("graph:", node, "called by", graph.parent(node.pid))
        connect(button)

        # A thread has a Context when it is given one: all context variables, or this one.
        copied = contextvars.copy_context()
        for call in (lambda: copied.run(whose), lambda: context.run(whose)):
            thread = threading.Thread(target=lambda call=call: print("thread of", call()))
            thread.start()
            thread.join()

        # Tasks have it by themselves; a fork may know more.
        async def locale() -> object:
            await asyncio.sleep(0)
            return Context.get().metadata["locale"]

        print(await asyncio.gather(locale(), context.fork(locale, metadata={"locale": "fr"})))
    button.on_click()


if __name__ == "__main__":
    asyncio.run(main())

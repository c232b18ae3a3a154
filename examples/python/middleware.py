"""Middleware: bundles of it, a factory of procedures that have it, methods, guards.

python examples/python/middleware.py
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aikit
from aikit import Context

if TYPE_CHECKING:
    from collections.abc import Callable

    from aikit.middleware import Arguments, Envelope


async def timing(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> object:  # noqa: ARG001
    """Counts the calls of each operation."""
    Context.get().add_metric(f"calls.{envelope.operation_name}", 1)
    return await following()


async def doubling(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> object:  # noqa: ARG001
    """Changes the arguments on the way in, and the result on the way out."""
    return {"of": args[0], "is": await following((args[0] * 2,))}


async def is_admin(args: Arguments, envelope: Envelope) -> bool:  # noqa: ARG001
    """Whether a call may go on."""
    return "admin" in Context.get().user.roles


# Several counts as one wherever middleware is taken; the first stands outermost.
common = aikit.pipeline(timing, doubling)

# Each procedure that a factory makes has its middleware from the beginning.
audited = aikit.procedure_factory(common)


@audited
async def square(number: int) -> int:
    """Has both, without saying so."""
    return number * number


class Counter:
    """A class whose methods are procedures."""

    def __init__(self, start: int) -> None:
        self.value = start

    @aikit.procedure(name="counter.add")
    async def add(self, amount: int) -> int:
        """A method has its object, and its schema is that of the other parameters."""
        self.value += amount
        return self.value

    @audited
    async def scale(self, factor: int) -> int:
        """The decorator of a factory works on methods too."""
        self.value *= factor
        return self.value

    @aikit.procedure(middleware=[aikit.guard(is_admin, name="admins only")])
    async def reset(self) -> None:
        """Only who may calls it."""
        self.value = 0


async def main() -> None:
    """Shows one after the other."""
    async with Context.create(user="ada"):
        with aikit.track("work") as work:
            print(await square(3))
            counter = Counter(1)
            print(await counter.add(2), await counter.add.use(timing)(amount=4))
            try:
                await counter.add("many")
            except aikit.errors.InvalidArgsError as error:
                print(error.message)
            try:
                await counter.reset()
            except aikit.GuardError as error:
                print(error.kind, "-", error.message)
        print(work.metrics)
    async with Context.create(user="grace", roles=["admin"]):
        await counter.reset()
        print(counter.value)


if __name__ == "__main__":
    asyncio.run(main())

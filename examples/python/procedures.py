"""Procedures: functions with middleware, a schema, a time limit, pipes, a handle, and a graph."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aikit
from aikit import Context

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aikit.middleware import Arguments, Envelope


@aikit.procedure
async def greet(name: str) -> str:
    """A procedure is called like its function, and runs in a Context."""
    return f"Hello, {name}! (user {Context.get().user.id})"


async def logging(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> object:
    """Middleware stands around a call."""
    print(f"{envelope.operation_name} called with {args[0]}")
    try:
        result = await following()
    except Exception as error:
        print(f"{envelope.operation_name} failed: {error}")
        raise
    print(f"{envelope.operation_name} completed")
    return result


@aikit.procedure(name="area", timeout=5.0)
def area(width: float, height: float) -> float:
    """The type hints are the schema, which is checked before anything else sees the arguments."""
    return width * height


@aikit.procedure
def fetch(user_id: str) -> dict[str, Any]:
    """Procedures can stand one after the other: see `profile`."""
    return {"id": user_id, "name": "Ada"}


@aikit.procedure
async def enrich(user: dict[str, Any]) -> dict[str, Any]:
    """The second of them."""
    return {**user, "posts": ["On engines", "Notes"]}


@aikit.procedure
def present(user: dict[str, Any]) -> str:
    """The third."""
    return f"{user['name']} wrote {len(user['posts'])} posts, the last is {user['posts'][-1]}"


profile = aikit.pipe(fetch, enrich, present)


@aikit.procedure
async def think(seconds: float) -> str:
    """Takes its time, which `with_timeout` limits."""
    await asyncio.sleep(seconds)
    return "thought"


@aikit.procedure
async def count(limit: int) -> AsyncIterator[dict[str, float]]:
    """A generator hands values out before it returns; a handle tells of them."""
    for number in range(1, limit + 1):
        yield {"progress": number / limit}


async def name_of(name: str) -> object:
    """Forks run side by side and never see each other's Context."""

    async def look() -> object:
        await asyncio.sleep(0)
        return Context.get().metadata["name"]

    return await Context.get().fork(look, metadata={"name": name})


async def main() -> None:
    """Shows one after the other."""
    async with Context.create(user="user-1"):
        print(await greet("World"))
        print(await greet.use(logging)("again"))
        print(area(2, 3))
        try:
            area(2, "high")
        except aikit.errors.InvalidArgsError as error:
            print(error.message)
        print(await profile("user-123"))
        print((await fetch.pipe(enrich)("user-5"))["posts"])
        print(await think.with_timeout(30)(0))
        try:
            await think.with_timeout(0.05)(30)
        except TimeoutError as error:
            print(error)
        async for chunk in count(2):
            print(chunk)
        handle = count.start(2)
        # A listener runs on a thread of its own, and has what was before it too.
        listening = handle.events.on("stream.chunk", lambda event: print(event.data["value"]))
        await handle
        listening.join()
        print("result:", handle.result(), handle.status)
        print([event.kind for event in handle.events])
        with aikit.track("engine"):
            with aikit.track("model"):
                Context.get().add_usage(input_tokens=100, output_tokens=50)
                print("within engine:", Context.get().is_within("engine"))
            print("tokens of the engine:", Context.get().usage.input_tokens)
        print(await asyncio.gather(name_of("first"), name_of("second")))


if __name__ == "__main__":
    asyncio.run(main())

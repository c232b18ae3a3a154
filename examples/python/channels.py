"""Channels, events and streams: a request with its response, progress, facts, merged sources.

python examples/python/channels.py
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import aikit
from aikit import streams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@aikit.tool
def ask_confirmation(message: str) -> dict[str, bool]:
    """Asks the user to confirm something, over a channel.

    Args:
        message: What is to be confirmed.
    """
    channel = aikit.Channel("user:input")
    response = channel.request({"message": message, "kind": "confirm"}, timeout=60)
    return {"confirmed": response.payload["confirmed"]}


def answer(event: aikit.ChannelEvent) -> None:
    """Answers requests, as a widget of a notebook would over its comm.

    Args:
        event: An event of the channel.
    """
    if event.type == "request":
        print("asked", event.payload["message"])
        aikit.Channel(event.channel).respond(event, {"confirmed": True})


async def ticks(count: int) -> AsyncIterator[str]:
    """A source of items that waits between them.

    Args:
        count: How many there are.

    Yields:
        The items.
    """
    for _ in range(count):
        await asyncio.sleep(0.001)
        yield "tick"


async def watch() -> None:
    """Reads two sources as one, and progress while it is made."""
    merged = streams.merge({"fast": ticks(3), "slow": ticks(1)})
    sources = [item.source async for item in merged]
    print("fast", sources.count("fast"), "slow", sources.count("slow"))

    progress = aikit.Channel("ui:progress")
    # From here on; a stream subscribes when it is first read.
    events = progress.events()
    progress.publish("update", {"percent": 100})
    async with aclosing(streams.map(events, lambda it: it.payload["percent"])) as updates:
        print("percent", await anext(updates))
    print("subscribers", progress.subscriber_count())


def main() -> None:
    """Runs every part and prints its answer."""
    answering = aikit.Channel("user:input").subscribe(answer)
    print("confirmed", ask_confirmation.invoke({"message": "Delete the old index?"})["confirmed"])
    answering.stop()

    with aikit.events.subscribe("**") as facts:
        aikit.tools.count_words(text="one two three")
        aikit.events.publish("report.done", {"words": 3})
        for event in facts.events(timeout=0):
            print(event.kind, event.source)

    asyncio.run(watch())


if __name__ == "__main__":
    main()

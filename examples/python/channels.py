"""Channels, events and streams: a request with its response, progress, facts, merged sources.

python examples/python/channels.py
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import aikit
from aikit import channels, streams

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


def confirm_by_id() -> None:
    """Publishes a request with an id of its own, and waits for the response somewhere else."""
    channels.publish("user:input", "request", {"message": "Overwrite notes.md?"}, id="overwrite-1")
    # It may have come before anybody waited.
    response = channels.wait_for_response("user:input", "overwrite-1", timeout=60)
    print("response to", response.id, response.payload)
    # A library that runs with and without channels asks whether there are some.
    found = channels.try_get_channel("user:input")
    print("none" if found is None else found.name)


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
    confirm_by_id()
    answering.stop()

    with aikit.events.subscribe("**") as facts:
        aikit.tools.count_words(text="one two three")
        aikit.events.publish("report.done", {"words": 3})
        for event in facts.events(timeout=0):
            print(event.kind, event.source)

    asyncio.run(watch())


if __name__ == "__main__":
    main()

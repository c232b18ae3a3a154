"""Hooks: functions that see calls of tools and models, change them, answer for them or stop them.

python examples/python/hooks.py
"""

from __future__ import annotations

import asyncio

import aikit
from aikit import hooks
from aikit.testing import ScriptedModel


@aikit.hook("tool.before", priority="high")
def show(call: hooks.Call) -> None:
    """Prints each tool call before it happens."""
    print("before", call.tool, call.args)


@aikit.hook("tool.before")
def hide(call: hooks.Call) -> hooks.Modify:
    """Changes the arguments; they are checked as the caller's are."""
    return hooks.Modify(args={"text": call.args["text"].replace("secret", "…")})


@aikit.hook("model.after")
async def polish(call: hooks.Call) -> hooks.Replace:
    """Answers in place of the model; a hook may be async."""
    await asyncio.sleep(0)
    return hooks.Replace(call.response["message"]["parts"][0]["text"].capitalize())


LENGTH_MAX = 100


@aikit.hook("tool.before", required=True)
def guard(call: hooks.Call) -> hooks.Stop | None:
    """Stops what it does not want; when it fails itself, the call fails with it."""
    return hooks.Stop("the text is too long") if len(call.args["text"]) > LENGTH_MAX else None


def main() -> None:
    """Calls a tool and a model with the hooks around them."""
    print(aikit.tools.count_words(text="a secret text").words)
    print(ScriptedModel(["hello"]).complete("hi").text)
    try:
        aikit.tools.count_words(text="word " * 50)
    except aikit.errors.DeniedError as error:
        print(error)
    with hooks.use("rate_limit", on="tool", calls=1, per_s=60, wait=False):
        aikit.tools.count_words(text="one")
        try:
            aikit.tools.count_words(text="two")
        except aikit.errors.LimitExceededError as error:
            print(error)
    for hook in hooks.list():
        print(hook.name, hook.state, hook.calls)


if __name__ == "__main__":
    main()

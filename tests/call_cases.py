"""The calls of the call matrix: each sync and async, answering what the tool saw.

Run as a script, `python call_cases.py MODE CASE` prints the answer as JSON; the tests import it
in threads, in running loops and in an IPython kernel as well.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import sys
from typing import TYPE_CHECKING, Any

import aikit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TEXT = "one two three"
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


@aikit.tool
def sync_tool(text: str) -> dict[str, Any]:
    """Counts on a thread.

    Args:
        text: What to count.
    """
    return {"words": len(text.split()), "variable": VARIABLE.get()}


@aikit.tool
async def async_tool(text: str) -> dict[str, Any]:
    """Counts on a loop.

    Args:
        text: What to count.
    """
    await asyncio.sleep(0)
    return {"words": len(text.split()), "variable": VARIABLE.get()}


@aikit.tool
def nesting_tool(text: str) -> dict[str, Any]:
    """Counts by calling aikit again, while an agent waits for the answer.

    Args:
        text: What to count.
    """
    words = aikit.tools.count_words(text=text).words
    again = async_tool.invoke({"text": text})
    return {"words": words, "variable": again["variable"]}


def agent() -> aikit.Agent:
    """Returns an agent that calls the nesting tool once."""
    call = {"name": "nesting_tool", "arguments": {"text": TEXT}}
    model = aikit.testing.ScriptedModel([{"tool_calls": [call]}, "done"])
    return aikit.Agent(model, tools=[nesting_tool])


def answer_of(run: aikit.AgentRun) -> dict[str, Any]:
    """Returns what the nesting tool answered."""
    assert run.output == "done", run
    answer: dict[str, Any] = run.steps[0].tool_calls[0].result
    return answer


def rust_answer(output: Any) -> dict[str, Any]:  # noqa: ANN401  # the tool's own class
    """Returns what the Rust tool answered; it cannot see a variable of Python."""
    return {"words": output.words, "variable": VARIABLE.get()}


async def rust_async() -> dict[str, Any]:
    return rust_answer(await aikit.tools.ainvoke("count_words", {"text": TEXT}))


async def sync_tool_async() -> dict[str, Any]:
    answer: dict[str, Any] = await sync_tool.ainvoke({"text": TEXT})
    return answer


async def async_tool_async() -> dict[str, Any]:
    answer: dict[str, Any] = await async_tool.ainvoke({"text": TEXT})
    return answer


async def nested_async() -> dict[str, Any]:
    return answer_of(await agent().arun("count"))


SYNC: dict[str, Callable[[], dict[str, Any]]] = {
    "rust_tool": lambda: rust_answer(aikit.tools.count_words(text=TEXT)),
    "sync_function": lambda: sync_tool.invoke({"text": TEXT}),
    "async_function": lambda: async_tool.invoke({"text": TEXT}),
    "nested_in_agent": lambda: answer_of(agent().run("count")),
}
ASYNC: dict[str, Callable[[], Awaitable[dict[str, Any]]]] = {
    "rust_tool": rust_async,
    "sync_function": sync_tool_async,
    "async_function": async_tool_async,
    "nested_in_agent": nested_async,
}


def run(mode: str, case: str, variable: str) -> dict[str, Any]:
    """Runs one case from code that no loop runs."""
    VARIABLE.set(variable)
    if mode == "sync":
        return SYNC[case]()

    async def main() -> dict[str, Any]:
        return await ASYNC[case]()

    return asyncio.run(main())


async def run_in_loop(mode: str, case: str, variable: str) -> dict[str, Any]:
    """Runs one case inside a running loop; the sync form blocks it, as a cell in Jupyter does."""
    VARIABLE.set(variable)
    return SYNC[case]() if mode == "sync" else await ASYNC[case]()


if __name__ == "__main__":
    print(json.dumps(run(*sys.argv[1:4])))  # noqa: T201  # the answer of the script

"""The interpreter ends, whatever is in flight: no hang, no crash, nothing on standard error."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

# Read here: the tests themselves run in an environment of their own.
IS_SOAK = bool(os.environ.get("TEST_SOAK"))
EXITS = 500
EXITS_IN_CI = 40
AT_ONCE = 4
SEED = 20261121
# Far above any exit: a process that reaches it hangs.
WAIT_S = 60.0

COMMON = """
import asyncio, sys, threading, time
import aikit

@aikit.tool
def sleeping(number: int) -> int:
    '''Sleeps in C code without the interpreter.'''
    time.sleep(600)
    return number

@aikit.tool
def spinning(number: int) -> int:
    '''Spins in Python code.'''
    while True:
        number += 1

@aikit.tool
async def waiting(number: int) -> int:
    '''Waits on a loop.'''
    await asyncio.sleep(600)
    return number

def background(work):
    threading.Thread(target=work, daemon=True).start()

def forever(work):
    def loop():
        while True:
            work()
    background(loop)

def agent(*tools):
    call = {"tool_calls": [{"name": it.name, "arguments": {"number": 1}} for it in tools]}
    return aikit.Agent(aikit.testing.ScriptedModel([call, "done"]), tools=tools)
"""

SCENARIOS = {
    "sync calls that wait for Python": """
for it in (sleeping, spinning, waiting):
    background(lambda it=it: it.invoke({"number": 1}))
""",
    "sync calls one after the other": """
for _ in range(6):
    forever(lambda: aikit.tools.count_words(text="a b c"))
    forever(lambda: aikit.tool(len_of).invoke({"text": "a"}))
""",
    "a loop full of awaits": """
async def work():
    await asyncio.gather(*(waiting.ainvoke({"number": it}) for it in range(8)),
                         *(sleeping.ainvoke({"number": it}) for it in range(2)))
background(lambda: asyncio.run(work()))
""",
    "awaits one after the other": """
async def work():
    while True:
        await asyncio.gather(*(aikit.tools.ainvoke("count_words", {"text": "a"}) for _ in range(4)))
background(lambda: asyncio.run(work()))
""",
    "a task that its loop leaves behind": """
async def main():
    task = asyncio.ensure_future(waiting.ainvoke({"number": 1}))
    await asyncio.sleep(0.01)
    return task.done()
asyncio.run(main())
""",
    "an agent in the background": """
handle = agent(sleeping, spinning, waiting).start("go")
next(iter(handle))
""",
    "an agent that a thread waits for": """
background(lambda: agent(waiting).run("go"))
background(lambda: list(agent(sleeping).start("go")))
""",
    "a stream that is half read": """
model = aikit.testing.FunctionModel(lambda request: "word " * 1000)
pieces = iter(model.stream("go"))
next(pieces)
forever(lambda: list(model.stream("go")))
""",
    "charts that are drawn and spans that end": """
counter = aikit.telemetry.counter("work")
for _ in range(3):
    forever(lambda: aikit.plot(list(range(500))).svg())
    forever(lambda: counter.add(1))
""",
}


def program(scenario: str, pause_s: float) -> str:
    head = COMMON + "\ndef len_of(text: str) -> int:\n    '''L.'''\n    return len(text)\n"
    return f"{head}{SCENARIOS[scenario]}\ntime.sleep({pause_s})\nprint('end', flush=True)\n"


def end(scenario: str, pause_s: float) -> str | None:
    """Runs one process to its end; returns what was wrong with it."""
    return run(program(scenario, pause_s), f"{scenario} after {pause_s} s")


def run(code: str, name: str) -> str | None:
    """Runs a program that prints `end` and ends; returns what was wrong with it."""
    command = [sys.executable, "-c", code]
    try:
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=WAIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{name}: it hangs"
    if (done.returncode, done.stdout, done.stderr) != (0, "end\n", ""):
        return f"{name}: {done.returncode}, {done.stdout}{done.stderr}"
    return None


# The code of a loop that runs when a future gets its result, until the interpreter is torn down.
# The pauses make the fault show where it is; where an exit waits for that code, neither matters.
SLOW_LOOP = '''
import asyncio, sys, threading, time, types
import aikit

waking = threading.Event()

class Slow(asyncio.SelectorEventLoop):
    def call_soon(self, callback, *args, context=None):
        if "wakeup" in repr(callback).lower():
            waking.set()
            time.sleep(0.3)
        return super().call_soon(callback, *args, context=context)

class Late:
    """Goes when the interpreter lets no other thread in any more, and takes its time."""

    def __del__(self, sleep=time.sleep):
        sleep(1)

sys.modules["late"] = types.ModuleType("late")
sys.modules["late"].it = Late()

async def work():
    while True:
        await aikit.tools.ainvoke("count_words", {"text": "a"})

threading.Thread(target=lambda: Slow().run_until_complete(work()), daemon=True).start()
assert waking.wait(30)
print("end", flush=True)
'''


def test_an_exit_waits_for_the_code_of_a_loop_that_is_given_a_result() -> None:
    assert run(SLOW_LOOP, "a slow loop") is None


@pytest.mark.slow
def test_no_exit_with_work_in_flight_hangs_or_complains(
    report_cycles: Callable[[int, int], None],
) -> None:
    count = EXITS if IS_SOAK else EXITS_IN_CI
    dice = random.Random(SEED)  # noqa: S311  # no secret
    names = list(SCENARIOS)
    runs = [(names[it % len(names)], round(dice.uniform(0.0, 0.1), 4)) for it in range(count)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        wrong = [it for it in threads.map(lambda run: end(*run), runs) if it is not None]
    report_cycles(count - len(wrong), count)
    assert wrong == []

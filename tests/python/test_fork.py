"""Parent and child both work after a fork that follows every kind of use."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, os, sys, time, traceback, warnings
import aikit

warnings.simplefilter("ignore")  # Python warns of forks with threads

@aikit.tool
def on_a_thread(number: int) -> int:
    '''Adds one.'''
    time.sleep(0.001)
    return number + 1

@aikit.tool
async def on_a_loop(number: int) -> int:
    '''Adds one.'''
    await asyncio.sleep(0.001)
    return number + 1

rag = aikit.RAG()
rag.ingest([{"id": "a", "text": "bees make honey"}])
endless = aikit.testing.FunctionModel(lambda request: f"{len(request['messages'])}")

def use():
    assert aikit.tools.count_words(text="a b").words == 2
    assert on_a_thread.invoke({"number": 1}) == 2
    assert on_a_loop.invoke({"number": 1}) == 2
    assert asyncio.run(on_a_loop.ainvoke({"number": 1})) == 2
    assert asyncio.run(on_a_thread.ainvoke({"number": 1})) == 2
    call = {"name": "on_a_thread", "arguments": {"number": 5}}
    scripted = aikit.testing.ScriptedModel([{"tool_calls": [call]}, "done"])
    agent = aikit.Agent(scripted, tools=[on_a_thread])
    assert [it.kind for it in agent.start("go")][-1] == "procedure.end"
    assert endless.complete("x").text == "1"
    assert rag.search("honey", k=1)[0].id == "a#0"

def in_child():
    pid = os.fork()
    if pid == 0:
        try:
            use()
            GRANDCHILD
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

use()
for _ in range(3):
    assert in_child() == 0
    use()
print("parent and child work")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("grandchild", ["pass", "assert in_child_once() == 0"])
def test_a_fork_after_use_leaves_parent_and_child_working(grandchild: str) -> None:
    once = PROGRAM[PROGRAM.index("def in_child()") : PROGRAM.index("use()\nfor")]
    program = PROGRAM.replace("GRANDCHILD", grandchild)
    program = program.replace(
        "use()\nfor", once.replace("in_child", "in_child_once").replace("GRANDCHILD", "pass")
        + "use()\nfor",
    )  # fmt: skip
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "parent and child work\n"), done.stderr


BUSY = """
import os, select, signal, sys, threading, warnings
import aikit

warnings.simplefilter("ignore")  # Python warns of forks with threads

@aikit.procedure
def work(number=1):
    return number

def busy():
    while True:
        work.with_timeout(1)()
        aikit.tools.count_words(text="a b")

work()
aikit.tools.count_words(text="a b")
for _ in range(3):
    threading.Thread(target=busy, daemon=True).start()
for child in range(int(sys.argv[1])):
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        assert work(2) == 2
        os.write(theirs, b"done")
        os._exit(0)
    os.close(theirs)
    # Far above any child: one that reaches it hangs.
    if not select.select([ours], [], [], 30)[0] or os.read(ours, 4) != b"done":
        os.kill(pid, signal.SIGKILL)
        sys.exit(f"child {child} hangs")
    os.waitpid(pid, 0)
    os.close(ours)
print("ok", flush=True)
os._exit(0)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_works_whatever_other_threads_of_its_parent_were_in() -> None:
    children = 1_000 if os.environ.get("TEST_SOAK") else 40
    done = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", BUSY, str(children)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")


UNBALANCED = """
import time
import aikit
from aikit import _aikit

@aikit.tool
def on_a_thread(number: int) -> int:
    '''Adds one.'''
    return number + 1

assert on_a_thread.invoke({"number": 1}) == 2
# As after a fork that began before aikit was imported whole.
_aikit.end_fork()
begun = time.monotonic()
for number in range(20):
    assert on_a_thread.invoke({"number": number}) == number + 1
print(time.monotonic() - begun < 10)
"""


def test_a_fork_that_ends_and_has_not_begun_holds_nobody_off() -> None:
    done = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", UNBALANCED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


# Each only once a process: a first use.
FIRST_USES = {
    "an import": "use = lambda: aikit.tools.calculate(expression='1')",
    "a call": "tools = aikit.tools\nuse = lambda: tools.calculate(expression='1')",
    "several": (
        "tools, plot = aikit.tools, aikit.plot\n"
        "use = lambda: (tools.calculate(expression='1'), plot([1, 2]).svg())"
    ),
}


@pytest.mark.parametrize("use", FIRST_USES.values(), ids=FIRST_USES)
def test_a_child_can_use_what_a_thread_was_using_for_the_first_time(use: str) -> None:
    program = f"""
import os, signal, threading, warnings
import aikit
warnings.simplefilter("ignore")  # Python warns of forks with threads
{use}
threads = [threading.Thread(target=use) for _ in range(3)]
for it in threads:
    it.start()
pid = os.fork()
if pid == 0:
    signal.alarm(20)  # ends a child that waits for ever
    use()
    os._exit(0)
for it in threads:
    it.join()
assert os.waitpid(pid, 0)[1] == 0
"""
    for _ in range(5):
        run = [sys.executable, "-c", program]
        subprocess.run(run, check=True, timeout=60)  # noqa: S603

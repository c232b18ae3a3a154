"""Log handlers and telemetry providers that call aikit themselves: their calls are told to neither.

Each in a process of its own: without that rule they recurse until the stack ends.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PRELUDE = """
import asyncio, contextvars, logging, threading
import aikit
from aikit.testing import ScriptedModel

def use():
    aikit.Agent(ScriptedModel(["done"]), name="brief").run("anything")

outside = aikit.Context.create()

@aikit.procedure
def plain(): return aikit.tools.count_words(text="a b").words

@aikit.procedure(timeout=30)
def limited(): return plain()

@aikit.procedure
async def waits():
    await asyncio.sleep(0)
    return (await aikit.tools.ainvoke("count_words", {"text": "a b"})).words

failures = []

def inside():
    '''Every way into aikit; who calls a handler or a provider swallows what it raises.'''
    try:
        every_way()
    except BaseException as error:
        failures.append(error)
        raise

def every_way():
    assert plain() == limited() == waits.run() == waits.start().result() == 2
    with outside:
        assert plain() == 2
    thread = threading.Thread(target=contextvars.copy_context().run, args=(plain,))
    thread.start()
    thread.join()
    use()
    aikit.events.publish("build.done")
    aikit.telemetry.counter("c").add(1)
    aikit.telemetry.histogram("h").record(1)
    with aikit.telemetry.start_span("own"), aikit.track("block"):
        pass
    aikit.telemetry.start_trace("t")
    aikit.telemetry.end_trace()
"""

CHECK = "assert not failures, failures"

HANDLER = """
class Handler(logging.Handler):
    count = 0
    def emit(self, record):
        Handler.count += 1
        if CALLS: inside()

logger = logging.getLogger("aikit")
logger.setLevel(logging.DEBUG)
logger.addHandler(Handler())
use()
print(Handler.count)
"""

PROVIDER = """
class Recorder:
    def tell(self, *told):
        Provider.count += 1
        if CALLS: inside()
    set_name = set_attribute = record_error = end = add = record = tell

class Provider:
    count = 0
    def told(self, *told):
        Recorder().tell()
        return Recorder()
    start_span = record_error = counter = histogram = told

aikit.telemetry.set_provider(Provider(), capture_content=True)
use()
with aikit.telemetry.start_span("own") as span:
    span.set_attribute("a", 1)
aikit.telemetry.counter("c").add(1)
aikit.telemetry.reset_provider()
print(Provider.count)
"""

TASKS = """
class Handler(logging.Handler):
    count = 0
    tasks = set()
    def emit(self, record):
        Handler.count += 1
        if CALLS: self.tasks.add(asyncio.get_running_loop().create_task(waits()))

async def main():
    aikit.tools.count_words(text="a b")
    while Handler.tasks:
        await Handler.tasks.pop()

logger = logging.getLogger("aikit")
logger.setLevel(logging.DEBUG)
logger.addHandler(Handler())
asyncio.run(main())
print(Handler.count)
"""


def told(program: str, *, calls: bool, bridge: str) -> list[int]:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", f"{PRELUDE}\nCALLS = {calls}\n{program}\n{CHECK}"],
        env={**os.environ, "AIKIT_LOGGING__PYTHON": bridge},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [int(line) for line in done.stdout.split()]


@pytest.mark.parametrize(
    ("program", "bridge"),
    [
        (HANDLER, "aikit"),
        (HANDLER, "pyo3-log"),
        (TASKS, "aikit"),
        (PROVIDER, "aikit"),
        (HANDLER.replace("print(Handler.count)", "") + PROVIDER + "print(Handler.count)", "aikit"),
    ],
    ids=["handler", "handler-pyo3-log", "tasks-of-a-handler", "provider", "both"],
)
def test_what_calls_aikit_is_told_of_the_callers_work_alone(program: str, bridge: str) -> None:
    expected = told(program, calls=False, bridge=bridge)
    assert all(count > 0 for count in expected)
    assert told(program, calls=True, bridge=bridge) == expected


def test_a_provider_that_raises_is_logged_and_its_handler_may_call_aikit() -> None:
    program = """
class Handler(logging.Handler):
    heard = []
    def emit(self, record):
        Handler.heard.append(record.getMessage())
        inside()

class Provider:
    def start_span(self, start): raise RuntimeError("broken")
    record_error = counter = histogram = start_span

logging.getLogger("aikit").addHandler(Handler())
aikit.telemetry.set_provider(Provider())
plain()
assert all("the telemetry provider raised" in it for it in Handler.heard), Handler.heard
print(len(Handler.heard))
"""
    assert told(program, calls=True, bridge="aikit") == [2]


@pytest.mark.parametrize("bridge", ["aikit", "pyo3-log"])
def test_a_handler_that_raises_harms_no_call(bridge: str) -> None:
    program = """
class Handler(logging.Handler):
    count = 0
    def emit(self, record):
        Handler.count += 1
        raise RuntimeError("broken")

logger = logging.getLogger("aikit")
logger.setLevel(logging.INFO)
logger.addHandler(Handler())
use()
print(min(Handler.count, 1))
"""
    assert told(program, calls=False, bridge=bridge) == [1]


@pytest.mark.parametrize("bridge", ["aikit", "pyo3-log"])
def test_a_handler_that_ends_the_program_is_heard(bridge: str) -> None:
    program = """
import signal, sys, time

# Whoever began the tests in the background had it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Handler(logging.Handler):
    raised = [SystemExit(3), KeyboardInterrupt()]
    def emit(self, record):
        if Handler.raised:
            raise Handler.raised.pop()

told = []
sys.unraisablehook = lambda it: told.append(it.exc_type)
logger = logging.getLogger("aikit")
logger.setLevel(logging.INFO)
logger.addHandler(Handler())
try:
    use()
    time.sleep(60)
except KeyboardInterrupt:
    print(1)
use()
# No error can be raised on a thread of the core's; but it is told.
print(told.count(SystemExit))
"""
    assert told(program, calls=False, bridge=bridge) == [1, 1]


LISTENER = """
import logging.handlers, queue, time

class Handler(logging.Handler):
    count = 0
    def emit(self, record):
        Handler.count += 1
        inside()

waiting = queue.Queue()
logger = logging.getLogger("aikit")
logger.setLevel(logging.DEBUG)
logger.addHandler(logging.handlers.QueueHandler(waiting))
use()
made = waiting.qsize()
listener = logging.handlers.QueueListener(waiting, Handler())
listener.start()
deadline = time.monotonic() + 60
while Handler.count < made and time.monotonic() < deadline:
    time.sleep(0.001)
listener.stop()
assert made > 0 and (Handler.count, waiting.qsize()) == (made, 0), (made, Handler.count)
# Elsewhere records are made as before.
use()
assert waiting.qsize() == made
"""


def test_what_the_thread_of_a_queue_listener_calls_brings_about_no_records() -> None:
    program = PRELUDE + LISTENER + CHECK
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")

"""Many cells, many interrupts, many kernels one after the other: nothing hangs, leaks or stays."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import psutil
import pytest
import zmq

from kernel.raw_client import Message, StartedKernel
from kernel.resources import MemoryWatch
from servers.openai_server import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel.raw_client import RawClient

pytestmark = pytest.mark.slow
IS_SOAK = bool(os.environ.get("TEST_SOAK"))
CELLS = 1_000_000 if IS_SOAK else 4_000
# What fills once is full by then but for the history and the guard against replays, which are
# bounded by 10,000 cells and 65,536 messages.
WARM_UP_CELLS = 1_000
CELLS_GROWTH_MB_MAX = 10.0
# So many cells are sent before their replies are read.
WINDOW = 200

INTERRUPTS = 1_000 if IS_SOAK else 36
INTERRUPT_S_MAX = 1.0

LIVES = 1_000 if IS_SOAK else 12
# Far above any end: a kernel that needs longer hangs.
END_S = 10.0


# What cells do again and again; `n` counts them all.
KINDS = (
    "n = n + 1",
    "n = n + 1 print(n, 'of many')",
    "n = n + 1 local t = {} for i = 1, 50 do t[i] = {i, tostring(i)} end return #t",
    "n = n + 1 error({n})",
    "n = n + 1 local function f(x) return x * 2 end display(f(n))",
    "n = n + 1 Tool.count_words{text = 'so many words'}.words",
    "n = n + 1 local c = coroutine.wrap(function() coroutine.yield(n) end) c()",
    "n = n + 1 sleep(0)",
)


def run_many(client: RawClient, numbers: range) -> None:
    """Runs cells, some at once, and reads all that comes of them."""
    shell = client.sockets["shell"]
    for begin in range(numbers.start, numbers.stop, WINDOW):
        window = range(begin, min(begin + WINDOW, numbers.stop))
        for number in window:
            client.execute(KINDS[number % len(KINDS)], stop_on_error=False)
        for number in window:
            assert shell.poll(60_000), f"cell {number} is not answered"
            status = Message(shell.recv_multipart()).content["status"]
            assert status == ("error" if "error" in KINDS[number % len(KINDS)] else "ok")
            drain(client)
    client.run("nil")


def drain(client: RawClient) -> None:
    """Takes the broadcasts that are there."""
    try:
        while True:
            client.iopub.recv_multipart(zmq.NOBLOCK)
    except zmq.Again:
        pass


def test_memory_does_not_grow_with_the_number_of_cells(
    report_cycles: Callable[[int, int], None],
) -> None:
    with StartedKernel() as kernel, kernel.client() as client:
        client.ready()
        client.run("n = 0")
        run_many(client, range(WARM_UP_CELLS))
        memory = MemoryWatch(kernel.pid)
        run_many(client, range(WARM_UP_CELLS, CELLS))
        grown_mb = (memory.now() - memory.before) / 1e6
        _, heard = client.run("print(n)")
        assert heard[2].content["text"] == f"{CELLS}\n"
    report_cycles(CELLS, CELLS)
    assert grown_mb < CELLS_GROWTH_MB_MAX


def endless_work(base_url: str, api_key: str, silent_url: str) -> dict[str, str]:
    """Cells that never end, each in a way of its own."""
    options = f"{{base_url = '{base_url}', api_key = '{api_key}'}}"
    stream = f"Model('openai-compatible:slow', {options}):stream('hello')"
    return {
        "a tight loop": "while true do end",
        "a sleep": "sleep(3600)",
        "a loop of pcall": "while true do pcall(function() while true do end end) end",
        "a loop of coroutines": (
            "while true do local c = coroutine.wrap(function() while true do coroutine.yield() end "
            "end) for _ = 1, 1e9 do c() end end"
        ),
        "a loop of patterns": "local s = ('a'):rep(300) while true do s:gsub('a*b', 'c') end",
        "a pattern": "local s = ('a'):rep(60000) s:find(('.-'):rep(9) .. 'b')",
        "a sort": (
            "local t = {} for i = 1, 2e5 do t[i] = (i * 7919) % 104729 end "
            "local function key(x) return (x * 31) % 1009 end "
            "while true do table.sort(t, function(a, b) return key(a) < key(b) end) end"
        ),
        "metamethods": (
            "local m = setmetatable({}, {__add = function(a) return a end}) "
            "while true do m = m + 1 end"
        ),
        "a request without an answer": f"Tool.request_http{{url = '{silent_url}'}}",
        "a model's stream": f"for piece in {stream} do local _ = piece end",
        "a question": "input('? ')",
        "a tool that runs a program": RUNS_A_PROGRAM,
        "a tool of a cell": (
            "Tool.create{name = 'waits', summary = 'x', fn = function() sleep(3600) end} "
            "Tool.waits{}"
        ),
    }


def test_every_interrupt_of_any_work_is_answered_within_a_second(
    report_cycles: Callable[[int, int], None],
) -> None:
    passed = 0
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=INTERRUPTS))
        models = stack.enter_context(OpenAIServer(drip_s=60))
        kernel = stack.enter_context(StartedKernel())
        client = stack.enter_context(kernel.client())
        client.ready()
        client.run("kept = 0")
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        works = endless_work(models.base_url, models.api_key, silent_url)
        try:
            while passed < INTERRUPTS:
                what, code = list(works.items())[passed % len(works)]
                msg_id = start(client, code, asks=what == "a question")
                began = time.monotonic()
                if passed % 3 == 0:
                    os.kill(kernel.pid, signal.SIGINT)
                else:
                    client.send("interrupt_request", channel="control")
                reply = client.reply(msg_id).content
                taken = time.monotonic() - began
                assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt"), what
                client.broadcasts(msg_id)
                assert taken <= INTERRUPT_S_MAX, f"{what}: {taken} s"
                passed += 1
                _, heard = client.run("kept = kept + 1 print(kept)")
                assert heard[2].content["text"] == f"{passed}\n", what
        finally:
            report_cycles(passed, INTERRUPTS)


def start(client: RawClient, code: str, *, asks: bool) -> str:
    """Starts a cell and waits until it is at its work."""
    msg_id = client.start(code, allow_stdin=asks)
    if asks:
        client.receive("stdin")
    return msg_id


# Starts what follows, tells it who its parent is, and waits for it.
PARENT = (
    "import os, subprocess, sys\n"
    "os.environ['JPY_PARENT_PID'] = str(os.getpid())\n"
    "subprocess.run(sys.argv[1:])\n"
)
SLEEPS = "{'-c', 'import time; time.sleep(1000)'}"
RUNS_A_PROGRAM = f"Tool.run_process{{program = '{sys.executable}', args = {SLEEPS}}}"


TIGHT_LOOP = "while true do end"
STUBBORN_LOOP = "while true do pcall(function() while true do end end) end"


def shut_down(kernel: StartedKernel, client: RawClient) -> None:
    """The client asks for it."""
    client.send("shutdown_request", {"restart": False}, channel="control")
    assert kernel.process.wait(END_S) == 0


def terminate(kernel: StartedKernel, _client: RawClient) -> None:
    """A signal asks for it."""
    kernel.process.terminate()
    assert kernel.process.wait(END_S) in {0, -signal.SIGTERM}


def kill_parent(kernel: StartedKernel, _client: RawClient) -> None:
    """The process that was started was the parent of the kernel."""
    kernel.process.kill()
    kernel.process.wait()


# What the kernel does, and how it ends.
LIVES_AND_ENDS: tuple[tuple[str, Callable[[StartedKernel, RawClient], None]], ...] = (
    ("", shut_down),
    (STUBBORN_LOOP, shut_down),
    (TIGHT_LOOP, terminate),
    (RUNS_A_PROGRAM, shut_down),
    (TIGHT_LOOP, kill_parent),
    (RUNS_A_PROGRAM, kill_parent),
)


def test_every_life_of_a_kernel_ends_and_leaves_nothing(
    report_cycles: Callable[[int, int], None],
) -> None:
    passed = 0
    try:
        while passed < LIVES:
            work, end = LIVES_AND_ENDS[passed % len(LIVES_AND_ENDS)]
            through = [sys.executable, "-c", PARENT] if end is kill_parent else []
            transport = "tcp" if passed % 4 < 2 else "ipc"
            with (
                StartedKernel(transport=transport, through=through) as kernel,
                kernel.client() as client,
            ):
                client.ready()
                family = live(kernel, client, work)
                end(kernel, client)
                deadline = time.monotonic() + END_S
                while left := [it for it in family if not is_gone(it)]:
                    assert time.monotonic() < deadline, f"life {passed} left {left}"
                    time.sleep(0.01)
            passed += 1
    finally:
        report_cycles(passed, LIVES)


def live(kernel: StartedKernel, client: RawClient, work: str) -> list[psutil.Process]:
    """A cell, an interrupt, a cell that knows the first, and work; returns every process of it."""
    client.run("kept = 6")
    msg_id = client.start(TIGHT_LOOP)
    client.send("interrupt_request", channel="control")
    assert client.reply(msg_id).content["ename"] == "KeyboardInterrupt"
    assert client.receive("control").content["status"] == "ok"
    _, heard = client.run("kept * 7")
    assert heard[2].content["data"]["text/plain"] == "42"
    started = psutil.Process(kernel.pid)
    before = started.children(recursive=True)
    if work:
        client.start(work)
    family = started.children(recursive=True)
    deadline = time.monotonic() + END_S
    while work == RUNS_A_PROGRAM and len(family) == len(before):
        assert time.monotonic() < deadline, "the program does not start"
        time.sleep(0.01)
        family = started.children(recursive=True)
    return [started, *family]


def is_gone(process: psutil.Process) -> bool:
    """Whether it ended, even if nobody looked at what is left of it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True

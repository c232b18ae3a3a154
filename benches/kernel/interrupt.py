"""Time from an interrupt to the error reply: Aikit against ipykernel, interleaved.

    python benches/kernel/interrupt.py [--runs 200]

Both kernels run a tight loop and are interrupted as their kernel spec wants: Aikit by a message on
control, ipykernel by SIGINT. The clock runs from just before that until the reply is received.
Then cells of Aikit that wait are interrupted: a sleep, an HTTP request and a model's stream that
never answer, a question to the user, tools nested 63 deep, the most a cell can have.

The targets are a median of 3 ms and a 99th percentile of 20 ms for the loop, and 100 ms for the
slowest of the cells that wait.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from peers import AIKIT, IPYKERNEL, Peer, present, started

from servers.openai_server import OpenAIServer

if TYPE_CHECKING:
    from kernel.raw_client import RawClient, StartedKernel

LOOP_MEDIAN_MAX_MS = 3.0
LOOP_P99_MAX_MS = 20.0
WAIT_MAX_MS = 100.0
RUNS_MIN = 100
WAIT_RUNS = 20
TIMEOUT_S = 60.0
# From the output of a cell to the interrupt. Nobody presses stop earlier, and Aikit holds back the
# reply of a cell that fails in its first 100 ms, to answer what was sent with it as aborted.
SETTLE_S = 0.15
DEEP = """
Tool.create{name = "deeper", summary = "Calls itself.", fn = function()
  pcall(Tool.deeper)
  sleep(60)
end}
Tool.deeper{}"""


def interrupt(
    peer: Peer, kernel: StartedKernel, client: RawClient, code: str, *, asks: bool = False
) -> float:
    """Runs a cell until it is inside `code`, and interrupts it as its kernel spec wants.

    Args:
        peer: Which kernel.
        kernel: It.
        client: Of it.
        code: Never ends by itself.
        asks: Whether it asks the user, which says that it waits.

    Returns:
        Milliseconds to the error reply.
    """
    msg_id = client.start(code, allow_stdin=asks)
    if asks:
        client.receive("stdin")
    time.sleep(SETTLE_S)
    shell = client.sockets["shell"]
    began = time.perf_counter()
    if peer is AIKIT:
        client.send("interrupt_request", channel="control")
    else:
        os.kill(kernel.pid, signal.SIGINT)
    # Only waited for, so that reading it is not measured.
    is_there = shell.poll(int(TIMEOUT_S * 1000))
    taken_ms = (time.perf_counter() - began) * 1000
    reply = client.reply(msg_id)
    if not is_there or reply.content["status"] != "error":
        raise SystemExit(f"an interrupted cell answered {reply.content}")
    client.broadcasts(msg_id)
    return taken_ms


def p99(times: list[float]) -> float:
    """The 99th percentile.

    Args:
        times: At least two.

    Returns:
        It.
    """
    return statistics.quantiles(times, n=100, method="inclusive")[98]


def measure_loops(peers: list[Peer], runs: int) -> dict[str, list[float]]:
    """Interrupts a tight loop of each kernel in turn.

    Args:
        peers: The kernels.
        runs: Of each.

    Returns:
        Milliseconds, by the title of the kernel.
    """
    times: dict[str, list[float]] = {it.title: [] for it in peers}
    with ExitStack() as stack:
        kernels = {it: stack.enter_context(started(it)) for it in peers}
        for peer, (kernel, client) in kernels.items():
            # The first one loads what later ones have.
            interrupt(peer, kernel, client, peer.loop)
        for _ in range(runs):
            for peer, (kernel, client) in kernels.items():
                times[peer.title].append(interrupt(peer, kernel, client, peer.loop))
    return times


def measure_waits() -> dict[str, list[float]]:
    """Interrupts cells of Aikit that wait.

    Returns:
        Milliseconds, by what they wait for.
    """
    with ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        models = stack.enter_context(OpenAIServer(drip_s=TIMEOUT_S))
        kernel, client = stack.enter_context(started(AIKIT))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        options = f"{{base_url = '{models.base_url}', api_key = '{models.api_key}'}}"
        stream = f"Model('openai-compatible:slow', {options}):stream('hello')"
        cells = {
            "a sleep": "sleep(60)",
            "an HTTP request without an answer": f"Tool.request_http{{url = '{address}'}}",
            "a model's stream that stalls": f"for piece in {stream} do print(piece.kind) end",
            "a question to the user": "input('? ')",
            "tools that called themselves": DEEP,
        }
        return {
            what: [
                interrupt(AIKIT, kernel, client, code, asks=code.startswith("input"))
                for _ in range(WAIT_RUNS)
            ]
            for what, code in cells.items()
        }


def main() -> None:
    """Prints medians, percentiles and targets; fails when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200, help=f"of each, at least {RUNS_MIN}")
    runs = max(parser.parse_args().runs, RUNS_MIN)
    loops = measure_loops(present(AIKIT, IPYKERNEL), runs)
    print(f"tight loop, {runs} runs       median        p99")
    for name, times in loops.items():
        print(f"{name:24} {statistics.median(times):8.2f} ms {p99(times):8.2f} ms")
    print(f"targets: median {LOOP_MEDIAN_MAX_MS} ms, p99 {LOOP_P99_MAX_MS} ms")
    waits = measure_waits()
    print(f"waiting cell, {WAIT_RUNS} runs               median        max")
    for what, times in waits.items():
        print(f"{what:35} {statistics.median(times):8.2f} ms {max(times):8.2f} ms")
    print(f"target: max {WAIT_MAX_MS} ms")
    ours = loops["aikit"]
    is_missed = statistics.median(ours) > LOOP_MEDIAN_MAX_MS or p99(ours) > LOOP_P99_MAX_MS
    sys.exit(is_missed or any(max(times) > WAIT_MAX_MS for times in waits.values()))


if __name__ == "__main__":
    main()

"""Junk on every port before anybody proved who it is, while a client works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import zmq

from kernel.raw_client import StartedKernel
from kernel.resources import MemoryWatch, descriptors_fall_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel.raw_client import RawClient

IS_SOAK = bool(os.environ.get("TEST_SOAK"))
# By both attackers together, over each transport.
INPUTS = 1_000_000 if IS_SOAK else 40_000
ATTACKERS = 2
SEED = 20261127
# Beside two attackers on two processors. Without them a cell takes some 2 ms.
LATENCY_S_MAX = 2.0
# A new client comes after so many cells.
NEWCOMER_EVERY = 50
# What is kept for strangers while they are there: a few frames of 4 MiB that never end, doubled
# where they grow. And what the allocator keeps when they are gone.
PEAK_MIB_MAX = 64.0
GROWTH_MIB_MAX = 32.0
ATTACK_S_MAX = 3_600 if IS_SOAK else 120


def start_attacker(kernel: StartedKernel, number: int) -> subprocess.Popen[str]:
    program = Path(__file__).parent / "attacker.py"
    asked = {
        "fields": kernel.fields | {"key": ""},
        "seed": SEED + number,
        "count": INPUTS // ATTACKERS,
    }
    command = [sys.executable, str(program), json.dumps(asked)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603


def latency_s(client: RawClient) -> float:
    """How long a cell takes, from its request to its reply and its idle."""
    began = time.monotonic()
    reply, heard = client.run("1 + 1")
    taken = time.monotonic() - began
    assert reply.content["status"] == "ok"
    assert heard[2].content["data"]["text/plain"] == "2"
    return taken


def beats(client: RawClient) -> bool:
    """Whether the heartbeat comes back."""
    with zmq.Context() as context, context.socket(zmq.REQ) as heart:
        heart.linger = 0
        heart.connect(client.address("hb"))
        heart.send(b"beat")
        return bool(heart.poll(10_000)) and heart.recv() == b"beat"


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_no_junk_ends_a_kernel_keeps_clients_waiting_or_makes_it_grow(
    transport: str, report_cycles: Callable[[int, int], None]
) -> None:
    with StartedKernel(transport=transport) as kernel, kernel.client() as client:
        client.ready()
        client.run("kept = 7")
        descriptors = psutil.Process(kernel.pid).num_fds()
        attackers = [start_attacker(kernel, number) for number in range(ATTACKERS)]
        deadline = time.monotonic() + ATTACK_S_MAX
        latencies: list[float] = []
        try:
            with MemoryWatch(kernel.pid) as memory:
                while any(it.poll() is None for it in attackers):
                    assert time.monotonic() < deadline, "the attackers do not end"
                    latencies.append(latency_s(client))
                    if len(latencies) % NEWCOMER_EVERY == 0:
                        with kernel.client() as newcomer:
                            newcomer.ready()
                            assert newcomer.run("kept")[0].content["status"] == "ok"
            told = [json.loads(it.stdout.read()) for it in attackers if it.stdout]
        finally:
            for it in attackers:
                it.kill()
                it.communicate()
        done = sum(it["inputs"] for it in told)
        report_cycles(done, INPUTS)
        assert done >= INPUTS
        assert max(latencies) <= LATENCY_S_MAX
        assert beats(client)
        _, heard = client.run("print(harm, kept)")
        assert heard[2].content["text"] == "nil\t7\n"
        assert descriptors_fall_to(kernel.pid, descriptors)
        assert memory.grown_mib <= PEAK_MIB_MAX
        assert (memory.now() - memory.before) / 2**20 <= GROWTH_MIB_MAX

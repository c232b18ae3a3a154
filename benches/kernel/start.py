"""Time from starting a kernel to its first execute reply: Aikit against ipykernel, interleaved.

    python benches/kernel/start.py [--runs 20]

Both are started by jupyter_client from the kernel specs of this environment, with the first
execute request already waiting, as nbclient does. The target is 0.3 of ipykernel's time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil
import zmq
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

TARGET_RATIO = 0.3
RUNS_MIN = 15
REPLY_TIMEOUT_S = 60
NAMES = ("aikit", "python3")
CODE = "1 + 1"  # the same in Lua and Python


@dataclass
class Start:
    """One start of a kernel."""

    reply_ms: float
    cpu_ms: float
    memory_mib: float


def start(name: str) -> Start:
    """Starts a kernel, runs a cell, shuts it down.

    Args:
        name: Name of the kernel spec.

    Returns:
        Time to the reply; CPU time and memory (PSS) of the kernel process then.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    # The default of 100 ms between attempts to connect would be most of what is measured.
    context.setsockopt(zmq.RECONNECT_IVL, 1)
    manager = KernelManager(kernel_name=name, context=context)
    began = time.perf_counter()
    manager.start_kernel(stderr=subprocess.DEVNULL)
    client = manager.blocking_client()
    client.context = context  # jupyter_client gives it one of its own
    client.start_channels(hb=False, stdin=False)
    try:
        client.execute(CODE)
        reply = client.get_shell_msg(timeout=REPLY_TIMEOUT_S)
        reply_ms = (time.perf_counter() - began) * 1000
        if reply["content"]["status"] != "ok":
            raise SystemExit(f"kernel `{name}` answered {reply['content']}")
        if not isinstance(manager.provisioner, LocalProvisioner):
            raise SystemExit(f"kernel `{name}` does not run on this machine")
        process = psutil.Process(manager.provisioner.pid)
        times = process.cpu_times()
        memory = process.memory_full_info()
        return Start(
            reply_ms,
            (times.user + times.system) * 1000,
            getattr(memory, "pss", memory.uss) / 2**20,
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
        context.destroy(linger=0)


def main() -> None:
    """Prints medians and their ratios; fails when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help=f"runs of each, at least {RUNS_MIN}")
    runs = max(parser.parse_args().runs, RUNS_MIN)
    os.environ.setdefault("JPY_PARENT_PID", str(os.getpid()))
    starts: dict[str, list[Start]] = {name: [] for name in NAMES}
    for name in NAMES:
        start(name)  # the first start reads the files from the disk
    for index in range(runs):
        # The order alternates, so that neither always follows the other.
        for name in sorted(NAMES, reverse=index % 2 == 1):
            starts[name].append(start(name))
    medians = {
        name: [
            statistics.median(getattr(it, field) for it in values)
            for field in ("reply_ms", "cpu_ms", "memory_mib")
        ]
        for name, values in starts.items()
    }
    print(f"median of {runs}    first reply      CPU    memory (PSS)")
    for name, (reply, cpu, memory) in medians.items():
        print(f"{name:15} {reply:8.0f} ms {cpu:6.0f} ms {memory:8.1f} MiB")
    ratios = [
        ours / theirs for ours, theirs in zip(medians["aikit"], medians["python3"], strict=True)
    ]
    print(f"{'ratio':15} {ratios[0]:8.2f}    {ratios[1]:6.2f}    {ratios[2]:8.2f}")
    print(f"target for the first reply: at most {TARGET_RATIO}")
    sys.exit(ratios[0] > TARGET_RATIO)


if __name__ == "__main__":
    main()

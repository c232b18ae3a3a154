"""Twenty kernels at once: how long until all have answered, and what they use then.

    python benches/kernel/many.py [--runs 3] [--count 20]

All are started in one go, each is asked an expression, and the clock stops at the last reply; of
Aikit, ipykernel and ILua in turn. The targets are 0.3 of ipykernel's time and memory (PSS).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from contextlib import ExitStack

from peers import (
    AIKIT,
    EXPRESSION,
    ILUA,
    IPYKERNEL,
    TIMEOUT_S,
    Peer,
    Row,
    alternating,
    launch,
    memory_mib,
    present,
    print_table,
    says_it_started,
)

# A client that does not reach its kernel yet tries again after that; forty sockets that try every
# millisecond would be work for the machine that is measured.
RETRY_MS = 10


def start_all(peer: Peer, count: int) -> tuple[float, float]:
    """Starts kernels, and ends them.

    Args:
        peer: Which.
        count: How many.

    Returns:
        Seconds to the last reply, and MiB of all of them then.
    """
    with ExitStack() as stack:
        began = time.perf_counter()
        kernels = [stack.enter_context(launch(peer)) for _ in range(count)]
        clients = [stack.enter_context(it.client(retry_ms=RETRY_MS)) for it in kernels]
        waiting = set(clients)
        starting = set(clients) if peer.starts_late else set()
        for client in waiting - starting:
            client.execute(EXPRESSION)
        while waiting:
            if time.perf_counter() - began > TIMEOUT_S:
                raise SystemExit(f"{len(waiting)} kernels of {peer.title} do not answer")
            for client in list(starting):
                if client.iopub.poll(1) and says_it_started(client):
                    starting.remove(client)
                    client.execute(EXPRESSION)
            for client in waiting - starting:
                if client.sockets["shell"].poll(1):
                    waiting.remove(client)
        taken_s = time.perf_counter() - began
        return taken_s, sum(memory_mib(it) for it in kernels)


def main() -> None:
    """Prints medians, ratios and targets; fails when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="of each")
    parser.add_argument("--count", type=int, default=20, help="kernels at once")
    arguments = parser.parse_args()
    peers = present(AIKIT, IPYKERNEL, ILUA)
    times: dict[str, list[float]] = {it.title: [] for it in peers}
    memory: dict[str, list[float]] = {it.title: [] for it in peers}
    for index in range(arguments.runs):
        for peer in alternating(peers, index):
            taken_s, used_mib = start_all(peer, arguments.count)
            times[peer.title].append(taken_s)
            memory[peer.title].append(used_mib)
    rows = [
        Row(title, unit, {it: statistics.median(of[it]) for it in of}, {"ipykernel": 0.3})
        for title, unit, of in (
            ("until all have answered", "s", times),
            ("memory of all (PSS)", "MiB", memory),
        )
    ]
    sys.exit(not print_table(f"{arguments.count} kernels, {arguments.runs} runs", peers, rows))


if __name__ == "__main__":
    main()

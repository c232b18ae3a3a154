"""Cells of Aikit, ipykernel and ILua, interleaved: round trips, throughput, output.

    python benches/kernel/cells.py [--runs 5] [--rounds 20]

One kernel of each runs all the time, and each is asked in turn. Measured are

- an expression, from its request to its reply and its idle;
- 1,000 expressions sent at once, to the last reply and the last idle;
- a cell that prints 100,000 lines, to its idle with all of them;
- a cell that prints 10 MB and 50 MB, likewise.

A kernel whose output is not complete at idle has its time until it is, and `late` beside it. The
targets are a median round trip of at most 0.15 of ipykernel's and 0.5 of ILua's, three times ILua's
throughput, less time than ILua for the lines, and complete output at idle.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from peers import (
    AIKIT,
    EXPRESSION,
    ILUA,
    IPYKERNEL,
    TIMEOUT_S,
    Peer,
    Row,
    alternating,
    present,
    print_table,
    started,
)

from kernel.raw_client import cell

if TYPE_CHECKING:
    from kernel.raw_client import RawClient

WARM_UP = 200
EACH_ROUND = 50
QUEUED = 1_000
LINES = 100_000
TEXTS_MB = (10, 50)


def round_trip_ms(client: RawClient) -> float:
    """Runs an expression.

    Args:
        client: Of the kernel.

    Returns:
        Milliseconds from the request to its reply and its idle.
    """
    began = time.perf_counter()
    client.run(EXPRESSION)
    return (time.perf_counter() - began) * 1000


def queued_per_s(client: RawClient) -> float:
    """Sends many expressions at once.

    Args:
        client: Of the kernel.

    Returns:
        How many of them it answers in a second.
    """
    # Written before the clock runs: that is the client's work.
    sent = [client.frames("execute_request", cell(EXPRESSION)) for _ in range(QUEUED)]
    shell = client.sockets["shell"]
    began = time.perf_counter()
    for _, frames in sent:
        shell.send_multipart(frames)
    for msg_id, _ in sent:
        client.reply(msg_id, timeout_s=TIMEOUT_S)
    client.broadcasts(sent[-1][0], TIMEOUT_S)
    return QUEUED / (time.perf_counter() - began)


def output_ms(client: RawClient, code: str, expected: str) -> tuple[float, bool]:
    """Runs a cell that prints.

    Args:
        client: Of the kernel.
        code: The cell.
        expected: All that it prints.

    Returns:
        Milliseconds until it is idle and all has come; whether all had come at idle.
    """
    began = time.perf_counter()
    msg_id = client.execute(code)
    texts: list[str] = []
    length = 0
    is_idle = is_complete = False
    while not is_idle or length < len(expected):
        message = client.receive("iopub", TIMEOUT_S)
        if not message.answers(msg_id):
            continue
        if message.kind == "stream":
            texts.append(message.content["text"])
            length += len(texts[-1])
        elif message.state == "idle":
            is_idle = True
            is_complete = length == len(expected)
    taken_ms = (time.perf_counter() - began) * 1000
    client.reply(msg_id, timeout_s=TIMEOUT_S)
    if "".join(texts) != expected:
        raise SystemExit(f"`{code}` printed something else")
    return taken_ms, is_complete


def outputs() -> dict[str, tuple[str, int, str]]:
    """The cells that print.

    Returns:
        By their title: the attribute of `Peer` with the code, its count, what it prints.
    """
    lines = "".join(f"{i}\n" for i in range(1, LINES + 1))
    cells = {f"{LINES:,} printed lines": ("lines", LINES, lines)}
    for size in TEXTS_MB:
        count = size * 1_000_000
        cells[f"{size} MB printed"] = ("text", count, "x" * count + "\n")
    return cells


@dataclass
class Measured:
    """Figures by what and by the title of the kernel; by what, whose output was late."""

    figures: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    late: dict[str, set[str]] = field(default_factory=dict)

    def note(self, what: str, peer: Peer, *values: float) -> None:
        """Adds figures.

        Args:
            what: What was measured.
            peer: Of which kernel.
            values: The figures.
        """
        self.figures.setdefault(what, {}).setdefault(peer.title, []).extend(values)

    def medians(self, what: str) -> dict[str, float | None]:
        """One figure of each kernel.

        Args:
            what: What was measured.

        Returns:
            By the title of the kernel.
        """
        return {title: statistics.median(it) for title, it in self.figures[what].items()}


def measure(clients: dict[Peer, RawClient], runs: int, rounds: int) -> Measured:
    """Asks each kernel in turn.

    Args:
        clients: Of the kernels.
        runs: Of whatever takes long.
        rounds: Of expressions.

    Returns:
        What was measured.
    """
    measured = Measured()
    peers = list(clients)
    for client in clients.values():
        for _ in range(WARM_UP):
            client.run(EXPRESSION)
    for index in range(rounds):
        for peer in alternating(peers, index):
            times = (round_trip_ms(clients[peer]) for _ in range(EACH_ROUND))
            measured.note("expression", peer, *times)
    for index in range(runs):
        for peer in alternating(peers, index):
            measured.note("queued", peer, queued_per_s(clients[peer]))
    for what, (attribute, count, expected) in outputs().items():
        for peer in (peer for index in range(runs) for peer in alternating(peers, index)):
            code = getattr(peer, attribute).format(count=count)
            taken_ms, is_complete = output_ms(clients[peer], code, expected)
            measured.note(what, peer, taken_ms)
            if not is_complete:
                measured.late.setdefault(what, set()).add(peer.title)
    return measured


def main() -> None:
    """Prints medians, ratios and targets; fails when one is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="of whatever takes long")
    parser.add_argument("--rounds", type=int, default=20, help=f"of {EACH_ROUND} expressions")
    arguments = parser.parse_args()
    peers = present(AIKIT, IPYKERNEL, ILUA)
    with ExitStack() as stack:
        clients = {it: stack.enter_context(started(it))[1] for it in peers}
        measured = measure(clients, arguments.runs, arguments.rounds)
    p95 = {
        title: statistics.quantiles(it, n=20, method="inclusive")[18]
        for title, it in measured.figures["expression"].items()
    }
    p50_limits = {"ipykernel": 0.15, "ILua": 0.5}
    rows = [
        Row("expression, p50", "ms", measured.medians("expression"), p50_limits),
        Row("expression, p95", "ms", {**p95}, {}),
        Row("queued expressions", "1/s", measured.medians("queued"), {"ILua": 3.0}, is_rate=True),
    ]
    for what in outputs():
        limits = {"ILua": 1.0} if what.endswith("lines") else {}
        rows.append(Row(what, "ms", measured.medians(what), limits))
    is_reached = print_table(f"medians, {arguments.runs} runs", peers, rows)
    for what, titles in measured.late.items():
        print(f"{what}: not complete at idle: {', '.join(sorted(titles))}")
    is_complete = not any(AIKIT.title in it for it in measured.late.values())
    sys.exit(not (is_reached and is_complete))


if __name__ == "__main__":
    main()

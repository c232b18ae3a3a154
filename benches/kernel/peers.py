"""The kernels that are compared: what each is asked, how it is started, and what it uses.

All are started and asked in the same way, by the small client of `tests/kernel/raw_client.py`, so
that little of what is measured is a client's own. ILua (PyPI, `ilua`) runs a `lua` executable,
which the package `lua5.4` of Debian provides; where one of the two is missing, it is left out, that
is said, and the targets beside it are not reached: they were not measured.
"""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from jupyter_client.kernelspec import find_kernel_specs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests"))

from kernel.raw_client import RawClient, StartedKernel

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 120.0
EXPRESSION = "1 + 1"  # the same in Lua and Python
REACHED = "reached"
NOT_MEASURED = "NOT MEASURED"
# Whether a target that was measured is reached.
VERDICTS = {True: REACHED, False: "MISSED"}


@dataclass(frozen=True)
class Peer:
    """A kernel, and how its language says what is measured."""

    title: str
    spec: str
    loop: str
    lines: str
    text: str
    # An executable that it needs beside its kernel spec.
    needs: str = ""
    # Whether it must not be asked before it says that it is idle: it never answers again then.
    starts_late: bool = False


_LUA_LINES = "for i = 1, {count} do print(i) end"
_LUA_TEXT = "print(('x'):rep({count}))"
AIKIT = Peer("aikit", "aikit", "while true do end", _LUA_LINES, _LUA_TEXT)
IPYKERNEL = Peer(
    "ipykernel",
    "python3",
    "while True: pass",
    "for i in range(1, {count} + 1): print(i)",
    "print('x' * {count})",
)
ILUA = Peer(
    "ILua", "lua", "while true do end", _LUA_LINES, _LUA_TEXT, needs="lua", starts_late=True
)


def present(*peers: Peer) -> list[Peer]:
    """Those of the kernels that are installed; says which are not.

    Args:
        peers: Kernels.

    Returns:
        Those that can be started.
    """
    specs = find_kernel_specs()
    found = []
    for peer in peers:
        if peer.spec not in specs:
            print(f"{peer.title} is left out: no kernel spec `{peer.spec}` (group `bench`)")
        elif peer.needs and shutil.which(peer.needs) is None:
            print(f"{peer.title} is left out: no executable `{peer.needs}` (package lua5.4)")
        else:
            found.append(peer)
    return found


@contextmanager
def started(peer: Peer) -> Iterator[tuple[StartedKernel, RawClient]]:
    """A kernel that answers and broadcasts, with a client.

    Args:
        peer: Which.

    Yields:
        Both; they end with the block.
    """
    with launch(peer) as kernel, kernel.client() as client:
        first_reply(peer, client)
        client.ready(TIMEOUT_S)
        yield kernel, client


def launch(peer: Peer) -> StartedKernel:
    """Starts a kernel with nothing of the user's.

    Args:
        peer: Which.

    Returns:
        The kernel; it may not listen yet.
    """
    return StartedKernel(peer.spec, at_home=True)


def says_it_started(client: RawClient) -> bool:
    """Takes one broadcast.

    Args:
        client: Of a kernel that starts late; a broadcast is there.

    Returns:
        Whether it says, unasked, that the kernel is idle.
    """
    message = client.receive("iopub", TIMEOUT_S)
    return message.state == "idle" and not message.parent_id


def first_reply(peer: Peer, client: RawClient) -> None:
    """Runs an expression and waits for the reply, from the first moment of a kernel on.

    Args:
        peer: Which kernel.
        client: Of it.
    """
    while peer.starts_late and not says_it_started(client):
        pass
    reply = client.reply(client.execute(EXPRESSION), timeout_s=TIMEOUT_S)
    if reply.content["status"] != "ok":
        raise SystemExit(f"{peer.title} answered {reply.content}")


def memory_mib(kernel: StartedKernel) -> float:
    """Memory of a kernel and of what it started, shared pages by shares (PSS).

    Args:
        kernel: It.

    Returns:
        MiB.
    """
    process = psutil.Process(kernel.pid)
    total = 0
    for it in (process, *process.children(recursive=True)):
        memory = it.memory_full_info()
        total += getattr(memory, "pss", memory.uss)
    return total / 2**20


def cpu_ms(kernel: StartedKernel) -> float:
    """CPU time of a kernel and of what it started.

    Args:
        kernel: It.

    Returns:
        Milliseconds.
    """
    process = psutil.Process(kernel.pid)
    times = [it.cpu_times() for it in (process, *process.children(recursive=True))]
    return sum(it.user + it.system for it in times) * 1000


def alternating(peers: list[Peer], index: int) -> list[Peer]:
    """The order of one round, so that none always follows the same other one.

    Args:
        peers: All.
        index: Of the round.

    Returns:
        The same kernels, begun elsewhere.
    """
    begin = index % len(peers)
    return peers[begin:] + peers[:begin]


@dataclass
class Row:
    """A line of a table: one figure of each kernel, and its targets."""

    title: str
    unit: str
    # By the title of the kernel; `None` where it has none.
    figures: dict[str, float | None]
    # Most of ours as a part of another's, by that one's title.
    ratios_max: dict[str, float]
    # Most of ours itself.
    ours_max: float | None = None
    # Whether more is better: then ours by theirs is at least the ratio.
    is_rate: bool = False

    def verdicts(self) -> list[tuple[str, str]]:
        """What is compared, and whether the target is reached."""
        told = []
        ours = self.figures.get(AIKIT.title)
        if ours is None:
            return [("no figure", NOT_MEASURED)]
        for title, limit in self.ratios_max.items():
            sign = ">=" if self.is_rate else "<="
            theirs = self.figures.get(title)
            if not theirs:
                told.append((f"of {title} ({sign} {limit})", NOT_MEASURED))
                continue
            ratio = ours / theirs
            is_reached = ratio >= limit if self.is_rate else ratio <= limit
            told.append((f"{ratio:.2f} of {title} ({sign} {limit})", VERDICTS[is_reached]))
        if self.ours_max is not None:
            told.append((f"<= {self.ours_max} {self.unit}", VERDICTS[ours <= self.ours_max]))
        return told


def print_table(heading: str, peers: list[Peer], rows: list[Row]) -> bool:
    """Prints figures, ratios and targets.

    Args:
        heading: Above the titles.
        peers: The columns.
        rows: The lines.

    Returns:
        Whether every target is reached; one that was not measured is not.
    """
    print(f"{heading:44}" + "".join(f"{it.title:>14}" for it in peers))
    is_all = True
    for row in rows:
        cells = ""
        for it in peers:
            figure = row.figures.get(it.title)
            cells += f"{'-':>14}" if figure is None else f"{figure:14.2f}"
        told = []
        for text, word in row.verdicts():
            is_all = is_all and word == REACHED
            told.append(f"{text} {word}")
        print(f"{row.title + ', ' + row.unit:44}{cells}  {'; '.join(told)}")
    return is_all

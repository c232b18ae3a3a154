"""Instructions that tracing adds, counted by valgrind: they do not depend on the machine's load.

    python benches/tracing/overhead.py

Builds `workload.rs` for release and runs it under callgrind. A cost is the difference of two runs
of different lengths, so that what a process does once is left out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Calls of the short and the long run.
COUNTS = {
    "agent": (10, 110),
    "tools": (100, 10_100),
    "idle": (1_000, 11_000),
    "bare": (1_000, 11_000),
}
# Procedures of an agent run: itself, two steps, a request to the model in each, one call of a tool.
PROCEDURES_OF_A_RUN = 6
VALGRIND = shutil.which("valgrind") or "valgrind"
SUBSCRIBER_MAX = 0.02
IDLE_MAX = 0.002


def program() -> str:
    """Builds the workload and returns its path."""
    # With all packages, so that the libraries are those of the wheel.
    command = ["cargo", "build", "--workspace", "--bench", "tracing", "--release"]
    built = subprocess.run(  # noqa: S603  # our own words
        [*command, "--locked", "--message-format=json"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    return next(
        str(it["executable"])
        for it in messages
        if it.get("executable") and it["target"]["name"] == "tracing"
    )


def instructions(binary: str, folder: Path, *words: str) -> int:
    """Runs the workload once under callgrind.

    Without the fast bins of glibc: when their chunks are put together depends on where others lie,
    which is up to 2 % of a run, the same for each run of one build and another for the next build.
    """
    done = subprocess.run(  # noqa: S603  # our own program
        [VALGRIND, "--tool=callgrind", "--callgrind-out-file=/dev/null", binary, *words],
        cwd=folder,
        env={**os.environ, "GLIBC_TUNABLES": "glibc.malloc.mxfast=0"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        sys.exit(f"callgrind says no count:\n{done.stderr}")
    return int(found.group(1))


def cost(binary: str, folder: Path, work: str, *words: str) -> float:
    """Instructions of one piece of work."""
    short, long = COUNTS[work]
    counted = [instructions(binary, folder, work, str(it), *words) for it in (short, long)]
    return (counted[1] - counted[0]) / (long - short)


def main() -> int:
    """Prints the figures; 1 where a target is missed."""
    binary = program()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        idle = cost(binary, folder, "idle") - cost(binary, folder, "bare")
        print(f"tracing of a procedure with nobody listening: {idle:.0f} instructions")
        is_missed = False
        for work, procedures in (("agent", PROCEDURES_OF_A_RUN), ("tools", 1)):
            log = folder / f"{work}.jsonl"
            without, with_lines = cost(binary, folder, work), cost(binary, folder, work, str(log))
            lines = len(log.read_text().splitlines())
            added = with_lines / without - 1
            detailed = cost(binary, folder, work, str(folder / "debug.jsonl"), "debug")
            share = idle * procedures / without
            print(f"{work}: {without:,.0f} instructions")
            print(
                f"  JSON lines at info ({lines} lines): {added:+.2%}, at most {SUBSCRIBER_MAX:.0%}"
            )
            print(f"  each procedure, at debug: {detailed / without - 1:+.2%}, no target")
            print(f"  nobody listening: {share:.3%}, at most {IDLE_MAX:.1%}")
            is_missed |= added >= SUBSCRIBER_MAX or share >= IDLE_MAX
    return int(is_missed)


if __name__ == "__main__":
    sys.exit(main())

"""CPU time of `import aikit` over that of a bare interpreter, in interleaved runs.

    python benches/kernel/import.py [--runs 40]

The target is 30 ms: a program that uses one tool must not pay for the rest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys

TARGET_MS = 30.0
RUNS_MIN = 30


def cpu_ms(code: str) -> float:
    """Runs code in a new interpreter.

    Args:
        code: Python source.

    Returns:
        User and system CPU time of the process in milliseconds.
    """
    arguments = [sys.executable, "-I", "-c", code]
    pid = os.posix_spawn(sys.executable, arguments, os.environ)
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        raise SystemExit(f"`{code}` ended with status {os.waitstatus_to_exitcode(status)}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def main() -> None:
    """Prints the medians, their difference and the target; fails when it is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40, help=f"runs of each, at least {RUNS_MIN}")
    runs = max(parser.parse_args().runs, RUNS_MIN)
    cpu_ms("import aikit")  # the first run reads the files from the disk
    bare, imported = [], []
    for _ in range(runs):
        bare.append(cpu_ms("pass"))
        imported.append(cpu_ms("import aikit"))
    over = statistics.median(imported) - statistics.median(bare)
    print(f"bare interpreter   {statistics.median(bare):7.1f} ms CPU (median of {runs})")
    print(f"with import aikit  {statistics.median(imported):7.1f} ms CPU")
    print(f"difference         {over:7.1f} ms CPU, target at most {TARGET_MS:.0f}")
    sys.exit(over > TARGET_MS)


if __name__ == "__main__":
    main()

"""CPU time of `import aikit` over that of a bare interpreter, in interleaved runs.

    python benches/kernel/import.py [--runs 40]

The target is 30 ms: a program that uses one tool must not pay for the rest. As the import itself
imports nothing, the first call of a tool is held to it as well.
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
    """Prints the medians, their differences and the target; fails when it is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40, help=f"runs of each, at least {RUNS_MIN}")
    runs = max(parser.parse_args().runs, RUNS_MIN)
    programs = {
        "bare interpreter": "pass",
        "import aikit": "import aikit",
        "and call a tool": "import aikit; aikit.tools.count_words(text='a b')",
    }
    times: dict[str, list[float]] = {name: [] for name in programs}
    for code in programs.values():
        cpu_ms(code)  # the first run reads the files from the disk
    for _ in range(runs):
        for name, code in programs.items():
            times[name].append(cpu_ms(code))
    medians = {name: statistics.median(values) for name, values in times.items()}
    bare = medians["bare interpreter"]
    print(f"median of {runs}           CPU      over bare, target at most {TARGET_MS:.0f} ms")
    for name, median in medians.items():
        print(f"{name:17} {median:7.1f} ms {median - bare:7.1f} ms")
    sys.exit(max(medians.values()) - bare > TARGET_MS)


if __name__ == "__main__":
    main()

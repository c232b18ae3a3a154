"""Which functions a session of the kernel uses, written for the linker as `rust/aikit-py/start.ld`.

    make order

The operating system maps a file in pieces of 64 KiB. A session uses some 3 MiB of the extension's
40 MiB of code, spread over nearly all of it in the order of crates, so that half of the file was in
memory. The build of a release puts the functions of the list side by side
(`rust/aikit-py/build.rs`).

Valgrind's callgrind sees which functions run: a kernel starts, answers each kind of request,
prints, fails and ends. A function of the list that does not exist any more is no error, and one
that is missing costs 64 KiB; so the list need not be made anew with every change, but with a new
compiler: it has hashes where a name without one stands for many functions of which few are used.
Needs an extension with symbols, which `make order` builds.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from jupyter_client.manager import KernelManager

import aikit

EXTENSION = Path(aikit.__file__).parent / "_aikit.abi3.so"
LIST = Path(__file__).parents[2] / "rust" / "aikit-py" / "start.ld"

TIMEOUT_S = 300
"""Valgrind makes the kernel some fifty times slower."""

FUNCTIONS_MIN = 2000
"""Fewer mean that the extension has no symbols, or that the kernel did not start."""

SPARE_BYTES = 1 << 14
"""All functions of a name are taken where the unused ones are not larger together. One that is used
and not in the list costs 64 KiB, and what tells functions of a name apart changes with the code."""

# What runs counts, not how long: the one that sleeps is there for the functions of a wait.
CELLS = (
    "1 + 1",
    "a = {1, b = 'x'} print(a) return a",
    "for i = 1, 1000 do print(i) end",
    "sleep(0.01)",
    "string.gsub('abc', '%w', '%0%0')",
    "display.table{{n = 1}, {n = 2}}",
    "error('x')",
    "while true do",
)

NUMBER = re.compile(r"\.llvm\.\d+$")
"""What the compiler adds where another part of a crate uses a function."""

HASH = re.compile(rf"(17h)[0-9a-f]{{16}}E({NUMBER.pattern[:-1]})?$|{NUMBER.pattern}")
"""What it adds in all: the hash of the types, and that number."""


def talk(out: Path, folder: Path) -> None:
    """Runs a session under callgrind, which writes to `out`."""
    manager = KernelManager(kernel_name="aikit")
    spec = manager.kernel_spec
    if spec is None:
        sys.exit("no kernel `aikit` is installed: run `python -m aikit install --sys-prefix`")
    program = [sys.executable if it == "python" else it for it in spec.argv]
    valgrind = ["valgrind", "--quiet", "--tool=callgrind", f"--callgrind-out-file={out}"]
    plain = ["--demangle=no", "--compress-strings=no", "--compress-pos=no"]
    spec.argv = [*valgrind, *plain, *program]
    manager.start_kernel(cwd=str(folder))
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=TIMEOUT_S)
        for code in CELLS:
            client.execute_interactive(code, timeout=TIMEOUT_S, output_hook=lambda _: None)
        client.complete("display.ta", reply=True, timeout=TIMEOUT_S)
        client.inspect("display.table", reply=True, timeout=TIMEOUT_S)
        client.is_complete("if x")
        client.history(n=10, reply=True, timeout=TIMEOUT_S)
        client.comm_info(reply=True, timeout=TIMEOUT_S)
        client.shutdown(reply=True, timeout=TIMEOUT_S)
        # Its figures are written when it has ended.
        manager.finish_shutdown(waittime=TIMEOUT_S)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def functions_used(out: Path) -> set[str]:
    """Names of the functions that ran, those of the extension among them."""
    used, is_ours = set(), False
    for line in out.read_text().splitlines():
        if line.startswith("ob="):
            # Valgrind takes what stands before `.text` for nobody's.
            is_ours = line.endswith((EXTENSION.name, "=???"))
        elif is_ours and line.startswith("fn="):
            used.add(line.removeprefix("fn="))
    return used


def sizes() -> dict[str, int]:
    """Of all functions of the extension, in bytes."""
    run = ["nm", "--print-size", str(EXTENSION)]
    table = subprocess.run(run, capture_output=True, text=True, check=True).stdout  # noqa: S603
    rows = (line.split() for line in table.splitlines())
    return {row[3]: int(row[1], 16) for row in rows if len(row) == 4 and row[2] in "tTwW"}  # noqa: PLR2004


def without_hash(name: str) -> str:
    """The name with a `*` for what the compiler added."""
    return HASH.sub(lambda found: f"{found[1] or ''}*", name)


def patterns(used: set[str], sizes: dict[str, int]) -> list[str]:
    """What stands for the used functions: names without hashes, unless that takes in too much."""
    all_of, used_of = defaultdict[str, int](int), defaultdict[str, int](int)
    for name, size in sizes.items():
        all_of[without_hash(name)] += size
    for name in used:
        used_of[without_hash(name)] += sizes[name]

    def pattern(name: str) -> str:
        short = without_hash(name)
        has_little_else = all_of[short] - used_of[short] <= SPARE_BYTES
        return short if has_little_else else NUMBER.sub("*", name)

    return sorted({pattern(name) for name in used})


def main() -> None:
    """Writes the list."""
    if shutil.which("valgrind") is None or shutil.which("nm") is None:
        sys.exit("valgrind or nm is missing: install valgrind and binutils")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        talk(out, Path(folder))
        used = functions_used(out)
    size_of = sizes()
    known = used & size_of.keys()
    if len(known) < FUNCTIONS_MIN:
        sys.exit(f"{EXTENSION} has no symbols: build it with `make order`")
    lines = [f"    *(.text.{it})\n" for it in patterns(known, size_of)]
    LIST.write_text(
        "/* Functions that a session of the kernel uses, side by side in the file. Written by\n"
        "   `make order` (benches/kernel/order.py). */\n"
        f"SECTIONS\n{{\n  .text.start :\n  {{\n{''.join(lines)}  }}\n}}\nINSERT BEFORE .text;\n"
    )
    used_mib = sum(size_of[it] for it in known) / 2**20
    all_mib = sum(size_of.values()) / 2**20
    print(f"{len(known)} functions, {used_mib:.1f} of {all_mib:.1f} MiB; {len(lines)} patterns")


if __name__ == "__main__":
    main()

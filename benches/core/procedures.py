"""What a procedure costs over its function, in Python and in Lua, and how soon a cancel is felt.

    python benches/core/procedures.py [--runs 15]

Targets: an empty procedure at most 5 µs from Python and 3 µs from Lua; ten middlewares at most
twice the cost of none; a failure at most 30 µs, each of sixty nested ones as well; what waits ends
within 100 ms of the cancellation. Rust's own figures are those of `procedure_call.rs`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aikit

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 20_000
RUNS_MIN = 5
CANCELS = 50
TARGETS_US = {"python": 5.0, "lua": 3.0}
MIDDLEWARE_RATIO = 2.0
CANCEL_MS = 100.0
FAILURE_US = 30.0
FAILURES = 500
NESTED = 60

LUA = """
local function plain() end
local procedure = Procedure.create{name = "empty", plain}
local function pass(args, envelope, next) return next() end
local wrapped = procedure
for _ = 1, 10 do wrapped = wrapped:use(pass) end
local runs, calls = RUNS, CALLS
local out = {plain = {}, procedure = {}, wrapped = {}}
local function measure(list, call)
  local began = os.clock()
  for _ = 1, calls do call() end
  list[#list + 1] = (os.clock() - began) / calls * 1e6
end
for _ = 1, runs do
  measure(out.plain, plain)
  measure(out.procedure, procedure)
  measure(out.wrapped, wrapped)
end
print(JSON.stringify(out))
"""


def measure(call: Callable[[], object]) -> float:
    """Microseconds of CPU time for one call."""
    began = time.process_time()
    for _ in range(CALLS):
        call()
    return (time.process_time() - began) / CALLS * 1e6


def python_costs(runs: int) -> dict[str, list[float]]:
    """Costs of a function, of the procedure, and of it with ten middlewares, interleaved."""

    def plain() -> None:
        pass

    def through(_: object, __: object, following: Callable[[], object]) -> object:
        return following()

    procedure: aikit.Procedure[None] = aikit.Procedure(plain, name="empty")
    wrapped = procedure.use(*[through] * 10)
    costs: dict[str, list[float]] = {"plain": [], "procedure": [], "wrapped": []}
    with aikit.track("bench"):
        for _ in range(runs):
            costs["plain"].append(measure(plain))
            costs["procedure"].append(measure(procedure))
            costs["wrapped"].append(measure(wrapped))
    return costs


def lua_costs(runs: int) -> dict[str, list[float]]:
    """The same from Lua."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bench.lua"
        file.write_text(LUA.replace("RUNS", str(runs)).replace("CALLS", str(CALLS)), "utf-8")
        command = [sys.executable, "-m", "aikit", "run", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)  # noqa: S603
    costs: dict[str, list[float]] = json.loads(done.stdout)
    return costs


def failure_us(runs: int) -> dict[str, float]:
    """Microseconds of one failure, of each of sixty nested ones, and of one that says much."""

    def fail(message: str) -> None:
        raise ValueError(message)

    def nest(depth: int) -> None:
        if depth == 1:
            raise ValueError("deep")
        nested(depth - 1)

    failing: aikit.Procedure[None] = aikit.Procedure(fail, name="fail", schema=False)
    nested: aikit.Procedure[None] = aikit.Procedure(nest, name="nest", schema=False)
    long = "x" * 1_000_000
    ways: dict[str, tuple[Callable[[], object], int]] = {
        "failure": (lambda: failing("no"), 1),
        f"{NESTED} nested failures, each": (lambda: nested(NESTED), NESTED),
        "failure, message of 1 MB": (lambda: failing(long), 1),
    }
    costs: dict[str, list[float]] = {name: [] for name in ways}
    with aikit.track("bench"):
        for _ in range(runs):
            for name, (call, count) in ways.items():
                times = FAILURES // count
                began = time.process_time()
                for _ in range(times):
                    with contextlib.suppress(ValueError):
                        call()
                costs[name].append((time.process_time() - began) / (times * count) * 1e6)
    return {name: statistics.median(it) for name, it in costs.items()}


def cancel_ms(way: str) -> float:
    """Milliseconds from a cancellation to the error of what waits."""
    entered, release = threading.Event(), threading.Event()

    @aikit.tool
    def blocks() -> None:
        """Blocks."""
        entered.set()
        release.wait(30)

    @aikit.procedure
    async def waits() -> None:
        entered.set()
        await asyncio.sleep(30)

    async def awaited(value: Any) -> Any:  # noqa: ANN401  # any awaitable
        return await value

    ctx = aikit.Context.create()
    cancelled: list[float] = []

    def cancel() -> None:
        entered.wait(30)
        cancelled.append(time.perf_counter())
        ctx.cancel("enough")

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        with ctx:
            if way == "sync tool":
                blocks.invoke({})
            else:
                asyncio.run(awaited(waits()))
    except aikit.errors.CancelledError:
        took = (time.perf_counter() - cancelled[0]) * 1000
    release.set()
    thread.join()
    return took


def main() -> None:
    """Prints the medians and the targets; fails when one is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=15, help=f"runs of each, at least {RUNS_MIN}")
    runs = max(parser.parse_args().runs, RUNS_MIN)
    missed = False
    for face, costs in (("python", python_costs(runs)), ("lua", lua_costs(runs))):
        plain, empty, wrapped = (
            statistics.median(costs[it]) for it in ("plain", "procedure", "wrapped")
        )
        cost, ratio = empty - plain, wrapped / empty
        is_missed = cost > TARGETS_US[face] or ratio > MIDDLEWARE_RATIO
        missed |= is_missed
        print(
            f"{face:7} empty procedure {cost:6.2f} µs (target {TARGETS_US[face]:.0f}), with ten "
            f"middlewares {ratio:5.2f} times that (target {MIDDLEWARE_RATIO:.0f})"
            f"{'   MISSED' if is_missed else ''}"
        )
    for name, cost in failure_us(runs).items():
        is_missed = cost > FAILURE_US
        missed |= is_missed
        print(
            f"python  {name} {cost:6.2f} µs (target {FAILURE_US:.0f})"
            f"{'   MISSED' if is_missed else ''}"
        )
    for way in ("coroutine", "sync tool"):
        times = sorted(cancel_ms(way) for _ in range(CANCELS))
        is_missed = times[-1] > CANCEL_MS
        missed |= is_missed
        print(
            f"cancel  {way:10} median {statistics.median(times):6.2f} ms, "
            f"slowest {times[-1]:.2f} ms (target {CANCEL_MS:.0f}){'   MISSED' if is_missed else ''}"
        )
    sys.exit(missed)


if __name__ == "__main__":
    main()

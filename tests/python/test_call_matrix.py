"""Every way to call, from every place, with every kind of tool, as one table.

The rows are the places of calls.md: who calls, on which thread, with which loop running. What
differs between them is a column of the row. The place that is missing here, a script in a worker
behind a byte pipe, has no Python in it: `rust/aikit-runtime/tests/integration/lua_files.rs` runs
every file of `tests/lua/` through such a pipe, functions as tools and agents included.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

import aikit
import call_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_client.blocking.client import BlockingKernelClient
    from jupyter_client.manager import KernelManager

Answer = dict[str, Any]

TESTS = Path(call_cases.__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TESTS)}
LUA_CASES = Path(call_cases.__file__).with_suffix(".lua")
WAIT_S = 60.0


@dataclass
class Kernels:
    """The kernels in whose cells is called; each starts with the first of its rows."""

    running: dict[str, tuple[KernelManager, BlockingKernelClient]] = field(default_factory=dict)

    def print_of(self, name: str, prelude: str, code: str) -> str:
        """Runs a cell and returns what it printed; the prelude goes before the first one."""
        if name not in self.running:
            self.running[name] = start_new_kernel(kernel_name=name, env=ENVIRONMENT)
            self._execute(name, prelude)
        return self._execute(name, code)

    def _execute(self, name: str, code: str) -> str:
        shown: list[str] = []

        def collect(message: dict[str, Any]) -> None:
            if message["msg_type"] == "stream":
                shown.append(message["content"]["text"])

        client = self.running[name][1]
        reply = client.execute_interactive(code, timeout=WAIT_S, output_hook=collect)
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(shown)

    def close(self) -> None:
        for manager, client in self.running.values():
            client.stop_channels()
            manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernels() -> Iterator[Kernels]:
    found = Kernels()
    yield found
    found.close()


@dataclass
class Call:
    """One field of the table."""

    mode: str
    case: str
    variable: str
    kernels: Kernels


def in_script(call: Call) -> Answer:
    command = [sys.executable, call_cases.__file__, call.mode, call.case, call.variable]
    done = subprocess.run(  # noqa: S603
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: Answer = json.loads(done.stdout)
    return answer


def in_thread(work: Callable[[], Answer]) -> Answer:
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive(), "the call never came back"
    return answers[0]


def in_plain_thread(call: Call) -> Answer:
    return in_thread(lambda: call_cases.run(call.mode, call.case, call.variable))


def in_worker_with_context(call: Call) -> Answer:
    call_cases.VARIABLE.set(call.variable)
    context = contextvars.copy_context()
    if call.mode == "sync":
        return in_thread(lambda: context.run(call_cases.SYNC[call.case]))

    async def main() -> Answer:
        return await call_cases.ASYNC[call.case]()

    return in_thread(lambda: context.run(asyncio.run, main()))


def in_running_loop(call: Call) -> Answer:
    return asyncio.run(call_cases.run_in_loop(call.mode, call.case, call.variable))


def in_task_thread(call: Call) -> Answer:
    """`asyncio.to_thread`: a worker with the variables of a task whose loop goes on."""

    async def main() -> Answer:
        call_cases.VARIABLE.set(call.variable)
        if call.mode == "sync":
            return await asyncio.to_thread(call_cases.SYNC[call.case])
        return await asyncio.create_task(
            call_cases.run_in_loop(call.mode, call.case, call.variable)
        )

    return asyncio.run(main())


def in_sync_tool(call: Call) -> Answer:
    """A thread of aikit's, on which Rust calls a Python function."""

    @aikit.tool
    def outer() -> Answer:
        """Calls from inside."""
        return call_cases.run(call.mode, call.case, call.variable)

    answer: Answer = outer.invoke({})
    return answer


def in_async_tool(call: Call) -> Answer:
    """aikit's own loop; the sync form blocks it while its tools need one."""

    @aikit.tool
    async def outer() -> Answer:
        """Calls from inside."""
        return await call_cases.run_in_loop(call.mode, call.case, call.variable)

    answer: Answer = in_thread(lambda: outer.invoke({}))
    return answer


def in_ipython_cell(call: Call) -> Answer:
    """A process whose main thread runs Jupyter's loop."""
    arguments = f"{call.mode!r}, {call.case!r}, {call.variable!r}"
    code = f"print(json.dumps(await call_cases.run_in_loop({arguments})))"
    printed = call.kernels.print_of("python3", "import json, call_cases", code)
    answer: Answer = json.loads(printed)
    return answer


def in_lua_cell(call: Call) -> Answer:
    """A cell of the Aikit kernel: functions are Lua's, the async form is a task beside the cell."""
    prelude = LUA_CASES.read_text(encoding="utf-8")
    code = f'run_case("{call.mode}", "{call.case}")'
    answer: Answer = json.loads(call.kernels.print_of("aikit", prelude, code))
    return answer


@dataclass(frozen=True)
class Place:
    """A row of the table."""

    run: Callable[[Call], Answer]
    # Whether a function sees the caller's contextvars. A Lua cell has none: a Lua function sees
    # the variables of its own scope wherever it runs.
    carries_variables: bool = True


PLACES = {
    "script": Place(in_script),
    "plain_thread": Place(in_plain_thread),
    "running_loop": Place(in_running_loop),
    "worker_with_context": Place(in_worker_with_context),
    "task_thread": Place(in_task_thread),
    "sync_tool": Place(in_sync_tool),
    "async_tool": Place(in_async_tool),
    "ipython_cell": Place(in_ipython_cell),
    "lua_cell": Place(in_lua_cell, carries_variables=False),
}


@pytest.mark.parametrize("case", call_cases.SYNC)
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("place", PLACES)
def test_a_call_answers_and_its_tool_sees_the_callers_variables(
    kernels: Kernels, place: str, mode: str, case: str
) -> None:
    row = PLACES[place]
    variable = f"{place} {mode} {case}"
    expected: Answer = {"words": 3}
    if row.carries_variables:
        expected["variable"] = variable
    assert row.run(Call(mode, case, variable, kernels)) == expected

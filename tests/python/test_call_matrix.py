"""Every way to call, from every place, with every kind of tool."""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

import call_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_client.blocking.client import BlockingKernelClient

TESTS = Path(call_cases.__file__).parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(TESTS)}
WAIT_S = 60.0


@pytest.fixture(scope="module")
def ipython() -> Iterator[BlockingKernelClient]:
    """An IPython kernel: a process whose main thread runs an asyncio loop."""
    manager, client = start_new_kernel(kernel_name="python3", env=ENVIRONMENT)
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def in_script(mode: str, case: str, variable: str) -> dict[str, Any]:
    command = [sys.executable, call_cases.__file__, mode, case, variable]
    done = subprocess.run(  # noqa: S603
        command, env=ENVIRONMENT, capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def in_thread(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    answers: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive(), "the call never came back"
    return answers[0]


def in_plain_thread(mode: str, case: str, variable: str) -> dict[str, Any]:
    return in_thread(lambda: call_cases.run(mode, case, variable))


def in_worker_with_context(mode: str, case: str, variable: str) -> dict[str, Any]:
    call_cases.VARIABLE.set(variable)
    context = contextvars.copy_context()
    if mode == "sync":
        return in_thread(lambda: context.run(call_cases.SYNC[case]))

    async def main() -> dict[str, Any]:
        return await call_cases.ASYNC[case]()

    return in_thread(lambda: context.run(asyncio.run, main()))


def in_running_loop(mode: str, case: str, variable: str) -> dict[str, Any]:
    return asyncio.run(call_cases.run_in_loop(mode, case, variable))


def in_task_thread(mode: str, case: str, variable: str) -> dict[str, Any]:
    """`asyncio.to_thread`: a worker with the variables of a task whose loop goes on."""

    async def main() -> dict[str, Any]:
        call_cases.VARIABLE.set(variable)
        if mode == "sync":
            return await asyncio.to_thread(call_cases.SYNC[case])
        return await asyncio.create_task(call_cases.run_in_loop(mode, case, variable))

    return asyncio.run(main())


PLACES = {
    "script": in_script,
    "plain_thread": in_plain_thread,
    "running_loop": in_running_loop,
    "worker_with_context": in_worker_with_context,
    "task_thread": in_task_thread,
}


@pytest.mark.parametrize("case", call_cases.SYNC)
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("place", PLACES)
def test_a_call_answers_and_its_tool_sees_the_callers_variables(
    place: str, mode: str, case: str
) -> None:
    variable = f"{place} {mode} {case}"
    answer = PLACES[place](mode, case, variable)
    assert answer == {"words": 3, "variable": variable}


@pytest.mark.parametrize("case", call_cases.SYNC)
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_cell_of_an_ipython_kernel_calls_as_a_script_does(
    ipython: BlockingKernelClient, mode: str, case: str
) -> None:
    code = f"import call_cases; print(await call_cases.run_in_loop({mode!r}, {case!r}, 'cell'))"
    shown: list[str] = []

    def collect(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            shown.append(message["content"]["text"])

    reply = ipython.execute_interactive(code, timeout=WAIT_S, output_hook=collect)
    assert reply["content"]["status"] == "ok", reply["content"]
    assert "".join(shown).strip() == str({"words": 3, "variable": "cell"})

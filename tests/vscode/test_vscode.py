"""What VS Code's Jupyter extension does with a kernel, replayed through the libraries it uses.

VS Code itself is not run: `conversation.js` sends what its sources send, in their order, through
`KernelConnection` of npm's `@jupyterlab/services` over sockets of npm's `zeromq`. The former checks
each message that it receives.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from kernel.raw_client import command

FOLDER = Path(__file__).parent
# Where `.ci/install-node` puts the packages of package.json. Read at once: the tests hide all
# variables of that prefix.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
MODULES = CACHE / "aikit" / "node" / "node_modules"
IS_REQUIRED = os.environ.get("TEST_REQUIRE_NODE") == "1"
TIMEOUT_S = 120


def missing() -> str | None:
    """What is not installed here."""
    if shutil.which("node") is None:
        return "there is no Node here: install the package `nodejs`"
    if not (MODULES / "@jupyterlab" / "services").is_dir() or not (MODULES / "zeromq").is_dir():
        return "the packages of Node are not installed: run `.ci/install-node`"
    return None


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the extension heard in each step."""
    if reason := missing():
        (pytest.fail if IS_REQUIRED else pytest.skip)(reason)
    folder = tmp_path_factory.mktemp("vscode")
    spec = KernelSpecManager().get_kernel_spec("aikit")
    # The extension starts the kernel with the interpreter of the environment that was chosen.
    argv = command("aikit", Path("{connection_file}"))
    (folder / "kernel.json").write_text(json.dumps({"argv": argv}))
    assert spec.interrupt_mode == "message"
    ran = subprocess.run(  # noqa: S603
        ["node", str(FOLDER / "conversation.js"), str(folder / "kernel.json")],  # noqa: S607
        env=os.environ | {"NODE_PATH": str(MODULES), "AIKIT_KERNEL__HISTORY": "false"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    told: dict[str, Any] = json.loads(ran.stdout)
    assert told["broken"] == [], "messages that the library does not accept"
    steps: dict[str, Any] = told["heard"]
    return steps


def ok(count: int, *outline: str) -> dict[str, Any]:
    return {
        "reply": {"status": "ok", "count": count},
        "outline": ["busy", "execute_input", *outline, "idle"],
    }


def failed(count: int, ename: str, *outline: str) -> dict[str, Any]:
    return {
        "reply": {"status": "error", "count": count, "ename": ename},
        "outline": ["busy", "execute_input", *outline, "error", "idle"],
    }


def test_the_kernel_introduces_itself_at_the_first_question(heard: dict[str, Any]) -> None:
    assert heard["info"] == {
        "status": "ok",
        "implementation": "aikit",
        "protocol": "5.5",
        "language": "lua",
        "extension": ".lua",
    }
    assert heard["attempts"] == 1


def test_start_up_code_counts_no_cell_and_may_fail(heard: dict[str, Any]) -> None:
    assert heard["startup"] == ok(0)
    assert heard["startup_failure"] == failed(0, "script")
    assert heard["comms"] == {"status": "ok", "comms": {}}


def test_cells_print_show_and_fail(heard: dict[str, Any]) -> None:
    assert heard["cell"] == ok(1, "stdout: hello\n", "stderr: oops", "execute_result: 42")
    assert heard["display"] == ok(2, "display_data: one", "update_display_data: two")
    assert heard["error"] == failed(3, "script")


def test_cells_behind_a_failed_one_run_when_the_extension_says_so(heard: dict[str, Any]) -> None:
    assert heard["queue"] == [
        ok(4, "stdout: a\n"),
        failed(5, "script"),
        ok(6, "stdout: c\n"),
        ok(7, "execute_result: true"),
    ]


def test_a_question_is_answered(heard: dict[str, Any]) -> None:
    assert heard["question"] == {"prompt": "Who? ", "password": False}
    assert heard["input"] == ok(8, "stdout: hello Ada\n")


def test_a_loop_lets_complete_and_inspect_and_is_interrupted_over_shell(
    heard: dict[str, Any],
) -> None:
    assert heard["completion"] == ["yield"]
    assert heard["inspection"] == {"status": "ok", "found": True}
    assert heard["interrupt"] == "interrupt_reply"
    assert heard["interrupted"] == failed(9, "KeyboardInterrupt", "stdout: begun\n")
    assert heard["after_interrupt"] == ok(10, "execute_result: true")


def test_a_hundred_cells_at_once_keep_their_order(heard: dict[str, Any]) -> None:
    assert heard["run_all"] == [f"execute_result: {number}" for number in range(100)]


def test_a_restart_begins_anew(heard: dict[str, Any]) -> None:
    assert heard["end_before_restart"] == {"status": 0, "signal": None, "stderr": ""}
    assert heard["after_restart"] == ok(1)
    assert {"busy", "idle"} <= set(heard["statuses"])


def test_a_shutdown_is_answered_and_ends_the_process(heard: dict[str, Any]) -> None:
    assert heard["shutdown"] == {"status": "ok", "restart": False}
    assert (heard["exit_status"], heard["last_stderr"]) == (0, "")

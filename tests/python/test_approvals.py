"""Approvals of what an agent changes or runs: through a function, in a terminal, in the shell."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel

import aikit
from aikit import _ask, errors
from shell import AIKIT, run

if TYPE_CHECKING:
    from pathlib import Path


def agent(path: str, **options: Any) -> aikit.Agent:  # noqa: ANN401  # of the agent
    """An agent that was asked to delete a file."""
    asked = {"tool_calls": [{"name": "delete_file", "arguments": {"path": path}}]}
    model = aikit.testing.ScriptedModel([asked, "done"])
    return aikit.Agent(model, tools=["files", "system"], **options)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a file; one stands beside it."""
    (tmp_path / "outside.txt").write_text("keep")
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "notes.txt").write_text("notes")
    monkeypatch.chdir(folder)
    return folder


def test_outside_the_working_directory_nobody_is_asked(folder: Path) -> None:
    asked: list[aikit.Approval] = []

    def approve(approval: aikit.Approval) -> bool:
        asked.append(approval)
        return True

    run = agent("../outside.txt", approve=approve).run("go")
    error = run.steps[0].tool_calls[0].result["error"]
    assert error["kind"] == "denied"
    assert "outside the folders that may be written" in error["message"]
    assert "write_roots" in error["hint"]
    assert (folder.parent / "outside.txt").exists()
    assert (run.output, asked) == ("done", [])


@pytest.mark.parametrize("answer", [False, None, "no"])
def test_no_leaves_the_file_and_goes_back_to_the_model(folder: Path, answer: Any) -> None:  # noqa: ANN401
    run = agent("notes.txt", approve=lambda _: answer).run("go")
    call = run.steps[0].tool_calls[0]
    assert call.is_error
    assert "the user did not allow it" in call.result["error"]["message"]
    assert (folder / "notes.txt").exists()
    assert run.output == "done"


@pytest.mark.parametrize("answer", [True, "yes", "always"])
def test_yes_deletes_what_was_shown(folder: Path, answer: Any) -> None:  # noqa: ANN401
    seen: list[aikit.Approval] = []

    async def approve(approval: aikit.Approval) -> Any:  # noqa: ANN401
        seen.append(approval)
        return answer

    run = agent("notes.txt", approve=approve).run("go")
    assert run.steps[0].tool_calls[0].result["deleted"]
    assert not (folder / "notes.txt").exists()
    (approval,) = seen
    assert (approval.tool, approval.args) == ("delete_file", {"path": "notes.txt"})
    assert approval.action == f"the agent wants to delete `{folder / 'notes.txt'}` (5 bytes)"
    assert len(approval.digest or "") == 64
    assert str(folder) in (approval.always or "")


def test_what_an_approval_raises_is_told_to_the_model(folder: Path) -> None:
    def approve(_: aikit.Approval) -> bool:
        raise ValueError("no idea")

    run = agent("notes.txt", approve=approve).run("go")
    message = run.steps[0].tool_calls[0].result["error"]["message"]
    assert "`approve` raised" in message
    assert "no idea" in message
    assert (folder / "notes.txt").exists()


def test_what_cannot_be_called_decides_nothing() -> None:
    with pytest.raises(errors.InvalidArgsError, match="approve"):
        agent("notes.txt", approve=True)


def test_without_a_terminal_the_error_names_the_option(folder: Path) -> None:
    code = (
        "import aikit\n"
        "asked = {'tool_calls': [{'name': 'delete_file', 'arguments': {'path': 'notes.txt'}}]}\n"
        "model = aikit.testing.ScriptedModel([asked, 'done'])\n"
        "run = aikit.Agent(model, tools=['files']).run('go')\n"
        "print(run.steps[0].tool_calls[0].result['error'])\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "approval_needed" in done.stdout
    assert "`approve`" in done.stdout
    assert (folder / "notes.txt").exists()


@pytest.mark.parametrize(
    ("answer", "meant"),
    [("yes", "yes"), ("Y", "yes"), ("al", "always"), ("ys", None), ("", None), (" no ", "no")],
)
def test_an_answer_means_what_is_written_or_begun(answer: str, meant: str | None) -> None:
    assert _ask._meant(answer.strip().lower(), ["yes", "no", "always"]) == meant  # noqa: SLF001


PYTHON = """
import aikit
asked = {"tool_calls": [{"name": "delete_file", "arguments": {"path": "notes.txt"}}]}
model = aikit.testing.ScriptedModel([asked, "done"])
run = aikit.Agent(model, tools=["files"]).run("go")
print("told", run.steps[0].tool_calls[0].is_error)
"""

LUA = """
local asked = {tool_calls = {{name = "delete_file", arguments = {path = "notes.txt"}}}}
local model = Model("scripted:test", {answers = {asked, "done"}})
local run = Agent{model = model, tools = {"files"}}:run("go")
print("told", run.steps[1].tool_calls[1].is_error)
"""


def converse(command: list[str], folder: Path, typed: str) -> str:
    """Runs a program in a terminal of its own, types a line, and returns what it showed."""
    ours, theirs = os.openpty()
    try:
        with subprocess.Popen(  # noqa: S603
            command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
        ) as process:
            os.close(theirs)
            shown = b""
            is_typed = False
            while True:
                try:
                    part = os.read(ours, 65536)
                except OSError:  # Linux says so when the other side is closed
                    break
                if not part:
                    break
                shown += part
                if not is_typed and b"[yes/no/always]" in shown:
                    is_typed = True
                    os.write(ours, f"{typed}\n".encode())
            assert process.wait(60) == 0, shown
    finally:
        os.close(ours)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(("typed", "stays"), [("no", True), ("yes", False), ("YES", False)])
@pytest.mark.parametrize(
    "command", [[sys.executable, "-c", PYTHON], [*AIKIT, "run", "-e", LUA]], ids=["python", "shell"]
)
def test_in_a_terminal_the_user_is_asked(
    folder: Path,
    command: list[str],
    typed: str,
    stays: bool,  # noqa: FBT001
) -> None:
    shown = converse(command, folder, typed)
    question = f"Allow once: the agent wants to delete `{folder / 'notes.txt'}` (5 bytes)?"
    assert question in shown, shown
    assert (folder / "notes.txt").exists() == stays
    assert f"told {stays}" in shown.replace("\t", " ").replace("true", "True").replace(
        "false", "False"
    )


def test_arguments_of_a_tool_come_from_standard_input_and_in_one_form_only(folder: Path) -> None:
    def invoke(*arguments: str, text: str = "") -> tuple[int, str, str]:
        return run("tool", "invoke", *arguments, folder=folder, text=text)

    status, out, _ = invoke("count_words", "-", "--json", text='{"text": "a b"}')
    assert (status, '"words":2' in out) == (0, True)
    status, _, error = invoke("count_words", "-", text="{")
    assert (status, "not JSON" in error) == (2, True)
    status, _, error = invoke("count_words", '{"text": "a"}', "--arg", "text=b")
    assert (status, "`--arg`" in error) == (2, True)


@pytest.mark.parametrize(("answer", "stays"), [("no", True), ("yes", False)])
def test_in_a_python_notebook_the_user_is_asked(
    folder: Path,
    answer: str,
    stays: bool,  # noqa: FBT001
) -> None:
    manager, client = start_new_kernel(kernel_name="python3", cwd=str(folder))
    try:
        client.execute(PYTHON, allow_stdin=True)
        question = client.get_stdin_msg(timeout=60)["content"]["prompt"]
        assert f"Allow once: the agent wants to delete `{folder / 'notes.txt'}`" in question
        client.input(answer)
        reply = client.get_shell_msg(timeout=60)["content"]
        assert reply["status"] == "ok", reply
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert (folder / "notes.txt").exists() == stays

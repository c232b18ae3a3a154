"""Questions of a cell to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel.conversation import TIMEOUT_S

if TYPE_CHECKING:
    from pathlib import Path

    from kernel.conversation import Conversation


@pytest.mark.parametrize(("function", "hides"), [("input", False), ("getpass", True)])
def test_a_question_is_asked_after_what_was_printed(
    kernel: Conversation,
    function: str,
    hides: bool,  # noqa: FBT001
) -> None:
    code = f"print('before')\nlocal name = {function}('Who? ')\nprint('hello ' .. name)"
    msg_id = kernel.client.execute(code, allow_stdin=True)
    kernel.wait_for(lambda it: it["content"].get("text") == "before\n")
    question = kernel.client.get_stdin_msg(timeout=TIMEOUT_S)
    assert question["parent_header"]["msg_id"] == msg_id
    assert question["content"] == {"prompt": "Who? ", "password": hides}
    kernel.client.input("Ada")
    heard = kernel.hear(msg_id)
    assert heard.outline == ["stdout: hello Ada\n", "idle"]


def test_a_question_that_nobody_can_answer_is_an_error(kernel: Conversation) -> None:
    heard = kernel.execute("input('Who? ')", allow_stdin=False)
    assert (heard.content["status"], heard.content["ename"]) == ("error", "unavailable")


def test_an_interrupt_ends_a_question(kernel: Conversation) -> None:
    msg_id = kernel.client.execute("input('Who? ')", allow_stdin=True)
    kernel.client.get_stdin_msg(timeout=TIMEOUT_S)
    kernel.control("interrupt_request")
    assert kernel.hear(msg_id).content["ename"] == "KeyboardInterrupt"
    assert kernel.execute("1").content["status"] == "ok"


# A scripted agent that was asked to delete a file.
DELETES = """
local asked = {{tool_calls = {{{{name = "delete_file", arguments = {{path = "{path}"}}}}}}}}
local model = Model("scripted:test", {{answers = {{asked, "done"}}}})
local run = Agent{{model = model, tools = {{"files"}}}}:run("go")
local call = run.steps[1].tool_calls[1]
print(run.output, call.result.error and call.result.error.message or call.result.deleted)
"""


@pytest.mark.parametrize(("answer", "stays"), [("no", True), ("yes", False)])
def test_an_agent_that_deletes_a_file_is_asked_about(
    kernel: Conversation,
    answer: str,
    stays: bool,  # noqa: FBT001
) -> None:
    kernel.execute("Tool.write_file{path = 'agent-notes.txt', content = 'x', mode = 'overwrite'}")
    msg_id = kernel.client.execute(DELETES.format(path="agent-notes.txt"), allow_stdin=True)
    question = kernel.client.get_stdin_msg(timeout=TIMEOUT_S)["content"]
    assert question["prompt"].startswith("Tool `delete_file` needs an approval.\nAllow once:")
    assert "agent-notes.txt` (1 byte)?" in question["prompt"]
    assert question["prompt"].endswith("[yes/no/always] ")
    kernel.client.input(answer)
    heard = kernel.hear(msg_id)
    told = "the user did not allow it" if stays else "true"
    assert heard.outline[-2].startswith("stdout: done\t")
    assert told in heard.outline[-2]
    found = kernel.execute("print(#Tool.list_directory{pattern = 'agent-notes.txt'}.entries)")
    assert f"stdout: {int(stays)}\n" in found.outline
    kernel.execute("pcall(Tool.delete_file, {path = 'agent-notes.txt'})")


def test_an_agent_that_deletes_a_file_outside_is_refused(
    kernel: Conversation, tmp_path: Path
) -> None:
    file = tmp_path / "outside.txt"
    file.write_text("keep")
    heard = kernel.execute(DELETES.format(path=file), allow_stdin=True)
    assert "outside the folders that may be written" in heard.outline[-2]
    assert file.exists()

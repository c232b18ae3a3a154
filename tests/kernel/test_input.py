"""Questions of a cell to the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel.conversation import TIMEOUT_S

if TYPE_CHECKING:
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

"""Interrupts, by message and by signal."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kernel.conversation import Conversation

# Cells that run for ever, each in a way of its own.
ENDLESS = [
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "coroutine.wrap(function() while true do end end)()",
    "timeout(3600, function() while true do end end)",
    """Tool.create{name = 'deep', summary = 'x', fn = function() pcall(Tool.deep) sleep(60) end}
    Tool.deep{}""",
]


@pytest.mark.parametrize("code", ENDLESS)
def test_an_interrupt_stops_the_cell_and_keeps_the_state(kernel: Conversation, code: str) -> None:
    kernel.execute("kept = 7")
    running = kernel.start(code)
    assert kernel.control("interrupt_request")["content"] == {"status": "ok"}
    heard = kernel.hear(running)
    assert (heard.content["status"], heard.content["ename"]) == ("error", "KeyboardInterrupt")
    assert kernel.execute("kept").first("execute_result")["data"]["text/plain"] == "7"


def test_a_time_limit_ends_a_loop_and_not_the_cell(kernel: Conversation) -> None:
    heard = kernel.execute(
        "local ok, err = pcall(timeout, 0.05, function() while true do end end) err.kind, ok"
    )
    assert heard.first("execute_result")["data"]["text/plain"] == '("timeout", false)'


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for other processes")
def test_a_signal_is_an_interrupt(kernel: Conversation) -> None:
    running = kernel.start("while true do end")
    os.kill(kernel.pid, signal.SIGINT)
    assert kernel.hear(running).content["ename"] == "KeyboardInterrupt"
    assert kernel.execute("1").content["status"] == "ok"


def test_an_interrupt_without_a_cell_spares_the_next_one(kernel: Conversation) -> None:
    kernel.control("interrupt_request")
    assert kernel.execute("1").content["status"] == "ok"


def test_an_interrupt_stops_a_task_that_outlives_its_cell(kernel: Conversation) -> None:
    task = "async(function() sleep(0.01) print('looping') while true do end end)"
    kernel.client.execute(task + " nil")
    kernel.client.get_shell_msg(timeout=30)
    kernel.wait_for(lambda it: it["content"].get("text") == "looping\n")
    assert kernel.control("interrupt_request")["content"] == {"status": "ok"}
    assert kernel.execute("1").content["status"] == "ok"


def test_an_interrupt_aborts_the_cells_that_wait(kernel: Conversation) -> None:
    running = kernel.start("while true do end")
    waiting = kernel.client.execute("1")
    # Its turn comes after the interrupt, because control does not wait for shell; but it is there.
    assert kernel.hear(kernel.client.is_complete("1")).content["status"] == "complete"
    kernel.control("interrupt_request")
    assert kernel.hear(running).content["ename"] == "KeyboardInterrupt"
    assert kernel.hear(waiting).content["status"] == "aborted"


def test_an_interrupt_stops_what_an_earlier_cell_left_while_another_waits_for_it(
    kernel: Conversation,
) -> None:
    code = "async(function() sleep(0.01) print('left') while true do end end)"
    first = kernel.client.execute(code)
    assert kernel.client.get_shell_msg(timeout=30)["parent_header"]["msg_id"] == first
    kernel.wait_for(lambda it: it["content"].get("text") == "left\n")
    waiting = kernel.client.execute("1 + 1")
    kernel.wait_for(
        lambda it: (
            it["msg_type"] == "execute_input" and it["parent_header"].get("msg_id") == waiting
        )
    )
    kernel.control("interrupt_request")
    assert kernel.hear(waiting).content["ename"] == "KeyboardInterrupt"
    heard = kernel.execute("6 * 7")
    assert heard.first("execute_result")["data"]["text/plain"] == "42"

"""Listeners of handles: what they print belongs to the cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.conversation import Conversation


def test_listeners_have_every_event_before_the_result(kernel: Conversation) -> None:
    heard = kernel.execute(
        "local handle = Procedure.create{name = 'one', function() return 1 end}:start()\n"
        "handle:on('*', function(event) print(event.kind) end)\n"
        "local result = handle:result()\n"
        "print('result')\n"
        "return result"
    )
    expected = "stdout: procedure.start\nprocedure.end\nresult\n"
    assert heard.outline == ["busy", "execute_input", expected, "execute_result", "idle"]


def test_what_was_published_is_told_before_the_cell_ends(kernel: Conversation) -> None:
    heard = kernel.execute(
        "local begun = Event.subscribe('begun')\n"
        "handle = Procedure.create{name = 'long', function()\n"
        "  Event.publish('begun')\n"
        "  sleep(3600)\n"
        "end}:start()\n"
        "handle:on('procedure.start', function(event) sleep(0.01) print(event.kind) end)\n"
        "handle:on('procedure.start', function() error('told') end)\n"
        "begun:receive()"
    )
    busy, asked, *told, shown, idle = heard.outline
    assert [busy, asked, shown, idle] == ["busy", "execute_input", "execute_result", "idle"]
    assert "stdout: procedure.start\n" in told
    assert any(
        it.startswith("stderr: a listener of a handle failed: cell [") and "told" in it
        for it in told
    )
    # It goes on, and later cells hear nothing of what was told.
    heard = kernel.execute("handle.status")
    assert heard.first("execute_result")["data"]["text/plain"] == '"running"'
    heard = kernel.execute("handle:cancel() pcall(handle.result, handle)")
    assert heard.content["status"] == "ok"


def test_an_interrupt_ends_a_cell_that_waits_for_a_listener(kernel: Conversation) -> None:
    running: str = kernel.client.execute(
        "local handle = Procedure.create{name = 'one', function() return 1 end}:start()\n"
        "handle:on('procedure.end', function() print('listens') while true do sleep(0) end end)\n"
        "handle:result()"
    )
    kernel.wait_for(lambda it: it["content"].get("text") == "listens\n")
    assert kernel.control("interrupt_request")["content"] == {"status": "ok"}
    heard = kernel.hear(running)
    assert (heard.content["status"], heard.content["ename"]) == ("error", "KeyboardInterrupt")
    assert kernel.execute("1 + 1").first("execute_result")["data"]["text/plain"] == "2"

"""Hooks that one cell registers and the later ones feel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel.conversation import TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel.conversation import Conversation


@pytest.fixture
def hooked(kernel: Conversation) -> Iterator[Conversation]:
    """A kernel that has no hooks after the test."""
    yield kernel
    kernel.execute("for _, hook in ipairs(Hook.list()) do Hook.unregister(hook.name) end")


def test_a_hook_of_an_earlier_cell_sees_and_changes_the_code(hooked: Conversation) -> None:
    heard = hooked.execute(
        "Hook.register('cell.before', function(cell)\n"
        "  print('before ' .. cell.name:match('%a+'))\n"
        "  return Hook.modify{code = cell.code:gsub('two', '2')}\n"
        "end, {name = 'numbers'})\n"
        "Hook.register('cell.after', function(cell)\n"
        "  print('after ' .. cell.result['text/plain'])\n"
        "end)"
    )
    assert heard.content["status"] == "ok"
    heard = hooked.execute("two + two")
    # What hooks print belongs to the cell that they stand around.
    expected = ["busy", "execute_input", "stdout: before cell\nafter 4\n", "execute_result", "idle"]
    assert heard.outline == expected
    assert heard.first("execute_result")["data"]["text/plain"] == "4"


def test_a_hook_answers_for_a_cell_or_stops_it(hooked: Conversation) -> None:
    hooked.execute(
        "Hook.register('cell.before', function(cell)\n"
        "  if cell.code == 'hello' then return Hook.replace('hi') end\n"
        "  if cell.code:find('danger') then return Hook.stop('not here') end\n"
        "end, {name = 'guard', required = true})"
    )
    assert hooked.execute("hello").first("execute_result")["data"]["text/plain"] == "hi"
    refused = hooked.execute("danger()")
    assert refused.content["ename"] == "denied"
    assert "hook `guard` at `cell.before` stopped the call" in refused.content["evalue"]
    assert hooked.execute("1 + 1").first("execute_result")["data"]["text/plain"] == "2"


def test_a_hook_of_a_failed_cell_sees_the_error(hooked: Conversation) -> None:
    hooked.execute(
        "Hook.register('cell.error', function(cell) return Hook.replace(cell.error.kind) end,"
        " {name = 'errors'})"
    )
    heard = hooked.execute("error('broken')")
    assert heard.first("execute_result")["data"]["text/plain"] == "script"


def test_an_endless_hook_of_cells_is_cut_off_and_the_cells_go_on(hooked: Conversation) -> None:
    hooked.execute(
        "Hook.register('cell.before', function() while true do end end,"
        " {name = 'endless', timeout_s = 0.1})"
    )
    assert hooked.execute("1 + 1").first("execute_result")["data"]["text/plain"] == "2"
    told = hooked.execute("Hook.list()[1].last_error").first("execute_result")
    assert "hook `endless` at `cell.before` took longer than 100ms" in told["data"]["text/plain"]


def test_an_interrupt_stops_the_hook_of_a_cell(hooked: Conversation) -> None:
    hooked.execute(
        "Hook.register('cell.before', function(cell)\n"
        "  if cell.code == 'stuck' then print('running') while true do end end\n"
        "end, {name = 'stuck'})"
    )
    msg_id = hooked.client.execute("stuck")
    hooked.wait_for(lambda it: it["content"].get("text") == "running\n")
    hooked.control("interrupt_request")
    assert hooked.hear(msg_id).content["ename"] == "KeyboardInterrupt"
    assert hooked.execute("1").content["status"] == "ok"


def test_the_hook_approval_asks_in_the_notebook(hooked: Conversation) -> None:
    hooked.execute("Hook.use('approval', {names = 'count_words'}) nil")
    for answer, status in [("yes", "ok"), ("no", "error")]:
        code = "Tool.count_words{text = 'a b'}.words"
        msg_id = hooked.client.execute(code, allow_stdin=True)
        question = hooked.client.get_stdin_msg(timeout=TIMEOUT_S)["content"]["prompt"]
        assert "call the tool `count_words` with" in question
        hooked.client.input(answer)
        assert hooked.hear(msg_id).content["status"] == status


def test_a_required_hook_that_fails_refuses_every_cell_but_the_one_that_takes_it_away(
    hooked: Conversation,
) -> None:
    hooked.execute(
        "Hook.register('cell.before', function() error('broken') end,"
        " {name = 'the guard', required = true})"
    )
    for code in ["1 + 1", "Hook.unregister('the guard') print('and more')"]:
        refused = hooked.execute(code)
        assert refused.content["status"] == "error"
        assert "hook `the guard` at `cell.before` failed" in refused.content["evalue"]
        # What to do stands where a person looks.
        assert 'Hook.unregister("the guard")' in "\n".join(refused.content["traceback"])
    freed = hooked.execute('Hook.unregister("the guard")')
    assert freed.first("execute_result")["data"]["text/plain"] == "1"
    assert hooked.execute("1 + 1").first("execute_result")["data"]["text/plain"] == "2"


def test_a_hook_that_stops_every_cell_is_taken_away_by_its_name(hooked: Conversation) -> None:
    hooked.execute(
        "Hook.register('cell.before', function() return Hook.stop('closed') end, {name = 'closed'})"
    )
    assert hooked.execute("1 + 1").content["ename"] == "denied"
    assert hooked.execute("Hook.unregister 'closed'").content["status"] == "ok"
    assert hooked.execute("1 + 1").content["status"] == "ok"

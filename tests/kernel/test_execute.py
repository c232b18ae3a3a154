"""Cells: their outputs, counts, errors and order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.conversation import TIMEOUT_S

if TYPE_CHECKING:
    from kernel.conversation import Conversation


def test_a_value_is_a_result_between_busy_and_idle(kernel: Conversation) -> None:
    heard = kernel.execute("1 + 1")
    assert heard.content["status"] == "ok"
    assert heard.outline == ["busy", "execute_input", "execute_result", "idle"]
    assert heard.first("execute_result")["data"]["text/plain"] == "2"
    assert heard.first("execute_result")["execution_count"] == heard.content["execution_count"]


def test_variables_live_from_cell_to_cell(kernel: Conversation) -> None:
    kernel.execute("local a = 20\nb = 22")
    assert kernel.execute("a + b").first("execute_result")["data"]["text/plain"] == "42"


def test_streams_are_joined_and_keep_their_order_with_displays(kernel: Conversation) -> None:
    heard = kernel.execute(
        "print('a')\nprint('b')\nio.stderr:write('c\\n')\n"
        "display({['text/html'] = '<b>d</b>'})\nprint('e')"
    )
    assert heard.outline == [
        "busy",
        "execute_input",
        "stdout: a\nb\n",
        "stderr: c\n",
        "display_data",
        "stdout: e\n",
        "idle",
    ]
    assert heard.first("display_data")["data"]["text/html"] == "<b>d</b>"


def test_a_long_output_is_complete_at_idle(kernel: Conversation) -> None:
    heard = kernel.execute("for i = 1, 100000 do print(i) end")
    text = "".join(it["content"]["text"] for it in heard.broadcasts if it["msg_type"] == "stream")
    assert text.split() == [str(number) for number in range(1, 100_001)]
    assert len(heard.broadcasts) < 1000


def test_an_error_has_a_name_a_message_and_the_line_of_the_cell(kernel: Conversation) -> None:
    heard = kernel.execute("local a = 1\nerror('no such thing')")
    assert heard.content["status"] == "error"
    assert heard.content["ename"] == "script"
    assert "no such thing" in heard.content["evalue"]
    assert ":2" in "\n".join(heard.content["traceback"])
    broadcast = heard.first("error")
    assert {key: heard.content[key] for key in broadcast} == broadcast


def test_a_syntax_error_is_an_error_of_its_cell_only(kernel: Conversation) -> None:
    heard = kernel.execute("for for for")
    assert heard.content["status"] == "error"
    assert kernel.execute("1").content["status"] == "ok"


def test_a_silent_cell_broadcasts_nothing_and_does_not_count(kernel: Conversation) -> None:
    before = kernel.execute("1").content["execution_count"]
    heard = kernel.execute("print('x')\nreturn 1", silent=True)
    assert heard.outline == ["busy", "idle"]
    assert kernel.execute("1").content["execution_count"] == before + 1


def test_cells_that_are_empty_or_not_stored_do_not_count(kernel: Conversation) -> None:
    before = kernel.execute("1").content["execution_count"]
    assert kernel.execute("  \n").content["execution_count"] == before
    assert kernel.execute("1", store_history=False).content["execution_count"] == before
    assert kernel.execute("1").content["execution_count"] == before + 1


def test_user_expressions_are_answered_one_by_one(kernel: Conversation) -> None:
    expressions = {"good": "1 + 1", "bad": "error('x')"}
    answers = kernel.execute("a = 1", user_expressions=expressions).content["user_expressions"]
    assert answers["good"]["data"]["text/plain"] == "2"
    assert answers["bad"]["status"] == "error"


def test_an_error_aborts_the_cells_behind_it(kernel: Conversation) -> None:
    # A front end that runs all cells sends them at once, and the first may fail at once.
    ids = [kernel.client.execute(code) for code in ("error('x')", "y = 1", "y = 2")]
    states = [kernel.hear(msg_id).content["status"] for msg_id in ids]
    assert states == ["error", "aborted", "aborted"]
    assert kernel.execute("1").content["status"] == "ok"


def test_a_cell_that_was_sent_before_the_error_is_aborted_however_late_it_comes(
    kernel: Conversation,
) -> None:
    session = kernel.client.session
    failing = session.msg("execute_request", {"code": "error('x')"})
    late = session.msg("execute_request", {"code": "y = 1"})
    for message, status in [(failing, "error"), (late, "aborted")]:
        session.send(kernel.client.shell_channel.socket, message)
        assert kernel.hear(message["header"]["msg_id"]).content["status"] == status
    assert kernel.execute("1").content["status"] == "ok"


def test_an_error_aborts_nothing_when_asked_so(kernel: Conversation) -> None:
    ids = [kernel.client.execute(code, stop_on_error=False) for code in ("error('x')", "z = 1")]
    assert [kernel.hear(msg_id).content["status"] for msg_id in ids] == ["error", "ok"]


def test_the_graphs_of_the_last_cells_are_kept(kernel: Conversation) -> None:
    kernel.execute("Procedure.track('kept', function() end)")
    kernel.execute("error('lost')")
    code = (
        "local r = Context.recent() local a, b = r[#r - 1], r[#r] "
        "return a.status .. ' ' .. a:children()[1].name .. ' ' .. b.status"
    )
    shown = kernel.execute(code).first("execute_result")["data"]["text/plain"]
    assert shown.strip("'\"") == "completed kept failed"


def test_history_remembers_cells(kernel: Conversation) -> None:
    kernel.execute("'remember me'")
    found = kernel.hear(kernel.client.history(hist_access_type="search", pattern="*remember*"))
    assert [entry[2] for entry in found.content["history"]] == ["'remember me'"]


def test_a_task_that_fails_unseen_is_reported_with_the_cell_that_started_it(
    kernel: Conversation,
) -> None:
    heard = kernel.execute("kept = async(function() error('early') end) sleep(0.01)")
    assert any("early" in line for line in heard.outline if line.startswith("stderr: "))
    code = "late = async(function() while not go do sleep(0.001) end error('late') end)"
    started = kernel.execute(code).reply["parent_header"]["msg_id"]
    kernel.client.execute("go = true")
    reported = kernel.wait_for(lambda it: "late" in it["content"].get("text", ""))
    assert reported["parent_header"]["msg_id"] == started
    assert reported["content"]["name"] == "stderr"
    kernel.client.get_shell_msg(timeout=TIMEOUT_S)


def test_a_cell_cannot_end_the_kernel(kernel: Conversation) -> None:
    heard = kernel.execute("os.exit(3)")
    assert heard.content["ename"] == "unavailable"
    assert "restart" in "\n".join(heard.content["traceback"])
    assert kernel.execute("1").content["status"] == "ok"


def test_an_artifact_shows_itself_by_its_media_type(kernel: Conversation) -> None:
    kernel.execute(
        "Artifact.put('picture', '\\x89PNG\\r\\n\\x1a\\n\\0')\n"
        "Artifact.put('data', {n = 1})\nArtifact.put('page.html', '<b>x</b>')"
    )
    shown = {
        name: kernel.execute(f"Artifact.get('{name}')").first("execute_result")["data"]
        for name in ("picture", "data", "page.html")
    }
    assert shown["picture"]["image/png"] == "iVBORw0KGgoA"
    assert shown["data"]["application/json"] == {"n": 1}
    assert shown["page.html"]["text/html"] == "<b>x</b>"
    assert all(it["text/plain"].startswith("artifact `") for it in shown.values())

"""Completion, inspection, completeness, and who the kernel says it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.conversation import Conversation


def test_the_kernel_introduces_itself_on_shell_and_control(kernel: Conversation) -> None:
    info = kernel.hear(kernel.client.kernel_info()).content
    assert (info["implementation"], info["protocol_version"]) == ("aikit", "5.5")
    assert info["language_info"]["name"] == "lua"
    assert info["language_info"]["file_extension"] == ".lua"
    assert kernel.control("kernel_info_request")["content"] == info


def test_globals_and_members_are_completed(kernel: Conversation) -> None:
    kernel.execute("my_long_name = 1")
    reply = kernel.hear(kernel.client.complete("x = my_lo")).content
    assert reply["matches"] == ["my_long_name"]
    assert (reply["cursor_start"], reply["cursor_end"]) == (4, 9)
    members = kernel.hear(kernel.client.complete("string.for")).content
    assert (members["matches"], members["cursor_start"]) == (["format"], 7)


def test_completion_counts_code_points(kernel: Conversation) -> None:
    kernel.execute("my_long_name = 1")
    reply = kernel.hear(kernel.client.complete("x = 'ä😀' .. my_lo")).content
    assert (reply["cursor_start"], reply["cursor_end"]) == (12, 17)


def test_known_values_of_arguments_are_completed_inside_of_texts(kernel: Conversation) -> None:
    kernel.execute(
        "Tool.create{name = 'count_sheep', summary = 'Counts.', fn = function() end}",
    )
    cases = {
        'plot{kind="': ["line", "bar", "scatter", "area", "histogram", "heatmap"],
        "plot{data = {1, 2}, kind = 'h": ["histogram", "heatmap"],
        'Tool.invoke("count_': ["count_words", "count_sheep"],
        "Agent{tools = {'count_s": ["count_sheep"],
    }
    for code, expected in cases.items():
        reply = kernel.hear(kernel.client.complete(code)).content
        assert reply["matches"] == expected, code
        begin = max(code.rfind("'"), code.rfind('"')) + 1
        assert (reply["cursor_start"], reply["cursor_end"]) == (begin, len(code))
        types = {it["type"] for it in reply["metadata"]["_jupyter_types_experimental"]}
        assert types == {"value"}


def test_inspection_finds_what_is_there(kernel: Conversation) -> None:
    shown = {
        name: kernel.hear(kernel.client.inspect(name)).content["data"]["text/plain"]
        for name in ("print", "string.gsub", "table.insert", "math.floor")
    }
    assert shown["print"].startswith("print(...: any values)\n\nWrites values as text")
    for name, text in shown.items():
        assert text.startswith(f"{name}(")
    assert not kernel.hear(kernel.client.inspect("no_such_name")).content["found"]


def test_completeness_tells_what_enter_should_do(kernel: Conversation) -> None:
    states = {
        code: kernel.hear(kernel.client.is_complete(code)).content["status"]
        for code in ("x = 1", "for i = 1, 2 do", "for for")
    }
    assert states == {"x = 1": "complete", "for i = 1, 2 do": "incomplete", "for for": "invalid"}


def test_no_comm_is_open_and_an_unknown_target_is_closed(kernel: Conversation) -> None:
    assert kernel.hear(kernel.client.comm_info()).content["comms"] == {}
    opening = {"comm_id": "c", "target_name": "nobody", "data": {}}
    message = kernel.client.session.msg("comm_open", opening)
    kernel.client.shell_channel.send(message)
    kinds = [it["msg_type"] for it in kernel.broadcasts(message["header"]["msg_id"])]
    assert kinds == ["status", "comm_close", "status"]


def test_requests_are_answered_while_a_cell_runs(kernel: Conversation) -> None:
    running = kernel.start("while true do end")
    assert kernel.control("kernel_info_request")["content"]["status"] == "ok"
    assert kernel.hear(kernel.client.is_complete("x = 1")).content["status"] == "complete"
    assert kernel.client.hb_channel.is_beating()
    kernel.manager.interrupt_kernel()
    assert kernel.hear(running).content["ename"] == "KeyboardInterrupt"

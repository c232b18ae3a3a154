"""What cells show: displays that are replaced, cleared outputs, bars, images, tables."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from kernel.conversation import TIMEOUT_S

if TYPE_CHECKING:
    from kernel.conversation import Conversation, Heard, Message


def shown(heard: Heard) -> list[tuple[str, str, str]]:
    """Type, identity and plain text of what a cell displayed, in order."""
    return [
        (
            it["msg_type"],
            it["content"]["transient"].get("display_id", ""),
            it["content"]["data"]["text/plain"],
        )
        for it in heard.broadcasts
        if "display_data" in it["msg_type"]
    ]


def test_a_handle_and_an_identity_replace_what_is_shown(kernel: Conversation) -> None:
    heard = kernel.execute(
        "h = display('a', {display_id = 'one'})\nh:update('b')\n"
        "update_display('c', {display_id = 'one'})"
    )
    assert shown(heard) == [
        ("display_data", "one", '"a"'),
        ("update_display_data", "one", '"b"'),
        ("update_display_data", "one", '"c"'),
    ]
    # Also from a later cell, which is what people do.
    assert shown(kernel.execute("h:update('d')")) == [("update_display_data", "one", '"d"')]


def test_an_output_is_cleared_in_its_turn(kernel: Conversation) -> None:
    heard = kernel.execute("print('a')\nclear_output(true)\nprint('b')")
    outline = ["busy", "execute_input", "stdout: a\n", "clear_output", "stdout: b\n", "idle"]
    assert heard.outline == outline
    assert heard.first("clear_output") == {"wait": True}


def test_a_bar_is_one_display_that_is_replaced(kernel: Conversation) -> None:
    heard = kernel.execute("for i in progress({'a', 'b'}, {label = 'A & B'}) do end")
    states = shown(heard)
    assert [kind for kind, _, _ in states] == ["display_data", "update_display_data"]
    assert len({identity for _, identity, _ in states}) == 1
    assert states[0][2].startswith("A & B:   0%")
    assert states[-1][2].startswith("A & B: 100% ████████████████████ 2/2 [")
    html = heard.broadcasts[-2]["content"]["data"]["text/html"]
    assert html.startswith('<div>A &amp; B <progress value="1.0000"></progress> 100% 2/2 <small>')


def test_a_bar_stays_where_its_loop_was_left(kernel: Conversation) -> None:
    heard = kernel.execute("for i in progress(4) do if i == 3 then break end end")
    assert shown(heard)[-1][2].startswith(" 50% ")
    heard = kernel.execute("for i in progress(4) do if i == 2 then error('x') end end")
    assert heard.content["status"] == "error"
    assert shown(heard)[-1][2].startswith(" 25% ")


def test_a_bar_that_is_moved_by_hand_shows_how_far_it_came(kernel: Conversation) -> None:
    heard = kernel.execute("p = progress{total = 10}\np:advance(3)\np:advance(4)")
    assert heard.content["status"] == "ok"
    assert shown(heard)[0][2].startswith("  0% ")
    assert shown(heard)[-1][2].startswith(" 70% ")
    # Also when the cell fails.
    heard = kernel.execute("p = progress{total = 10}\np:update(9)\nerror('x')")
    assert heard.content["status"] == "error"
    assert shown(heard)[-1][2].startswith(" 90% ")


def test_a_bar_that_is_moved_by_a_later_cell_is_shown_before_that_ends(
    kernel: Conversation,
) -> None:
    kernel.execute("p = progress{total = 10}")
    msg_id = kernel.client.execute("for i = 1, 7 do p:advance() end")
    states: list[str] = []

    def is_over(message: Message) -> bool:
        states.append(message["content"].get("data", {}).get("text/plain", ""))
        is_own = message["parent_header"].get("msg_id") == msg_id
        return bool(is_own and message["content"].get("execution_state") == "idle")

    kernel.wait_for(is_over)
    reply = kernel.client.get_shell_msg(timeout=TIMEOUT_S)
    assert (reply["parent_header"]["msg_id"], reply["content"]["status"]) == (msg_id, "ok")
    assert [it for it in states if it][-1].startswith(" 70% ")


def test_a_bar_that_is_moved_before_a_wait_is_shown_meanwhile(kernel: Conversation) -> None:
    msg_id = kernel.start("p = progress{total = 10}\np:advance(3) p:advance(4)\nsleep(3600)")
    kernel.wait_for(lambda it: " 70% " in it["content"].get("data", {}).get("text/plain", ""))
    kernel.control("interrupt_request")
    assert kernel.hear(msg_id).content["ename"] == "KeyboardInterrupt"


def test_a_bar_says_the_same_in_text_and_in_html(kernel: Conversation) -> None:
    heard = kernel.execute(
        "local bar = progress{total = 3, label = 'Job'} bar:advance(2) bar:close()"
    )
    states = [it["content"] for it in heard.broadcasts if "display_data" in it["msg_type"]]
    data = states[-1]["data"]
    assert data["text/plain"].startswith("Job:  66% ")
    assert "</progress> 66% 2/3" in data["text/html"]


def test_an_interrupted_loop_leaves_its_bar(kernel: Conversation) -> None:
    msg_id = kernel.start("for i in progress(1000000000) do end")
    kernel.control("interrupt_request")
    assert kernel.hear(msg_id).content["ename"] == "KeyboardInterrupt"
    assert kernel.execute("1").content["status"] == "ok"


def test_a_bar_of_a_long_loop_is_not_drawn_at_every_step(kernel: Conversation) -> None:
    heard = kernel.execute("for i in progress(100000) do end")
    assert 2 <= len(shown(heard)) < 100


def test_what_is_no_picture_is_an_error(kernel: Conversation) -> None:
    heard = kernel.execute("display{['image/png'] = 'text'}")
    assert heard.content["ename"] == "invalid_args"
    assert not shown(heard)
    data = kernel.execute("display{['image/gif'] = 'GIF89a'}").first("display_data")["data"]
    assert base64.b64decode(data["image/gif"]) == b"GIF89a"


def test_images_and_tables_have_their_media_types(kernel: Conversation) -> None:
    png = bytes.fromhex("89504e470d0a1a0a") + b"rest"
    escaped = "".join(f"\\{byte:03}" for byte in png)
    data = kernel.execute(f'display.png("{escaped}")').first("display_data")["data"]
    assert base64.b64decode(data["image/png"]) == png
    data = kernel.execute("display.table({{a = 1}, {a = 2}})").first("display_data")["data"]
    assert "<th>a</th>" in data["text/html"]
    assert kernel.execute("display.png('GIF89a')").content["ename"] == "invalid_args"
    assert kernel.execute("display.table({1, 2})").content["ename"] == "invalid_args"


def test_a_long_ingest_shows_how_far_it_is(kernel: Conversation) -> None:
    # An embedder that takes its time.
    heard = kernel.execute(
        "local function slow(texts) sleep(0.2) local vectors = {} "
        "for i = 1, #texts do vectors[i] = {1, i} end return vectors end\n"
        "local records = {} for i = 1, 20 do "
        "records[i] = {id = 'r' .. i, text = 'text number ' .. i} end\n"
        "RAG.open(nil, {embedder = slow, dim = 2}):ingest(records).added"
    )
    assert heard.first("execute_result")["data"]["text/plain"] == "20"
    states = [text for _, _, text in shown(heard)]
    assert states[-1].startswith("Documents: 100% ████████████████████ 20/20 [")
    # What is quick shows nothing.
    assert shown(kernel.execute("RAG.open():ingest({{id = 'a', text = 'b'}})")) == []

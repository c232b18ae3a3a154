"""Channels reached from the front end over comms of the target `aikit.channel`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel.conversation import Conversation, Message

TARGET = "aikit.channel"


class Comm:
    """A front end's side of a comm."""

    def __init__(self, kernel: Conversation, data: object, target: str = TARGET) -> None:
        self.kernel = kernel
        self.id = uuid.uuid4().hex
        self.opening = self._send("comm_open", {"target_name": target, "data": data})

    def send(self, data: object, *buffers: bytes) -> None:
        self._send("comm_msg", {"data": data}, buffers)

    def close(self) -> None:
        self.kernel.broadcasts(self._send("comm_close", {"data": {}}))

    def heard(self, kind: str = "comm_msg") -> dict[str, Any]:
        """The data of the next message of that kind on this comm."""
        data: dict[str, Any] = self.heard_whole(kind)["content"]["data"]
        return data

    def heard_whole(self, kind: str = "comm_msg") -> Message:
        """The next message of that kind on this comm."""

        def is_mine(message: Message) -> bool:
            mine = message["content"].get("comm_id") == self.id
            return mine and message["msg_type"] in {"comm_msg", "comm_close"}

        message = self.kernel.wait_for(is_mine)
        assert message["msg_type"] == kind, message["content"]
        return message

    def _send(self, kind: str, content: dict[str, Any], buffers: Sequence[bytes] = ()) -> str:
        session = self.kernel.client.session
        message = session.msg(kind, {"comm_id": self.id, **content})
        session.send(self.kernel.client.shell_channel.socket, message, buffers=list(buffers))
        msg_id: str = message["header"]["msg_id"]
        return msg_id


def name() -> str:
    return f"test:{uuid.uuid4().hex}"


def test_a_request_of_a_cell_is_answered_over_the_comm_while_the_cell_waits(
    kernel: Conversation,
) -> None:
    channel = name()
    comm = Comm(kernel, {"channel": channel})
    kernel.broadcasts(comm.opening)
    code = (
        f"local answer = Channel('{channel}'):request({{message = 'go on?'}}, {{timeout = 30}})\n"
        "print(answer.payload.confirmed)"
    )
    msg_id = kernel.client.execute(code)
    request = comm.heard()
    assert (request["type"], request["payload"]) == ("request", {"message": "go on?"})
    assert request["channel"] == channel
    assert request["metadata"]["timestamp"] > 1e9
    comm.send({"type": "response", "id": request["id"], "payload": {"confirmed": True}})
    heard = kernel.hear(msg_id)
    assert heard.content["status"] == "ok"
    assert "stdout: true\n" in heard.outline
    comm.close()


def test_events_come_from_the_front_end_in_their_order(
    kernel: Conversation,
) -> None:
    channel = name()
    comm = Comm(kernel, {"channel": channel.upper()})
    kernel.broadcasts(comm.opening)
    kernel.execute(f"got = Channel('{channel}'):subscribe()")
    for number in range(20):
        comm.send({"type": "typed", "payload": number, "metadata": {"theme": "dark"}})
    heard = kernel.execute(
        "local order = {}\n"
        "for i = 1, 20 do\n"
        "  local event = got:receive{timeout = 30}\n"
        "  order[i] = event.payload\n"
        "  last = event.metadata\n"
        "end\n"
        "print(table.concat(order, ' '), last.source, last.source_connection_id, last.theme)"
    )
    expected = " ".join(map(str, range(20)))
    assert heard.first("stream")["text"] == f"{expected}\tui\t{comm.id}\tdark\n"
    comm.close()


def test_one_front_end_sees_what_another_sent_and_not_what_it_sent_itself(
    kernel: Conversation,
) -> None:
    channel = name()
    first, second = (Comm(kernel, {"channel": channel}) for _ in range(2))
    kernel.broadcasts(second.opening)
    first.send({"type": "mine", "payload": 1})
    assert second.heard()["type"] == "mine"
    second.send({"type": "answer"})
    assert first.heard()["type"] == "answer"
    # What is for one connection goes there alone.
    kernel.client.execute(
        f"local to = {{connection_id = '{second.id}'}}\n"
        f"Channel.publish('{channel}', 'one', nil, {{target = to}})\n"
        f"Channel.publish('{channel}', 'all')"
    )
    assert first.heard()["type"] == "all"
    kernel.client.get_shell_msg(timeout=30)
    first.close()
    second.close()


def test_a_response_to_a_front_ends_request_goes_back_to_it(kernel: Conversation) -> None:
    channel = name()
    comm = Comm(kernel, {"channel": channel})
    kernel.broadcasts(comm.opening)
    kernel.execute(
        f"local c = Channel('{channel}')\n"
        "c:subscribe(function(it)\n"
        "  if it.type == 'request' then c:respond(it, it.payload + 1) end\n"
        "end)"
    )
    comm.send({"type": "request", "id": "q", "payload": 41})
    answer = comm.heard()
    assert (answer["type"], answer["id"], answer["payload"]) == ("response", "q", 42)
    assert answer["target"] == {"connection_id": comm.id}
    comm.close()


def test_what_a_cell_publishes_has_its_request_as_parent(kernel: Conversation) -> None:
    channel = name()
    comm = Comm(kernel, {"channel": channel})
    other = Comm(kernel, {"channel": channel})
    kernel.broadcasts(other.opening)
    publishes = f"Channel.publish('{channel}', 'KIND')"
    code = (
        f"{publishes}\ngo = false\n"
        f"async(function() while not go do sleep(0.001) end {publishes} end) nil"
    )
    cell = kernel.client.execute(code.replace("KIND", "of the cell"))
    assert comm.heard_whole()["parent_header"]["msg_id"] == cell
    kernel.client.get_shell_msg(timeout=30)
    # What it left running publishes beside a later cell, and it is still its own.
    later = kernel.client.execute("go = true")
    assert comm.heard_whole()["parent_header"]["msg_id"] == cell
    assert kernel.client.get_shell_msg(timeout=30)["parent_header"]["msg_id"] == later
    # What comes from a front end is of no cell.
    other.send({"type": "typed"})
    assert comm.heard_whole()["parent_header"]["msg_id"] == comm.opening
    comm.close()
    other.close()


def test_open_comms_are_listed_until_they_are_closed(kernel: Conversation) -> None:
    comm = Comm(kernel, {"channel": name()})
    kernel.broadcasts(comm.opening)
    listed = {comm.id: {"target_name": TARGET}}
    for target, expected in ((None, listed), (TARGET, listed), ("other", {})):
        assert kernel.hear(kernel.client.comm_info(target)).content["comms"] == expected
    comm.close()
    assert kernel.hear(kernel.client.comm_info()).content["comms"] == {}


def test_a_destroyed_channel_closes_its_comms(kernel: Conversation) -> None:
    channel = name()
    comm = Comm(kernel, {"channel": channel})
    kernel.broadcasts(comm.opening)
    kernel.client.execute(f"Channel('{channel}'):destroy()")
    assert comm.heard("comm_close") == {}
    kernel.client.get_shell_msg(timeout=30)
    comm.send({"type": "late"})
    assert comm.heard("comm_close") == {}


@pytest.mark.parametrize(
    "data",
    [{}, {"channel": 1}, {"channel": " "}, {"channel": "x" * 300}, None, "text", [1]],
)
def test_a_comm_without_a_channel_is_closed_and_told_why(
    kernel: Conversation, data: object
) -> None:
    error = Comm(kernel, data).heard("comm_close")["error"]
    assert error["kind"] == "invalid_args"
    assert error["hint"]


def test_what_is_no_event_is_refused_and_the_comm_stays(kernel: Conversation) -> None:
    comm = Comm(kernel, {"channel": name()})
    kernel.broadcasts(comm.opening)
    wrongs: tuple[object, ...] = (
        {},
        {"type": 1},
        {"type": "x", "extra": 1},
        {"type": "x", "id": ""},
        None,
        "text",
        5,
    )
    for wrong in wrongs:
        comm.send(wrong)
        refused = comm.heard()
        assert (refused["type"], refused["payload"]["kind"]) == ("channel.error", "invalid_args")
    listed = kernel.hear(kernel.client.comm_info()).content["comms"]
    assert comm.id in listed
    comm.close()


def test_a_wait_for_a_response_is_interrupted(kernel: Conversation) -> None:
    msg_id = kernel.start(f"Channel('{name()}'):request('nobody')")
    kernel.control("interrupt_request")
    heard = kernel.hear(msg_id)
    assert (heard.content["status"], heard.content["ename"]) == ("error", "KeyboardInterrupt")


def test_a_front_end_that_connects_anew_goes_on_with_its_comm(kernel: Conversation) -> None:
    # It has another session and other sockets then, and a comm belongs to whoever knows it: all
    # who sign with the key of the connection file are one user.
    comm = Comm(kernel, {"channel": "ui:again"})
    kernel.broadcasts(comm.opening)
    kernel.execute("again = Channel('ui:again'):subscribe()")
    other = BlockingKernelClient()
    other.load_connection_file(kernel.manager.connection_file)
    other.start_channels()
    try:
        content = {"comm_id": comm.id, "data": {"type": "answer", "payload": "from elsewhere"}}
        other.shell_channel.send(other.session.msg("comm_msg", content))
        heard = kernel.execute("print(again:receive{timeout = 30}.payload)")
        assert heard.first("stream")["text"] == "from elsewhere\n"
    finally:
        other.stop_channels()
    comm.close()


def test_open_comms_are_bounded(mortal: Conversation) -> None:
    channel = name()
    comms = []
    for _ in range(1000):
        comms.append(Comm(mortal, {"channel": channel}))
        mortal.broadcasts(comms[-1].opening)
    refused = Comm(mortal, {"channel": channel}).heard("comm_close")["error"]
    assert (refused["kind"], refused["hint"]) == ("limit_exceeded", "close some of them")
    comms[0].close()
    mortal.broadcasts(Comm(mortal, {"channel": channel}).opening)
    assert len(mortal.hear(mortal.client.comm_info()).content["comms"]) == 1000


def test_bytes_travel_as_buffers_both_ways(kernel: Conversation) -> None:
    channel = name()
    comm = Comm(kernel, {"channel": channel})
    kernel.broadcasts(comm.opening)
    code = (
        f"local channel = Channel('{channel}') local events = channel:subscribe() "
        "channel:publish{type = 'image', payload = {name = 'a', bytes = '\\x89PNG\\0\\xff'}} "
        "local event repeat event = events:receive() until event.type == 'back' "
        "print(#event.payload.parts[2].bytes, event.payload.parts[2].bytes == '\\0\\xfe')"
    )
    msg_id = kernel.client.execute(code)
    message = comm.heard_whole()
    data = message["content"]["data"]
    assert data["payload"] == {"name": "a", "bytes": None}
    assert data["buffer_paths"] == [["payload", "bytes"]]
    assert [bytes(it) for it in message["buffers"]] == [b"\x89PNG\0\xff"]
    back = {"type": "back", "payload": {"parts": [1, {"bytes": None}]}}
    comm.send({**back, "buffer_paths": [["payload", "parts", 1, "bytes"]]}, b"\0\xfe")
    heard = kernel.hear(msg_id)
    assert "stdout: 2\ttrue\n" in heard.outline
    received = kernel.client.execute(
        f"local events = Channel('{channel}'):subscribe() print('listens') "
        "local event = events:receive() print(#event.payload.buffers, event.payload.buffers[2])"
    )
    kernel.wait_for(lambda it: it["content"].get("text") == "listens\n")
    comm.send({"type": "bare", "payload": {}}, b"", b"second")
    assert "stdout: 2\tsecond\n" in kernel.hear(received).outline
    comm.send({**back, "buffer_paths": []}, b"lost")
    refused = comm.heard()
    assert refused["type"] == "channel.error"
    assert "0 paths and 1 buffers" in refused["payload"]["message"]
    comm.close()


@pytest.mark.parametrize("kind", ["comm_open", "comm_msg", "comm_close"])
def test_a_comm_message_of_another_shape_gets_no_reply(kernel: Conversation, kind: str) -> None:
    message = kernel.client.session.msg(kind, {"comm_id": 5})
    kernel.client.shell_channel.send(message)
    states = kernel.broadcasts(message["header"]["msg_id"])
    assert [it["content"]["execution_state"] for it in states] == ["busy", "idle"]
    # The next reply is that of the next request.
    assert kernel.hear(kernel.client.kernel_info()).content["status"] == "ok"

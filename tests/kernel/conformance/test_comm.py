"""Comms that a front end opens, and what the kernel says on them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel.conformance.client import Client, Request
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Connect
    from kernel.conformance.wire import Message


class Comm:
    """A front end's side of a comm."""

    def __init__(self, client: Client, language: Language, target: str = "") -> None:
        self.client = client
        self.id = uuid.uuid4().hex
        client.execute(language.comm_setup)
        content = {"target_name": target or language.comm_target, "data": language.comm_open}
        self.opening = self.send("comm_open", content)

    def send(self, kind: str, content: dict[str, Any], **options: Any) -> Request:  # noqa: ANN401
        request = self.client.send(kind, {"comm_id": self.id, **content}, **options)
        self.client.broadcasts(request)
        return request

    def close(self) -> Request:
        return self.send("comm_close", {"data": {}})

    def heard(self, kind: str) -> Message:
        """The first message of that kind on this comm."""
        return self.client.wait_for(lambda it: it.kind == kind and it.content["comm_id"] == self.id)

    def is_listed(self, target: str | None = None) -> bool:
        asked = {} if target is None else {"target_name": target}
        content = self.client.ask("comm_info_request", asked).content
        assert content["status"] == "ok"
        return self.id in content["comms"]


def test_open_comms_are_listed_with_their_targets(client: Client, language: Language) -> None:
    """A dictionary of the comms, indexed by UUIDs: comm_id: {'target_name': str}."""
    comm = Comm(client, language)
    comms = client.ask("comm_info_request").content["comms"]
    assert comms[comm.id] == {"target_name": language.comm_target}
    comm.close()


def test_comms_are_listed_for_a_target(client: Client, language: Language) -> None:
    """When the optional `target_name` is specified, the reply only contains the currently open
    comms for the target.
    """
    comm = Comm(client, language)
    assert comm.is_listed(language.comm_target)
    assert not comm.is_listed("of somebody else")
    comm.close()


def test_a_closed_comm_is_not_listed(client: Client, language: Language) -> None:
    """Since comms live on both sides, when a comm is destroyed the other side must be notified.
    This is done with a `comm_close` message.
    """
    comm = Comm(client, language)
    assert comm.is_listed()
    comm.close()
    assert not comm.is_listed()


def test_comm_messages_have_their_busy_and_idle(client: Client, language: Language) -> None:
    """Handlers should set the parent header and publish status busy / idle, just like an execute
    request.
    """
    comm = Comm(client, language)
    sent = [comm.opening, comm.send("comm_msg", {"data": language.comm_message}), comm.close()]
    for it in sent:
        states = [message.state for message in client.broadcasts(it) if message.state]
        assert states == ["busy", "idle"]


def test_comm_messages_have_no_reply(client: Client, language: Language) -> None:
    """No messages expect a reply."""
    comm = Comm(client, language)
    comm.send("comm_msg", {"data": language.comm_message})
    comm.close()
    client.fence()
    assert client.arrived() == []


def test_an_unknown_target_is_closed(client: Client, language: Language) -> None:
    """If the `target_name` key is not found on the receiving side, then it should immediately reply
    with a `comm_close` message to avoid an inconsistent state.
    """
    comm = Comm(client, language, "of somebody else")
    closed = comm.heard("comm_close")
    assert isinstance(closed.content["data"], dict)
    assert closed.parent_header == comm.opening.header
    assert not comm.is_listed()


def test_a_comm_is_answered_on_iopub(client: Client, language: Language) -> None:
    """The kernel listens for these messages on the Shell channel, and the frontend listens for them
    on the IOPub channel.
    """
    comm = Comm(client, language)
    comm.send("comm_msg", {"data": language.comm_message})
    answer = comm.heard("comm_msg")
    assert answer.content["data"]["payload"] == language.comm_message["payload"]
    assert answer.content["data"]["id"] == "one"
    comm.close()


def test_an_answer_has_the_parent_that_caused_it(client: Client, language: Language) -> None:
    """Handlers should set the parent header; the parent is the message that "caused" the current
    message.
    """
    comm = Comm(client, language)
    sent = comm.send("comm_msg", {"data": language.comm_message})
    assert comm.heard("comm_msg").parent_header == sent.header
    comm.close()


def test_two_comms_of_a_target_are_two(client: Client, language: Language) -> None:
    """Every Comm has an ID and a target name."""
    first, second = Comm(client, language), Comm(client, language)
    first.close()
    assert not first.is_listed()
    assert second.is_listed()
    second.close()


def test_all_clients_see_the_comms(client: Client, connect: Connect, language: Language) -> None:
    """Any client can issue a request for the currently open comms."""
    comm = Comm(client, language)
    comms = connect().ask("comm_info_request").content["comms"]
    assert comms[comm.id] == {"target_name": language.comm_target}
    comm.close()


def test_comm_messages_may_have_buffers(client: Client, language: Language) -> None:
    """Buffers are used by extension messages, such as some of ipywidgets' `comm` messages."""
    comm = Comm(client, language)
    comm.send("comm_msg", {"data": language.comm_message}, buffers=[b"\x00\xff", b""])
    assert comm.heard("comm_msg").content["data"]["id"] == "one"
    comm.close()


def test_a_message_on_a_comm_that_is_not_open_harms_nobody(
    client: Client, language: Language
) -> None:
    """Comm messages are one-way communications; there are no expected replies."""
    comm = Comm(client, language)
    comm.close()
    sent = [comm.send("comm_msg", {"data": language.comm_message}), comm.close()]
    for it in sent:
        states = [message.state for message in client.broadcasts(it) if message.state]
        assert states == ["busy", "idle"]
    assert client.execute(language.value).shown == language.value_shown

"""What comes from outside and should not: the kernel lives and answers the next request."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any

import pytest
import zmq
from jupyter_client.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel.conversation import Conversation

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
SOCKETS = ["shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"]


@pytest.fixture
def stranger(kernel: Conversation) -> Iterator[zmq.Socket[bytes]]:
    """A socket connected to the kernel's shell."""
    fields = kernel.connection()
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.linger = 0
        dealer.connect(address(fields, "shell_port"))
        yield dealer


def address(fields: dict[str, Any], name: str) -> str:
    separator = ":" if fields["transport"] == "tcp" else "-"
    return f"{fields['transport']}://{fields['ip']}{separator}{fields[name]}"


def session(key: str) -> Session:
    return Session(key=key.encode(), signature_scheme="hmac-sha256")


def frames(sender: Session, code: str) -> list[bytes]:
    content = {"code": code, "silent": False, "store_history": True, "stop_on_error": True}
    message = sender.msg("execute_request", content)
    return list(sender.serialize(message))


def is_unharmed(kernel: Conversation) -> bool:
    heard = kernel.execute("1 + 1")
    return bool(heard.first("execute_result")["data"]["text/plain"] == "2")


def test_forged_and_short_messages_are_dropped(
    kernel: Conversation, stranger: zmq.Socket[bytes]
) -> None:
    forged = frames(session("another key"), "harm = true")
    for length in range(1, len(forged) + 1):
        stranger.send_multipart(forged[:length])
    assert is_unharmed(kernel)
    assert kernel.execute("harm").outline == ["busy", "execute_input", "idle"]


def test_messages_that_are_not_json_are_dropped(
    kernel: Conversation, stranger: zmq.Socket[bytes]
) -> None:
    sender = session(kernel.connection()["key"])
    for junk in (b"nonsense", b"\xff\xfe", b"", b'"\xff"'):
        for index in range(4):
            parts = frames(sender, "harm = true")[2:]
            parts[index] = junk
            stranger.send_multipart([b"<IDS|MSG>", sender.sign(parts), *parts])
    assert is_unharmed(kernel)


def test_a_request_that_is_nested_too_deep_is_answered(kernel: Conversation) -> None:
    nested: list[Any] = []
    for _ in range(300):
        nested = [nested]
    content = {"code": "harm = true", "user_expressions": {"deep": nested}}
    # Not by `execute`, which refuses what is no text.
    message = kernel.client.session.msg("execute_request", content)
    kernel.client.shell_channel.send(message)
    heard = kernel.hear(message["header"]["msg_id"])
    assert (heard.content["status"], heard.content["ename"]) == ("error", "protocol")
    assert "nested more than 127 deep" in heard.content["evalue"]
    assert heard.outline == ["busy", "idle"]
    assert kernel.execute("harm").outline == ["busy", "execute_input", "idle"]


def test_a_replayed_message_runs_once(kernel: Conversation, stranger: zmq.Socket[bytes]) -> None:
    kernel.execute("count = 0")
    sender = session(kernel.connection()["key"])
    recorded = frames(sender, "count = count + 1")
    for _ in range(3):
        stranger.send_multipart(recorded)
    # Behind them on the same connection.
    stranger.send_multipart(frames(sender, "last = true"))
    replies = [sender.deserialize(sender.feed_identities(stranger.recv_multipart())[1])]
    replies.append(sender.deserialize(sender.feed_identities(stranger.recv_multipart())[1]))
    assert [it["content"]["status"] for it in replies] == ["ok", "ok"]
    assert kernel.execute("count").first("execute_result")["data"]["text/plain"] == "1"


def test_the_parent_header_keeps_unknown_fields(kernel: Conversation) -> None:
    message = kernel.client.session.msg("kernel_info_request", {})
    message["header"]["subshell_id"] = None
    message["header"]["of_somebody_else"] = [1, {"a": "ä"}]
    kernel.client.shell_channel.send(message)
    heard = kernel.hear(message["header"]["msg_id"])
    for answer in (heard.reply, *heard.broadcasts):
        assert answer["parent_header"]["of_somebody_else"] == [1, {"a": "ä"}]


@pytest.mark.parametrize(
    ("kind", "content", "reason"),
    [
        ("make_tea_request", {"milk": True}, "make_tea_request"),
        ("execute_request", {"cod": "1"}, "code"),
        ("complete_request", {"code": "x", "cursor_pos": -1}, "complete_request"),
        ("debug_request", {}, "debug_request"),
    ],
)
def test_unknown_and_misshapen_requests_are_answered_with_an_error(
    kernel: Conversation, kind: str, content: dict[str, Any], reason: str
) -> None:
    message = kernel.client.session.msg(kind, content)
    kernel.client.shell_channel.send(message)
    heard = kernel.hear(message["header"]["msg_id"])
    assert heard.reply["msg_type"] == kind.replace("request", "reply")
    assert (heard.content["status"], heard.content["ename"]) == ("error", "protocol")
    assert reason in heard.content["evalue"]
    assert heard.outline == ["busy", "idle"]


@pytest.mark.parametrize(
    "junk",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 100,
        GREETING[:20],
        GREETING + b"\x04\x06\x05READY",
        GREETING + b"\x04\x0b\x05READY\xff\xff\xff\xff\xff",
        # A frame of 2^45 bytes after a good handshake.
        GREETING
        + b"\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x02"
        + struct.pack(">Q", 1 << 45),
    ],
    ids=["http", "noise", "half a greeting", "half a READY", "long property", "huge frame"],
)
def test_junk_on_every_socket_harms_nobody(kernel: Conversation, junk: bytes) -> None:
    fields = kernel.connection()
    for name in SOCKETS:
        if fields["transport"] == "tcp":
            connection = socket.create_connection((fields["ip"], fields[name]))
        else:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(f"{fields['ip']}-{fields[name]}")
        with connection:
            connection.sendall(junk)
    assert is_unharmed(kernel)
    assert kernel.client.hb_channel.is_beating()


def test_every_subscriber_is_welcomed(kernel: Conversation) -> None:
    fields = kernel.connection()
    with zmq.Context() as context:
        for topic in (b"", b"kernel."):
            with context.socket(zmq.SUB) as subscriber:
                subscriber.linger = 0
                subscriber.rcvtimeo = 10_000
                subscriber.subscribe(topic)
                subscriber.connect(address(fields, "iopub_port"))
                reader = session(fields["key"])
                identities, message = reader.feed_identities(subscriber.recv_multipart())
                welcome = reader.deserialize(message)
                assert identities == [topic]
                assert welcome["msg_type"] == "iopub_welcome"
                assert welcome["content"] == {"subscription": topic.decode()}


def test_a_subscriber_that_never_reads_slows_nobody(mortal: Conversation) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as stuck:
        stuck.linger = 0
        stuck.rcvhwm = 1
        stuck.subscribe(b"")
        stuck.connect(address(mortal.connection(), "iopub_port"))
        msg_id = mortal.client.execute(
            "local line = ('x'):rep(999)\nfor i = 1, 100000 do print(line) end"
        )
        heard = mortal.broadcasts(msg_id)
        texts = [it["content"]["text"] for it in heard if it["msg_type"] == "stream"]
        assert sum(map(len, texts)) == 100_000_000

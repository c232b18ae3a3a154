"""Messages that are not genuine or not whole: they have no effect, and the next one is answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kernel.conformance import wire
from kernel.conformance.marks import ipykernel_fails

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel.conformance.client import Client, Request
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Connect, Start, Subject

SIGNATURE, HEADER, PARENT, METADATA, CONTENT = range(1, 6)


def replaced(index: int, old: bytes, new: bytes) -> Callable[[list[bytes]], list[bytes]]:
    """Changes a frame and nothing of the signature."""

    def forge(frames: list[bytes]) -> list[bytes]:
        changed = list(frames)
        assert old in changed[index]
        changed[index] = changed[index].replace(old, new) if old else new
        return changed

    return forge


FORGERIES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "an empty signature": replaced(SIGNATURE, b"", b""),
    "half a signature": lambda it: [it[0], it[SIGNATURE][:32], *it[2:]],
    "a signature and more": lambda it: [it[0], it[SIGNATURE] + b"0", *it[2:]],
    "a signature of zeros": replaced(SIGNATURE, b"", b"0" * 64),
    "a signature that is no text": replaced(SIGNATURE, b"", b"\xff" * 64),
    "another header": replaced(HEADER, b"conformance", b"conformancf"),
    "another parent": replaced(PARENT, b"{}", b'{"a": 1}'),
    "other metadata": replaced(METADATA, b"{}", b'{"a": 1}'),
    "other content": replaced(CONTENT, b"harm = 1", b"harm = 2"),
    "a space more": replaced(CONTENT, b"{", b"{ "),
    "the key of somebody else": lambda it: wire.frames("of somebody else", it[2:]),
    "frames in another order": lambda it: [*it[:4], it[CONTENT], it[METADATA]],
    "no delimiter": lambda it: it[1:],
    "another delimiter": replaced(0, b"MSG", b"msg"),
    "the delimiter alone": lambda it: it[:1],
    "a signature without a message": lambda it: it[:2],
    "a header alone": lambda it: it[:3],
    "no metadata and no content": lambda it: it[:4],
    "no content": lambda it: it[:5],
    "an empty frame": lambda _: [b""],
    "frames of nothing": lambda _: [b""] * 6,
    "noise": lambda _: [bytes(range(256))] * 9,
}

MALFORMED = {
    "no JSON": b"harm = 1",
    "half of a JSON": b'{"code": "harm = 1", ',
    "a list": b'["harm = 1"]',
    "a number": b"1",
    "null": b"null",
    "nothing": b"",
    "no UTF-8": b'{"code": "harm = 1 \xff\xfe"}',
    "half a code point": b'{"code": "harm = 1 \xf0\x9f\x98"}',
}

NO_UTF8 = ["no UTF-8", "half a code point"]


def cell(client: Client, code: str) -> list[bytes]:
    """A cell that was not sent."""
    header = client.header("execute_request")
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
    return wire.frames(client.connection.key, (header, {}, {}, content))


def is_unharmed(client: Client, language: Language) -> None:
    """Nothing ran, nothing was answered, and the next message on the same connection is."""
    before = len(client.heard)
    found = client.execute(language.value)
    assert found.shown == language.value_shown
    assert client.arrived("shell") == []
    told = {it.parent_id for it in client.heard[before:]}
    assert told == {found.request.id}
    assert client.execute(language.prints_global("harm")).text() == f"{language.none}\n"


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_or_short_message_has_no_effect(
    client: Client, language: Language, name: str
) -> None:
    """Messages on the control and shell sockets should be parsed, and their signature validated.
    Every message is serialized to a sequence of at least six blobs of bytes.
    """
    client.send_frames(FORGERIES[name](cell(client, "harm = 1")))
    is_unharmed(client, language)


@pytest.mark.parametrize("name", [it for it in MALFORMED if it not in NO_UTF8])
def test_a_content_that_is_no_dictionary_has_no_effect(
    client: Client, language: Language, name: str
) -> None:
    """A message is composed of dictionaries; the default serialization is JSON."""
    raw = [*cell(client, "harm = 1")[2:5], MALFORMED[name]]
    client.send_frames(wire.frames(client.connection.key, raw))
    assert client.execute(language.value).shown == language.value_shown
    assert client.execute(language.prints_global("harm")).text() == f"{language.none}\n"


@pytest.mark.parametrize("name", NO_UTF8)
@ipykernel_fails("it puts replacement characters in place of what is no UTF-8, and runs that")
def test_a_content_that_is_no_text_has_no_effect(
    client: Client, language: Language, name: str
) -> None:
    """A message is composed of dictionaries; the default serialization is JSON, whose text is in
    UTF-8.
    """
    raw = [*cell(client, "harm = 1")[2:5], MALFORMED[name]]
    client.send_frames(wire.frames(client.connection.key, raw))
    is_unharmed(client, language)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_header_that_is_no_dictionary_has_no_effect(
    client: Client, language: Language, name: str
) -> None:
    """The header contains msg_id, msg_type and session; a message is composed of dictionaries."""
    raw = [MALFORMED[name], *cell(client, "harm = 1")[3:]]
    client.send_frames(wire.frames(client.connection.key, raw))
    is_unharmed(client, language)


def test_a_header_without_a_type_has_no_effect(client: Client, language: Language) -> None:
    """The structure of the content is dictated by the `msg_type` field in the header."""
    header = client.header("execute_request")
    del header["msg_type"]
    raw = [json.dumps(header).encode(), *cell(client, "harm = 1")[3:]]
    client.send_frames(wire.frames(client.connection.key, raw))
    assert client.execute(language.value).shown == language.value_shown
    assert client.execute(language.prints_global("harm")).text() == f"{language.none}\n"


def test_a_replayed_message_runs_once(client: Client) -> None:
    """msg_id must be unique per message, and the signature is used for authentication: what was
    recorded is no message of its sender.
    """
    client.execute("count = 0")
    sent: Request = client.start("count = count + 1")
    for _ in range(3):
        client.send_frames(sent.frames)
    client.complete(sent)
    assert client.execute("count").shown == "1"
    assert client.arrived("shell") == []


def test_a_replay_on_another_connection_runs_once(client: Client, connect: Connect) -> None:
    """As above: the recording is played by somebody else."""
    client.execute("count = 0")
    sent = client.start("count = count + 1")
    client.complete(sent)
    stranger = connect()
    stranger.send_frames(sent.frames)
    assert stranger.execute("count").shown == "1"


def test_a_forged_shutdown_does_not_end_the_kernel(subject: Subject, client: Client) -> None:
    """Messages on the control and shell sockets should be parsed, and their signature validated."""
    header = client.header("shutdown_request")
    for key in ("", "of somebody else"):
        frames = wire.frames(key, (header, {}, {}, {"restart": False}))
        client.send_frames(frames, "control")
    assert client.ask("kernel_info_request", channel="control").content["status"] == "ok"
    assert subject.process.is_alive()


def test_an_empty_key_signs_nothing(start: Start) -> None:
    """To disable authentication and signature checking, set the `key` field of a connection file to
    an empty string. If authentication is disabled, the signature should be an empty string.
    """
    # Over files, which the system guards: a kernel may refuse to run everybody's code over tcp.
    client = start(transport="ipc", key="").connect()
    found = client.ask("kernel_info_request")
    assert found.content["status"] == "ok"
    assert {it.signature for it in found.messages} == {b""}

"""What holds for every message that a kernel sends, checked on a tour of the protocol."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

import pytest

from kernel.conformance import tour, wire
from kernel.conformance.client import Client
from kernel.conformance.marks import ipykernel_fails

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kernel.conformance.client import Exchange
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Subject
    from kernel.conformance.wire import Message


@dataclass(frozen=True)
class Tour:
    """What came of a tour that was made once for all rules."""

    before: datetime
    after: datetime
    exchanges: dict[str, Exchange]
    # All that was broadcast, also behind the last idle.
    heard: list[Message]

    @property
    def messages(self) -> list[Message]:
        return [message for it in self.exchanges.values() for message in it.messages]


def toured(client: Client, asked: Mapping[str, Callable[[Client], Exchange]]) -> Tour:
    """Asks one thing after the other."""
    before = datetime.now(timezone.utc)
    exchanges = {name: ask(client) for name, ask in asked.items()}
    return Tour(before, datetime.now(timezone.utc), exchanges, list(client.fence()))


@pytest.fixture(scope="session")
def made(subject: Subject) -> Tour:
    client = Client(subject.connection)
    client.wait_until_ready()
    asked = {it: partial(tour.exchange, language=subject.language, name=it) for it in tour.NAMES}
    found = toured(client, asked)
    client.close()
    return found


@pytest.mark.parametrize("name", tour.NAMES)
def test_busy_and_idle_stand_around_every_request(made: Tour, name: str) -> None:
    """Busy and idle messages should be sent before/after handling every request, not just
    execution.
    """
    states = [it.state for it in made.exchanges[name].broadcasts]
    assert states[0] == "busy"
    assert states[-1] == "idle"
    assert not any(states[1:-1])


@pytest.mark.parametrize("name", tour.NAMES)
def test_a_reply_has_its_kind_and_the_header_of_its_request(made: Tour, name: str) -> None:
    """The kernel then processes the request and sends the appropriate <action>_reply message.
    `_reply` messages MUST have a `parent_header`, a copy of the `header` of the message that
    "caused" the current message.
    """
    found = made.exchanges[name]
    assert found.reply.kind == found.request.kind.replace("_request", "_reply")
    assert found.reply.parent_header == found.request.header
    # With what is broadcast it is the same.
    assert all(it.parent_header == found.request.header for it in found.broadcasts)


@pytest.mark.parametrize("name", [it for it in tour.NAMES if it != "is_complete"])
def test_a_reply_has_a_status(made: Tour, name: str) -> None:
    """All reply messages have a 'status' field: 'ok', 'error' or 'aborted'."""
    expected = "error" if name.endswith("error") else "ok"
    assert made.exchanges[name].content["status"] == expected


def test_nothing_is_broadcast_behind_an_idle(made: Tour) -> None:
    """This idle status message indicates that IOPub messages associated with a given request have
    all been received.
    """
    for it in made.exchanges.values():
        heard = [message for message in made.heard if message.parent_id == it.request.id]
        assert heard == it.broadcasts


def test_every_signature_is_the_digest_of_the_four_dictionaries(made: Tour) -> None:
    """The signature is the HMAC hex digest of the concatenation of header, parent header, metadata
    and content.
    """
    # The client reads nothing whose signature is wrong; none is missing either.
    assert len(made.messages) > 50
    assert all(re.fullmatch(rb"[0-9a-f]{64}", it.signature) for it in made.messages)


def test_every_header_has_its_fields(made: Tour) -> None:
    """The header: msg_id, session, username, date, msg_type and version, all of them str."""
    fields = ("msg_id", "session", "username", "date", "msg_type", "version")
    for it in made.messages:
        assert {name: type(it.header.get(name)) for name in fields} == dict.fromkeys(fields, str)


def test_identities_of_messages_are_unique(made: Tour) -> None:
    """msg_id: typically UUID, must be unique per message."""
    seen = [it.header["msg_id"] for it in made.heard]
    seen += [it.reply.header["msg_id"] for it in made.exchanges.values()]
    assert len(set(seen)) == len(seen)


def test_the_session_of_the_kernel_is_one(made: Tour, client: Client) -> None:
    """A kernel session ID, in message headers from a kernel, should identify a particular kernel
    process.
    """
    sessions = {it.header["session"] for it in made.messages}
    assert sessions == {client.ask("kernel_info_request").reply.header["session"]}


def test_the_session_of_the_kernel_is_not_that_of_a_client(made: Tour) -> None:
    """The `session` ID in a message header identifies a unique entity with state, such as a kernel
    process or client process.
    """
    for it in made.exchanges.values():
        assert it.reply.header["session"] != it.request.header["session"]


def test_the_date_says_when_a_message_was_made(made: Tour) -> None:
    """date: ISO 8601 timestamp for when the message is created. It will be mandatory in 5.1."""
    for it in made.messages:
        written = it.header["date"].replace("Z", "+00:00")
        assert made.before <= datetime.fromisoformat(written) <= made.after


@ipykernel_fails("messages say 5.4, kernel_info 5.3")
def test_the_version_of_messages_is_the_one_of_kernel_info(made: Tour) -> None:
    """version: the message protocol version."""
    told = made.exchanges["kernel_info"].content["protocol_version"]
    assert {it.header["version"] for it in made.messages} == {told}


def test_messages_without_buffers_have_none(made: Tour) -> None:
    """While this is part of the protocol, no official messages make use of these buffers."""
    assert [it.buffers for it in made.messages] == [()] * len(made.messages)


def test_unknown_fields_of_a_header_come_back(client: Client) -> None:
    """The `parent_header` is a copy of the `header` of the message that caused it."""
    unknown = {"of_somebody_else": [1, {"ä": "😀"}], "nothing": None, "subshell_id": None}
    found = client.ask("kernel_info_request", header=unknown)
    for it in found.messages:
        assert it.parent_header == found.request.header


@ipykernel_fails("the date is read and written anew, with microseconds")
def test_a_date_comes_back_as_it_was_written(client: Client) -> None:
    """The `parent_header` is a copy of the `header`. JupyterLab writes milliseconds and a `Z`."""
    for date in ("2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05+02:00"):
        found = client.ask("kernel_info_request", header={"date": date})
        assert [it.parent_header["date"] for it in found.messages] == [date] * len(found.messages)


def test_a_request_may_have_a_parent_and_metadata_of_its_own(client: Client) -> None:
    """The `metadata` dict can be an extra location to store information about requests."""
    parent = client.header("of_another_kind")
    found = client.ask("kernel_info_request", parent=parent, metadata={"cellId": "ä😀"})
    assert found.content["status"] == "ok"
    assert found.reply.parent_header == found.request.header


@ipykernel_fails("a history_request with an extra field gets no reply")
def test_a_field_of_history_that_nobody_knows_is_allowed(
    client: Client, language: Language
) -> None:
    """Both sides should allow extra fields in known message types."""
    channel, kind, content = tour.requests(language)["history"]
    found = client.ask(kind, {**content, "of_somebody_else": 1}, channel=channel)
    assert found.content["status"] == "ok"


@pytest.mark.parametrize("name", [it for it in tour.NAMES if it != "history"])
def test_fields_that_nobody_knows_are_allowed(
    client: Client, language: Language, name: str
) -> None:
    """Both sides should allow unexpected message types, and extra fields in known message types."""
    channel, kind, content = tour.requests(language)[name]
    found = client.ask(kind, {**content, "of_somebody_else": {"a": [None]}}, channel=channel)
    assert (found.content["status"] == "error") == name.endswith("error")


def test_a_message_may_come_through_several_hops(client: Client) -> None:
    """The front of the message is the ZeroMQ routing prefix, which can be zero or more socket
    identities. This is every piece of the message prior to the delimiter key.
    """
    found = client.ask("kernel_info_request", identities=[b"first hop", b"\x00\xff"])
    assert found.reply.identities == (b"first hop", b"\x00\xff")


def test_a_request_may_have_buffers(client: Client) -> None:
    """After the serialized dicts are zero to many raw data buffers."""
    found = client.ask("kernel_info_request", buffers=[b"", b"\x00\xff" * 5000, b"<IDS|MSG>"])
    assert found.content["status"] == "ok"


def test_text_of_every_plane_comes_back(client: Client, language: Language) -> None:
    """Values are reasonably representable in JSON, serialized as UTF-8."""
    text = "ä € 😀 𨭎 \t\\ \u2028"
    assert client.execute(language.prints(text)).text() == f"{text}\n"


def test_escaped_json_is_read_as_well(client: Client) -> None:
    """These can be serialized by any function that turns a dict into bytes, by default JSON."""
    header = client.header("execute_request", username="\U0001f600")
    content = {"code": "x = 1", "silent": False}
    both = (json.dumps(content, ensure_ascii=True), json.dumps(content, ensure_ascii=False))
    for raw in both:
        spaced = raw.replace(":", " :\n ").encode()
        header = client.header("execute_request", username="😀")
        parts = (json.dumps(header, ensure_ascii=False).encode(), b" {} ", b"{}", spaced)
        client.send_frames(wire.frames(client.connection.key, parts))
        reply = client.next()
        assert reply.parent_header == header
        assert reply.content["status"] == "ok"

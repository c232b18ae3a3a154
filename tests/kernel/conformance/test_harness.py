"""The checks are checked: an honest kernel passes them, and whoever breaks a rule is noticed."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from kernel.conformance import (
    test_execute,
    test_forgery,
    test_heartbeat,
    test_iopub,
    test_kernel_info,
    test_queue,
    test_streams,
    test_wire,
)
from kernel.conformance.client import Client, SilenceError
from kernel.conformance.fake import FakeKernel, Outgoing, changed
from kernel.conformance.languages import LUA
from kernel.conformance.wire import ViolationError, frames, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from kernel.conformance.client import Exchange
    from kernel.conformance.subject import Connect
    from kernel.conformance.wire import Dict

# Short, because some of these kernels do not answer.
LIMIT_S = 0.5
OLD = "2020-01-01T00:00:00Z"

RULES = [
    test_wire.test_nothing_is_broadcast_behind_an_idle,
    test_wire.test_every_signature_is_the_digest_of_the_four_dictionaries,
    test_wire.test_every_header_has_its_fields,
    test_wire.test_identities_of_messages_are_unique,
    test_wire.test_the_session_of_the_kernel_is_not_that_of_a_client,
    test_wire.test_the_date_says_when_a_message_was_made,
    test_wire.test_the_version_of_messages_is_the_one_of_kernel_info,
    test_wire.test_messages_without_buffers_have_none,
]


def head(kind: str, **fields: object) -> Callable[[Outgoing], Iterable[Outgoing]]:
    """Changes the headers of a kind of messages; a field that becomes `None` is left out."""

    def fault(message: Outgoing) -> Iterable[Outgoing]:
        header = {**message.header, **fields} if message.kind == kind else message.header
        return [replace(message, header={k: v for k, v in header.items() if v is not None})]

    return fault


def behind_idle(message: Outgoing) -> Iterable[Outgoing]:
    late = {**message.header, "msg_type": "stream", "msg_id": message.header["msg_id"] + "late"}
    stream = replace(message, header=late, content={"name": "stdout", "text": "late"})
    return [message, stream] if message.state == "idle" else [message]


def without(state: str) -> Callable[[Outgoing], Iterable[Outgoing]]:
    return lambda message: [] if message.state == state else [message]


def other_parent(message: Outgoing) -> Iterable[Outgoing]:
    return [replace(message, parent={**message.parent, "username": "somebody else"})]


def forgets_fields(message: Outgoing) -> Iterable[Outgoing]:
    kept = ("msg_id", "msg_type", "session", "username", "date", "version")
    return [replace(message, parent={k: v for k, v in message.parent.items() if k in kept})]


def parameters(check: Callable[..., None]) -> list[str]:
    return list(inspect.signature(check).parameters)


def try_on(kernel: FakeKernel, check: Callable[..., None], **given: str) -> None:
    """Runs a check of the suite on a kernel."""
    clients: list[Client] = []

    def connect(*, identity: bytes | None = None, topic: bytes | None = None) -> Client:
        made = Client(kernel.connection, identity=identity, topic=topic or b"", limit_s=LIMIT_S)
        clients.append(made)
        if topic is None:
            made.wait_until_ready()
        return made

    try:
        check(**arguments(check, connect), **given)
    finally:
        for it in clients:
            it.close()


def arguments(check: Callable[..., None], connect: Connect) -> dict[str, Any]:
    """The fixtures that a check asks for."""
    wanted = parameters(check)
    made: dict[str, Callable[[], Any]] = {
        "client": connect,
        "language": lambda: LUA,
        "connect": lambda: connect,
        "made": lambda: tour_of(connect()),
    }
    return {name: make() for name, make in made.items() if name in wanted}


def tour_of(client: Client) -> test_wire.Tour:
    """A tour of what the fake kernel has, long enough for every rule."""
    cells = (LUA.prints("a"), LUA.value, LUA.error, "x = 1", LUA.prints("b"))
    asked: dict[str, Callable[[Client], Exchange]] = {
        f"cell {number}": partial(Client.execute, code=cells[number % 5]) for number in range(15)
    }
    asked["kernel_info"] = partial(Client.ask, kind="kernel_info_request")
    return test_wire.toured(client, asked)


@pytest.mark.parametrize("check", RULES, ids=lambda it: it.__name__)
def test_an_honest_kernel_follows_the_rules(
    tmp_path: Path, check: Callable[[test_wire.Tour], None]
) -> None:
    with FakeKernel(tmp_path) as kernel:
        try_on(kernel, check)


BROKEN_RULES: dict[str, tuple[Callable[[Outgoing], Iterable[Outgoing]], Callable[..., None]]] = {
    "a stream behind the idle": (behind_idle, RULES[0]),
    "no date": (head("stream", date=None), RULES[2]),
    "a number for a name": (head("execute_reply", username=1), RULES[2]),
    "one identity for all": (head("status", msg_id="the same"), RULES[3]),
    "one identity for replies": (head("execute_reply", msg_id="the same"), RULES[3]),
    "an old date": (head("execute_input", date=OLD), RULES[5]),
    "another version": (head("error", version="5.0"), RULES[6]),
    "buffers": (changed("stream", buffers=[b"x"]), RULES[7]),
}


@pytest.mark.parametrize("name", BROKEN_RULES)
def test_a_broken_rule_is_noticed(tmp_path: Path, name: str) -> None:
    fault, check = BROKEN_RULES[name]
    with FakeKernel(tmp_path, fault) as kernel, pytest.raises(AssertionError):
        try_on(kernel, check)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (changed("stream", key="of somebody else"), "signature"),
        (changed("stream", key=""), "signature"),
        (changed("stream", content=b"[]"), "no dictionary"),
        (changed("stream", content=b'{"a": NaN}'), "no JSON"),
        (changed("stream", content=b'{"a": "\xff"}'), "no JSON in UTF-8"),
        (without("idle"), "nothing comes on iopub"),
        (head("execute_reply", msg_type=None), "`None`"),
    ],
    ids=["forged", "not signed", "a list", "not a number", "no UTF-8", "no idle", "no kind"],
)
def test_a_broken_message_is_noticed(
    tmp_path: Path, fault: Callable[[Outgoing], Iterable[Outgoing]], said: str
) -> None:
    def check(client: Client) -> None:
        found = client.execute(LUA.prints("a"))
        if found.reply.kind != "execute_reply":
            raise ViolationError(f"a reply of kind `{found.reply.header.get('msg_type')}`")

    if said == "nothing comes on iopub":
        with FakeKernel(tmp_path, fault) as kernel:
            client = Client(kernel.connection, limit_s=LIMIT_S)
            with pytest.raises(SilenceError, match=said):
                client.execute(LUA.prints("a"))
            client.close()
        return
    with FakeKernel(tmp_path, fault) as kernel, pytest.raises(ViolationError, match=said):
        try_on(kernel, check)


CHECKS: dict[str, tuple[Callable[..., None], dict[str, str]]] = {
    "believes everybody": (
        test_forgery.test_a_forged_or_short_message_has_no_effect,
        {"name": "other content"},
    ),
    "runs what comes twice": (test_forgery.test_a_replayed_message_runs_once, {}),
    "counts silent cells": (test_execute.test_a_silent_cell_does_not_count, {}),
    "broadcasts silent cells": (test_execute.test_a_silent_cell_has_no_input_and_no_result, {}),
    "tells two errors": (test_execute.test_the_broadcast_of_an_error_is_that_of_the_reply, {}),
    "shouts": (test_heartbeat.test_a_beat_comes_back, {"name": "ping"}),
    "welcomes with a parent": (test_iopub.test_a_welcome_has_no_parent, {}),
}


@pytest.mark.parametrize("fault", CHECKS)
def test_a_kernel_that_does_wrong_fails_where_an_honest_one_passes(
    tmp_path: Path, fault: str
) -> None:
    check, given = CHECKS[fault]
    with FakeKernel(tmp_path) as kernel:
        try_on(kernel, check, **given)
    with FakeKernel(tmp_path, faults=frozenset({fault})) as kernel, pytest.raises(AssertionError):
        try_on(kernel, check, **given)


MESSAGES: list[tuple[Callable[[Outgoing], Iterable[Outgoing]], Callable[..., None]]] = [
    (forgets_fields, test_wire.test_unknown_fields_of_a_header_come_back),
    (other_parent, test_wire.test_a_request_may_have_a_parent_and_metadata_of_its_own),
    (changed("execute_input", content={}), test_execute.test_a_cell_is_broadcast_before_it_runs),
    (changed("stream", content={"name": "stdout", "text": ""}), test_queue.test_cells_do_not_mix),
    (changed("stream", content={"name": "out", "text": "0\n"}), test_queue.test_cells_do_not_mix),
    (
        changed("stream", content={"name": "stdout", "text": "0\n"}),
        test_streams.test_a_text_belongs_to_the_cell_that_printed_it,
    ),
    (
        changed("kernel_info_reply", content={"status": "ok", "protocol_version": 5}),
        test_kernel_info.test_the_protocol_version_is_major_and_minor,
    ),
]


@pytest.mark.parametrize(
    ("fault", "check"), MESSAGES, ids=lambda it: getattr(it, "__name__", "fault")
)
def test_a_changed_message_fails_a_check_that_it_passed(
    tmp_path: Path,
    fault: Callable[[Outgoing], Iterable[Outgoing]],
    check: Callable[..., None],
) -> None:
    with FakeKernel(tmp_path) as kernel:
        try_on(kernel, check)
    # What a wrong type is to Python is an error as well: a check need not foresee it.
    with (
        FakeKernel(tmp_path, fault) as kernel,
        pytest.raises((AssertionError, TypeError, KeyError)),
    ):
        try_on(kernel, check)


def test_what_was_written_is_read() -> None:
    parts: list[Dict] = [{"a": 1}, {"b": "ä"}, {}, {"c": [None]}]
    written = frames("key", parts, identities=[b"i", b"j"], buffers=[b"\xff", b""])
    found = read(written, "key")
    assert [found.header, found.parent_header, found.metadata, found.content] == parts
    assert (found.identities, found.buffers) == ((b"i", b"j"), (b"\xff", b""))


@pytest.mark.parametrize("index", range(7))
def test_a_changed_frame_is_noticed(index: int) -> None:
    written = frames("key", ({"a": 1}, {}, {}, {}), identities=[b"i"])
    written[index] += b" "
    if index == 0:
        # The way back is not signed.
        assert read(written, "key").identities == (b"i ",)
    else:
        with pytest.raises(ViolationError):
            read(written, "key")


@pytest.mark.parametrize("length", range(6))
def test_a_missing_frame_is_noticed(length: int) -> None:
    written = frames("key", ({}, {}, {}, {}))
    with pytest.raises(ViolationError):
        read(written[:length], "key")


def test_the_signature_is_that_of_the_specification() -> None:
    """HMAC with SHA-256 over the four parts, as RFC 4231 computes it for its second test case."""
    parts = (b"what do ", b"ya want ", b"for ", b"nothing?")
    expected = b"5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert frames("Jefe", parts)[1] == expected

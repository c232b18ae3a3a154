"""Four clients send everything at once; the rules hold for every message of it."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from kernel.conformance.client import Client

if TYPE_CHECKING:
    from kernel.conformance.client import Request
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Subject
    from kernel.conformance.wire import Message

CLIENTS = 4
REQUESTS = 40


@dataclass(frozen=True)
class Mixture:
    """What was sent, and what came of it."""

    # By client, in the order in which it was sent.
    sent: list[list[Request]]
    # By client, in the order in which they came.
    replies: list[list[Message]]
    # What one of the clients heard, in its order.
    heard: list[Message]

    @property
    def requests(self) -> list[Request]:
        return [it for of_one in self.sent for it in of_one]

    def broadcasts(self, request: Request) -> list[Message]:
        return [it for it in self.heard if it.parent_id == request.id]


def choose(language: Language, chance: random.Random) -> tuple[str, str, dict[str, Any]]:
    """A request of any kind; none of them depends on another one."""
    number = chance.randint(0, 999)
    cells = [
        language.prints(f"printed {number}"),
        f"{language.prints(str(number))}\n{language.display}\n{language.value}",
        language.error,
        language.wrong,
        "",
        f"mixed = {number}",
    ]
    options = {"silent": False, "stop_on_error": False, "user_expressions": {}}
    context = {"code": "pri", "cursor_pos": 3, "detail_level": 0}
    history = {"hist_access_type": "tail", "n": 2, "raw": True, "output": False}
    cell = {"code": chance.choice(cells), "store_history": True, "allow_stdin": False}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        *[("shell", "execute_request", {**options, **cell})] * 6,
        ("shell", "complete_request", context),
        ("shell", "inspect_request", context),
        ("shell", "is_complete_request", {"code": "1"}),
        ("shell", "history_request", history),
        ("shell", "comm_info_request", {}),
        ("shell", "kernel_info_request", {}),
        ("control", "kernel_info_request", {}),
    ]
    return chance.choice(asked)


@pytest.fixture(scope="session")
def mixture(subject: Subject) -> Mixture:
    language, chance = subject.language, random.Random(7)  # noqa: S311
    clients = [Client(subject.connection) for _ in range(CLIENTS)]
    for it in clients:
        it.wait_until_ready()
    sent: list[list[Request]] = [[] for _ in clients]
    for _ in range(REQUESTS):
        for client, requests in zip(clients, sent, strict=True):
            channel, kind, content = choose(language, chance)
            requests.append(client.send(kind, content, channel=channel))
    replies = [
        [client.next(it) for it in ("shell", "control") for r in requests if r.channel == it]
        for client, requests in zip(clients, sent, strict=True)
    ]
    for request in (request for of_one in sent for request in of_one):
        clients[0].broadcasts(request)
    heard = list(clients[0].fence())
    for it in clients:
        assert it.arrived("shell") == it.arrived("control") == []
        it.close()
    return Mixture(sent, replies, heard)


def test_every_request_has_one_reply_at_its_client(mixture: Mixture) -> None:
    """The communication on this socket is a sequence of request/reply actions from each frontend
    and the kernel.
    """
    for requests, replies in zip(mixture.sent, mixture.replies, strict=True):
        assert Counter(it.id for it in requests) == Counter(it.parent_id for it in replies)


def test_every_reply_is_of_the_kind_of_its_request(mixture: Mixture) -> None:
    """Sends the appropriate `<action>_reply` message."""
    kinds = {it.id: it.kind.replace("_request", "_reply") for it in mixture.requests}
    replies = [it for of_one in mixture.replies for it in of_one]
    assert [it.kind for it in replies] == [kinds[it.parent_id or ""] for it in replies]


def test_every_request_has_one_busy_and_one_idle_around_the_rest(mixture: Mixture) -> None:
    """Busy and idle messages should be sent before/after handling every request."""
    for it in mixture.requests:
        states = [message.state for message in mixture.broadcasts(it)]
        assert (states[0], states[-1]) == ("busy", "idle")
        assert not any(states[1:-1])


def test_every_broadcast_has_the_whole_header_of_its_request(mixture: Mixture) -> None:
    """The `parent_header` is a copy of the `header` of the message that caused it."""
    headers = {it.id: it.header for it in mixture.requests}
    mine = [it for it in mixture.heard if it.parent_id in headers]
    assert len(mine) > 2 * CLIENTS * REQUESTS
    assert all(it.parent_header == headers[it.parent_id or ""] for it in mine)


def test_cells_of_a_client_are_answered_in_their_order(mixture: Mixture) -> None:
    """As above: a sequence."""
    for requests, replies in zip(mixture.sent, mixture.replies, strict=True):
        cells = [it.id for it in requests if it.kind == "execute_request"]
        assert [it.parent_id for it in replies if it.kind == "execute_reply"] == cells


def test_cells_run_one_after_the_other(mixture: Mixture) -> None:
    """The outputs associated with a given execution arrive between the busy and idle status
    messages; within an individual subshell, requests are processed sequentially.
    """
    cells = {it.id for it in mixture.requests if it.kind == "execute_request"}
    running: str | None = None
    for it in mixture.heard:
        if it.parent_id in cells:
            assert running in {None, it.parent_id}
            running = None if it.state == "idle" else it.parent_id


def test_counts_go_up_with_the_cells(mixture: Mixture) -> None:
    """A single, monotonically increasing counter."""
    told = [it.content["execution_count"] for it in mixture.heard if it.kind == "execute_input"]
    assert told == sorted(told)
    replies = {it.parent_id: it for of_one in mixture.replies for it in of_one}
    for it in mixture.heard:
        if it.kind == "execute_result":
            reply = replies[it.parent_id]
            assert reply.content["execution_count"] == it.content["execution_count"]


def test_every_cell_has_its_outputs_and_no_others(mixture: Mixture, language: Language) -> None:
    """The parent is used to route outputs to a cell."""
    for it in mixture.requests:
        if it.kind != "execute_request":
            continue
        code = it.frames[-1].decode()
        kinds = [message.kind for message in mixture.broadcasts(it)]
        assert ("error" in kinds) == ("on purpose" in code or language.wrong in code)
        assert ("display_data" in kinds) == ("shown" in code)
        assert ("execute_result" in kinds) == (language.value in code)
        texts = [
            message.content["text"]
            for message in mixture.broadcasts(it)
            if message.kind == "stream"
        ]
        assert bool(texts) == ("print(" in code)


def test_identities_of_messages_are_unique_among_clients(mixture: Mixture) -> None:
    """msg_id must be unique per message."""
    replies = [it for of_one in mixture.replies for it in of_one]
    identities = [it.header["msg_id"] for it in [*mixture.heard, *replies]]
    assert len(set(identities)) == len(identities)

"""The end of a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from kernel.conformance.marks import ipykernel_fails
from kernel.conformance.subject import SUBJECTS, Subject

if TYPE_CHECKING:
    from kernel.conformance.client import Exchange, Request
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Start
    from kernel.conformance.wire import Message

# Far less than what the cell takes.
SOON_S = 4.0


@dataclass(frozen=True)
class Ended:
    """What was heard of a kernel that was told to end before a restart."""

    # The last cell, which printed 100,000 lines.
    last: Exchange
    request: Request
    reply: Message
    exit_status: int
    # The states that another client heard.
    states: list[str | None]


@pytest.fixture(scope="session")
def ended(named: str) -> Ended:
    subject = Subject(*SUBJECTS[named])
    client, other = subject.connect(), subject.connect()
    last = client.execute(subject.language.lines)
    request = client.send("shutdown_request", {"restart": True}, channel="control")
    reply = client.reply(request)
    heard = other.broadcasts(request)
    status = subject.process.exit_status()
    subject.stop()
    return Ended(last, request, reply, status, [it.state for it in heard if it.state])


def test_a_kernel_is_told_to_end_before_a_restart(ended: Ended) -> None:
    """shutdown_reply: 'restart': False if final shutdown, or True if shutdown precedes a
    restart.
    """
    assert ended.reply.kind == "shutdown_reply"
    assert ended.reply.content == {"status": "ok", "restart": True}
    assert ended.reply.parent_header == ended.request.header


def test_a_kernel_that_was_told_to_end_ends(ended: Ended) -> None:
    """Once the client receives the reply message, it can assume that the kernel has completed
    shutdown safely.
    """
    assert ended.exit_status == 0


def test_what_was_printed_before_the_end_has_arrived(ended: Ended) -> None:
    """The kernel has completed shutdown safely."""
    assert ended.last.text().endswith("\n99999\n100000\n")


def test_other_clients_see_the_end(ended: Ended) -> None:
    """Busy and idle messages should be sent before/after handling every request; IOPub makes
    information about one client's communications available to all clients.
    """
    assert ended.states == ["busy", "idle"]


@pytest.mark.parametrize("channel", ["control", "shell"])
def test_a_kernel_ends_for_good(start: Start, channel: str) -> None:
    """'restart': False if final shutdown. Sending a shutdown_request on the shell channel is
    deprecated, and not removed.
    """
    subject = start()
    client = subject.connect()
    sent = client.send("shutdown_request", {"restart": False}, channel=channel)
    assert client.reply(sent).content == {"status": "ok", "restart": False}
    assert subject.process.exit_status() == 0


@ipykernel_fails("it waits for the end of the cell")
def test_a_busy_kernel_ends_when_told(start: Start, language: Language) -> None:
    """Shutdown or debug messages can be processed immediately without waiting for a long-running
    shell message to be finished processing.
    """
    subject = start()
    client = subject.connect()
    running = client.start(language.running(language.waiting))
    client.wait_for_text(running, "running")
    sent = client.send("shutdown_request", {"restart": False}, channel="control")
    assert client.reply(sent).content == {"status": "ok", "restart": False}
    subject.process.exit_status(SOON_S)

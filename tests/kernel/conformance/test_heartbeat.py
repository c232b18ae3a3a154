"""The heartbeat sends back what it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kernel.conformance.client import Client
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Connect, Start

BEATS = {
    "ping": b"ping",
    "nothing": b"",
    "every byte": bytes(range(256)),
    "a delimiter": b"<IDS|MSG>",
    "many bytes": b"\x00\xff" * 2000,
}


@pytest.mark.parametrize("name", BEATS)
def test_a_beat_comes_back(client: Client, name: str) -> None:
    """Clients send ping messages on a REQ socket, which are echoed right back from the Kernel's
    REP socket. These are simple bytestrings.
    """
    assert client.beat(BEATS[name]) == [BEATS[name]]


def test_beats_come_back_in_their_order(client: Client) -> None:
    """As above: each is echoed right back."""
    sent = [b"%d" % number for number in range(100)]
    assert [client.beat(it) for it in sent] == [[it] for it in sent]


def test_every_client_has_its_own_heartbeat(client: Client, connect: Connect) -> None:
    """A single kernel can be simultaneously connected to one or more frontends."""
    other = connect()
    for number in range(10):
        assert client.beat(b"a%d" % number) == [b"a%d" % number]
        assert other.beat(b"b%d" % number) == [b"b%d" % number]


def test_the_heart_beats_while_a_cell_runs(client: Client, language: Language) -> None:
    """The frontend uses this to check that the kernel is still alive: messages should be echoed
    back immediately.
    """
    running = client.start(language.running(language.endless))
    client.wait_for_text(running, "running")
    assert client.beat(b"alive?") == [b"alive?"]
    client.ask("interrupt_request", channel="control")
    assert client.complete(running).content["status"] == "error"


def test_the_heart_beats_before_anything_was_asked(start: Start) -> None:
    """After binding to the sockets, the kernel should go into an event loop, listening on the hb
    (heartbeat), control and shell sockets.
    """
    client = start().connect(topic=b"")
    assert client.beat(b"alive?") == [b"alive?"]
    assert client.ask("kernel_info_request").content["status"] == "ok"

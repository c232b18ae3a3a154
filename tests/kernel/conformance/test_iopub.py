"""The broadcast socket: topics, subscriptions, and who hears what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel.conformance import tour
from kernel.conformance.marks import LOSES_WELCOMES, ipykernel_fails
from kernel.conformance.subject import SUBJECTS, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel.conformance.client import Client
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Connect
    from kernel.conformance.wire import Message


@pytest.fixture(scope="session")
def first(named: str) -> Iterator[Client]:
    """The first client of a new kernel."""
    started = Subject(*SUBJECTS[named])
    yield started.connect()
    started.stop()


def welcome(client: Client, subscription: str) -> Message:
    return client.wait_for(
        lambda it: it.kind == "iopub_welcome" and it.content["subscription"] == subscription
    )


def welcomes(client: Client) -> list[Message]:
    return [it for it in client.heard if it.kind == "iopub_welcome"]


def outputs(client: Client, language: Language) -> list[Message]:
    """What a tour of the protocol broadcasts, without the welcomes."""
    tour.whole(client, language)
    return [it for it in client.heard if it.kind != "iopub_welcome"]


def test_a_broadcast_has_one_topic(client: Client, language: Language) -> None:
    """In the case of IOPub, there should be just one prefix component, which is the topic for
    IOPub subscribers.
    """
    assert {len(it.identities) for it in outputs(client, language)} == {1}


def test_a_topic_is_text(client: Client, language: Language) -> None:
    """e.g. `execute_result`, `display_data`; the convention is to use the msg_type as the topic,
    and possibly extra information.
    """
    for it in outputs(client, language):
        assert it.identities[0].decode().isprintable()


@LOSES_WELCOMES
def test_the_first_subscriber_is_welcomed(first: Client) -> None:
    """When the IOPub XPUB socket receives an event indicating a new subscription, it shall send an
    `iopub_welcome` message (JEP 65).
    """
    assert [it.content for it in welcomes(first)] == [{"subscription": ""}]


@ipykernel_fails("of those that subscribe to the same, only the first is welcomed")
def test_every_later_subscriber_is_welcomed(client: Client, connect: Connect) -> None:
    """This message is sent to a client SUB socket the first time it connects to the XPUB kernel
    socket, to notify the client that the connection is established.
    """
    assert client.ask("kernel_info_request").content["status"] == "ok"
    for _ in range(5):
        # The client is ready, so a welcome would be here.
        assert len(welcomes(connect())) == 1


@ipykernel_fails("the welcome to everything has no topic, not an empty one")
def test_a_welcome_to_everything_has_an_empty_topic(first: Client) -> None:
    """identity_prefix: ["subscription-topic"]. Can be empty string if the client has subscribed to
    all topics.
    """
    assert [it.identities for it in welcomes(first)] == [(b"",)]


@LOSES_WELCOMES
def test_a_welcome_has_no_parent(connect: Connect) -> None:
    """This message has no parent header; if there is no parent, an empty dict should be used."""
    assert welcome(connect(topic=b"orphan"), "orphan").parent_header == {}


@LOSES_WELCOMES
@pytest.mark.parametrize("topic", ["a topic", "ä😀", "kernel.x.status"])
def test_a_welcome_names_the_subscription_and_has_it_as_its_topic(
    connect: Connect, topic: str
) -> None:
    """It shall send an `iopub_welcome` message with no parent header and the received subscription
    in the `subscription` field, with the given subscription topic.
    """
    found = welcome(connect(topic=topic.encode()), topic)
    assert found.identities == (topic.encode(),)
    assert found.content == {"subscription": topic}


@LOSES_WELCOMES
def test_a_subscriber_is_welcomed_while_a_cell_runs(
    client: Client, connect: Connect, language: Language
) -> None:
    """The welcome tells that the subscription is established; a client that connects late needs it
    most.
    """
    running = client.start(language.running(language.endless))
    client.wait_for_text(running, "running")
    assert welcome(connect(topic=b"late"), "late").parent_header == {}
    client.ask("interrupt_request", channel="control")
    client.complete(running)


@LOSES_WELCOMES
def test_a_second_subscription_is_welcomed_too(client: Client) -> None:
    """Receiving a subscription event: subscribe (single frame messages with \\1{topic})."""
    client.subscribe(b"another")
    assert welcome(client, "another").identities == (b"another",)


@LOSES_WELCOMES
def test_a_subscription_that_is_no_text_is_not_welcomed(client: Client, connect: Connect) -> None:
    """Subscriptions shall be UTF-8 encoded. Non-utf8 subscriptions shall be ignored, and not
    produce a welcome message.
    """
    stranger = connect(topic=b"\xff\xfe")
    stranger.subscribe(b"fence")
    welcome(stranger, "fence")
    assert [it.content["subscription"] for it in stranger.heard] == ["fence"]
    assert client.ask("kernel_info_request").content["status"] == "ok"


def test_an_unsubscription_is_ignored(client: Client, connect: Connect) -> None:
    """Unsubscribe events are ignored."""
    other = connect()
    other.subscribe(b"a")
    other.unsubscribe(b"a")
    other.unsubscribe(b"never subscribed")
    other.close()
    assert client.ask("kernel_info_request").content["status"] == "ok"


@LOSES_WELCOMES
def test_a_subscriber_hears_its_topic_and_no_other(
    client: Client, connect: Connect, language: Language
) -> None:
    """The topic is for IOPub subscribers, who get what begins with what they subscribed to."""
    found = client.execute(f"{language.prints('a')}\n{language.display}")
    topic = found.one("display_data").identities[0]
    other = connect(topic=topic)
    welcome(other, topic.decode())
    again = client.execute(f"{language.prints('a')}\n{language.display}")
    heard = other.wait_for(lambda it: it.parent_id == again.request.id)
    assert heard.kind == "display_data"
    assert {it.identities[0] for it in other.heard} == {topic}


def test_all_clients_hear_what_one_of_them_runs(
    client: Client, connect: Connect, language: Language
) -> None:
    """We want all frontends to be able to know what each other has sent to the kernel."""
    others = [connect() for _ in range(3)]
    found = client.execute(language.prints("a") + "\n" + language.value)
    for it in others:
        heard = it.broadcasts(found.request)
        assert [one.header for one in heard] == [one.header for one in found.broadcasts]
        assert [one.content for one in heard] == [one.content for one in found.broadcasts]
        assert heard[0].parent_header["session"] == client.session


@ipykernel_fails("a subscription may come later than that", always=False)
def test_a_kernel_starts_once(first: Client, language: Language) -> None:
    """The kernel will publish state 'starting' exactly once at process startup."""
    tour.whole(first, language)
    starting = [it for it in first.heard if it.state == "starting"]
    assert [it.parent_header for it in starting] == [{}]


def test_what_was_sent_before_a_client_came_is_not_sent_to_it(
    client: Client, connect: Connect, language: Language
) -> None:
    """A broadcast channel has no past: history is asked for with history_request."""
    found = client.execute(language.prints("long ago"))
    late = connect()
    late.fence()
    assert found.request.id not in {it.parent_id for it in late.heard}

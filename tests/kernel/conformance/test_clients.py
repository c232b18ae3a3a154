"""Several clients at once: replies and questions go to the one that asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.conformance.client import Client

if TYPE_CHECKING:
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Connect, Start, Subject


def test_a_reply_goes_to_the_client_that_asked(client: Client, connect: Connect) -> None:
    """The communication on this socket is a sequence of request/reply actions from each frontend
    and the kernel.
    """
    others = [connect() for _ in range(4)]
    everybody = [client, *others]
    sent = [(it, it.send("kernel_info_request")) for it in everybody for _ in range(5)]
    for it, request in sent:
        assert it.reply(request).parent_header["session"] == it.session
    assert [it.arrived() for it in everybody] == [[]] * 5


def test_a_reply_on_control_goes_to_the_client_that_asked(client: Client, connect: Connect) -> None:
    """This channel is identical to Shell, but operates on a separate socket."""
    everybody = [client, connect(), connect()]
    sent = [(it, it.send("kernel_info_request", channel="control")) for it in everybody]
    for it, request in sent:
        assert it.reply(request).parent_id == request.id
    assert [it.arrived("control") for it in everybody] == [[]] * 3


def test_cells_of_several_clients_run_one_after_the_other(
    client: Client, connect: Connect, language: Language
) -> None:
    """All messages are tagged with enough information for clients to know which messages come from
    their own interaction with the kernel.
    """
    everybody = [client, *(connect() for _ in range(7))]
    sent = [
        (it, it.start(language.prints(f"{it.session} {number}")), number)
        for number in range(5)
        for it in everybody
    ]
    for it, request, number in sent:
        assert it.complete(request).text() == f"{it.session} {number}\n"


def test_clients_share_one_namespace_and_one_count(
    client: Client, connect: Connect, language: Language
) -> None:
    """The kernel should have a single, monotonically increasing counter of all execution requests
    that are made with `store_history=True`.
    """
    other = connect()
    first = client.execute("shared = 1")
    second = other.execute(language.prints_global("shared"))
    assert second.text() == "1\n"
    assert second.count == first.count + 1


def test_a_client_without_a_name_gets_its_replies(subject: Subject) -> None:
    """The ZeroMQ routing prefix can be zero or more socket identities: a socket that has none gets
    one from the ROUTER.
    """
    for _ in range(2):
        client = Client(subject.connection, identity=b"")
        client.wait_until_ready()
        assert client.ask("kernel_info_request").content["status"] == "ok"
        client.close()


def test_a_client_that_comes_back_gets_its_replies(subject: Subject, language: Language) -> None:
    """When a client reconnects to a kernel, it should use the same client session ID."""
    for number in range(3):
        client = Client(subject.connection, identity=b"the same")
        client.wait_until_ready()
        assert client.execute(language.prints(str(number))).text() == f"{number}\n"
        client.close()


def test_the_kernel_goes_on_when_a_client_leaves(
    client: Client, connect: Connect, language: Language
) -> None:
    """A single kernel can be simultaneously connected to one or more frontends."""
    leaver = connect()
    running = leaver.start(language.until_stop)
    client.wait_for_text(running, "running")
    leaver.close()
    client.ask("interrupt_request", channel="control")
    assert client.broadcasts(running)[-1].state == "idle"
    assert client.execute(language.value).shown == language.value_shown


def test_a_client_learns_of_a_restart_by_the_session(start: Start) -> None:
    """If a kernel is restarted, the kernel session ID should be regenerated. If messages have the
    same kernel session ID, the client reconnected to the same process.
    """

    def sessions(kernel: Subject) -> set[str]:
        asked = [kernel.connect().ask("kernel_info_request") for _ in range(2)]
        return {it.reply.header["session"] for it in asked}

    first = start()
    before = sessions(first)
    assert first.end() == 0
    after = sessions(start(beside=first))
    assert (len(before), len(after)) == (1, 1)
    assert before != after

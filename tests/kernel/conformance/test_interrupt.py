"""Interrupts, by message and by signal."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from kernel.conformance.client import Client, Exchange, Request
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Subject


def interrupt(client: Client) -> Exchange:
    return client.ask("interrupt_request", channel="control")


def running(client: Client, language: Language, code: str, **options: object) -> Request:
    """A cell that has begun."""
    request = client.start(language.running(code), **options)
    client.wait_for_text(request, "running")
    return request


def test_an_interrupt_is_answered(client: Client, language: Language) -> None:
    """'status': 'ok' if the request succeeded."""
    cell = running(client, language, language.endless)
    found = interrupt(client)
    assert found.reply.kind == "interrupt_reply"
    assert found.content == {"status": "ok"}
    assert found.outline == ["busy", "idle"]
    client.complete(cell)


@pytest.mark.parametrize("kind", ["endless", "waiting"])
def test_an_interrupted_cell_ends_with_an_error(
    client: Client, language: Language, kind: str
) -> None:
    """An interruption will then result in the following message on the `control` channel:
    interrupt_request. The request failed due to an error: ename, evalue, traceback.
    """
    cell = running(client, language, getattr(language, kind))
    interrupt(client)
    found = client.complete(cell)
    assert found.content["status"] == "error"
    assert found.content["ename"] == "KeyboardInterrupt"
    assert isinstance(found.content["traceback"], list)
    assert found.outline == ["busy", "execute_input", "stdout: running\n", "error", "idle"]
    assert found.one("error").content["ename"] == found.content["ename"]


def test_an_interrupt_keeps_the_state(client: Client, language: Language) -> None:
    """An interrupt stops the execution of a cell; shutdown_request ends the kernel."""
    client.execute("kept = 7")
    cell = running(client, language, language.endless)
    interrupt(client)
    client.complete(cell)
    assert client.execute("kept").shown == "7"


def test_an_interrupted_cell_keeps_what_it_did(client: Client, language: Language) -> None:
    """As above: what the cell did before is done."""
    client.execute("done = 0")
    cell = client.start(f"done = 7\n{language.running(language.endless)}")
    client.wait_for_text(cell, "running")
    interrupt(client)
    assert client.complete(cell).content["status"] == "error"
    assert client.execute("done").shown == "7"


def test_an_interrupt_of_nothing_harms_nobody(client: Client, language: Language) -> None:
    """A client may interrupt at any time."""
    for _ in range(5):
        assert interrupt(client).content["status"] == "ok"
        assert client.execute(language.value).shown == language.value_shown


def test_a_kernel_is_interrupted_again_and_again(client: Client, language: Language) -> None:
    """As above, five times."""
    for _ in range(5):
        cell = running(client, language, language.endless)
        interrupt(client)
        assert client.complete(cell).content["status"] == "error"
    assert client.execute(language.value).shown == language.value_shown


def test_an_interrupt_ends_the_queue(client: Client, language: Language) -> None:
    """stop_on_error: aborts the execution queue if an exception is encountered."""
    client.execute("ran = 0")
    cell = running(client, language, language.endless)
    waiting = [client.start("ran = ran + 1") for _ in range(2)]
    # Control does not wait for shell.
    client.settle()
    interrupt(client)
    states = [client.complete(it).content["status"] for it in (cell, *waiting)]
    assert states[0] == "error"
    assert "ok" not in states
    assert client.execute("ran").shown == "0"


def test_an_interrupt_ends_no_queue_when_told_so(client: Client, language: Language) -> None:
    """If False, queued execute_requests will execute even if this request generates an
    exception.
    """
    cell = running(client, language, language.endless, stop_on_error=False)
    waiting = client.start(language.value)
    interrupt(client)
    assert client.complete(cell).content["status"] == "error"
    assert client.complete(waiting).shown == language.value_shown


def test_an_interrupt_ends_an_expression(client: Client, language: Language) -> None:
    """Any error in evaluating any expression in `user_expressions` will result in only that key
    containing a standard error message.
    """
    expressions = {"endless": language.endless_expression}
    for _ in range(5):
        cell = client.start(language.prints("running"), user_expressions=expressions)
        client.wait_for_text(cell, "running")
        interrupt(client)
        content = client.complete(cell).content
        # An interrupt that comes before the expression is one of the cell.
        told = content["user_expressions"]["endless"] if content["status"] == "ok" else content
        assert (told["status"], told["ename"]) == ("error", "KeyboardInterrupt")
    assert client.execute(language.value).shown == language.value_shown


def test_a_client_may_interrupt_the_cell_of_another(
    subject: Subject, client: Client, language: Language
) -> None:
    """Kernel interrupt messages are handled at the kernel (process) level (JEP 91)."""
    other = subject.connect()
    cell = running(client, language, language.endless)
    interrupt(other)
    assert client.complete(cell).content["status"] == "error"


@pytest.mark.parametrize("kind", ["endless", "waiting"])
def test_a_signal_interrupts(
    subject: Subject, client: Client, language: Language, kind: str
) -> None:
    """interrupt_mode: either by sending an interrupt `signal` via the operating system's signalling
    facilities (e.g. `SIGINT` on POSIX systems), or by sending an `interrupt_request` message.
    """
    cell = running(client, language, getattr(language, kind))
    subject.process.send_signal(signal.SIGINT)
    assert client.complete(cell).content["status"] == "error"
    assert client.execute(language.value).shown == language.value_shown


def test_a_signal_does_not_end_an_idle_kernel(
    subject: Subject, client: Client, language: Language
) -> None:
    """An interrupt interrupts cell execution on this kernel."""
    subject.process.send_signal(signal.SIGINT)
    client.ask("kernel_info_request", channel="control")
    assert client.execute(language.value).shown == language.value_shown
    assert subject.process.is_alive()

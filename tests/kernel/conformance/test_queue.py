"""Requests that wait for one another: their order, and what an error does to those behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.conformance.marks import ipykernel_fails

if TYPE_CHECKING:
    from kernel.conformance.client import Client, Exchange
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Connect


def test_cells_are_answered_in_their_order(client: Client, language: Language) -> None:
    """The communication on this socket is a sequence of request/reply actions from each frontend
    and the kernel.
    """
    sent = [client.start(language.prints(str(number))) for number in range(50)]
    assert [client.next().parent_id for _ in sent] == [it.id for it in sent]


def test_cells_do_not_mix(client: Client, language: Language) -> None:
    """The outputs associated with a given execution shall generally arrive between the busy and
    idle status messages associated with a given request.
    """
    before = len(client.heard)
    sent = [client.start(language.prints(str(number))) for number in range(50)]
    for number, it in enumerate(sent):
        assert client.complete(it).outline == [
            "busy",
            "execute_input",
            f"stdout: {number}\n",
            "idle",
        ]
    order = {it.id: number for number, it in enumerate(sent)}
    places = [order[it.parent_id or ""] for it in client.heard[before:]]
    assert places == sorted(places)


def test_counts_follow_the_order(client: Client, language: Language) -> None:
    """A single, monotonically increasing counter; also in execute_input."""
    first = client.execute("x = 1").count
    sent = [client.start(language.value) for _ in range(20)]
    found = [client.complete(it) for it in sent]
    assert [it.count for it in found] == list(range(first + 1, first + 21))
    inputs = [it.one("execute_input").content["execution_count"] for it in found]
    assert inputs == [it.count for it in found]


def test_a_client_need_not_wait_for_a_reply(client: Client, language: Language) -> None:
    """Requests of every kind may wait in the socket; each gets its reply."""
    kinds = ("kernel_info_request", "comm_info_request")
    sent = [client.send(kinds[number % 2]) for number in range(20)]
    sent += [client.start(language.value) for _ in range(5)]
    assert {client.next().parent_id for _ in sent} == {it.id for it in sent}
    assert client.arrived() == []


def queue(client: Client, language: Language, *codes: str, **options: object) -> list[Exchange]:
    """Runs a cell that fails and cells that are there when it does."""
    failing = client.start(f"{language.ask}\n{language.error}", allow_stdin=True, **options)
    question = client.next("stdin")
    waiting = [client.start(it) for it in codes]
    client.settle()
    client.send("input_reply", {"value": "go"}, channel="stdin", parent=question.header)
    return [client.complete(it) for it in (failing, *waiting)]


def test_an_error_ends_the_queue(client: Client, language: Language) -> None:
    """stop_on_error: if True, aborts the execution queue if an exception is encountered."""
    client.execute("ran = 0")
    found = queue(client, language, "ran = ran + 1", "ran = ran + 1")
    # 'aborted' is deprecated: kernels should send 'error' instead.
    assert [it.content["status"] == "ok" for it in found] == [False] * 3
    assert client.execute("ran").shown == "0"


def test_an_aborted_cell_has_its_busy_and_idle_and_nothing_else(
    client: Client, language: Language
) -> None:
    """Busy and idle messages should be sent before/after handling every request."""
    _, aborted = queue(client, language, language.prints("never"))
    assert aborted.outline == ["busy", "idle"]


@ipykernel_fails("the reply of an aborted cell has no execution_count")
def test_an_aborted_cell_tells_the_count(client: Client, language: Language) -> None:
    """As a special case, `execute_reply` messages have an `execution_count` field regardless of
    their status.
    """
    failed, aborted = queue(client, language, "x = 1")
    assert aborted.content.get("execution_count") == failed.count


def test_an_aborted_cell_tells_no_more_than_its_status(client: Client, language: Language) -> None:
    """status='aborted' is the same as 'error' but with no information about the error. No fields
    should be present other that `status`.
    """
    _, aborted = queue(client, language, "x = 1")
    if aborted.content["status"] == "aborted":
        assert set(aborted.content) <= {"status", "execution_count"}
    else:
        assert {"ename", "evalue", "traceback"} <= set(aborted.content)


def test_an_aborted_cell_does_not_count(client: Client, language: Language) -> None:
    """The counter is that of requests that store history, and an aborted one stores nothing."""
    failed, *_ = queue(client, language, "x = 1", "x = 2")
    assert client.execute("x = 1").count == failed.count + 1


def test_an_error_ends_no_queue_when_told_so(client: Client, language: Language) -> None:
    """If False, queued execute_requests will execute even if this request generates an
    exception.
    """
    sent = [
        client.start(language.error, stop_on_error=False),
        client.start(language.value),
        client.start(language.error, stop_on_error=False),
        client.start(language.value),
    ]
    states = [client.complete(it).content["status"] for it in sent]
    assert states == ["error", "ok", "error", "ok"]


def test_a_cell_that_is_sent_after_an_error_runs(client: Client, language: Language) -> None:
    """It aborts the execution queue: what came later is not of it."""
    for _ in range(5):
        assert client.execute(language.error).content["status"] == "error"
        assert client.execute(language.value).shown == language.value_shown


def test_an_error_aborts_cells_only(client: Client, language: Language) -> None:
    """It aborts the *execution* queue: queued execute_requests."""
    failing = client.start(language.error)
    others = [client.send(it) for it in ("kernel_info_request", "comm_info_request")]
    assert client.complete(failing).content["status"] == "error"
    assert [client.complete(it).content["status"] for it in others] == ["ok", "ok"]


@ipykernel_fails("a silent cell that fails does not end the queue")
def test_a_silent_error_ends_the_queue(client: Client, language: Language) -> None:
    """stop_on_error: aborts the execution queue if an exception is encountered."""
    failed, waiting = queue(client, language, language.value, silent=True)
    assert failed.content["status"] == "error"
    assert waiting.content["status"] != "ok"


def test_nothing_is_lost_between_two_clients(
    client: Client, connect: Connect, language: Language
) -> None:
    """Each frontend has its own sequence of request/reply actions."""
    other = connect()
    mine = [client.start("x = 1") for _ in range(30)]
    theirs = [other.start(language.prints("other")) for _ in range(30)]
    assert [client.next().parent_id for _ in mine] == [it.id for it in mine]
    assert [other.next().parent_id for _ in theirs] == [it.id for it in theirs]

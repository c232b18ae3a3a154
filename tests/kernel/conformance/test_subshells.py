"""Subshells (JEP 91), for kernels with the feature `kernel subshells`."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest

from kernel.conformance.marks import ipykernel_fails

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from kernel.conformance.client import Client, Exchange, Request
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Connect

FEATURE = "kernel subshells"


@pytest.fixture
def create(client: Client) -> Iterator[Callable[[], str]]:
    """Makes subshells, and deletes them behind the test."""
    if FEATURE not in client.ask("kernel_info_request").content["supported_features"]:
        pytest.skip("the kernel has no subshells")
    made: list[str] = []

    def make() -> str:
        content = control(client, "create_subshell_request").content
        assert content["status"] == "ok"
        made.append(content["subshell_id"])
        return made[-1]

    yield make
    for it in set(made) & set(listed(client)):
        control(client, "delete_subshell_request", subshell_id=it)


@pytest.fixture
def busy(client: Client, language: Language, create: Callable[[], str]) -> Iterator[Request]:
    """A cell that runs in the main shell for as long as the test, and lets others run."""
    assert create is not None
    running = client.start(language.until_stop)
    client.wait_for_text(running, "running")
    yield running
    client.ask("interrupt_request", channel="control")
    client.broadcasts(running)


def control(client: Client, kind: str, **content: Any) -> Exchange:  # noqa: ANN401
    return client.ask(kind, content, channel="control")


def listed(client: Client) -> list[str]:
    found = control(client, "list_subshell_request").content
    assert found["status"] == "ok"
    names: list[str] = found["subshell_id"]
    return names


def inside(subshell: str | None) -> dict[str, Any]:
    return {"subshell_id": subshell}


def test_a_subshell_has_a_name(create: Callable[[], str]) -> None:
    """The ID of the subshell, unique within the kernel: str."""
    made = [create() for _ in range(3)]
    assert [type(it) for it in made] == [str] * 3
    assert all(made)
    assert len(set(made)) == 3


def test_subshells_are_listed(client: Client, create: Callable[[], str]) -> None:
    """A list of subshell IDs. The parent subshell is not included in the returned list."""
    assert listed(client) == []
    made = [create() for _ in range(2)]
    assert sorted(listed(client)) == sorted(made)


def test_a_deleted_subshell_is_not_listed(client: Client, create: Callable[[], str]) -> None:
    """This deletes a subshell identified by its unique ID."""
    first, second = create(), create()
    content = control(client, "delete_subshell_request", subshell_id=first).content
    assert content == {"status": "ok"}
    assert listed(client) == [second]


def test_a_subshell_that_is_not_there_cannot_be_deleted(
    client: Client, create: Callable[[], str]
) -> None:
    """'ok' if the request succeeded or 'error', with error information as in all other replies."""
    create()
    content = control(client, "delete_subshell_request", subshell_id="not there").content
    assert content["status"] == "error"


@ipykernel_fails("the error has a value and no name")
def test_the_error_of_a_subshell_that_is_not_there_has_its_fields(
    client: Client, create: Callable[[], str]
) -> None:
    """'ok' if the request succeeded or 'error', with error information as in all other replies."""
    create()
    content = control(client, "delete_subshell_request", subshell_id="not there").content
    assert {"ename", "evalue", "traceback"} <= set(content)


def test_requests_for_subshells_have_their_busy_and_idle(
    client: Client, create: Callable[[], str]
) -> None:
    """Busy and idle messages should be sent before/after handling every request."""
    made = create()
    found = [
        control(client, "create_subshell_request"),
        control(client, "list_subshell_request"),
        control(client, "delete_subshell_request", subshell_id=made),
    ]
    assert [it.outline for it in found] == [["busy", "idle"]] * 3
    control(client, "delete_subshell_request", subshell_id=found[0].content["subshell_id"])


def test_a_cell_runs_in_a_subshell(
    client: Client, language: Language, create: Callable[[], str]
) -> None:
    """If it is a string subshell ID then it is handled by the subshell with that ID."""
    code = f"{language.prints('inside')}\n{language.value}"
    found = client.execute(code, header=inside(create()))
    assert found.outline == ["busy", "execute_input", "stdout: inside\n", "execute_result", "idle"]
    assert found.shown == language.value_shown


def test_the_parent_header_names_the_subshell(
    client: Client, language: Language, create: Callable[[], str]
) -> None:
    """IOPub messages do not need an extra `subshell_id` field as this information is available in
    the parent header.
    """
    found = client.execute(language.prints("a"), header=inside(create()))
    assert [it.parent_header for it in found.messages] == [found.request.header] * 5


def test_a_subshell_shares_the_namespace(client: Client, create: Callable[[], str]) -> None:
    """It will be possible for other threads to do something useful within the same process
    namespace.
    """
    made = create()
    client.execute("shared = 20")
    client.execute("shared = shared + 22", header=inside(made))
    assert client.execute("shared").shown == "42"


def test_a_subshell_answers_while_the_main_shell_is_busy(
    client: Client, language: Language, busy: Request, create: Callable[[], str]
) -> None:
    """A subshell request may be processed concurrently with other subshells."""
    found = client.execute(language.value, header=inside(create()))
    assert found.shown == language.value_shown
    assert not any(it.parent_id == busy.id and it.state == "idle" for it in client.heard)


def test_a_subshell_sees_how_far_the_main_shell_is(
    client: Client, language: Language, busy: Request, create: Callable[[], str]
) -> None:
    """Inspect the kernel's state to check the progress of a long-running computation."""
    made = create()
    ticks = [int(client.execute("ticks", header=inside(made)).shown) for _ in range(20)]
    assert ticks == sorted(ticks)
    client.execute(language.stop, header=inside(made))
    assert client.reply(busy).content["status"] == "ok"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("complete_request", {"code": "pri", "cursor_pos": 3}),
        ("inspect_request", {"code": "print", "cursor_pos": 5, "detail_level": 0}),
        ("comm_info_request", {}),
        ("kernel_info_request", {}),
        ("is_complete_request", {"code": "1 + 1"}),
    ],
)
def test_requests_are_answered_in_a_subshell_while_the_main_shell_is_busy(
    client: Client,
    busy: Request,
    create: Callable[[], str],
    kind: str,
    content: dict[str, Any],
) -> None:
    """Users have been asking for ways to interact with a kernel while it is busy: request
    completion or introspection, process Comm messages immediately.
    """
    found = client.ask(kind, content, header=inside(create()))
    assert found.content["status"] in {"ok", "complete"}
    assert found.reply.parent_header == found.request.header
    assert not any(it.parent_id == busy.id and it.state == "idle" for it in client.heard)


def test_cells_of_one_subshell_run_one_after_the_other(
    client: Client, language: Language, create: Callable[[], str]
) -> None:
    """Within an individual subshell, requests are processed sequentially."""
    made = create()
    sent = [client.start(language.prints(str(n)), header=inside(made)) for n in range(20)]
    ids = [it.id for it in sent]
    assert [client.next().parent_id for _ in sent] == ids
    assert [client.broadcasts(it)[-1].state for it in sent] == ["idle"] * len(sent)
    printed = (it.parent_id for it in client.heard if it.kind == "stream")
    # A text may come in pieces.
    assert [parent for parent, _ in groupby(printed)] == ids


def test_two_subshells_do_not_wait_for_each_other(
    client: Client, language: Language, create: Callable[[], str]
) -> None:
    """A subshell request may be processed concurrently with other subshells."""
    first, second = create(), create()
    running = client.start(language.until_stop, header=inside(first))
    client.wait_for_text(running, "running")
    assert client.execute(language.value, header=inside(second)).shown == language.value_shown
    assert client.execute(language.value).shown == language.value_shown
    client.execute(language.stop, header=inside(second))
    assert client.complete(running).content["status"] == "ok"


def test_an_error_ends_the_queue_of_its_subshell_only(
    client: Client, language: Language, create: Callable[[], str]
) -> None:
    """stop_on_error aborts the execution queue; within an individual subshell, requests are
    processed sequentially, and others have a queue of their own.
    """
    first, second = create(), create()
    failing = f"{language.ask}\n{language.error}"
    sent = [client.start(failing, allow_stdin=True, header=inside(first))]
    question = client.next("stdin")
    sent += [client.start("x = 1", header=inside(it)) for it in (first, second, None)]
    client.settle()
    client.send("input_reply", {"value": "go"}, channel="stdin", parent=question.header)
    states = [client.complete(it).content["status"] == "ok" for it in sent]
    assert states == [False, False, True, True]


def test_a_request_for_a_subshell_that_is_not_there_is_an_error(
    client: Client, language: Language, create: Callable[[], str]
) -> None:
    """Use of a `subshell_id` that is not recognised will raise an error."""
    create()
    sent = client.start(language.prints("never"), header=inside("not there"))
    assert client.reply(sent).content["status"] == "error"
    client.fence()
    assert not any("never" in it.content.get("text", "") for it in client.heard)


def test_a_request_for_a_deleted_subshell_is_an_error(
    client: Client, language: Language, create: Callable[[], str]
) -> None:
    """As above: it was deleted."""
    made = create()
    client.execute("x = 1", header=inside(made))
    control(client, "delete_subshell_request", subshell_id=made)
    sent = client.start(language.prints("never"), header=inside(made))
    assert client.reply(sent).content["status"] == "error"


def test_no_subshell_is_the_main_shell(
    client: Client, language: Language, create: Callable[[], str]
) -> None:
    """If it is not included or is `None` then the shell message is handled by the parent subshell
    (main shell).
    """
    create()
    first = client.execute(language.value)
    second = client.execute(language.value, header=inside(None))
    assert second.count == first.count + 1


def test_an_interrupt_is_for_the_whole_kernel(
    client: Client, language: Language, busy: Request, create: Callable[[], str]
) -> None:
    """Kernel interrupt messages are handled at the kernel (process) rather than subshell (thread)
    level.
    """
    made = create()
    control(client, "interrupt_request")
    assert client.reply(busy).content["status"] == "error"
    assert client.execute(language.value, header=inside(made)).shown == language.value_shown


def test_a_question_of_a_subshell_is_asked(
    client: Client, language: Language, create: Callable[[], str]
) -> None:
    """It is possible for a subshell to request and receive stdin independently of other
    subshells.
    """
    sent = client.start(language.ask, allow_stdin=True, header=inside(create()))
    question = client.next("stdin")
    assert question.parent_header == sent.header
    client.send("input_reply", {"value": "Ada"}, channel="stdin", parent=question.header)
    assert client.complete(sent).text().endswith("Ada\n")


def test_what_a_subshell_prints_is_its_own(
    client: Client, language: Language, busy: Request, create: Callable[[], str]
) -> None:
    """The `parent_header` is used to route outputs to a cell."""
    made = create()
    for number in range(10):
        found = client.execute(language.prints(f"inside {number}"), header=inside(made))
        assert found.text() == f"inside {number}\n"
    texts = [
        it.content["text"] for it in client.heard if it.parent_id == busy.id and it.kind == "stream"
    ]
    assert "".join(texts) == "running\n"


def test_every_client_may_use_a_subshell(
    client: Client, connect: Connect, language: Language, create: Callable[[], str]
) -> None:
    """A subshell is one of the kernel; any client that names it is answered by it."""
    made = create()
    other = connect()
    assert other.execute(language.value, header=inside(made)).shown == language.value_shown
    assert listed(other) == [made]
    assert client.arrived() == []

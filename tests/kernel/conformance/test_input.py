"""Questions of a cell to the client that runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.conformance import wire
from kernel.conformance.marks import ipykernel_fails

if TYPE_CHECKING:
    from kernel.conformance.client import Client
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Connect
    from kernel.conformance.wire import Dict, Message


def answer(client: Client, question: Message, value: str) -> None:
    client.send("input_reply", {"value": value}, channel="stdin", parent=question.header)


def test_a_question_has_a_prompt_and_an_answer(client: Client, language: Language) -> None:
    """input_request: prompt: the text to show at the prompt, password: is the request for a
    password? input_reply: value: str.
    """
    running = client.start(language.ask, allow_stdin=True)
    question = client.next("stdin")
    assert question.kind == "input_request"
    assert question.content == {"prompt": "Name? ", "password": False}
    answer(client, question, "Ada")
    found = client.complete(running)
    assert found.content["status"] == "ok"
    assert found.text().endswith("Ada\n")


def test_a_question_for_a_secret_says_so(client: Client, language: Language) -> None:
    """If so, the frontend shouldn't echo input."""
    running = client.start(language.ask_secret, allow_stdin=True)
    question = client.next("stdin")
    assert question.content == {"prompt": "Secret? ", "password": True}
    answer(client, question, "hidden")
    assert client.complete(running).text().endswith("hidden\n")


def test_a_question_has_the_parent_of_its_cell(client: Client, language: Language) -> None:
    """The `parent_header` is a copy of the `header` of the message that "caused" the current
    message.
    """
    running = client.start(language.ask, allow_stdin=True)
    question = client.next("stdin")
    assert question.parent_header == running.header
    answer(client, question, "x")
    client.complete(running)


def test_a_question_goes_to_the_client_that_runs_the_cell(
    client: Client, connect: Connect, language: Language
) -> None:
    """The `input_request` must be sent with the same IDENTITY routing prefix as the `execute_reply`
    in order for the frontend to receive the message.
    """
    other = connect()
    for asks, silent in ((client, other), (other, client)):
        running = asks.start(language.ask, allow_stdin=True)
        answer(asks, asks.next("stdin"), "x")
        asks.complete(running)
        assert silent.arrived("stdin") == []


def test_a_question_that_may_not_be_asked_is_an_error(client: Client, language: Language) -> None:
    """If `allow_stdin` is False, the kernel must not send `stdin_request`. It's most likely that
    calls to the 'prompt for input' function should fail immediately in this case.
    """
    for code in (language.ask, language.ask_secret):
        found = client.execute(code, allow_stdin=False)
        assert found.content["status"] == "error"
        assert client.arrived("stdin") == []


def test_questions_are_asked_one_after_the_other(client: Client, language: Language) -> None:
    """Code sends an `input_request` message and waits for a corresponding `input_reply`."""
    running = client.start("\n".join([language.ask] * 3), allow_stdin=True)
    for value in ("one", "two", "three"):
        question = client.next("stdin")
        assert client.arrived("stdin") == []
        answer(client, question, value)
    text = client.complete(running).text()
    assert text.index("one") < text.index("two") < text.index("three")


def test_a_question_goes_back_through_all_hops(client: Client, language: Language) -> None:
    """The `input_request` must be sent with the same IDENTITY routing prefix as the
    `execute_reply`; the prefix can be zero or more socket identities.
    """
    content = {"code": language.ask, "silent": False, "allow_stdin": True}
    hops = [b"first hop", b"\xff\x00"]
    running = client.send("execute_request", content, identities=hops)
    question = client.next("stdin")
    assert list(question.identities) == hops
    told = {"value": "Ada"}
    client.send("input_reply", told, channel="stdin", parent=question.header, identities=hops)
    found = client.complete(running)
    assert list(found.reply.identities) == hops
    assert found.text().endswith("Ada\n")


def test_an_answer_may_be_any_text(client: Client, language: Language) -> None:
    """'value' : str."""
    for value in ("", "ä 😀 𨭎", "a" * 10_000):
        running = client.start(language.ask, allow_stdin=True)
        answer(client, client.next("stdin"), value)
        assert client.complete(running).text().endswith(f"{value}\n")


def test_what_was_printed_is_seen_before_the_question(client: Client, language: Language) -> None:
    """Displays a prompt, blocks until the user presses return: what stands before it is shown."""
    running = client.start(f"{language.prints('before')}\n{language.ask}", allow_stdin=True)
    question = client.next("stdin")
    client.wait_for_text(running, "before\n")
    answer(client, question, "x")
    client.complete(running)


def test_a_cell_is_busy_while_it_asks(client: Client, language: Language) -> None:
    """The kernel may send stdin requests and block waiting for a reply; when it has completed
    processing the request it shall publish idle.
    """
    running = client.start(language.ask, allow_stdin=True)
    question = client.next("stdin")
    client.ask("kernel_info_request", channel="control")
    assert [it.state for it in client.heard if it.parent_id == running.id and it.state] == ["busy"]
    answer(client, question, "x")
    assert client.complete(running).outline[-1] == "idle"


def test_an_interrupt_ends_a_question(client: Client, language: Language) -> None:
    """An interruption: the kernel stops what it does."""
    running = client.start(language.ask, allow_stdin=True)
    client.next("stdin")
    client.ask("interrupt_request", channel="control")
    assert client.complete(running).content["status"] == "error"
    assert client.execute(language.value).shown == language.value_shown


@ipykernel_fails("it takes the answer of any client")
def test_the_answer_of_another_client_is_not_taken(
    client: Client, connect: Connect, language: Language
) -> None:
    """The kernel makes the request, and the single frontend provides the response."""
    other = connect()
    running = client.start(language.ask, allow_stdin=True)
    question = client.next("stdin")
    answer(other, question, "of somebody else")
    # What the other client sent before this has arrived.
    other.ask("kernel_info_request", channel="control")
    answer(client, question, "own")
    assert client.complete(running).text().endswith("own\n")


def test_a_forged_answer_is_not_taken(client: Client, language: Language) -> None:
    """The HMAC signature of the message is used for authentication."""
    running = client.start(language.ask, allow_stdin=True)
    question = client.next("stdin")
    parts: list[Dict] = [
        client.header("input_reply"),
        question.header,
        {},
        {"value": "forged"},
    ]
    client.send_frames(wire.frames("of somebody else", parts), "stdin")
    answer(client, question, "genuine")
    assert client.complete(running).text().endswith("genuine\n")

"""What a cell prints: names, order, completeness, and the cell to which it belongs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.conformance.marks import ipykernel_fails

if TYPE_CHECKING:
    from kernel.conformance.client import Client
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Connect


def test_a_stream_has_a_name_and_a_text(client: Client, language: Language) -> None:
    """The name of the stream is one of 'stdout', 'stderr'; the text is an arbitrary string to be
    written to that stream.
    """
    found = client.execute(f"{language.prints('a')}\n{language.warns('b')}")
    contents = [it.content for it in found.all("stream")]
    assert {"name": "stdout", "text": "a\n"} in contents
    assert {"name": "stderr", "text": "b"} in contents
    assert len(contents) == 2


def test_texts_of_a_stream_keep_their_order(client: Client, language: Language) -> None:
    """The text is to be written to that stream."""
    code = "\n".join(language.prints(str(number)) for number in range(200))
    assert client.execute(code).text() == "".join(f"{number}\n" for number in range(200))


def test_a_text_stands_on_its_side_of_a_display(client: Client, language: Language) -> None:
    """IOPub is where the kernel publishes all side effects, one after the other."""
    parts = [language.prints("1"), language.display, language.prints("2"), language.display]
    code = "\n".join([*parts, language.warns("3"), language.display])
    assert client.execute(code).outline[2:-1] == [
        "stdout: 1\n",
        "display_data",
        "stdout: 2\n",
        "display_data",
        "stderr: 3",
        "display_data",
    ]


def test_many_lines_are_complete_before_the_idle(client: Client, language: Language) -> None:
    """This idle status message indicates that IOPub messages associated with a given request have
    all been received.
    """
    found = client.execute(language.lines)
    assert found.text() == "".join(f"{number}\n" for number in range(1, 100_001))
    assert client.late(found.request) == []


def test_a_large_text_is_complete_before_the_idle(client: Client, language: Language) -> None:
    """As above, in one piece."""
    found = client.execute(language.large)
    assert found.text() == "x" * 5_000_000
    assert client.late(found.request) == []


def test_a_text_without_an_end_of_line_is_complete(client: Client, language: Language) -> None:
    """The text is an arbitrary string."""
    found = client.execute("\n".join([language.warns("a"), language.warns("b"), "x = 1"]))
    assert found.text("stderr") == "ab"


def test_controls_and_every_plane_come_as_they_are(client: Client, language: Language) -> None:
    """The text is an arbitrary string."""
    text = "\tä\r\b\x1b[31m😀\x7f\u2028𨭎"
    assert client.execute(language.prints(text)).text() == text + "\n"


@ipykernel_fails("it sends bytes that are no UTF-8")
def test_text_that_is_no_unicode_is_sent_as_json(client: Client, language: Language) -> None:
    """Values are reasonably representable in JSON."""
    text = client.execute(language.not_unicode).text()
    assert text[0] == "a"
    assert text[-2:] == "b\n"


def test_a_text_is_seen_while_its_cell_runs(client: Client, language: Language) -> None:
    """The kernel publishes all side effects; a running cell is followed by what it prints."""
    running = client.start(language.until_stop)
    client.wait_for_text(running, "running\n")
    assert not any(it.state == "idle" for it in client.heard if it.parent_id == running.id)
    client.ask("interrupt_request", channel="control")
    client.complete(running)


def test_a_text_belongs_to_the_cell_that_printed_it(client: Client, language: Language) -> None:
    """When a message is a side-effect, the parent_header is a copy of the header of the message
    that "caused" the current message. This parent is used to route outputs to a cell.
    """
    sent = [client.start(language.prints(f"{number}")) for number in range(20)]
    for number, it in enumerate(sent):
        assert client.complete(it).text() == f"{number}\n"


@ipykernel_fails("what a thread prints goes to the newest cell")
def test_a_text_belongs_to_its_cell_when_that_ended(client: Client, language: Language) -> None:
    """Asynchronous output may be produced after the kernel has sent the idle status message; the
    parent is the message that "caused" it.
    """
    starting = client.execute(language.background)
    assert starting.text() == "started\n"
    other = client.execute(language.let_go)
    late = client.wait_for(lambda it: it.content.get("text", "").startswith("late"))
    assert late.parent_id == starting.request.id
    assert late.parent_header == starting.request.header
    assert other.text() == ""


def test_streams_are_for_all_clients(client: Client, connect: Connect, language: Language) -> None:
    """This socket allows side effects to be made available to all clients in a uniform manner."""
    other = connect()
    code = "\n".join(language.prints(str(number)) for number in range(100))
    found = client.execute(code)
    texts = [it.content["text"] for it in other.broadcasts(found.request) if it.kind == "stream"]
    assert "".join(texts) == found.text()

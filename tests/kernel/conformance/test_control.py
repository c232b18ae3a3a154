"""The control channel: it answers while the shell is busy; and messages that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel.conformance.marks import ipykernel_fails

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel.conformance.client import Client, Request
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Subject


@pytest.fixture
def busy(client: Client, language: Language) -> Iterator[Request]:
    """A cell that runs for as long as the test."""
    running = client.start(language.running(language.endless))
    client.wait_for_text(running, "running")
    yield running
    client.ask("interrupt_request", channel="control")
    client.complete(running)


def test_control_answers_while_a_cell_runs(client: Client, busy: Request) -> None:
    """The control channel operates on a separate socket to avoid queueing behind execution
    requests.
    """
    for _ in range(5):
        found = client.ask("kernel_info_request", channel="control")
        assert found.content["status"] == "ok"
        assert found.outline == ["busy", "idle"]
    assert not any(it.parent_id == busy.id and it.state == "idle" for it in client.heard)


def test_requests_on_control_keep_their_order(client: Client, busy: Request) -> None:
    """This channel is identical to Shell: a sequence of request/reply actions."""
    sent = [client.send("kernel_info_request", channel="control") for _ in range(50)]
    assert [client.next("control").parent_id for _ in sent] == [it.id for it in sent]
    assert busy.id not in {it.id for it in sent}


def test_a_forged_message_on_control_has_no_effect(client: Client, busy: Request) -> None:
    """Messages on the control and shell sockets should be parsed, and their signature validated."""
    for frames in ([b""], [b"noise"] * 9, busy.frames[:3], [b"<IDS|MSG>", *[b""] * 5]):
        client.send_frames(frames, "control")
    assert client.ask("kernel_info_request", channel="control").content["status"] == "ok"
    assert client.arrived("control") == []


def test_a_replay_on_another_channel_has_no_effect(client: Client, language: Language) -> None:
    """msg_id must be unique per message: what was recorded is no message of its sender."""
    client.execute("count = 0")
    sent = client.start("count = count + 1")
    client.complete(sent)
    client.send_frames(sent.frames, "control")
    client.ask("kernel_info_request", channel="control")
    assert client.execute("count").shown == "1"
    assert client.arrived("control") == []
    assert client.execute(language.value).shown == language.value_shown


@pytest.mark.parametrize("channel", ["shell", "control"])
@pytest.mark.parametrize("kind", ["make_tea_request", "make_tea", "", "execute_reply", "status"])
def test_a_message_of_an_unknown_kind_harms_nobody(
    client: Client, language: Language, channel: str, kind: str
) -> None:
    """Both sides should allow unexpected message types. Kernels do not need to send any reply for
    messages they don't handle.
    """
    sent = client.send(kind, {"milk": True}, channel=channel)
    found = client.ask("kernel_info_request", channel=channel)
    assert found.content["status"] == "ok"
    assert client.execute(language.value).shown == language.value_shown
    replies = [it for it in client.arrived(channel) if it.parent_id == sent.id]
    assert all(it.content["status"] == "error" for it in replies)


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_a_message_of_an_unknown_kind_leaves_the_kernel_idle(client: Client, channel: str) -> None:
    """When it finishes, it will enter the 'idle' state: as many idle as busy."""
    sent = client.send("make_tea_request", channel=channel)
    client.ask("kernel_info_request", channel=channel)
    client.fence()
    states = [it.state for it in client.heard if it.parent_id == sent.id]
    assert states in ([], ["busy", "idle"])


def test_a_message_on_stdin_that_nobody_asked_for_harms_nobody(
    client: Client, language: Language
) -> None:
    """The kernel makes the request, and the single frontend provides the response."""
    client.send("input_reply", {"value": "unasked"}, channel="stdin")
    client.send("make_tea_request", channel="stdin")
    client.send_frames([b"noise"], "stdin")
    assert client.execute(language.value).shown == language.value_shown


def test_a_debug_request_is_answered(client: Client) -> None:
    """Debug requests and replies are sent over the `control` channel to prevent queuing behind
    execution requests.
    """
    content = {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}}
    found = client.ask("debug_request", content, channel="control")
    assert found.reply.kind == "debug_reply"
    assert found.outline == ["busy", "idle"]


def test_the_state_of_a_debugger_is_told(client: Client) -> None:
    """debugInfo: isStarted, hashMethod, hashSeed, tmpFilePrefix, tmpFileSuffix, breakpoints,
    stoppedThreads, richRendering, exceptionPaths; for kernels with the feature 'debugger'.
    """
    if "debugger" not in client.ask("kernel_info_request").content["supported_features"]:
        pytest.skip("the kernel has no debugger")
    content = {"type": "request", "seq": 1, "command": "debugInfo", "arguments": {}}
    told = client.ask("debug_request", content, channel="control").content
    assert (told["type"], told["success"], told["command"]) == ("response", True, "debugInfo")
    assert told["request_seq"] == 1
    body = told["body"]
    assert body["isStarted"] is False
    assert body["breakpoints"] == []
    assert body["stoppedThreads"] == []
    names = ("hashMethod", "tmpFilePrefix", "tmpFileSuffix")
    assert all(isinstance(body[it], str) for it in names)
    assert isinstance(body["richRendering"], bool)


@ipykernel_fails("a failing debug_request gets a reply without a status")
def test_a_debug_request_that_fails_says_so(client: Client) -> None:
    """All reply messages have a 'status' field, or follow the specification of the `Response`
    message: success, and a message if not.
    """
    content = {"type": "request", "seq": 2, "command": "makeTea", "arguments": {}}
    told = client.ask("debug_request", content, channel="control").content
    assert told.get("status") == "error" or told.get("success") is False


def test_a_kernel_is_found_alive_after_all_that(subject: Subject, client: Client) -> None:
    """Kernels must implement the execute and kernel info messages, whatever else came."""
    assert client.ask("kernel_info_request").content["status"] == "ok"
    assert subject.process.is_alive()

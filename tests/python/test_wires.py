"""Every wire over real HTTP on the loopback address: answers, streams, tools, usage, failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import aikit
from aikit import errors
from servers.anthropic_server import AnthropicServer
from servers.chat_server import RETRY_AFTER_S
from servers.gemini_server import GeminiServer
from servers.ollama_server import OllamaServer
from servers.openai_server import OpenAIServer
from servers.responses_server import ResponsesServer

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "test-key"


@dataclass(frozen=True)
class Wire:
    """A wire: the server that speaks it, and the client of Python."""

    serve: Callable[[], Any]
    client: Callable[..., Any]
    has_embeddings: bool = False

    def model(self, server: Any, name: str, key: str = KEY) -> aikit.Model:  # noqa: ANN401  # one of five servers
        model: aikit.Model = self.client(server.base_url, key).model(name)
        return model


WIRES = {
    "openai chat": Wire(OpenAIServer, aikit.OpenAI, has_embeddings=True),
    "openai responses": Wire(
        ResponsesServer, lambda url, key: aikit.OpenAI(url, key, api="responses")
    ),
    "anthropic": Wire(AnthropicServer, aikit.Anthropic),
    "gemini": Wire(GeminiServer, aikit.Gemini, has_embeddings=True),
    "ollama": Wire(lambda: OllamaServer(api_key=KEY), aikit.Ollama, has_embeddings=True),
}


@pytest.fixture(params=sorted(WIRES))
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


def test_an_answer_is_the_same_whole_and_in_pieces(wire: Wire) -> None:
    with wire.serve() as server:
        model = wire.model(server, "echo")
        whole = model.complete("Grüß dich, schöne Welt", instructions="be kind", max_tokens=50)
        assert whole.text == "Grüß dich, schöne Welt"
        assert (whole.finish_reason, whole.model) == ("stop", "echo")
        assert whole.usage.requests == 1
        assert whole.usage.input_tokens > 0
        assert whole.usage.output_tokens > 0
        pieces = list(model.stream("Grüß dich, schöne Welt", instructions="be kind"))
        assert [it.kind for it in pieces[:-1]] == ["text"] * 4
        assert "".join(it.text for it in pieces) == whole.text
        last = pieces[-1].response
        assert last is not None
        assert (last.text, last.usage, last.finish_reason) == (
            whole.text,
            whole.usage,
            whole.finish_reason,
        )
        assert len(server.requests) == 2
        # No key is in an address, where it would be logged.
        assert all(KEY not in f"{it.path}?{it.query}" for it in server.requests)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_an_agent_calls_a_tool_and_answers_with_its_result(
    wire: Wire, *, is_streamed: bool
) -> None:
    def add(left: int, right: int) -> int:
        """Adds two numbers."""
        return left + right

    with wire.serve() as server:
        agent = aikit.Agent(wire.model(server, "rules"), tools=[add])
        if is_streamed:
            handle = agent.start("Add 21 to itself")
            kinds = {event.kind for event in handle}
            assert {"agent.text.delta", "agent.tool.call", "agent.tool.result"} <= kinds
            run = handle.result()
        else:
            run = agent.run("Add 21 to itself")
        assert run.output == "The answer: 42"
        used = run.steps[0].tool_calls[0]
        assert (used.name, used.arguments, used.result) == ("add", {"left": 21, "right": 21}, 42)
        assert run.usage.requests == len(server.requests) == 2
        assert run.usage.input_tokens > 0


def test_embeddings_come_in_the_order_of_the_texts(wire: Wire) -> None:
    with wire.serve() as server:
        model = wire.model(server, "hashed")
        if not wire.has_embeddings:
            kinds = (errors.NotFoundError, errors.ModelError)
            with pytest.raises(kinds):
                model.embed(["a"])
            return
        rows = model.embed(["owls hunt", "fish swim", "owls hunt"])
        assert rows.shape == (3, 64)
        assert np.array_equal(rows[0], rows[2])
        assert not np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize("is_streamed", [False, True])
@pytest.mark.parametrize(
    ("name", "kind", "attempts"),
    [
        ("bad-request", "model", 1),
        ("nobody", "not_found", 1),
        ("too-long", "context_too_long", 1),
        ("malformed", "bad_response", 1),
        ("truncated", "bad_response", 1),
    ],
)
def test_a_failure_has_its_kind_and_says_where(
    wire: Wire, name: str, kind: str, attempts: int, *, is_streamed: bool
) -> None:
    with wire.serve() as server:
        error = failure(wire.model(server, name), is_streamed=is_streamed)
        assert (error.kind, len(server.requests)) == (kind, attempts), error
        assert str(server.port) in str(error)
        assert KEY not in f"{error} {error.hint}"


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_wrong_key_is_refused_and_never_shown(wire: Wire, *, is_streamed: bool) -> None:
    with wire.serve() as server:
        model = wire.model(server, "echo", key="wrong-key-1234")
        error = failure(model, is_streamed=is_streamed)
        assert error.kind == "auth", error
        assert "wrong-key-1234" not in f"{error!r} {error.hint}"
        assert "key" in (error.hint or "")
        assert len(server.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("broken", "provider_unavailable")])
def test_what_may_pass_is_tried_four_times(wire: Wire, name: str, kind: str) -> None:
    with wire.serve() as server:
        error = failure(wire.model(server, name))
        assert (error.kind, error.retryable) == (kind, True)
        assert "after 4 attempts" in str(error)
        assert len(server.requests) == 4


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_limit_of_rate_that_passes_is_waited_for(wire: Wire, *, is_streamed: bool) -> None:
    with wire.serve() as server:
        model = wire.model(server, "rate-limited-once")
        if is_streamed:
            text = "".join(it.text for it in model.stream("hello"))
        else:
            text = model.complete("hello").text
        assert (text, len(server.requests)) == ("hello", 2)


def test_a_server_that_is_down_is_named_with_how_to_start_it(wire: Wire) -> None:
    with wire.serve() as server:
        port = server.port
        model = wire.model(server, "echo")
    error = failure(model)
    assert error.kind == "provider_unavailable"
    assert f"127.0.0.1:{port}" in str(error)
    assert "server runs" in (error.hint or "")
    if model.name.startswith("ollama:"):
        assert "ollama serve" in (error.hint or "")


def test_the_time_to_wait_stands_in_the_body_of_gemini() -> None:
    with GeminiServer() as server:
        error = failure(aikit.Gemini(server.base_url, KEY).model("rate-limited"))
    assert isinstance(error, errors.RateLimitedError)
    assert error.hint == f"try again in {RETRY_AFTER_S} s"


def failure(model: aikit.Model, *, is_streamed: bool = False) -> errors.AikitError:
    prompt = "say something that is long enough to be cut"
    ask: Callable[[], object] = lambda: model.complete(prompt)  # noqa: E731  # beside the other one
    if is_streamed:
        ask = lambda: list(model.stream(prompt))  # noqa: E731  # as above
    with pytest.raises(errors.AikitError) as caught:
        ask()
    return caught.value

"""Models of scripts and functions, and an OpenAI-compatible server of the test's own."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

import aikit
from aikit import errors
from aikit.models import list_models
from servers.openai_server import OpenAIServer

HTTP = "http://"


def test_a_scripted_model_gives_its_answers_in_order() -> None:
    model = aikit.testing.ScriptedModel(["one", {"text": "two", "expect": "hello"}])
    assert model.name == "scripted:test"
    first = model.complete("hi")
    assert (first.text, first.finish_reason, first.usage.requests) == ("one", "stop", 1)
    with pytest.raises(errors.ModelError, match="expects `hello`"):
        model.complete("bye")
    assert model.complete("hello you").text == "two"
    with pytest.raises(errors.ModelError, match="exhausted"):
        model.complete("hello")


@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_model_sees_the_conversation(*, is_async: bool) -> None:
    def answer(request: dict[str, Any]) -> str:
        last = request["messages"][-1]
        return f"{len(request['messages'])} {last['role']}"

    async def aanswer(request: dict[str, Any]) -> str:
        await asyncio.sleep(0)
        return answer(request)

    model = aikit.testing.FunctionModel(aanswer if is_async else answer)
    conversation = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    assert model.complete(conversation).text == "2 user"
    assert asyncio.run(model.acomplete("x")).text == "1 user"


def test_a_stream_ends_with_the_whole_answer() -> None:
    events = list(aikit.testing.ScriptedModel(["one two three"]).stream("go"))
    assert [it.kind for it in events] == ["text", "text", "text", "done"]
    # Who writes every piece writes everything once.
    assert "".join(it.text for it in events) == "one two three"
    assert events[-1].response is not None
    assert events[-1].response.text == "one two three"


async def test_a_stream_may_be_awaited() -> None:
    stream = aikit.testing.ScriptedModel(["one two"]).stream("go")
    assert [it.text async for it in stream] == ["one ", "two", ""]


@pytest.mark.parametrize("prompt", [1, [1], [{"role": "judge", "content": "x"}], {"a": 1}])
def test_what_is_no_conversation_is_refused_with_an_example(prompt: Any) -> None:  # noqa: ANN401
    with pytest.raises(errors.InvalidArgsError, match="message") as caught:
        aikit.testing.ScriptedModel(["x"]).complete(prompt)
    assert caught.value.hint is not None
    assert '"role": "user"' in caught.value.hint


def test_the_providers_say_what_they_lack() -> None:
    rows = {it["name"]: it for it in aikit.Model.list()}
    assert rows["anthropic"]["lacks"] == ["the key `ANTHROPIC_API_KEY`"]
    assert list(rows.values()) == list_models()
    # Each provider of the network has a client in Python.
    shared: Any = aikit.OpenAI.__mro__[1]
    names = {it.__name__.lower() for it in shared.__subclasses__()}
    assert set(rows) - names == {"openai-compatible", "scripted"}


def test_a_client_hands_its_options_to_its_models() -> None:
    model = aikit.Gemini(f"{HTTP}127.0.0.1:9", "key-1234", params={"a": 1}).model("m")
    assert model.name == "gemini:m"
    with pytest.raises(errors.InvalidArgsError, match="no option `parms`") as caught:
        aikit.Gemini(api_key="key-1234", parms={}).model("m")
    assert "`params`" in (caught.value.hint or "")
    with pytest.raises(errors.InvalidArgsError, match="`api` of `openai:m` is") as caught:
        aikit.OpenAI(api_key="key-1234", api="response").model("m")
    assert "`responses`" in (caught.value.hint or "")
    with pytest.raises(errors.UnavailableError, match="`MISTRAL_API_KEY` is not set") as missing:
        aikit.Mistral().model("m")
    for way in ("models.keys.mistral", "ollama:MODEL", "cassette"):
        assert way in (missing.value.hint or "")
    with pytest.raises(errors.NotFoundError, match="no chat models"):
        aikit.VoyageAI(api_key="key-1234").model("m")


def test_what_a_provider_takes_besides_is_sent_as_it_is() -> None:
    with OpenAIServer() as server:
        client = aikit.OpenAI(server.base_url, server.api_key, params={"seed": 7, "top_p": 0.5})
        client.model("echo").complete("hi")
        body = server.requests[0].json()
        assert (body["seed"], body["top_p"]) == (7, 0.5)


async def test_a_live_server_answers_streams_and_embeds() -> None:
    with OpenAIServer() as server:
        client = aikit.OpenAI(base_url=server.base_url, api_key=server.api_key)
        model = client.model("echo")
        whole = model.complete("Say hello")
        assert whole.text
        assert whole.usage.input_tokens > 0
        assert (await model.acomplete("Say hello")).text == whole.text
        pieces = [it async for it in model.stream("Say hello")]
        assert "".join(it.text for it in pieces) == whole.text
        rows = client.model("hashed").embed(["a", "b", "a"])
        assert rows.dtype == np.float32
        assert rows.shape[0] == 3
        assert np.array_equal(rows[0], rows[2])
        assert np.array_equal(rows, await client.model("hashed").aembed(["a", "b", "a"]))


def test_a_number_out_of_range_is_named_with_the_way_out() -> None:
    model = aikit.testing.ScriptedModel(["never asked"])
    cases: list[tuple[dict[str, Any], str]] = [
        ({"max_tokens": -5}, "`max_tokens` is `-5`"),
        ({"max_tokens": 0}, "`max_tokens` is `0`"),
        ({"max_tokens": 2**70}, "64 bits.*`max_tokens`"),
        ({"temperature": 2.5}, "`temperature` is `2.5`"),
        ({"temperature": float("nan")}, "`temperature` is `NaN`"),
        ({"temperature": "hot"}, '`temperature` is `"hot"`'),
    ]
    for options, message in cases:
        for ask in (model.complete, lambda *a, **o: list(model.stream(*a, **o))):
            with pytest.raises(errors.InvalidArgsError, match=message) as caught:
                ask("hi", **options)
            assert caught.value.hint


def test_what_a_function_model_raises_is_a_fault_of_the_model() -> None:
    def broken(_request: dict[str, Any]) -> str:
        raise KeyError("weights")

    with pytest.raises(errors.ModelError, match=r"`function:.*raised KeyError") as caught:
        aikit.testing.FunctionModel(broken).complete("hi")
    assert caught.value.kind == "model"
    assert isinstance(caught.value.__cause__, KeyError)

    def busy(_request: dict[str, Any]) -> str:
        raise errors.RateLimitedError("too many")

    with pytest.raises(errors.RateLimitedError, match="too many"):
        aikit.testing.FunctionModel(busy).complete("hi")


def test_no_model_is_asked_for_at_a_metadata_address() -> None:
    model = aikit.Model("tiny", base_url="http://169.254.169.254/v1")
    with pytest.raises(errors.DeniedError, match="metadata") as caught:
        model.complete("hi")
    assert caught.value.hint


def test_a_model_may_ask_for_tools_that_are_not_called() -> None:
    def add(left: int, right: int) -> int:
        """Adds two numbers."""
        raise AssertionError((left, right))

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        assert [it["text"] for it in request["messages"] if it["role"] == "system"] == ["be brief"]
        names = [it["name"] for it in request["tools"]]
        assert names == ["add", "count_words"]
        return {"tool_calls": [{"name": "add", "arguments": {"left": 1, "right": 2}}]}

    model = aikit.testing.FunctionModel(answer)
    options: dict[str, Any] = {"instructions": "be brief", "tools": [add, "count_words"]}
    called = [model.complete("1 + 2?", **options), asyncio.run(model.acomplete("?", **options))]
    called += [it.response for it in model.stream("?", **options) if it.response]
    assert len(called) == 3
    for response in called:
        assert [it["name"] for it in response.tool_calls] == ["add"]
        assert [it["arguments"] for it in response.tool_calls] == [{"left": 1, "right": 2}]
        assert response.finish_reason == "tool_calls"


def test_an_unknown_option_of_a_model_is_refused_with_the_nearest() -> None:
    with pytest.raises(errors.InvalidArgsError, match="no option `apikey`") as caught:
        aikit.Model("openai-compatible:m", base_url="http://127.0.0.1:9/v1", apikey="x")
    assert "`api_key`" in (caught.value.hint or "")


def test_a_lone_text_is_no_list() -> None:
    model = aikit.testing.ScriptedModel(["hello"])
    wrong: list[Any] = [
        lambda: model.embed("foo"),
        lambda: aikit.testing.ScriptedModel("abc"),
        lambda: aikit.Agent(model, tools="calculate"),
        lambda: model.complete("x", tools="calculate"),
    ]
    for call in wrong:
        with pytest.raises(errors.InvalidArgsError, match="not a list") as caught:
            call()
        assert "['" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        (None, "OpenAI(base_url=None)"),
        (f"{HTTP}127.0.0.1:8080/v1", f"OpenAI(base_url='{HTTP}127.0.0.1:8080/v1')"),
        (f"{HTTP}ada:hidden@[::1]:8080/v1", f"OpenAI(base_url='{HTTP}[::1]:8080/v1')"),
        (f"{HTTP}hid@den@example.org/", f"OpenAI(base_url='{HTTP}example.org/')"),
        (f"{HTTP}example.org/v1?key=hidden", f"OpenAI(base_url='{HTTP}example.org/v1')"),
        ("ada:hidden@example.org", "OpenAI(base_url='example.org')"),
        (f"{HTTP}[hidden", "OpenAI(base_url='...')"),
    ],
)
def test_a_server_is_shown_without_its_secrets(address: str | None, shown: str) -> None:
    server = aikit.OpenAI(base_url=address, api_key="hidden")
    assert repr(server) == shown

"""The servers that the tests start: they answer as the real ones do."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import struct
from typing import Any

import pytest

from servers.http_server import BOMB_BYTES, HttpServer
from servers.openai_server import OpenAIServer, arguments_for, embed

CALCULATE = {
    "type": "function",
    "function": {
        "name": "calculate",
        "parameters": {
            "type": "object",
            "properties": {"expression": {"type": "string"}},
            "required": ["expression"],
        },
    },
}


def ask(
    server: OpenAIServer, path: str, body: dict[str, Any] | None = None, key: str = "test-key"
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        method = "GET" if body is None else "POST"
        headers = {"authorization": f"Bearer {key}"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read().decode()
    finally:
        connection.close()


def chat(server: OpenAIServer, model: str, **options: object) -> tuple[int, dict[str, str], str]:
    messages = [{"role": "user", "content": "what is 6 * 7 ?"}]
    return ask(server, "/v1/chat/completions", {"model": model, "messages": messages, **options})


def test_the_models_are_listed() -> None:
    with OpenAIServer() as server:
        status, _, body = ask(server, "/v1/models")
    assert status == 200
    assert "scripted" in [it["id"] for it in json.loads(body)["data"]]


def test_rules_call_the_first_tool_and_answer_with_its_result() -> None:
    with OpenAIServer() as server:
        _, _, body = chat(server, "rules", tools=[CALCULATE])
        choice = json.loads(body)["choices"][0]
        call = choice["message"]["tool_calls"][0]
        messages = [
            {"role": "user", "content": "what is 6 * 7 ?"},
            choice["message"],
            {"role": "tool", "tool_call_id": call["id"], "content": "42"},
        ]
        request = {"model": "rules", "messages": messages, "tools": [CALCULATE]}
        _, _, answer = ask(server, "/v1/chat/completions", request)
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(call["function"]["arguments"]) == {"expression": "6 * 7"}
    assert json.loads(answer)["choices"][0]["message"]["content"] == "The answer: 42"


def test_thorough_calls_each_tool_in_turn_and_answers_with_all_results() -> None:
    count = {"type": "function", "function": {"name": "count", "parameters": {}}}
    messages: list[dict[str, Any]] = [{"role": "user", "content": "what is 6 * 7 ?"}]
    request = {"model": "thorough", "messages": messages, "tools": [CALCULATE, count]}
    called = []
    with OpenAIServer() as server:
        for result in ("42", "six"):
            message = json.loads(ask(server, "/v1/chat/completions", request)[2])["choices"][0][
                "message"
            ]
            [call] = message["tool_calls"]
            called.append(call["function"]["name"])
            messages += [message, {"role": "tool", "tool_call_id": call["id"], "content": result}]
        answer = json.loads(ask(server, "/v1/chat/completions", request)[2])
    assert called == ["calculate", "count"]
    assert answer["choices"][0]["message"]["content"] == "The answers: 42 | six"


def test_a_stream_gives_the_same_call_and_usage_as_a_whole_answer() -> None:
    with OpenAIServer() as server:
        _, _, whole = chat(server, "rules", tools=[CALCULATE])
        options = {"stream": True, "stream_options": {"include_usage": True}}
        _, headers, stream = chat(server, "rules", tools=[CALCULATE], **options)
    lines = [it.removeprefix("data: ") for it in stream.split("\n\n") if it]
    chunks = [json.loads(it) for it in lines[:-1]]
    deltas = [it["choices"][0]["delta"] for it in chunks if it["choices"]]
    calls = [it["tool_calls"][0] for it in deltas if "tool_calls" in it]
    expected = json.loads(whole)
    assert headers["content-type"] == "text/event-stream"
    assert lines[-1] == "[DONE]"
    assert (
        "".join(it["function"]["arguments"] for it in calls)
        == expected["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    )
    assert chunks[-1]["usage"] == expected["usage"]


def test_a_script_is_followed_to_its_end() -> None:
    with OpenAIServer(script=["one", {"content": "two"}]) as server:
        texts = [
            json.loads(chat(server, "scripted")[2])["choices"][0]["message"]["content"]
            for _ in range(2)
        ]
        status, _, body = chat(server, "scripted")
        paths = [it.path for it in server.requests]
    assert texts == ["one", "two"]
    assert (status, json.loads(body)["error"]["code"]) == (500, "script_exhausted")
    assert paths == ["/v1/chat/completions"] * 3


@pytest.mark.parametrize(
    ("model", "status"),
    [("rate-limited", 429), ("broken", 500), ("unknown", 404), ("malformed", 200), ("slow", 200)],
)
def test_the_model_chooses_the_status(model: str, status: int) -> None:
    with OpenAIServer(drip_s=0) as server:
        answer = chat(server, model)
    assert answer[0] == status
    if model == "rate-limited":
        assert answer[1]["retry-after"] == "1"
    if model == "malformed":
        with pytest.raises(ValueError, match="Expecting value"):
            json.loads(answer[2])


def test_a_rate_limit_can_pass() -> None:
    with OpenAIServer() as server:
        assert [chat(server, "rate-limited-once")[0] for _ in range(2)] == [429, 200]


def test_a_wrong_key_is_refused() -> None:
    with OpenAIServer() as server:
        status, _, body = ask(server, "/v1/models", key="wrong")
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")


def test_a_truncated_stream_ends_without_its_last_chunk() -> None:
    with OpenAIServer() as server, pytest.raises(http.client.IncompleteRead):
        chat(server, "truncated", stream=True)


def test_embeddings_are_the_same_in_both_encodings() -> None:
    with OpenAIServer() as server:
        request = {"model": "hashed", "input": ["a b", "c"]}
        numbers = json.loads(ask(server, "/v1/embeddings", request)[2])["data"]
        request["encoding_format"] = "base64"
        encoded = json.loads(ask(server, "/v1/embeddings", request)[2])["data"]
    assert numbers[0]["embedding"] == embed("a b")
    decoded = struct.unpack("<64f", base64.b64decode(encoded[0]["embedding"]))
    assert decoded == pytest.approx(numbers[0]["embedding"], rel=1e-6)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"properties": {"k": {"type": "integer"}}}, {"k": 3}),
        ({"properties": {"a": {"type": "boolean"}, "b": {}}, "required": ["b"]}, {"b": "take 3"}),
        ({"properties": {"mode": {"enum": ["x", "y"]}}}, {"mode": "x"}),
        ({"properties": {"k": {"type": ["null", "number"]}}}, {"k": 3.0}),
        ({}, {}),
    ],
)
def test_arguments_follow_from_the_schema(
    schema: dict[str, Any], expected: dict[str, object]
) -> None:
    assert arguments_for(schema, "take 3") == expected


def fetch(server: HttpServer, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, dict(response.headers), response.read()
    finally:
        connection.close()


def test_the_http_server_answers_as_its_table_says() -> None:
    with HttpServer() as server:
        assert json.loads(fetch(server, "/echo?a=1")[2])["query"] == "a=1"
        assert fetch(server, "/status/418")[0] == 418
        assert fetch(server, "/redirect?to=http://example.test/")[1]["location"] == (
            "http://example.test/"
        )
        bomb = fetch(server, "/gzip-bomb")[2]
        assert len(bomb) < 100_000
        assert len(gzip.decompress(bomb)) == BOMB_BYTES
        assert len(fetch(server, "/big?bytes=100001")[2]) == 100_001
        assert fetch(server, "/slow?seconds=0")[2] == b"at last"
        with pytest.raises(http.client.IncompleteRead):
            fetch(server, "/hang-up")


def test_a_closing_server_does_not_wait_for_a_slow_answer() -> None:
    with HttpServer() as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/slow?seconds=3600")
        while not server.requests:
            pass
    assert connection.getresponse().read() == b"at last"
    connection.close()

"""An OpenAI-compatible server on the loopback address: real HTTP, deterministic answers.

`GET /v1/models`, `POST /v1/chat/completions` (whole and as server-sent events) and
`POST /v1/embeddings`. The name of the model chooses the behaviour:

| model | behaviour |
|---|---|
| `rules` | calls the first tool offered, once, then answers with its result; without tools: echo |
| `thorough` | calls each tool offered in turn, once, then answers with their results; else: echo |
| `echo` | repeats the last user message |
| `scripted` | the replies given to `OpenAIServer(script=…)`, one a request |
| `hashed` | embeddings: signed hashed bag of words, 64 dimensions, unit length |
| `empty` | an answer without text |
| `rate-limited` | status 429 with `Retry-After: 1` |
| `rate-limited-once` | the first request as `rate-limited`, later ones as `echo` |
| `bad-request` | status 400 |
| `too-long` | status 400: the prompt is longer than the context |
| `broken` | status 500 |
| `malformed` | status 200 and a body that is not JSON |
| `truncated` | the stream, or the body, stops in the middle |
| `slow` | as `echo`, one byte at a time with `drip_s` seconds between |

A wrong or missing key is answered with status 401, an unknown model with 404.
The arguments of a tool call of `rules` and `thorough` follow from the tool's parameters: each
required property (or the first, if none is) gets the last user message if it is a string
(`expression`: the longest piece of arithmetic in it), the first number of the message if it is a
number (1 if there is none), its first `enum` value, true, `[]` or `{}`.

    python tests/servers/openai_server.py     # serves until interrupted, prints its address
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import struct
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from servers.loopback import Exchange, LoopbackServer, Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Json = dict[str, Any]

EMBEDDING_DIMENSIONS = 64
CREATED = 1_700_000_000  # a fixed time: replies are the same in every run
MODELS = (
    "rules",
    "thorough",
    "echo",
    "scripted",
    "hashed",
    "empty",
    "rate-limited",
    "rate-limited-once",
    "bad-request",
    "too-long",
    "broken",
    "malformed",
    "truncated",
    "slow",
)
_ARITHMETIC = re.compile(r"[\d(][\d\s.+*/()^%-]*[\d)]")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class OpenAIServer(LoopbackServer):
    """The server; use it as a context manager.

    Args:
        script: Replies of the model `scripted`: a string (text), or a message with `content`
            and `tool_calls`, each `{"name": …, "arguments": {…}}`.
        api_key: The only key it accepts.
        drip_s: Seconds between two bytes of the model `slow`.
    """

    def __init__(
        self,
        *,
        script: Sequence[str | Json] = (),
        api_key: str = "test-key",
        drip_s: float = 0.005,
    ) -> None:
        super().__init__()
        self.api_key = api_key
        self._script = list(script)
        self._drip_s = drip_s
        self._lock = threading.Lock()
        self._was_rate_limited = False

    @property
    def base_url(self) -> str:
        """What clients call the base URL; ends in `/v1`."""
        return f"{self.url}/v1"

    def answer(self, request: Request, exchange: Exchange) -> None:
        """Checks the key and finds the endpoint."""
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            _send_error(exchange, 401, "invalid_api_key", "Incorrect API key provided.")
            return
        match (request.method, request.path):
            case ("GET", "/v1/models"):
                models = [
                    {"id": it, "object": "model", "created": CREATED, "owned_by": "tests"}
                    for it in MODELS
                ]
                exchange.send_json(200, {"object": "list", "data": models})
            case ("POST", "/v1/chat/completions"):
                self._answer_model(request, exchange, self._chat)
            case ("POST", "/v1/embeddings"):
                self._answer_model(request, exchange, self._embed)
            case _:
                _send_error(exchange, 404, "not_found", f"no endpoint {request.path}")

    def _answer_model(self, request: Request, exchange: Exchange, endpoint: Any) -> None:  # noqa: ANN401 - one of the two methods below
        """Answers with an error where the model's name asks for one."""
        try:
            body = request.json()
            model = body["model"]
        except (ValueError, KeyError, TypeError):
            _send_error(exchange, 400, "invalid_request_error", "the body needs a `model`")
            return
        if model not in MODELS:
            _send_error(exchange, 404, "model_not_found", f"The model `{model}` does not exist.")
        elif model == "rate-limited" or (model == "rate-limited-once" and self._first()):
            headers = {"retry-after": "1"}
            _send_error(exchange, 429, "rate_limit_exceeded", "Rate limit reached.", headers)
        elif model == "bad-request":
            _send_error(exchange, 400, "invalid_request_error", "This request makes no sense.")
        elif model == "too-long":
            _send_error(exchange, 400, "context_length_exceeded", "The prompt is too long.")
        elif model == "broken":
            _send_error(exchange, 500, "server_error", "The server had an error.")
        elif model == "malformed":
            exchange.send(200, b'{"choices": [{"message": ', "application/json")
        else:
            endpoint(body, exchange)

    def _first(self) -> bool:
        with self._lock:
            first = not self._was_rate_limited
            self._was_rate_limited = True
            return first

    def _chat(self, body: Json, exchange: Exchange) -> None:
        message = self._reply(body)
        if message is None:
            _send_error(exchange, 500, "script_exhausted", "the script has no further reply")
            return
        usage = _usage(body, message)
        if body.get("stream"):
            options = body.get("stream_options") or {}
            chunks = _stream_chunks(body["model"], message)
            if options.get("include_usage"):
                chunks = [*chunks, _chunk(body["model"], [], usage)]
            self._send_events(body["model"], chunks, exchange)
            return
        choice = {"index": 0, "message": message, "finish_reason": _finish_reason(message)}
        completion = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": CREATED,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }
        self._send_whole(body["model"], json.dumps(completion).encode(), exchange)

    def _reply(self, body: Json) -> Json | None:
        """The message of the assistant; None if the script has ended."""
        if body["model"] == "scripted":
            with self._lock:
                return _message(self._script.pop(0)) if self._script else None
        if body["model"] == "empty":
            return {"role": "assistant", "content": ""}
        if body["model"] == "rules":
            return _follow_rules(body)
        if body["model"] == "thorough":
            return _call_each(body)
        return {"role": "assistant", "content": _last_text(body, "user")}

    def _send_events(self, model: str, chunks: Sequence[Json], exchange: Exchange) -> None:
        events = [b"data: " + json.dumps(it).encode() + b"\n\n" for it in chunks]
        exchange.begin_chunks("text/event-stream")
        if model == "truncated":
            whole = b"".join(events)
            exchange.send_chunk(whole[: len(whole) // 2])
            exchange.hang_up()
            return
        for event in [*events, b"data: [DONE]\n\n"]:
            for piece in self._pieces(model, event):
                exchange.send_chunk(piece)
        exchange.end_chunks()

    def _send_whole(self, model: str, body: bytes, exchange: Exchange) -> None:
        exchange.begin_chunks("application/json")
        if model == "truncated":
            exchange.send_chunk(body[: len(body) // 2])
            exchange.hang_up()
            return
        for piece in self._pieces(model, body):
            exchange.send_chunk(piece)
        exchange.end_chunks()

    def _pieces(self, model: str, data: bytes) -> Iterator[bytes]:
        if model != "slow":
            yield data
            return
        for index in range(len(data)):
            self.closing.wait(self._drip_s)
            yield data[index : index + 1]

    def _embed(self, body: Json, exchange: Exchange) -> None:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = [embed(it) for it in texts]
        as_base64 = body.get("encoding_format") == "base64"
        data = [
            {"object": "embedding", "index": index, "embedding": _encode(it) if as_base64 else it}
            for index, it in enumerate(vectors)
        ]
        tokens = sum(len(it.split()) for it in texts)
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        exchange.send_json(
            200, {"object": "list", "model": body["model"], "data": data, "usage": usage}
        )


def embed(text: str) -> list[float]:
    """Embeds a text as a signed hashed bag of words.

    Args:
        text: Any text; words are compared in lower case.

    Returns:
        64 numbers of unit length; a text without words points along the first axis.
    """
    vector = [0.0] * EMBEDDING_DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.blake2b(word.encode(), digest_size=4).digest()
        vector[digest[0] % EMBEDDING_DIMENSIONS] += 1.0 if digest[1] % 2 else -1.0
    length = sum(it * it for it in vector) ** 0.5
    if length == 0:
        return [1.0, *vector[1:]]
    return [it / length for it in vector]


def arguments_for(parameters: Json, prompt: str) -> Json:
    """Derives the arguments of a tool call from a prompt, by the rules of the module's docstring.

    Args:
        parameters: JSON Schema of the tool's parameters.
        prompt: The last user message.

    Returns:
        The arguments.
    """
    properties: Json = parameters.get("properties") or {}
    names = parameters.get("required") or list(properties)[:1]
    return {name: _value_for(name, properties.get(name) or {}, prompt) for name in names}


def _value_for(name: str, schema: Json, prompt: str) -> object:
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "string")
    kind = next((it for it in kind if it != "null"), "string") if isinstance(kind, list) else kind
    found = _NUMBER.search(prompt)
    number = float(found.group()) if found else 1.0
    text = _longest_arithmetic(prompt) if name == "expression" else prompt
    values: Json = {
        "integer": int(number),
        "number": number,
        "boolean": True,
        "array": [],
        "object": {},
    }
    return values.get(kind, text)


def _longest_arithmetic(prompt: str) -> str:
    return max(_ARITHMETIC.findall(prompt), key=len, default=prompt).strip()


def _follow_rules(body: Json) -> Json:
    """Calls the first tool, or answers with the result of the call."""
    if body["messages"][-1]["role"] == "tool":
        return {"role": "assistant", "content": f"The answer: {_last_text(body, 'tool')}"}
    prompt = _last_text(body, "user")
    if not body.get("tools"):
        return {"role": "assistant", "content": prompt}
    function = body["tools"][0]["function"]
    arguments = arguments_for(function.get("parameters") or {}, prompt)
    return _message({"tool_calls": [{"name": function["name"], "arguments": arguments}]})


def _call_each(body: Json) -> Json:
    """Calls the first tool that was not called yet, or answers with the results of all."""
    results = [_text_of(it) for it in body["messages"] if it["role"] == "tool"]
    tools = body.get("tools") or []
    if not tools:
        return {"role": "assistant", "content": _last_text(body, "user")}
    if len(results) >= len(tools):
        return {"role": "assistant", "content": f"The answers: {' | '.join(results)}"}
    function = tools[len(results)]["function"]
    arguments = arguments_for(function.get("parameters") or {}, _last_text(body, "user"))
    return _message({"tool_calls": [{"name": function["name"], "arguments": arguments}]})


def _message(reply: str | Json) -> Json:
    """A reply of the script in the form of the protocol."""
    if isinstance(reply, str):
        return {"role": "assistant", "content": reply}
    message: Json = {"role": "assistant", "content": reply.get("content")}
    calls = [
        {
            "id": call.get("id", f"call_{index + 1}"),
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
        }
        for index, call in enumerate(reply.get("tool_calls") or [])
    ]
    return {**message, "tool_calls": calls} if calls else message


def _last_text(body: Json, role: str) -> str:
    """The text of the last message of a role."""
    for message in reversed(body["messages"]):
        if message["role"] == role:
            return _text_of(message)
    return ""


def _text_of(message: Json) -> str:
    """The text of a message; its parts are joined."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def _finish_reason(message: Json) -> str:
    return "tool_calls" if message.get("tool_calls") else "stop"


def _usage(body: Json, message: Json) -> Json:
    """Counts words as tokens."""
    prompt = sum(len(json.dumps(it.get("content")).split()) for it in body["messages"])
    completion = len(json.dumps(message).split())
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _stream_chunks(model: str, message: Json) -> list[Json]:
    """Text word by word; a tool call as its name, then its arguments in two pieces."""
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": it} for it in re.findall(r"\s*\S+\s*$|\s*\S+", message["content"] or "")]
    for index, call in enumerate(message.get("tool_calls") or []):
        arguments = call["function"]["arguments"]
        head = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        half = len(arguments) // 2
        deltas.append({"tool_calls": [head]})
        deltas += [
            {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in (arguments[:half], arguments[half:])
        ]
    choices: list[Json] = [{"index": 0, "delta": it, "finish_reason": None} for it in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": _finish_reason(message)})
    return [_chunk(model, [it], None) for it in choices]


def _chunk(model: str, choices: list[Json], usage: Json | None) -> Json:
    chunk: Json = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": model,
        "choices": choices,
        "usage": usage,
    }
    return chunk


def _encode(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _send_error(
    exchange: Exchange, status: int, code: str, message: str, headers: Json | None = None
) -> None:
    error: Json = {"message": message, "type": code, "param": None, "code": code}
    exchange.send_json(status, {"error": error}, headers)


def main() -> None:
    """Serves until interrupted, so that a notebook can be tried against it."""
    with OpenAIServer() as server:
        sys.stdout.write(f"base URL {server.base_url}, key {server.api_key}\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()

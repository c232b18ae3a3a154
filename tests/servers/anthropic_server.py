"""A server with Anthropic's messages API on the loopback address.

`POST /v1/messages`, whole and as server-sent events. Models and behaviours are those of
`servers.chat_server`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from servers.chat_server import (
    RETRY_AFTER_S,
    Answer,
    ChatServer,
    Conversation,
    answer_to,
    send_pieces,
    send_whole,
    words,
)

if TYPE_CHECKING:
    from servers.loopback import Exchange, Request

Json = dict[str, Any]

VERSION = "2023-06-01"
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
}


class AnthropicServer(ChatServer):
    """The server."""

    @property
    def base_url(self) -> str:
        """What clients call the base URL."""
        return self.url

    def answer(self, request: Request, exchange: Exchange) -> None:
        """Checks the key, the version and the body, and answers."""
        if request.headers.get("x-api-key") != self.api_key:
            self.send_error(exchange, 401, "invalid x-api-key")
            return
        if (request.method, request.path) != ("POST", "/v1/messages"):
            self.send_error(exchange, 404, f"no endpoint {request.path}")
            return
        body = request.json()
        if request.headers.get("anthropic-version") != VERSION or "max_tokens" not in body:
            self.send_error(exchange, 400, "anthropic-version and max_tokens are required")
            return
        model = body["model"]
        if self.fails(model, exchange):
            return
        asked = _conversation(body)
        answer = answer_to(model, asked)
        usage = {"input_tokens": asked.tokens, "output_tokens": answer.tokens}
        if body.get("stream"):
            events = [
                f"event: {it['type']}\ndata: {json.dumps(it)}\n\n".encode()
                for it in _events(model, answer, usage)
            ]
            send_pieces(exchange, model, events, "text/event-stream")
            return
        message = {**_message(model, usage), "content": [_block(answer)]}
        send_whole(exchange, model, {**message, "stop_reason": _stop_reason(answer)})

    def send_error(self, exchange: Exchange, status: int, message: str) -> None:
        """Answers with an error."""
        headers = {"retry-after": str(RETRY_AFTER_S)} if status == 429 else None
        error = {"type": _ERRORS[status], "message": message}
        exchange.send_json(status, {"type": "error", "error": error}, headers)


def _conversation(body: Json) -> Conversation:
    tools = [
        {"name": it["name"], "parameters": it["input_schema"]} for it in body.get("tools") or []
    ]
    asked = Conversation("", None, tools, words(body["messages"]))
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for block in blocks:
            if message["role"] == "user" and block["type"] == "text":
                asked.user, asked.tool_result = block["text"], None
            elif block["type"] == "tool_result":
                asked.tool_result = _text(block.get("content") or "")
    return asked


def _text(content: str | list[Json]) -> str:
    return content if isinstance(content, str) else "".join(it.get("text", "") for it in content)


def _message(model: str, usage: Json) -> Json:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _block(answer: Answer) -> Json:
    if answer.tool is None:
        return {"type": "text", "text": answer.text}
    return {"type": "tool_use", "id": "toolu_1", "name": answer.tool, "input": answer.arguments}


def _stop_reason(answer: Answer) -> str:
    return "end_turn" if answer.tool is None else "tool_use"


def _events(model: str, answer: Answer, usage: Json) -> list[Json]:
    if answer.tool is None:
        block: Json = {"type": "text", "text": ""}
        deltas: list[Json] = [{"type": "text_delta", "text": it} for it in answer.pieces]
    else:
        block = {**_block(answer), "input": {}}
        whole = json.dumps(answer.arguments)
        half = len(whole) // 2
        deltas = [
            {"type": "input_json_delta", "partial_json": it} for it in (whole[:half], whole[half:])
        ]
    return [
        {"type": "message_start", "message": _message(model, {**usage, "output_tokens": 1})},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": it} for it in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": _stop_reason(answer), "stop_sequence": None},
            "usage": {"output_tokens": usage["output_tokens"]},
        },
        {"type": "message_stop"},
    ]

"""A server with Ollama's own API on the loopback address.

`POST /api/chat` (whole and as lines of JSON), `POST /api/embed` and `GET /api/tags`. Models and
behaviours are those of `servers.chat_server`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from servers.chat_server import (
    MODELS,
    RETRY_AFTER_S,
    Answer,
    ChatServer,
    Conversation,
    answer_to,
    send_pieces,
    send_whole,
    words,
)
from servers.openai_server import embed

if TYPE_CHECKING:
    from servers.loopback import Exchange, Request

Json = dict[str, Any]

CREATED = "2026-01-02T03:04:05.678901Z"


class OllamaServer(ChatServer):
    """The server; a daemon wants no key, a proxy before it may."""

    @property
    def base_url(self) -> str:
        """What clients call the base URL."""
        return self.url

    def answer(self, request: Request, exchange: Exchange) -> None:
        """Checks the key, if there is one, and finds the endpoint."""
        given = request.headers.get("authorization")
        if self.api_key is not None and given != f"Bearer {self.api_key}":
            self.send_error(exchange, 401, "unauthorized")
            return
        match (request.method, request.path):
            case ("GET", "/api/tags"):
                models = [{"name": f"{it}:latest", "model": f"{it}:latest"} for it in MODELS]
                exchange.send_json(200, {"models": models})
            case ("POST", "/api/chat"):
                self._chat(request.json(), exchange)
            case ("POST", "/api/embed"):
                self._embed(request.json(), exchange)
            case _:
                self.send_error(exchange, 404, "404 page not found")

    def send_error(self, exchange: Exchange, status: int, message: str) -> None:
        """Answers with an error."""
        headers = {"retry-after": str(RETRY_AFTER_S)} if status == 429 else None
        exchange.send_json(status, {"error": message}, headers)

    def _chat(self, body: Json, exchange: Exchange) -> None:
        model = body["model"]
        if self.fails(model, exchange):
            return
        asked = _conversation(body)
        answer = answer_to(model, asked)
        end = {
            "done": True,
            "done_reason": "stop",
            "total_duration": 1,
            "prompt_eval_count": asked.tokens,
            "eval_count": answer.tokens,
        }
        if body.get("stream", True) is False:
            send_whole(exchange, model, {**_line(model, _message(answer)), **end})
            return
        if answer.tool is None:
            messages = [{"role": "assistant", "content": it} for it in answer.pieces]
        else:
            messages = [_message(answer)]
        lines = [_line(model, it) for it in messages]
        lines.append({**_line(model, {"role": "assistant", "content": ""}), **end})
        pieces = [json.dumps(it).encode() + b"\n" for it in lines]
        send_pieces(exchange, model, pieces, "application/x-ndjson")

    def _embed(self, body: Json, exchange: Exchange) -> None:
        if self.fails(body["model"], exchange):
            return
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        vectors = [embed(it) for it in texts]
        reply = {"model": body["model"], "embeddings": vectors, "prompt_eval_count": words(texts)}
        exchange.send_json(200, reply)


def _conversation(body: Json) -> Conversation:
    tools = [it["function"] for it in body.get("tools") or []]
    asked = Conversation("", None, tools, words(body["messages"]))
    for message in body["messages"]:
        if message["role"] == "user":
            asked.user, asked.tool_result = message["content"], None
        elif message["role"] == "tool":
            asked.tool_result = message["content"]
    return asked


def _message(answer: Answer) -> Json:
    message: Json = {"role": "assistant", "content": answer.text}
    if answer.tool is not None:
        call = {"function": {"name": answer.tool, "arguments": answer.arguments}}
        message["tool_calls"] = [call]
    return message


def _line(model: str, message: Json) -> Json:
    return {"model": model, "created_at": CREATED, "message": message, "done": False}

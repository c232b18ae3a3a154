"""A server with Google's Gemini API on the loopback address.

`POST /v1beta/models/MODEL:generateContent`, `:streamGenerateContent?alt=sse` and
`:batchEmbedContents`. Models and behaviours are those of `servers.chat_server`. As the provider
does, it answers a wrong key with status 400, and says how long to wait in the body of an error.
"""

from __future__ import annotations

import json
import re
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
from servers.openai_server import embed

if TYPE_CHECKING:
    from servers.loopback import Exchange, Request

Json = dict[str, Any]

_PATH = re.compile(r"/v1beta/models/([\w.-]+):(\w+)")
_STATUSES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
}


class GeminiServer(ChatServer):
    """The server."""

    @property
    def base_url(self) -> str:
        """What clients call the base URL."""
        return self.url

    def answer(self, request: Request, exchange: Exchange) -> None:
        """Checks the key and finds the method."""
        if request.headers.get("x-goog-api-key") != self.api_key:
            self.send_error(exchange, 400, "API key not valid. Please pass a valid API key.")
            return
        found = _PATH.fullmatch(request.path.split("?")[0])
        if found is None or request.method != "POST":
            self.send_error(exchange, 404, f"no endpoint {request.path}")
            return
        model, method = found.groups()
        if self.fails(model, exchange):
            return
        body = request.json()
        if method == "batchEmbedContents":
            vectors = [embed(_text(it["content"]["parts"])) for it in body["requests"]]
            exchange.send_json(200, {"embeddings": [{"values": it} for it in vectors]})
            return
        asked = _conversation(body)
        answer = answer_to(model, asked)
        usage = {
            "promptTokenCount": asked.tokens,
            "candidatesTokenCount": answer.tokens,
            "totalTokenCount": asked.tokens + answer.tokens,
        }
        if method == "generateContent":
            whole = _response(model, _parts(answer), finish="STOP", usage=usage)
            send_whole(exchange, model, whole)
            return
        pieces = [[{"text": it}] for it in answer.pieces] if answer.tool is None else []
        chunks = [_response(model, it) for it in pieces]
        last = [{"text": ""}] if answer.tool is None else _parts(answer)
        chunks.append(_response(model, last, finish="STOP", usage=usage))
        events = [f"data: {json.dumps(it)}\r\n\r\n".encode() for it in chunks]
        send_pieces(exchange, model, events, "text/event-stream")

    def send_error(self, exchange: Exchange, status: int, message: str) -> None:
        """Answers with an error."""
        error: Json = {"code": status, "message": message, "status": _STATUSES[status]}
        if status == 429:
            info = "type.googleapis.com/google.rpc.RetryInfo"
            error["details"] = [{"@type": info, "retryDelay": f"{RETRY_AFTER_S}s"}]
        exchange.send_json(status, {"error": error})


def _conversation(body: Json) -> Conversation:
    tools = [
        {"name": it["name"], "parameters": it.get("parameters") or it.get("parametersJsonSchema")}
        for group in body.get("tools") or []
        for it in group.get("functionDeclarations") or []
    ]
    asked = Conversation("", None, tools, words(body["contents"]))
    for content in body["contents"]:
        for part in content["parts"]:
            if content.get("role") == "user" and "text" in part:
                asked.user, asked.tool_result = part["text"], None
            elif "functionResponse" in part:
                response = part["functionResponse"]["response"]
                asked.tool_result = str(response.get("result", response))
    return asked


def _text(parts: list[Json]) -> str:
    return "".join(it.get("text", "") for it in parts)


def _parts(answer: Answer) -> list[Json]:
    if answer.tool is None:
        return [{"text": answer.text}]
    return [{"functionCall": {"name": answer.tool, "args": answer.arguments}}]


def _response(
    model: str, parts: list[Json], *, finish: str | None = None, usage: Json | None = None
) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    response: Json = {"candidates": [candidate], "modelVersion": model, "responseId": "r1"}
    return {**response, "usageMetadata": usage} if usage else response

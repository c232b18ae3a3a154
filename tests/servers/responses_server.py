"""A server with OpenAI's responses API on the loopback address.

`POST /v1/responses`, whole and as server-sent events. Models and behaviours are those of
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

CREATED = 1_700_000_000
_CODES = {
    400: "invalid_request_error",
    401: "invalid_api_key",
    404: "model_not_found",
    429: "rate_limit_exceeded",
    500: "server_error",
}


class ResponsesServer(ChatServer):
    """The server."""

    @property
    def base_url(self) -> str:
        """What clients call the base URL; ends in `/v1`."""
        return f"{self.url}/v1"

    def answer(self, request: Request, exchange: Exchange) -> None:
        """Checks the key and answers."""
        if request.headers.get("authorization") != f"Bearer {self.api_key}":
            self.send_error(exchange, 401, "Incorrect API key provided.")
            return
        if (request.method, request.path) != ("POST", "/v1/responses"):
            self.send_error(exchange, 404, f"no endpoint {request.path}")
            return
        body = request.json()
        model = body["model"]
        if self.fails(model, exchange):
            return
        asked = _conversation(body)
        answer = answer_to(model, asked)
        usage = {
            "input_tokens": asked.tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": answer.tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": asked.tokens + answer.tokens,
        }
        done = _response(model, "completed", [_item(answer)], usage)
        if body.get("stream"):
            numbered = [
                {**it, "sequence_number": index}
                for index, it in enumerate(_events(model, answer, done))
            ]
            pieces = [
                f"event: {it['type']}\ndata: {json.dumps(it)}\n\n".encode() for it in numbered
            ]
            send_pieces(exchange, model, pieces, "text/event-stream")
            return
        send_whole(exchange, model, done)

    def send_error(self, exchange: Exchange, status: int, message: str) -> None:
        """Answers with an error."""
        headers = {"retry-after": str(RETRY_AFTER_S)} if status == 429 else None
        code = _CODES[status]
        error = {"message": message, "type": code, "param": None, "code": code}
        exchange.send_json(status, {"error": error}, headers)


def _conversation(body: Json) -> Conversation:
    tools = [
        {"name": it["name"], "parameters": it.get("parameters")} for it in body.get("tools") or []
    ]
    items = body["input"]
    items = [{"role": "user", "content": items}] if isinstance(items, str) else items
    asked = Conversation("", None, tools, words(items))
    for item in items:
        if item.get("role") == "user":
            asked.user, asked.tool_result = _text(item["content"]), None
        elif item.get("type") == "function_call_output":
            asked.tool_result = _text(item["output"])
    return asked


def _text(content: str | list[Json]) -> str:
    return content if isinstance(content, str) else "".join(it.get("text", "") for it in content)


def _response(model: str, status: str, output: list[Json], usage: Json | None) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "model": model,
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }


def _part(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": []}


def _item(answer: Answer, status: str = "completed") -> Json:
    if answer.tool is None:
        content = [_part(answer.text)] if status == "completed" else []
        head = {"type": "message", "id": "msg_1", "role": "assistant"}
        return {**head, "status": status, "content": content}
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": answer.tool,
        "arguments": json.dumps(answer.arguments) if status == "completed" else "",
        "status": status,
    }


def _events(model: str, answer: Answer, done: Json) -> list[Json]:
    begun = _item(answer, "in_progress")
    of_item = {"item_id": begun["id"], "output_index": 0}
    if answer.tool is None:
        of_part = {**of_item, "content_index": 0}
        deltas: list[Json] = [
            {"type": "response.content_part.added", **of_part, "part": _part("")},
            *(
                {"type": "response.output_text.delta", **of_part, "delta": it}
                for it in answer.pieces
            ),
            {"type": "response.output_text.done", **of_part, "text": answer.text},
            {"type": "response.content_part.done", **of_part, "part": _part(answer.text)},
        ]
    else:
        whole = json.dumps(answer.arguments)
        half = len(whole) // 2
        kind = "response.function_call_arguments"
        deltas = [
            *(
                {"type": f"{kind}.delta", **of_item, "delta": it}
                for it in (whole[:half], whole[half:])
            ),
            {"type": f"{kind}.done", **of_item, "arguments": whole},
        ]
    begun_response = _response(model, "in_progress", [], None)
    return [
        {"type": "response.created", "response": begun_response},
        {"type": "response.in_progress", "response": begun_response},
        {"type": "response.output_item.added", "output_index": 0, "item": begun},
        *deltas,
        {"type": "response.output_item.done", "output_index": 0, "item": _item(answer)},
        {"type": "response.completed", "response": done},
    ]

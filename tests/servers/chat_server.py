"""What the servers of several providers share: models by behaviour, whatever the wire.

The name of the model chooses the behaviour:

| model | behaviour |
|---|---|
| `rules` | calls the first tool offered, once, then answers with its result; without tools: echo |
| `echo` | repeats the last user message |
| `hashed` | embeddings: signed hashed bag of words, 64 dimensions, unit length |
| `rate-limited` | status 429, with a time to wait |
| `rate-limited-once` | the first request as `rate-limited`, later ones as `echo` |
| `bad-request` | status 400 |
| `too-long` | status 400: the prompt is longer than the context |
| `broken` | status 500 |
| `malformed` | status 200 and a body that is not JSON |
| `truncated` | the stream, or the body, stops in the middle |

A wrong key is answered as the provider does, an unknown model with 404. Each server is written from
the public documentation of its wire.
"""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from servers.loopback import Exchange, LoopbackServer
from servers.openai_server import arguments_for

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]

MODELS = (
    "rules",
    "echo",
    "hashed",
    "rate-limited",
    "rate-limited-once",
    "bad-request",
    "too-long",
    "broken",
    "malformed",
    "truncated",
)
# Seconds that `rate-limited` asks to wait.
RETRY_AFTER_S = 1


@dataclass
class Conversation:
    """A request, whatever the wire: the last texts and the tools that are offered."""

    user: str
    tool_result: str | None
    tools: list[Json] = field(default_factory=list)
    tokens: int = 0


@dataclass
class Answer:
    """An answer, whatever the wire: a text, or the call of a tool."""

    text: str = ""
    tool: str | None = None
    arguments: Json = field(default_factory=dict)

    @property
    def pieces(self) -> list[str]:
        """The text word by word."""
        return re.findall(r"\s*\S+\s*$|\s*\S+", self.text)

    @property
    def tokens(self) -> int:
        """Words of the answer."""
        return len(self.text.split()) + (1 + len(self.arguments) if self.tool else 0)


class ChatServer(LoopbackServer):
    """A server of models; use it as a context manager.

    Args:
        api_key: The only key it accepts; None for a server that wants none.
    """

    def __init__(self, *, api_key: str | None = "test-key") -> None:
        super().__init__()
        self.api_key = api_key
        self._lock = threading.Lock()
        self._was_rate_limited = False

    def fails(self, model: str, exchange: Exchange) -> bool:
        """Answers with an error where the model's name asks for one."""
        if model not in MODELS:
            self.send_error(exchange, 404, f"there is no model {model}")
        elif model == "rate-limited" or (model == "rate-limited-once" and self._first()):
            self.send_error(exchange, 429, "too many requests")
        elif model == "bad-request":
            self.send_error(exchange, 400, "this request makes no sense")
        elif model == "too-long":
            self.send_error(exchange, 400, "prompt is too long: 9 tokens > 8 maximum")
        elif model == "broken":
            self.send_error(exchange, 500, "the server had an error")
        elif model == "malformed":
            exchange.send(200, b'{"half": ', "application/json")
        else:
            return False
        return True

    def send_error(self, exchange: Exchange, status: int, message: str) -> None:
        """Answers with an error in the form of the wire."""
        raise NotImplementedError

    def _first(self) -> bool:
        with self._lock:
            first = not self._was_rate_limited
            self._was_rate_limited = True
            return first


def answer_to(model: str, asked: Conversation) -> Answer:
    """What a model that does not fail answers."""
    if model != "rules":
        return Answer(asked.user)
    if asked.tool_result is not None:
        return Answer(f"The answer: {asked.tool_result}")
    if not asked.tools:
        return Answer(asked.user)
    tool = asked.tools[0]
    arguments = arguments_for(tool.get("parameters") or {}, asked.user)
    return Answer(tool=tool["name"], arguments=arguments)


def send_whole(exchange: Exchange, model: str, reply: Json) -> None:
    """Sends a JSON document, half of it for `truncated`."""
    send_pieces(exchange, model, [json.dumps(reply).encode()], "application/json")


def send_pieces(exchange: Exchange, model: str, pieces: Sequence[bytes], media_type: str) -> None:
    """Sends a body in chunks, half of it for `truncated`."""
    exchange.begin_chunks(media_type)
    if model == "truncated":
        whole = b"".join(pieces)
        exchange.send_chunk(whole[: len(whole) // 2])
        exchange.hang_up()
        return
    for piece in pieces:
        exchange.send_chunk(piece)
    exchange.end_chunks()


def words(value: object) -> int:
    """Words of the JSON of a value, which count as tokens."""
    return len(json.dumps(value).split())

"""A client of a kernel: sends what it is told, keeps all that it hears, waits with a limit."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import zmq

from kernel.conformance import wire
from kernel.conformance.process import CHANNELS, LIMIT_S
from kernel.conformance.wire import Dict, Message, ViolationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kernel.conformance.process import Connection

# How often a socket tries again while a kernel is starting.
RECONNECT_MS = 10
# How long a reply may be on its way when the idle of its request is here.
AFTER_IDLE_S = 2.0


class SilenceError(ViolationError):
    """Something that had to come did not."""


@dataclass(frozen=True)
class Request:
    """A message that was sent."""

    header: Dict
    channel: str
    # As it went over the wire, to be sent again.
    frames: list[bytes]

    @property
    def id(self) -> str:
        return str(self.header["msg_id"])

    @property
    def kind(self) -> str:
        return str(self.header["msg_type"])


@dataclass(frozen=True)
class Exchange:
    """A request, its reply, and what was broadcast for it up to its idle."""

    request: Request
    reply: Message
    broadcasts: list[Message] = field(default_factory=list)

    @property
    def content(self) -> Dict:
        return self.reply.content

    @property
    def count(self) -> int:
        """The execution count of the reply."""
        return int(self.content["execution_count"])

    @property
    def messages(self) -> list[Message]:
        return [self.reply, *self.broadcasts]

    @property
    def outline(self) -> list[str]:
        """States and kinds in order; the text of a stream joined."""
        lines: list[str] = []
        for it in self.broadcasts:
            name = it.content.get("name")
            if it.state:
                lines.append(it.state)
            elif it.kind == "stream" and lines and lines[-1].startswith(f"{name}: "):
                lines[-1] += it.content["text"]
            elif it.kind == "stream":
                lines.append(f"{name}: {it.content['text']}")
            else:
                lines.append(it.kind)
        return lines

    def all(self, kind: str) -> list[Message]:
        return [it for it in self.broadcasts if it.kind == kind]

    def one(self, kind: str) -> Message:
        """The only broadcast of that kind."""
        found = self.all(kind)
        if len(found) != 1:
            raise ViolationError(f"{len(found)} messages of kind `{kind}`, not 1: {self.outline}")
        return found[0]

    def text(self, name: str = "stdout") -> str:
        """All that was written to a stream."""
        streams = self.all("stream")
        return "".join(it.content["text"] for it in streams if it.content["name"] == name)

    @property
    def shown(self) -> str:
        """The result of a cell as text."""
        text: str = self.one("execute_result").content["data"]["text/plain"]
        return text


class Client:
    """A front end with its five sockets."""

    def __init__(
        self,
        connection: Connection,
        *,
        identity: bytes | None = None,
        topic: bytes = b"",
        limit_s: float = LIMIT_S,
        channels: Sequence[str] = CHANNELS,
    ) -> None:
        self.connection = connection
        self._limit_s = limit_s
        self.session = uuid.uuid4().hex
        self.identity = uuid.uuid4().hex.encode() if identity is None else identity
        # All that was broadcast so far, in its order.
        self.heard: list[Message] = []
        self._arrived: dict[str, list[Message]] = {"shell": [], "control": [], "stdin": []}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        kinds = {"iopub": zmq.SUB, "hb": zmq.REQ}
        self._sockets = {it: self._open(it, kinds.get(it, zmq.DEALER), topic) for it in channels}

    def _open(self, channel: str, kind: int, topic: bytes) -> zmq.Socket[bytes]:
        opened: zmq.Socket[bytes] = self._context.socket(kind)
        opened.linger = 0
        opened.reconnect_ivl = RECONNECT_MS
        opened.rcvhwm = 0
        if kind == zmq.DEALER and self.identity:
            opened.identity = self.identity
        if kind == zmq.SUB:
            opened.subscribe(topic)
        opened.connect(self.connection.address(channel))
        return opened

    def close(self) -> None:
        self._context.destroy(linger=0)

    # Sending.

    def header(self, kind: str, **fields: Any) -> Dict:  # noqa: ANN401
        """A header of ours; `fields` are added to it, or stand in place of its own."""
        return {
            "msg_id": uuid.uuid4().hex,
            "session": self.session,
            "username": "conformance",
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "msg_type": kind,
            "version": "5.5",
            **fields,
        }

    def send(  # noqa: PLR0913  # a message has that many parts
        self,
        kind: str,
        content: Dict | None = None,
        *,
        channel: str = "shell",
        header: Dict | None = None,
        parent: Dict | None = None,
        metadata: Dict | None = None,
        buffers: Sequence[bytes] = (),
        identities: Sequence[bytes] = (),
    ) -> Request:
        """Sends a message; `header` adds fields to its header."""
        full = self.header(kind, **(header or {}))
        parts = (full, parent or {}, metadata or {}, content or {})
        frames = wire.frames(self.connection.key, parts, identities=identities, buffers=buffers)
        self.send_frames(frames, channel)
        return Request(full, channel, frames)

    def send_frames(self, frames: Sequence[bytes], channel: str = "shell") -> None:
        """Sends frames as they are."""
        self._sockets[channel].send_multipart(frames)

    def start(self, code: str, **options: Any) -> Request:  # noqa: ANN401
        """Sends a cell."""
        header = options.pop("header", None)
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
            **options,
        }
        return self.send("execute_request", content, header=header)

    # Waiting.

    def execute(self, code: str, **options: Any) -> Exchange:  # noqa: ANN401
        """Runs a cell to its end."""
        return self.complete(self.start(code, **options))

    def ask(self, kind: str, content: Dict | None = None, **options: Any) -> Exchange:  # noqa: ANN401
        """Sends a request and waits for its reply and its idle."""
        return self.complete(self.send(kind, content, **options))

    def complete(self, request: Request) -> Exchange:
        """Waits for the reply and the idle of a request."""
        # A reply is sent before its idle, on a way of its own.
        broadcasts = self.broadcasts(request)
        return Exchange(request, self.reply(request, AFTER_IDLE_S), broadcasts)

    def reply(self, request: Request, limit_s: float | None = None) -> Message:
        """Waits for the reply of a request; others are kept."""
        return self._wait(request.channel, lambda it: it.parent_id == request.id, limit_s)

    def next(self, channel: str = "shell") -> Message:
        """Waits for the next message that came, whatever it answers."""
        return self._wait(channel, lambda _: True)

    def arrived(self, channel: str = "shell") -> list[Message]:
        """What came so far and was not taken."""
        while self._sockets[channel].poll(0):
            self._receive(channel)
        return self._arrived[channel]

    def broadcasts(self, request: Request) -> list[Message]:
        """Waits for the idle of a request; all that was broadcast for it until then."""
        self.wait_for(lambda it: it.parent_id == request.id and it.state == "idle")
        mine = [it for it in self.heard if it.parent_id == request.id]
        end = next(index for index, it in enumerate(mine) if it.state == "idle")
        return mine[: end + 1]

    def wait_for(self, wanted: Callable[[Message], bool]) -> Message:
        """Waits for a broadcast, unless it was heard already."""
        looked_at = 0
        for _ in self._until():
            for it in self.heard[looked_at:]:
                if wanted(it):
                    return it
            looked_at = len(self.heard)
            self._receive("iopub", self._limit_s)
        raise SilenceError("an awaited broadcast did not come")

    def wait_for_text(self, request: Request, text: str) -> None:
        """Waits until a cell has printed a text."""
        self.wait_for(lambda it: it.parent_id == request.id and text in it.content.get("text", ""))

    def fence(self) -> list[Message]:
        """Asks something on the shell; all that was broadcast until it was answered.

        What a kernel sent before it took that request has arrived, and what has not arrived was
        not sent.
        """
        self.ask("kernel_info_request")
        return self.heard

    def settle(self) -> None:
        """Waits until the kernel has taken in all that was sent on the shell, whatever it runs.

        The messages of one socket come in their order, those of two do not. Only a subshell answers
        on that socket while the main shell is busy.
        """
        made = self.ask("create_subshell_request", channel="control").content["subshell_id"]
        self.ask("kernel_info_request", header={"subshell_id": made})
        self.ask("delete_subshell_request", {"subshell_id": made}, channel="control")

    def late(self, request: Request) -> list[Message]:
        """What is broadcast for a request after its idle."""
        mine = [it for it in self.fence() if it.parent_id == request.id]
        end = next(index for index, it in enumerate(mine) if it.state == "idle")
        return mine[end + 1 :]

    def beat(self, *frames: bytes) -> list[bytes]:
        """What the heartbeat sends back."""
        beating = self._sockets["hb"]
        beating.send_multipart(frames)
        if not beating.poll(int(self._limit_s * 1000)):
            raise SilenceError("the heart does not beat")
        return beating.recv_multipart()

    def subscribe(self, topic: bytes) -> None:
        """A further subscription."""
        self._sockets["iopub"].subscribe(topic)

    def unsubscribe(self, topic: bytes = b"") -> None:
        self._sockets["iopub"].unsubscribe(topic)

    def wait_until_ready(self) -> None:
        """Waits until the kernel answers and its broadcasts arrive."""
        for _ in self._until():
            request = self.send("kernel_info_request", channel="control")
            self.reply(request)
            # A subscription takes its own way to the kernel; the first answers may overtake it.
            if self._sockets["iopub"].poll(50):
                # What the requests before it brought about is behind us then.
                self.ask("kernel_info_request", channel="control")
                return
        raise SilenceError("no broadcast arrives")

    def _wait(
        self, channel: str, wanted: Callable[[Message], bool], limit_s: float | None = None
    ) -> Message:
        arrived = self._arrived[channel]
        limit_s = limit_s or self._limit_s
        for _ in self._until():
            for index, it in enumerate(arrived):
                if wanted(it):
                    return arrived.pop(index)
            self._receive(channel, limit_s)
        raise SilenceError(f"an awaited message did not come on {channel}")

    def _receive(self, channel: str, limit_s: float = 0.0) -> None:
        socket = self._sockets[channel]
        if not socket.poll(int(limit_s * 1000)):
            heard = "\n".join(map(str, self.heard[-20:]))
            raise SilenceError(f"nothing comes on {channel}; heard last:\n{heard}")
        message = wire.read(socket.recv_multipart(), self.connection.key, channel)
        kept = self.heard if channel == "iopub" else self._arrived[channel]
        kept.append(message)

    def _until(self) -> Iterator[None]:
        deadline = time.monotonic() + self._limit_s
        while time.monotonic() < deadline:
            yield

"""A kernel of a few lines that can be told to break a rule: on it the checks are tried.

It runs what it finds in a cell of the Lua table: an assignment, a print, one value and one error.
"""

from __future__ import annotations

import re
import threading
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import zmq

from kernel.conformance import wire
from kernel.conformance.languages import LUA
from kernel.conformance.process import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from typing import Self

    from kernel.conformance.wire import Dict, Message

POLL_MS = 5


@dataclass(frozen=True)
class Outgoing:
    """A message before it is signed."""

    key: str
    prefix: list[bytes]
    header: Dict
    parent: Dict
    content: Dict | bytes
    buffers: list[bytes] = field(default_factory=list)

    @property
    def kind(self) -> str:
        return str(self.header["msg_type"])

    @property
    def state(self) -> str | None:
        found: str | None = dict(self.content or {}).get("execution_state")  # type: ignore[arg-type]
        return found

    def frames(self) -> list[bytes]:
        parts: list[Dict | bytes] = [self.header, self.parent, {}, self.content]
        return wire.frames(self.key, parts, identities=self.prefix, buffers=self.buffers)


Fault = "Callable[[Outgoing], Iterable[Outgoing]]"


def honest(message: Outgoing) -> Iterable[Outgoing]:
    return [message]


class FakeKernel:
    """A kernel in a thread; `fault` changes what it sends, `faults` what it does."""

    def __init__(
        self,
        folder: Path,
        fault: Callable[[Outgoing], Iterable[Outgoing]] = honest,
        faults: frozenset[str] = frozenset(),
    ) -> None:
        self.connection = Connection.new("tcp", folder)
        self.fault, self.faults = fault, faults
        self.session = uuid.uuid4().hex
        self.count, self.variables, self.seen = 0, dict[str, str](), set[bytes]()
        self._ended = threading.Event()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        kinds = {"iopub": zmq.XPUB, "hb": zmq.REP}
        self._sockets: dict[str, zmq.Socket[bytes]] = {}
        for channel in self.connection.ports:
            bound = self._context.socket(kinds.get(channel, zmq.ROUTER))
            bound.linger = 0
            if channel == "iopub":
                bound.setsockopt(zmq.XPUB_VERBOSE, 1)
            bound.bind(self.connection.address(channel))
            self._sockets[channel] = bound
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._context.destroy(linger=0)

    def _serve(self) -> None:
        poller = zmq.Poller()
        for it in self._sockets.values():
            poller.register(it, zmq.POLLIN)
        while not self._ended.is_set():
            ready = dict(poller.poll(POLL_MS))
            for channel, it in self._sockets.items():
                if it in ready:
                    self._take(channel, it.recv_multipart())

    def _take(self, channel: str, frames: list[bytes]) -> None:
        if channel == "hb":
            self._sockets["hb"].send_multipart(
                [frames[0].upper()] if self.has("shouts") else frames
            )
        elif channel == "iopub" and frames[0][:1] == b"\1":
            topic = frames[0][1:]
            content = {"subscription": topic.decode(errors="replace")}
            parent = {"msg_id": "x"} if self.has("welcomes with a parent") else {}
            self.send("iopub", [topic], "iopub_welcome", parent, content)
        elif channel in {"shell", "control"}:
            self._answer(channel, frames)

    def _answer(self, channel: str, frames: list[bytes]) -> None:
        try:
            key = "" if self.has("believes everybody") else self.connection.key
            if self.has("believes everybody"):
                at = frames.index(wire.DELIMITER)
                frames = [*frames[: at + 1], b"", *frames[at + 2 :]]
            message = wire.read(frames, key, channel)
        except (wire.ViolationError, ValueError):
            return
        if message.signature in self.seen and not self.has("runs what comes twice"):
            return
        self.seen.add(message.signature)
        self.broadcast(message, "status", {"execution_state": "busy"})
        stem = message.kind.removesuffix("_request")
        content = self._execute(message) if stem == "execute" else {"status": "ok"}
        if stem == "kernel_info":
            content["protocol_version"] = "5.5"
        prefix = list(message.identities)
        self.send(channel, prefix, f"{stem}_reply", message.header, content)
        self.broadcast(message, "status", {"execution_state": "idle"})

    def _execute(self, message: Message) -> Dict:
        code, silent = message.content["code"], message.content["silent"]
        if not silent or self.has("counts silent cells"):
            self.count += message.content.get("store_history", True)
        if not silent:
            told = {"code": code, "execution_count": self.count}
            self.broadcast(message, "execute_input", told)
        is_heard = not silent or self.has("broadcasts silent cells")
        for line in map(str.strip, code.split("\n")):
            if is_heard and (printed := re.fullmatch(r'print\((?:"(.*)"|(\w+))\)', line)):
                text = (
                    printed[1] if printed[2] is None else self.variables.get(printed[2], LUA.none)
                )
                self.broadcast(message, "stream", {"name": "stdout", "text": f"{text}\n"})
            if assigned := re.fullmatch(r"(\w+) = (?:\1 \+ )?(\d+)", line):
                before = self.variables.get(assigned[1], "0") if "+" in line else "0"
                self.variables[assigned[1]] = str(int(before) + int(assigned[2]))
            if is_heard and (line == LUA.value or line in self.variables):
                shown = self.variables.get(line, LUA.value_shown)
                data = {"data": {"text/plain": shown}, "metadata": {}}
                told = {**data, "execution_count": self.count}
                self.broadcast(message, "execute_result", told)
            if line == LUA.error:
                error = {"ename": "script", "evalue": "on purpose", "traceback": ["on purpose"]}
                told = {**error, "evalue": "?"} if self.has("tells two errors") else error
                self.broadcast(message, "error", told)
                return {"status": "error", "execution_count": self.count, **error}
        return {"status": "ok", "execution_count": self.count, "user_expressions": {}}

    def has(self, fault: str) -> bool:
        return fault in self.faults

    def broadcast(self, message: Message, kind: str, content: Dict) -> None:
        self.send("iopub", [kind.encode()], kind, message.header, content)

    def send(
        self, channel: str, prefix: list[bytes], kind: str, parent: Dict, content: Dict
    ) -> None:
        date = datetime.now(timezone.utc).isoformat()
        header = {
            "msg_id": uuid.uuid4().hex,
            "session": self.session,
            "username": "fake",
            "date": date,
            "msg_type": kind,
            "version": "5.5",
        }
        sent = Outgoing(self.connection.key, prefix, header, parent, content)
        for it in self.fault(sent):
            self._sockets[channel].send_multipart(it.frames())


def changed(kind: str, **fields: object) -> Callable[[Outgoing], Iterable[Outgoing]]:
    """Changes the messages of a kind."""

    def fault(message: Outgoing) -> Iterable[Outgoing]:
        return [replace(message, **fields) if message.kind == kind else message]  # type: ignore[arg-type]

    return fault

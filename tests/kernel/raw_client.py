"""A kernel started by hand, and a client over bare sockets: its own framing, signing and waiting.

Little of what is measured or endured with it is its own, and nothing of it is jupyter_client's, so
the benchmarks share it: every kernel is started and asked in the same way.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq
from jupyter_client.kernelspec import KernelSpecManager

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
DELIMITER = b"<IDS|MSG>"
# Below those that the system gives to clients, which would take one before the kernel binds it.
PORTS = range(16_000, 32_000)
_given: set[int] = set()
# Far more than any answer needs; whoever waits that long has failed.
TIMEOUT_S = 60.0
# How long a client waits until it asks again whether the kernel is there.
ASK_AGAIN_S = 0.2


class Message:
    """What arrived; its parts are read when they are looked at."""

    def __init__(self, frames: Sequence[bytes]) -> None:
        begin = frames.index(DELIMITER)
        self.topics = list(frames[:begin])
        self._parts = frames[begin + 2 :]
        self.buffers = frames[begin + 6 :]

    @cached_property
    def header(self) -> dict[str, Any]:
        """Its header."""
        return dict(json.loads(self._parts[0]))

    @cached_property
    def parent(self) -> dict[str, Any]:
        """The header of what brought it about."""
        return dict(json.loads(self._parts[1]))

    @cached_property
    def content(self) -> dict[str, Any]:
        """What it says."""
        return dict(json.loads(self._parts[3]))

    @property
    def kind(self) -> str:
        """Its type."""
        return str(self.header["msg_type"])

    @property
    def parent_id(self) -> str:
        """Of which request; empty for none."""
        return str(self.parent.get("msg_id", ""))

    @property
    def state(self) -> str:
        """What the kernel does, if this says so."""
        # Most messages say nothing of it; so they need not be read.
        if b'"execution_state"' not in self._parts[3]:
            return ""
        return str(self.content.get("execution_state", ""))

    def answers(self, msg_id: str) -> bool:
        """Whether that request brought it about; costs less than reading the parent."""
        return b'"%s"' % msg_id.encode() in self._parts[1]


class RawClient:
    """One client: shell, control, stdin and IOPub."""

    def __init__(
        self, fields: dict[str, Any], *, is_reader: bool = True, retry_ms: int = 1
    ) -> None:
        """Connects.

        Args:
            fields: Of the connection file.
            is_reader: Whether it subscribes.
            retry_ms: How soon a kernel that does not listen yet is tried again.
        """
        self.fields = fields
        self.session = uuid.uuid4().hex
        self._mac = hmac.new(fields["key"].encode(), digestmod=hashlib.sha256)
        self._numbers = itertools.count()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._context.setsockopt(zmq.RECONNECT_IVL, retry_ms)
        self.iopub = self._socket(zmq.SUB)
        self.iopub.rcvhwm = 0
        if is_reader:
            self.iopub.subscribe(b"")
            self.iopub.connect(self.address("iopub"))
        identity = self.session.encode()
        self.sockets = {}
        for channel in ("shell", "control", "stdin"):
            dealer = self._socket(zmq.DEALER)
            dealer.sndhwm = dealer.rcvhwm = 0
            dealer.identity = identity
            dealer.connect(self.address(channel))
            self.sockets[channel] = dealer

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.linger = 0
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Leaves."""
        self._context.destroy(linger=0)

    def address(self, channel: str) -> str:
        """Where the kernel listens."""
        separator = ":" if self.fields["transport"] == "tcp" else "-"
        return (
            f"{self.fields['transport']}://{self.fields['ip']}{separator}"
            f"{self.fields[f'{channel}_port']}"
        )

    def frames(
        self, kind: str, content: dict[str, Any], *, buffers: Sequence[bytes] = ()
    ) -> tuple[str, list[bytes]]:
        """A signed message, and its id."""
        msg_id = f"{self.session}_{next(self._numbers)}"
        header = {
            "msg_id": msg_id,
            "session": self.session,
            "username": "raw",
            "date": "2026-11-27T00:00:00Z",
            "msg_type": kind,
            "version": "5.5",
        }
        parts = [json.dumps(it).encode() for it in (header, {}, {}, content)]
        mac = self._mac.copy()
        for part in parts:
            mac.update(part)
        return msg_id, [DELIMITER, mac.hexdigest().encode(), *parts, *buffers]

    def send(
        self,
        kind: str,
        content: dict[str, Any] | None = None,
        *,
        channel: str = "shell",
        buffers: Sequence[bytes] = (),
    ) -> str:
        """Sends a message; returns its id."""
        msg_id, frames = self.frames(kind, content or {}, buffers=buffers)
        self.sockets[channel].send_multipart(frames)
        return msg_id

    def execute(self, code: str, **options: Any) -> str:  # noqa: ANN401
        """Sends a cell; returns the id of the request."""
        return self.send("execute_request", cell(code) | options)

    def receive(self, channel: str, timeout_s: float = TIMEOUT_S) -> Message:
        """The next message of a channel.

        Raises:
            TimeoutError: Nothing comes.
        """
        source = self.iopub if channel == "iopub" else self.sockets[channel]
        try:
            return Message(source.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            pass
        if not source.poll(int(timeout_s * 1000)):
            raise TimeoutError(f"nothing came on {channel} in {timeout_s} s")
        return Message(source.recv_multipart())

    def reply(self, msg_id: str, channel: str = "shell", timeout_s: float = TIMEOUT_S) -> Message:
        """The reply of a request; earlier ones are passed over."""
        while True:
            message = self.receive(channel, timeout_s)
            if message.answers(msg_id):
                return message

    def broadcasts(self, msg_id: str, timeout_s: float = TIMEOUT_S) -> list[Message]:
        """What is broadcast for a request, up to its idle."""
        heard: list[Message] = []
        while True:
            message = self.receive("iopub", timeout_s)
            if not message.answers(msg_id):
                continue
            heard.append(message)
            if message.state == "idle":
                return heard

    def run(self, code: str, **options: Any) -> tuple[Message, list[Message]]:  # noqa: ANN401
        """The reply of a cell and its broadcasts."""
        msg_id = self.execute(code, **options)
        return self.reply(msg_id), self.broadcasts(msg_id)

    def start(self, code: str, **options: Any) -> str:  # noqa: ANN401
        """Starts a cell that prints `running` in Lua or Python, and waits until it did."""
        msg_id = self.execute(f"print('running')\n{code}", **options)
        while True:
            message = self.receive("iopub")
            if message.parent_id == msg_id and "running" in message.content.get("text", ""):
                return msg_id

    def ready(self, timeout_s: float = TIMEOUT_S) -> None:
        """Waits until the kernel answers and its broadcasts come.

        Raises:
            TimeoutError: It does not.
        """
        asked: set[str] = set()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            last = self.send("kernel_info_request")
            asked.add(last)
            again = time.monotonic() + ASK_AGAIN_S
            while self.iopub.poll(max(0, int((again - time.monotonic()) * 1000))):
                message = Message(self.iopub.recv_multipart())
                if message.state == "idle" and message.parent_id in asked:
                    self.reply(last)
                    if message.parent_id != last:
                        self.broadcasts(last)
                    return
        raise TimeoutError(f"the kernel is not ready after {timeout_s} s")

    def shut_down(self) -> None:
        """Asks the kernel to end; waits for the reply."""
        self.reply(self.send("shutdown_request", {"restart": False}, channel="control"), "control")


class StartedKernel:
    """A kernel process of a kernel spec."""

    def __init__(
        self,
        name: str = "aikit",
        *,
        transport: str = "tcp",
        through: Sequence[str] = (),
        at_home: bool = False,
    ) -> None:
        """Starts it.

        Args:
            name: Of the kernel spec.
            transport: `tcp` or `ipc`.
            through: A command that starts what follows it.
            at_home: Whether its folder is its home too, so that it finds nothing of the user's.
        """
        self.folder = Path(tempfile.mkdtemp(prefix="aikit-kernel-"))
        self.fields = connection(transport, self.folder)
        file = self.folder / "connection.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(self.fields))
        # Cells are kept nowhere: each kernel begins without a past.
        variables = {"AIKIT_KERNEL__HISTORY": "false", "JPY_PARENT_PID": str(os.getpid())}
        if at_home:
            variables |= {"HOME": str(self.folder), "JUPYTER_RUNTIME_DIR": str(self.folder)}
        with (self.folder / "stderr").open("wb") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [*through, *command(name, file)],
                cwd=self.folder,
                env=os.environ | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    def client(self, *, is_reader: bool = True, retry_ms: int = 1) -> RawClient:
        """One more client."""
        return RawClient(self.fields, is_reader=is_reader, retry_ms=retry_ms)

    def close(self) -> None:
        """Ends it at once, if it has not ended, and removes what it left."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def cell(code: str) -> dict[str, Any]:
    """The content of an execute request."""
    return {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }


def command(name: str, file: Path) -> list[str]:
    """How the kernel of a kernel spec is started."""
    argv = KernelSpecManager().get_kernel_spec(name).argv
    python = {"python", f"python{sys.version_info[0]}"}
    # As jupyter_client does: the interpreter of this environment, whatever PATH says.
    argv = [sys.executable if it in python else it for it in argv]
    return [it.format(connection_file=file) for it in argv]


def free_port() -> int:
    """A port that was free a moment ago, and that this process has given to no other kernel."""
    while True:
        port = secrets.choice(PORTS)
        if port in _given:
            continue
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        _given.add(port)
        return port


def connection(transport: str, folder: Path) -> dict[str, Any]:
    """Fields of a connection file with ports that were free a moment ago."""
    if transport == "ipc":
        ports = list(range(1, len(CHANNELS) + 1))
    else:
        ports = [free_port() for _ in CHANNELS]
    return {
        "transport": transport,
        "ip": "127.0.0.1" if transport == "tcp" else str(folder / "kernel"),
        "key": secrets.token_hex(16),
        "signature_scheme": "hmac-sha256",
        "kernel_name": "",
        **{f"{channel}_port": port for channel, port in zip(CHANNELS, ports, strict=True)},
    }

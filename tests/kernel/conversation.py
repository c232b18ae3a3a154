"""A kernel under test, and what a client of it hears."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import KernelManager

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_client.blocking.client import BlockingKernelClient

Message = dict[str, Any]

# Far more than any answer needs; whoever waits that long has failed.
TIMEOUT_S = 30.0


@dataclass
class Heard:
    """What a request brought about."""

    reply: Message
    broadcasts: list[Message] = field(default_factory=list)

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = self.reply["content"]
        return content

    @property
    def outline(self) -> list[str]:
        """States and message types in order; streams with their text, joined."""
        lines: list[str] = []
        for message in self.broadcasts:
            kind, content = message["msg_type"], message["content"]
            if kind == "status":
                lines.append(content["execution_state"])
            elif kind == "stream" and lines and lines[-1].startswith(content["name"] + ": "):
                lines[-1] += content["text"]
            elif kind == "stream":
                lines.append(f"{content['name']}: {content['text']}")
            else:
                lines.append(kind)
        return lines

    def first(self, kind: str) -> dict[str, Any]:
        """The content of the first broadcast of that type."""
        content: dict[str, Any] = next(
            it["content"] for it in self.broadcasts if it["msg_type"] == kind
        )
        return content


class Conversation:
    """A started kernel with a client."""

    def __init__(self, transport: str = "tcp", *, folder: Path | None = None) -> None:
        self.manager = KernelManager(kernel_name="aikit", transport=transport)
        # Where no folder is given, cells are kept nowhere: each test begins without a past. The
        # sockets of `ipc` are files in the folder of both, so that one stays as it is.
        environment = {} if folder else {"AIKIT_KERNEL__HISTORY": "false"}
        cwd = None if folder is None else str(folder)
        self.manager.start_kernel(cwd=cwd, env={**os.environ, **environment})
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        try:
            self.client.wait_for_ready(timeout=TIMEOUT_S)
            self._pass_over_early_replies()
        except BaseException:
            self.close()
            raise

    def _pass_over_early_replies(self) -> None:
        """On a busy machine `wait_for_ready` asks more than once; later answers come behind it."""
        last = self.client.kernel_info()
        while self.client.get_shell_msg(timeout=TIMEOUT_S)["parent_header"]["msg_id"] != last:
            pass
        self.broadcasts(last)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()

    @property
    def pid(self) -> int:
        pid: int = self.manager.provisioner.process.pid  # type: ignore[union-attr]
        return pid

    def execute(self, code: str, **options: Any) -> Heard:  # noqa: ANN401
        return self.hear(self.client.execute(code, **options))

    def hear(self, msg_id: str) -> Heard:
        """The shell reply of a request and its broadcasts up to its idle."""
        reply = self.client.get_shell_msg(timeout=TIMEOUT_S)
        assert reply["parent_header"]["msg_id"] == msg_id
        return Heard(reply, self.broadcasts(msg_id))

    def broadcasts(self, msg_id: str) -> list[Message]:
        """What is broadcast for a request, up to its idle."""
        heard: list[Message] = []
        while True:
            message = self.client.get_iopub_msg(timeout=TIMEOUT_S)
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            heard.append(message)
            if message["content"].get("execution_state") == "idle":
                return heard

    def wait_for(self, wanted: Callable[[Message], bool]) -> Message:
        """The next broadcast that is wanted."""
        while True:
            message: Message = self.client.get_iopub_msg(timeout=TIMEOUT_S)
            if wanted(message):
                return message

    def start(self, code: str) -> str:
        """Starts a cell that prints `running`, and waits until it did."""
        msg_id: str = self.client.execute(f"print('running')\n{code}")
        self.wait_for(lambda it: it["content"].get("text") == "running\n")
        return msg_id

    def control(self, kind: str, content: dict[str, Any] | None = None) -> Message:
        """The reply of a request on the control socket."""
        channel = self.client.control_channel
        message = self.client.session.msg(kind, content or {})
        channel.send(message)
        reply: Message = channel.get_msg(timeout=TIMEOUT_S)
        assert reply["parent_header"]["msg_id"] == message["header"]["msg_id"]
        return reply

    def connection(self) -> dict[str, Any]:
        """The connection file."""
        with open(self.manager.connection_file) as file:  # noqa: PTH123
            fields: dict[str, Any] = json.load(file)
        return fields

    def ends_within(self, seconds: float) -> bool:
        """Whether the process ends in time."""
        deadline = time.monotonic() + seconds
        while self.manager.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

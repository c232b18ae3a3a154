"""The kernels of the suite, and how one is brought back when a check left it in a bad state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from kernel.conformance.client import Client, SilenceError
from kernel.conformance.languages import LANGUAGES
from kernel.conformance.process import KernelProcess

if TYPE_CHECKING:
    from pathlib import Path

    from kernel.conformance.languages import Language
    from kernel.conformance.process import Connection


class Connect(Protocol):
    """Makes a client."""

    def __call__(self, *, identity: bytes | None = None, topic: bytes | None = None) -> Client:
        """Makes a client that is ready, unless it asks for one topic only."""
        ...


class Start(Protocol):
    """Starts a kernel."""

    def __call__(
        self,
        *,
        transport: str | None = None,
        key: str | None = None,
        beside: Subject | None = None,
    ) -> Subject:
        """Starts a kernel of the same name: over another transport, with a key, or where another
        one ran, if given.
        """
        ...


class Subject:
    """A kernel under test."""

    def __init__(
        self,
        kernel: str,
        transport: str = "tcp",
        *,
        key: str | None = None,
        beside: Subject | None = None,
    ) -> None:
        self.language: Language = LANGUAGES[kernel]
        self._transport = transport
        self._key = key
        self._home: Path | None = beside.process.home if beside else None
        self._clients: list[Client] = []
        # Asks behind each test whether the kernel is there; hears no broadcast.
        self._watcher: Client | None = None
        self.process: KernelProcess = self._start()

    def _start(self) -> KernelProcess:
        return KernelProcess(self.language.kernel, self._transport, key=self._key, home=self._home)

    def connect(self, *, identity: bytes | None = None, topic: bytes | None = None) -> Client:
        """A client that is ready, unless it asks for one topic only."""
        client = Client(self.connection, identity=identity, topic=topic or b"")
        self._clients.append(client)
        if topic is None:
            client.wait_until_ready()
        return client

    def disconnect(self) -> None:
        """Closes the clients."""
        while self._clients:
            self._clients.pop().close()

    @property
    def connection(self) -> Connection:
        return self.process.connection

    def stop(self) -> None:
        self.disconnect()
        if self._watcher:
            self._watcher.close()
            self._watcher = None
        self.process.stop()

    def end(self) -> int:
        """Has the kernel end itself; its exit status."""
        client = self.connect()
        client.reply(client.send("shutdown_request", {"restart": False}, channel="control"))
        return self.process.exit_status()

    def recover(self) -> None:
        """Starts another kernel when this one does not answer, so that one failure stays one."""
        if self._watcher is None:
            self._watcher = Client(self.connection, limit_s=2, channels=["shell"])
        try:
            # Behind all that a check left running.
            self._watcher.reply(self._watcher.start("", silent=True))
        except SilenceError:
            self.stop()
            self.process = self._start()


# Name and transport of a kernel, by what the tests call it.
SUBJECTS = {
    "aikit-tcp": ("aikit", "tcp"),
    "aikit-ipc": ("aikit", "ipc"),
    "python3": ("python3", "tcp"),
}

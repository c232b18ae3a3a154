"""A kernel process, started from the argv of its kernelspec with a connection file of ours."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.raw_client import free_port

if TYPE_CHECKING:
    import signal

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
# Far more than any answer needs; whoever waits that long has failed.
LIMIT_S = 30.0


@dataclass(frozen=True)
class Connection:
    """What a connection file says."""

    transport: str
    ip: str
    ports: dict[str, int]
    key: str

    @classmethod
    def new(cls, transport: str, folder: Path, *, key: str | None = None) -> Connection:
        """A connection of its own: free ports, or files in a folder."""
        key = secrets.token_hex(16) if key is None else key
        if transport == "ipc":
            numbers = dict(zip(CHANNELS, range(1, 6), strict=True))
            return cls(transport, str(folder / "socket"), numbers, key)
        taken = [free_port() for _ in CHANNELS]
        return cls(transport, "127.0.0.1", dict(zip(CHANNELS, taken, strict=True)), key)

    def address(self, channel: str) -> str:
        separator = ":" if self.transport == "tcp" else "-"
        return f"{self.transport}://{self.ip}{separator}{self.ports[channel]}"

    def fields(self) -> dict[str, Any]:
        ports = {f"{channel}_port": port for channel, port in self.ports.items()}
        scheme = {"signature_scheme": "hmac-sha256", "key": self.key}
        return {"transport": self.transport, "ip": self.ip, **ports, **scheme}


class KernelProcess:
    """A running kernel."""

    def __init__(
        self,
        name: str,
        transport: str = "tcp",
        *,
        key: str | None = None,
        home: Path | None = None,
    ) -> None:
        # Short, because the path of a socket may have 100 bytes only.
        self._folder = tempfile.TemporaryDirectory(prefix="kernel-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        self.connection = Connection.new(transport, folder, key=key)
        self.spec = kernelspec(name)
        self._log = folder / "log"
        file = folder / "connection.json"
        file.write_text(json.dumps(self.connection.fields()))
        file.chmod(0o600)
        python = {"python", "python3"}
        argv = [it.replace("{connection_file}", str(file)) for it in self.spec["argv"]]
        argv[0] = sys.executable if argv[0] in python else argv[0]
        # A kernel in a folder of its own has no past.
        self.home = home or folder
        own = {"IPYTHONDIR": str(self.home / "ipython"), "JPY_PARENT_PID": str(os.getpid())}
        self._start(argv, {**os.environ, **self.spec.get("env", {}), **own})

    def _start(self, argv: list[str], environment: dict[str, str]) -> None:
        with open(self._log, "wb") as log:  # noqa: PTH123
            self._process = subprocess.Popen(  # noqa: S603
                argv,
                cwd=self.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # A signal for the tests is none for the kernel.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """What the process wrote to its own streams."""
        return self._log.read_text(errors="replace")

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def exit_status(self, limit_s: float = LIMIT_S) -> int:
        """Waits until the process has ended."""
        try:
            return self._process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise AssertionError("the process does not end") from error

    def stop(self) -> None:
        """Ends the process, whatever it does, and removes its files."""
        if self.is_alive():
            self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def kernelspec(name: str) -> dict[str, Any]:
    """The kernelspec of that name in the environment of the tests."""
    file = Path(sys.prefix, "share", "jupyter", "kernels", name, "kernel.json")
    spec: dict[str, Any] = json.loads(file.read_text())
    return spec

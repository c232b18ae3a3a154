"""What holds for every Python test: no network, no key, no configuration of the user's."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Lines about endurance tests, printed at the end.
CYCLES: pytest.StashKey[list[str]] = pytest.StashKey()
LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True, scope="session")
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hides keys and the user's configuration from the tests and the kernels they start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.endswith("_API_KEY") or name.startswith("AIKIT_"):
                patch.delenv(name)
        home = tmp_path_factory.mktemp("home")
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.setenv("XDG_DATA_HOME", str(home / "data"))
        patch.setenv("JUPYTER_CONFIG_DIR", str(home / "jupyter"))
        patch.setenv("JUPYTER_RUNTIME_DIR", str(home / "runtime"))
        yield


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails a test that leaves this machine from Python."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and not str(_host(address)).startswith(LOOPBACK):
            pytest.fail(f"a test connects to {address!r}; only the loopback address is allowed")
        connect(self, address)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture
def report_cycles(request: pytest.FixtureRequest) -> Callable[[int, int], None]:
    """Notes how many cycles of an endurance test passed, of how many."""
    lines = request.config.stash.setdefault(CYCLES, [])
    name = request.node.nodeid

    def report(passed: int, count: int) -> None:
        lines.append(f"{name}: {passed} of {count} cycles passed")

    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Prints what `report_cycles` noted."""
    for line in config.stash.get(CYCLES, []):
        terminalreporter.write_line(line)


def _host(address: object) -> object:
    return address[0] if isinstance(address, tuple) else address

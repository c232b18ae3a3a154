"""A program in a pseudo-terminal, with what a terminal answers by itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What a terminal is asked for its cursor, and what it answers.
ASKED, ANSWER = "\x1b[6n", "\x1b[1;1R"
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?<>=]*[a-zA-Z]|\][^\x07]*\x07|[()][A-Z0-9]|[78=>])")
TIMEOUT_S = 20


class Terminal:
    """A program in a pseudo-terminal."""

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str]) -> None:
        self.child = pexpect.spawn(
            command[0],
            list(command[1:]),
            cwd=str(folder),
            env=environment,
            encoding="utf-8",
            timeout=TIMEOUT_S,
            dimensions=(40, 100),
        )
        self.raw = ""
        self.seen = ""

    def expect(self, wanted: str) -> str:
        """Reads until the text without its escape sequences matches; what came before it."""
        while True:
            shown = ESCAPES.sub("", self.seen)
            found = re.search(wanted, shown)
            if found:
                self.seen = shown[found.end() :]
                return shown[: found.start()]
            try:
                piece = self.child.read_nonblocking(4096, timeout=TIMEOUT_S)
            except (pexpect.EOF, pexpect.TIMEOUT) as error:
                pytest.fail(f"{wanted!r} does not come ({type(error).__name__}): {shown!r}")
            for _ in range(piece.count(ASKED)):
                self.child.send(ANSWER)
            self.raw += piece
            self.seen += piece

    def type(self, text: str) -> None:
        self.child.send(text)

    def enter(self, text: str) -> None:
        self.type(text + "\r")

    def ends(self) -> int:
        """Waits for the end of the program; its exit status."""
        self.child.expect(pexpect.EOF)
        self.child.close()
        status: int = self.child.exitstatus
        return status

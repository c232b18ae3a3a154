"""The kernel in `jupyter console`, typed into through a pseudo-terminal."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import psutil
import pytest

from terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
CONSOLE = [sys.executable, "-m", "jupyter_console", "--kernel", "aikit"]
# The console waits for idle and for the reply in steps of 50 ms; the kernel ends with it.
END_S = 10.0


def prompt(number: int) -> str:
    return rf"In \[{number}\]: "


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Terminal]:
    """A console that asks for its first cell."""
    environment = os.environ | {
        "HOME": str(tmp_path),
        "TERM": "xterm-256color",
        "AIKIT_KERNEL__HISTORY": "false",
    }
    opened = Terminal(CONSOLE, tmp_path, environment)
    opened.expect(prompt(1))
    yield opened
    opened.child.close(force=True)


def test_cells_blocks_completion_questions_interrupts_and_the_end(console: Terminal) -> None:
    console.enter("21 * 2")
    console.expect(r"Out\[1\]: 42")
    console.expect(prompt(2))

    # A block goes on until it is whole: the console asks the kernel.
    console.enter("for i = 1, 2 do")
    console.expect(r"\.\.\.: ")
    console.enter("print('row ' .. i)")
    console.enter("end")
    console.expect(r"row 1\r?\n *row 2\r?\n")
    console.expect(prompt(3))

    # Tab writes the one completion out.
    console.type("coroutine.yi\t")
    console.expect(r"coroutine\.yi(.|\r|\n)*eld")
    console.enter(" ~= nil")
    console.expect(r"Out\[3\]: true")
    console.expect(prompt(4))

    console.enter("name = input('Who' .. 'se? ')")
    console.expect(r"Whose\? ")
    console.enter("Ada's")
    console.expect(prompt(5))
    console.enter("name .. ' turn'")
    console.expect(r"""Out\[5\]: "Ada's turn\"""")
    console.expect(prompt(6))

    # Ctrl-C goes to the kernel, as its kernel spec wants it: a message.
    console.enter("print('run' .. 'ning') while true do end")
    console.expect("running")
    console.type("\x03")
    console.expect("KeyboardInterrupt")
    console.expect(prompt(7))

    console.enter("error({kind = 'own', message = 'br' .. 'oken'})")
    console.expect("broken")
    console.expect(prompt(8))
    console.enter("name")
    console.expect(r'''Out\[8\]: "Ada's"''')
    console.expect(prompt(9))

    kernels = psutil.Process(console.child.pid).children()
    assert len(kernels) == 1
    console.type("\x04")
    console.expect(r"exit")
    console.enter("y")
    assert console.ends() == 0
    deadline = time.monotonic() + END_S
    while kernels[0].is_running() and kernels[0].status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the kernel stays"
        time.sleep(0.01)

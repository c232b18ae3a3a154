"""The kernel in `jupyter console`, typed into through a pseudo-terminal."""

from __future__ import annotations

import os
import re
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


class Console:
    """A console that asks for cells."""

    def __init__(self, folder: Path) -> None:
        environment = os.environ | {
            "HOME": str(folder),
            "TERM": "xterm-256color",
            "AIKIT_KERNEL__HISTORY": "false",
        }
        self.terminal = Terminal(CONSOLE, folder, environment)
        self.number = 0
        self.is_ready = False
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Waits until it asks for the next cell."""
        self.terminal.expect(prompt(self.number + 1))
        self.number += 1
        self.is_ready = True

    def enter(self, text: str, *shown: str) -> None:
        """Enters a line, and waits until it shows all that, in this order."""
        self.is_ready = False
        self.terminal.enter(text)
        for it in shown:
            self.terminal.expect(it)

    def run(self, code: str, *shown: str) -> None:
        """Runs a cell that shows all that."""
        self.enter(code, *shown)
        self.wait_until_ready()

    def value(self, shown: str) -> str:
        """How the value of the next cell is shown."""
        return rf"Out\[{self.number}\]: {re.escape(shown)}"

    def close(self) -> None:
        self.terminal.child.close(force=True)


@pytest.fixture(scope="module")
def opened() -> Iterator[list[Console]]:
    """The console that tests share, once there is one."""
    consoles: list[Console] = []
    yield consoles
    for it in consoles:
        it.close()


@pytest.fixture
def console(opened: list[Console], tmp_path_factory: pytest.TempPathFactory) -> Console:
    """A console at its prompt: that of the test before, unless that one left it elsewhere."""
    if opened and not opened[-1].is_ready:
        opened.pop().close()
    if not opened:
        opened.append(Console(tmp_path_factory.mktemp("console")))
    return opened[-1]


def test_the_value_of_a_cell_is_shown(console: Console) -> None:
    console.run("21 * 2", console.value("42"))


def test_a_block_goes_on_until_it_is_whole(console: Console) -> None:
    # The console asks the kernel.
    console.enter("for i = 1, 2 do", r"\.\.\.: ")
    console.enter("print('row ' .. i)")
    console.run("end", r"row 1\r?\n *row 2\r?\n")


def test_tab_writes_the_one_completion_out(console: Console) -> None:
    console.is_ready = False
    console.terminal.type("coroutine.yi\t")
    console.terminal.expect(r"coroutine\.yi(.|\r|\n)*eld")
    console.run(" ~= nil", console.value("true"))


def test_a_question_is_asked_and_answered(console: Console) -> None:
    console.enter("name = input('Who' .. 'se? ')", r"Whose\? ")
    console.run("Ada's")
    console.run("name .. ' turn'", console.value('"Ada\'s turn"'))


def test_ctrl_c_interrupts_a_cell_and_keeps_the_state(console: Console) -> None:
    console.run("kept = 'still here'")
    console.enter("print('run' .. 'ning') while true do end", "running")
    # It goes to the kernel, as its kernel spec wants it: a message.
    console.terminal.type("\x03")
    console.terminal.expect("KeyboardInterrupt")
    console.wait_until_ready()
    console.run("kept", console.value('"still here"'))


def test_an_error_is_shown_and_the_next_cell_runs(console: Console) -> None:
    console.run("error({kind = 'own', message = 'br' .. 'oken'})", "broken")
    console.run("6 * 7", console.value("42"))


def test_ctrl_d_ends_the_console_and_its_kernel(console: Console) -> None:
    console.is_ready = False
    terminal = console.terminal
    kernels = psutil.Process(terminal.child.pid).children()
    assert len(kernels) == 1
    terminal.type("\x04")
    terminal.expect(r"exit")
    terminal.enter("y")
    assert terminal.ends() == 0
    deadline = time.monotonic() + END_S
    while kernels[0].is_running() and kernels[0].status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the kernel stays"
        time.sleep(0.01)

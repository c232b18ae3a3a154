"""The pages for beginners are true when they are followed to the letter, from top to bottom.

All blocks of a page share one folder and run in order: those in `lua` are cells of one Aikit
kernel, those in `python` run in one interpreter, the lines after `$` (and `>`, which go on) of
those in `console` in one shell each. A `text` block right after a block is what it shows;
questions are answered with `yes`. What installs something or starts a window is not run here.
"""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest
from jupyter_client.manager import KernelManager

from invariants import ROOT
from pages import blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jupyter_client.blocking.client import BlockingKernelClient

    from pages import Block

PAGES = sorted((ROOT / "docs" / "getting-started").glob("*.md"))
TIMEOUT_S = 120
# Other tests and make targets do these.
NOT_RUN = re.compile(
    r"(python3? -m (pip|venv) |pip install |jupyter lab|source |make |git |mkdir |cd )"
)

PYTHON = """
import contextlib, io, json, sys
names, shown = {"__name__": "__main__"}, []
for code in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(code, "page", "exec"), names)
    shown.append(out.getvalue())
json.dump(shown, sys.stdout)
"""


class Kernel:
    """The kernel of a page, started with its first cell."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manager: KernelManager | None = None
        self.client: BlockingKernelClient

    def start(self) -> None:
        self.manager = KernelManager(kernel_name="aikit")
        self.manager.start_kernel(cwd=str(self.folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT_S)

    def close(self) -> None:
        if self.manager is not None:
            self.client.stop_channels()
            self.manager.shutdown_kernel(now=True)
            self.manager.cleanup_resources()

    def run(self, code: str) -> str:
        """What a cell shows as text, with its questions and their answers."""
        if self.manager is None:
            self.start()
        shown: list[str] = []
        msg_id = self.client.execute(code, allow_stdin=True)
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=0.05)
            except queue.Empty:
                self.answer(shown)
                continue
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown.append(content["text"])
            elif kind in {"execute_result", "display_data"}:
                shown.append(content["data"].get("text/plain", "") + "\n")
            elif kind == "error":
                pytest.fail("".join(shown) + "\n".join(content["traceback"]))
            elif content.get("execution_state") == "idle":
                return "".join(shown)

    def answer(self, shown: list[str]) -> None:
        try:
            question = self.client.get_stdin_msg(timeout=0)
        except queue.Empty:
            return
        shown.append(question["content"]["prompt"].rstrip() + " yes\n")
        self.client.input("yes")


def environment() -> dict[str, str]:
    """The one of this interpreter first, so that `aikit` is the one under test."""
    scripts = [sysconfig.get_path("scripts"), os.environ["PATH"]]
    return os.environ | {"PATH": os.pathsep.join(scripts), "NO_COLOR": "1"}


def check_console(block: Block, folder: Path) -> None:
    commands = re.findall(r"^\$ (.*\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", block.code, re.MULTILINE)
    assert commands, f"{block}: a console block has lines that begin with `$ `"
    for written, output in commands:
        command = re.sub(r"^> ", "", written, flags=re.MULTILINE)
        if NOT_RUN.match(command):
            continue
        done = subprocess.run(  # noqa: S603
            ["bash", "-c", command],  # noqa: S607
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{block}: {command}\n{done.stdout}\n{done.stderr}"
        if output.strip():
            assert done.stdout.strip().splitlines() == output.strip().splitlines(), f"{block}"


def check_python(blocks: list[Block], folder: Path) -> None:
    if not blocks:
        return
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", PYTHON],
        cwd=folder,
        input=json.dumps([it.code for it in blocks]),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{blocks[0].page}\n{done.stderr}"
    for block, shown in zip(blocks, json.loads(done.stdout), strict=True):
        if block.output is not None:
            assert shown.splitlines() == block.output.splitlines(), f"{block}"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    kernel = Kernel(tmp_path)
    yield kernel
    kernel.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.stem)
def test_the_page_can_be_followed(page: Path, tmp_path: Path, kernel: Kernel) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = blocks_of(text, page.relative_to(ROOT).as_posix())
    for block in blocks:
        if block.language == "console":
            check_console(block, tmp_path)
        elif block.language == "lua":
            shown = kernel.run(block.code)
            if block.output is not None:
                assert shown.splitlines() == block.output.splitlines(), f"{block}"
        elif block.language == "toml":
            (tmp_path / "aikit.toml").write_text(block.code, encoding="utf-8")
        else:
            assert block.language == "python", f"{block}: no rule for a block of this language"
    check_python([it for it in blocks if it.language == "python"], tmp_path)


def test_there_is_a_page_for_each_face() -> None:
    assert [it.stem for it in PAGES] == ["jupyter", "python", "shell"]

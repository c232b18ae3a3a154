"""The documents are true: their code runs, prints what they say, and their paths exist.

A block in `lua` runs with `aikit run`, one in `python` with this interpreter; a `text` block
right after it is what it prints. In a `console` block the lines after `$` are run, and the
lines below each are its output, if there are any; for `make` the target must exist. A `toml`
block is a configuration that is read without an error.
"""

from __future__ import annotations

import doctest
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import aikit
from invariants import ROOT
from pages import Block, blocks_of

if TYPE_CHECKING:
    from pathlib import Path

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benches/README.md"])
EXAMPLES = sorted([*ROOT.glob("examples/lua/*.lua"), *ROOT.glob("examples/python/*.py")])
# Their blocks belong together; tests/python/test_getting_started.py runs them.
TUTORIALS = ROOT / "docs" / "getting-started"
TIMEOUT_S = 300

ALL_BLOCKS = [
    block
    for page in PAGES
    if page.parent != TUTORIALS
    for block in blocks_of(page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix())
]


def run(command: list[str], folder: Path) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(  # noqa: S603
        command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working directory with a few documents, as a reader of the pages has one."""
    notes = tmp_path / "notes"
    notes.mkdir()
    for page in ("README.md", "ARCHITECTURE.md"):
        (notes / page).write_text((ROOT / page).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def check(block: Block, folder: Path) -> None:
    """Runs a block and compares what it prints."""
    match block.language:
        case "python":
            printed = run([sys.executable, "-W", "error", "-c", block.code], folder)
        case "lua":
            (folder / "block.lua").write_text(block.code, encoding="utf-8")
            printed = run([sys.executable, "-m", "aikit", "run", "block.lua"], folder)
        case "toml":
            home = folder / "project"
            for name in ("project", "manuals", "data"):  # what the settings name lies beside it
                (folder / name).mkdir()
            (home / "aikit.toml").write_text(block.code, encoding="utf-8")
            printed = run([sys.executable, "-m", "aikit", "run", "-e", "1 + 1"], home)
            assert printed == "2\n"
            return
        case "console":
            check_console(block.code, folder)
            return
        case other:
            pytest.fail(f"{block}: no rule for a block in `{other}`")
    if block.output is not None:
        assert printed.splitlines() == block.output.splitlines()


def check_console(code: str, folder: Path) -> None:
    commands = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", code, re.MULTILINE)
    assert commands, "a console block has lines that begin with `$ `"
    for line, output in commands:
        program, *arguments = shlex.split(line, comments=True)
        if program == "aikit" or (program == "python" and arguments[:2] == ["-m", "aikit"]):
            arguments = arguments if program == "aikit" else arguments[2:]
            printed = run([sys.executable, "-m", "aikit", *arguments], folder)
            if output:
                assert printed.splitlines() == output.splitlines()
        elif program == "make":
            run(["make", "--dry-run", *arguments], ROOT)
        else:
            assert line in KNOWN_COMMANDS, f"`{line}` is not run by this test"


# Commands that install or start something that lasts; other tests and make targets run them.
KNOWN_COMMANDS = {"pip install .", "jupyter lab", "python tests/servers/openai_server.py"}


@pytest.mark.parametrize("block", ALL_BLOCKS, ids=str)
def test_the_block_runs_and_prints_what_the_page_says(block: Block, folder: Path) -> None:
    check(block, folder)


def test_the_readme_shows_every_face() -> None:
    languages = {it.language for it in ALL_BLOCKS if it.page == "README.md"}
    assert languages == {"lua", "python", "console"}


@pytest.mark.parametrize(
    "page",
    [
        "```python\nprint(1)\n```\n\n```text\n2\n```\n",
        "```python\nraise SystemExit(1)\n```\n",
        "```lua\nerror('x')\n```\n",
        "```console\n$ aikit tool invoke no_such_tool '{}'\n```\n",
        "```console\n$ make no-such-target\n```\n",
        "```console\n$ rm -r /\n```\n",
        "```console\nwithout a prompt\n```\n",
    ],
)
def test_a_block_that_is_not_true_is_found(page: str, folder: Path) -> None:
    (block,) = blocks_of(page)
    with pytest.raises(AssertionError):
        check(block, folder)


# What differs from one run to the next, and what stands for it.
VARYING = {
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b": "<uuid>",
    r"\b[0-9a-f]{32}\b": "<trace>",
    r"\b[0-9a-f]{16}\b": "<span>",
    r"\bp\d+\b": "<pid>",
    r"\b\d+(\.\d+)? ?(ms|µs|us|ns)\b|\b\d+\.\d+ s\b": "<time>",
    r"\b\d+\.\d{6,}(e-\d+)?|\b\d(\.\d+)?e-\d+\b": "<number>",
    r"\d\d\d\d-\d\d-\d\dT[\d:.]+(Z|\+00:00)": "<when>",
    r"0x[0-9a-f]{6,}": "<address>",
    # The quickstart reads the manual of Python that is on the machine, another example pages of
    # this project.
    r"(?m)^IngestReport\(added=.*\)$": "<report>",
    r"(?m)^(\d\. )?[01]\.\d{3} (documents|notes)/\S+$": "<hit>",
}


def masked(printed: str, folder: Path) -> str:
    """What an example prints, without what differs from one run to the next."""
    printed = printed.replace(str(folder), "<folder>")
    for pattern, name in VARYING.items():
        printed = re.sub(pattern, name, printed)
    return printed


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda it: it.name)
def test_the_example_prints_what_is_expected_of_it(example: Path, folder: Path) -> None:
    if example.suffix == ".lua":
        command = [sys.executable, "-m", "aikit", "run", str(example)]
    else:
        command = [sys.executable, str(example)]
    printed = masked(run(command, folder), folder)
    expected = ROOT / "examples" / "expected" / f"{example.name}.txt"
    if os.environ.get("WRITE_EXPECTED"):
        expected.write_text(printed, encoding="utf-8")
    assert expected.exists(), f"set WRITE_EXPECTED=1 once, and look at {expected.name}"
    assert printed.splitlines() == expected.read_text(encoding="utf-8").splitlines()


def test_each_expected_output_has_its_example() -> None:
    expected = {it.stem for it in (ROOT / "examples" / "expected").iterdir()}
    assert expected == {it.name for it in EXAMPLES}


def test_what_differs_between_runs_is_masked_and_nothing_else(folder: Path) -> None:
    varying = (
        f"{folder}/notes p17 took 12 ms 4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 "
        "2026-01-02T03:04:05.678Z 1.5 s 0.000137269 1.3e-05 "
        "123e4567-e89b-12d3-a456-426614174000 object at 0x7f0000001234"
    )
    assert masked(varying, folder) == (
        "<folder>/notes <pid> took <time> <trace> <span> <when> <time> <number> <number> "
        "<uuid> object at <address>"
    )
    stays = "5 of 16 words, 0.25 of {'p': 1.5}, request-1, 100 tokens"
    assert masked(stays, folder) == stays


def test_docstrings_with_examples_are_true() -> None:
    names = [it.name for it in pkgutil.walk_packages(aikit.__path__, "aikit.")]
    modules = [
        importlib.import_module(name) for name in names if not name.endswith(("__main__", "_aikit"))
    ]
    assert [it.__name__ for it in modules if doctest.testmod(it).failed] == []


LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda it: it.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = LINK.findall(page.read_text(encoding="utf-8"))
    assert [it for it in links if not (page.parent / it).exists()] == []


def missing_paths(text: str) -> list[str]:
    """Paths in backticks that do not exist, from the root."""
    paths = re.findall(
        r"`((?:rust|python|tests|benches|docs|examples|kernelspec)/[^`*<{ ]*)`", text
    )
    return [it for it in paths if not (ROOT / it).exists()]


def test_every_path_of_the_architecture_page_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert len(re.findall(r"`rust/", text)) > 20
    assert missing_paths(text) == []
    assert len(text.splitlines()) <= 250


def test_a_path_that_does_not_exist_is_found() -> None:
    assert missing_paths("see `rust/no/such.rs` and `rust/aikit-core/`") == ["rust/no/such.rs"]

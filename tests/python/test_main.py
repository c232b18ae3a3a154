"""The command line: scripts, tools, exit statuses, Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from aikit.__main__ import main

if TYPE_CHECKING:
    from pathlib import Path

AIKIT = [sys.executable, "-m", "aikit"]


def run(*arguments: str, folder: Path, text: str = "") -> tuple[int, str, str]:
    done = subprocess.run(  # noqa: S603
        [*AIKIT, *arguments],
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_file_gets_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text("#!/usr/bin/env aikit\nprint(arg[0], ARGS[1], ARGS[2], #arg)")
    expected = (0, "a.lua\tone two\t--three\t2\n", "")
    assert run("run", "a.lua", "--", "one two", "--three", folder=tmp_path) == expected


def test_code_comes_from_standard_input_or_the_command_line(tmp_path: Path) -> None:
    assert run("run", "-", folder=tmp_path, text="print('in')") == (0, "in\n", "")
    assert run("run", "-e", "6 * 7", folder=tmp_path) == (0, "42\n", "")
    assert run("run", "-e", "x = 1", folder=tmp_path) == (0, "", "")


def test_an_error_has_its_frames_its_hint_and_the_status_of_its_kind(tmp_path: Path) -> None:
    code = "local function inner()\n  Tool.read_file{path = 'none'}\nend\ninner()\n"
    (tmp_path / "fails.lua").write_text(code)
    status, out, error = run("run", "fails.lua", folder=tmp_path)
    assert (status, out) == (3, "")
    assert "`none`" in error
    assert "fails.lua:2" in error
    assert run("run", "none.lua", folder=tmp_path)[0] == 3


def test_the_served_profile_allows_less(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    code = "print(Tool.request_http{url = 'http://127.0.0.1:9/'}.status)"
    assert run("run", "--profile", "served", "-e", code, folder=tmp_path)[0] == 4


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT cannot be sent to one process there")
def test_ctrl_c_interrupts_a_script(tmp_path: Path) -> None:
    code = "print('ready') io.flush() while true do end"
    process = subprocess.Popen(  # noqa: S603
        [*AIKIT, "run", "-e", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def test_tools_are_listed_and_called(tmp_path: Path) -> None:
    status, out, _ = run("tool", "list", "--json", folder=tmp_path)
    assert status == 0
    assert "count_words" in [it["name"] for it in json.loads(out)]
    call = ["tool", "invoke", "count_words", "--json"]
    for arguments in (['{"text": "a b"}'], ["--arg", "text=a b"]):
        status, out, error = run(*call, *arguments, folder=tmp_path)
        assert (status, json.loads(out)["words"]) == (0, 2), error
    assert run("tool", "invoke", "count_words", folder=tmp_path)[0] == 2
    assert run("tool", "invoke", "none", folder=tmp_path)[0] == 3


def test_a_wrong_command_line_is_explained(tmp_path: Path) -> None:
    for arguments in ([], ["none"], ["run"], ["run", "-e", "1", "a.lua"]):
        status, _, error = run(*arguments, folder=tmp_path)
        assert status == 2
        assert "Usage" in error
    status, out, _ = run("--help", folder=tmp_path)
    assert status == 0
    assert all(name in out for name in ("run", "kernel", "tool", "install", "uninstall", "list"))


def test_main_answers_the_status(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert main(["tool", "invoke", "none"]) == 3
    assert "hint:" in capfd.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before

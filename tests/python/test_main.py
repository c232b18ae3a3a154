"""The command line: scripts, tools, exit statuses, Ctrl-C."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aikit.__main__ import main
from servers.loopback import LoopbackServer
from servers.openai_server import OpenAIServer
from shell import AIKIT, run

if TYPE_CHECKING:
    from servers.loopback import Exchange, Request


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


def test_a_script_reads_what_is_piped_to_it(tmp_path: Path) -> None:
    (tmp_path / "reads.lua").write_text(
        "print(io.read()) print(io.read('n', 'n')) print(io.read('L'), input())\n"
        "for line in io.lines() do print('<' .. line .. '>') if line == '4' then break end end\n"
        "print(io.read(2), io.read('a'), io.read(), input())"
    )
    text = "one\n2 0x10\ntwo\nthree\n\n4\nrest of\nit"
    expected = "one\n2\t16\n\n\ttwo\n<three>\n<>\n<4>\nre\tst of\nit\tnil\tnil\n"
    assert run("run", "reads.lua", folder=tmp_path, text=text) == (0, expected, "")


# An agent sends data, which needs an approval.
SENDS = """
local arguments = {url = "http://127.0.0.1:PORT/", method = "POST", body = "x"}
local answers = {{tool_calls = {{name = "request_http", arguments = arguments}}}, "done"}
local agent = Agent{model = Model("scripted:test", {answers = answers}), tools = {"request_http"}}
print(io.read())
local call = agent:run("go").steps[1].tool_calls[1]
print(call.result.status or call.result.error.kind)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
@pytest.mark.parametrize(
    ("is_typed", "answer", "prints"),
    [
        (False, "yes", "approval_needed"),
        (True, "yes", "204"),
        (True, "no", "denied"),
        (True, "slip", "204"),
        (True, "a\nb\nc\nd\ne", "invalid_args"),
    ],
)
def test_an_approval_is_typed_and_not_taken_from_the_data_of_a_script(
    tmp_path: Path, *, is_typed: bool, answer: str, prints: str
) -> None:
    class Server(LoopbackServer):
        def answer(self, _: Request, exchange: Exchange) -> None:
            exchange.send(204, b"", "text/plain")

    typed = f"data\n{answer}\n".encode()
    if answer == "slip":
        # What is none of the choices is asked again; the second answer counts.
        typed = b"data\nyse\nyes\n"
    with Server() as server:
        reader, writer = os.openpty() if is_typed else os.pipe()
        os.write(writer, typed)
        if not is_typed:
            os.close(writer)
        done = subprocess.run(  # noqa: S603
            [*AIKIT, "run", "-e", SENDS.replace("PORT", str(server.port))],
            cwd=tmp_path,
            env={**os.environ, "AIKIT_SECURITY__HOSTS": f"127.0.0.1:{server.port}"},
            stdin=reader,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        os.close(reader)
        if is_typed:
            os.close(writer)
    assert (done.returncode, done.stdout) == (0, f"data\n{prints}\n"), done.stderr
    place = f"`127.0.0.1`, port {server.port}, with POST to `{server.url}/`"
    asked = f"  | x\nAllow once: the agent wants to send 1 byte to {place}?"
    assert (asked in done.stderr) == is_typed
    assert [it.body for it in server.requests] == ([b"x"] if prints == "204" else [])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_bar_is_one_line_of_a_terminal_and_nothing_elsewhere(tmp_path: Path) -> None:
    code = "for i in progress(2, {label = 'Steps'}) do if i == 2 then print('two') end end"
    assert run("run", "-e", code, folder=tmp_path) == (0, "two\n", "")
    reader, writer = os.openpty()
    done = subprocess.run(  # noqa: S603
        [*AIKIT, "run", "-e", code],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=writer,
        timeout=60,
        check=False,
    )
    os.close(writer)
    drawn = os.read(reader, 4096).decode()
    os.close(reader)
    assert (done.returncode, done.stdout) == (0, b"two\n")
    first, last = drawn.split("\n")[:2]
    assert first.strip("\r").startswith("Steps:   0% ")
    assert last.strip("\r").startswith("Steps: 100% ████████████████████ 2/2 [")
    # What was printed between did not end up in the middle of the bar.
    assert drawn.count("\n") == 2


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("os.exit(7)", 7),
        ("os.exit()", 0),
        ("os.exit(true)", 0),
        ("os.exit(false)", 1),
        ("os.exit(256 + 3)", 3),
        ("pcall(os.exit, 4) while true do print('never') end", 4),
        ("coroutine.wrap(function() xpcall(os.exit, print, 5) end)() print('never')", 5),
        ("async(function() os.exit(6) end) sleep(3600)", 6),
        ("table.sort({2, 1}, function() os.exit(8) end)", 8),
        ("os.exit('x')", 2),
    ],
)
def test_a_script_chooses_its_exit_status(tmp_path: Path, code: str, status: int) -> None:
    ended, out, error = run("run", "-e", f"io.write('written') {code}", folder=tmp_path)
    assert (ended, out) == (status, "written")
    assert (error == "") == ("'x'" not in code)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a device that is always full")
def test_a_full_disk_is_an_error_and_a_closed_pipe_is_none(tmp_path: Path) -> None:
    for arguments in (
        ["run", "-e", "print('x')"],
        ["run", "-e", "1"],
        ["tool", "list"],
        ["--help"],
    ):
        with Path("/dev/full").open("w", encoding="utf-8") as full:
            done = subprocess.run(  # noqa: S603
                [*AIKIT, *arguments],
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                timeout=60,
                check=False,
            )
        assert done.returncode == 11, arguments
        assert "No space left" in done.stderr, arguments
    with subprocess.Popen(  # noqa: S603
        [*AIKIT, "run", "-e", "while true do print('again') end"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "again\n"
        process.stdout.close()
        assert process.wait(60) == 141
        assert process.stderr.read() == ""


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGURG")
def test_a_handler_of_the_embedding_program_still_gets_its_signals(tmp_path: Path) -> None:
    # Interrupts use the signal as well; those are not the program's.
    program = """
import os, signal
from aikit.__main__ import main
heard = []
signal.signal(signal.SIGURG, lambda *_: heard.append(1))
loop = "pcall(timeout, 0.01, function() while true do end end)"
assert main(["run", "-e", loop]) == 0
assert heard == [], heard
os.kill(os.getpid(), signal.SIGURG)
assert heard == [1], heard
assert main(["run", "-e", loop]) == 0
assert heard == [1], heard
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGURG")
def test_a_handler_that_is_set_after_the_first_script_ends_no_time_limit(tmp_path: Path) -> None:
    program = """
import os, signal
from aikit.__main__ import main
heard = []
loop = "pcall(timeout, 0.01, function() while true do end end)"
assert main(["run", "-e", loop]) == 0
for count in (1, 2):
    signal.signal(signal.SIGURG, lambda *_: heard.append(1))
    assert main(["run", "-e", loop]) == 0
    os.kill(os.getpid(), signal.SIGURG)
    assert len(heard) == count, heard
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")
def test_a_script_in_a_forked_process_is_stopped_as_well(tmp_path: Path) -> None:
    # The threads of the child have the names of those of its parent, which are no more.
    program = """
import os
from aikit.__main__ import main
loop = "pcall(timeout, 0.01, function() while true do end end)"
assert main(["run", "-e", loop]) == 0
child = os.fork()
if child == 0:
    os._exit(main(["run", "-e", loop]))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", program], cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == 0


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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT")
@pytest.mark.parametrize(
    "signal_sent",
    [
        signal.SIGINT,
        pytest.param(
            getattr(signal, "SIGKILL", None),
            marks=pytest.mark.skipif(sys.platform != "linux", reason="needs a signal of Linux"),
        ),
    ],
)
def test_a_program_that_a_tool_started_ends_with_the_shell(
    tmp_path: Path, signal_sent: signal.Signals
) -> None:
    # The program says who it is by a pipe, which ends with it.
    os.mkfifo(tmp_path / "life")
    command = json.dumps({"program": "sh", "args": ["-c", "exec >life; echo on; exec sleep 600"]})
    started = subprocess.Popen(  # noqa: S603
        [*AIKIT, "tool", "invoke", "run_process", command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with (tmp_path / "life").open() as life:
        assert life.readline() == "on\n"
        started.send_signal(signal_sent)
        # The program of a process that was killed holds no output of it: they are pipes of its own.
        _, error = started.communicate(timeout=60)
        expected = 130 if signal_sent == signal.SIGINT else -signal_sent
        assert started.returncode == expected, error
        ended, _, _ = select.select([life], [], [], 60)
        assert ended, "the program runs on"
        assert life.read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_a_model_tells_a_terminal_nothing(tmp_path: Path) -> None:
    with OpenAIServer(script=["hidden\x1b[8m text\x1b]52;c;eA==\x07"]) as server:
        reader, writer = os.openpty()
        done = subprocess.run(  # noqa: S603
            [*AIKIT, "agent", "run", "hi", "--model", "openai-compatible:scripted"],
            cwd=tmp_path,
            env={
                **os.environ,
                "OPENAI_COMPATIBLE_BASE_URL": server.base_url,
                "OPENAI_COMPATIBLE_API_KEY": server.api_key,
            },
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        os.close(writer)
        printed = os.read(reader, 4096).decode()
        os.close(reader)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in printed
    assert r"hidden\u{1b}[8m text" in printed


@pytest.mark.skipif(sys.platform == "win32", reason="rights of files are read on Unix only")
def test_a_configuration_that_is_not_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "aikit.toml"
    file.write_text('[models]\ndefault = "scripted:x"\n')
    assert run("run", "-e", "print(1)", folder=tmp_path) == (0, "1\n", "")
    file.chmod(0o666)
    warning = f"warning: {file} is ignored: every user can write it\n"
    assert run("run", "-e", "print(1)", folder=tmp_path) == (0, "1\n", warning)
    _, checks, _ = run("doctor", folder=tmp_path)
    assert f"{file} is ignored: every user can write it" in checks


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "marked.lua").write_bytes(b"\xef\xbb\xbfprint('marked')")
    assert run("run", "marked.lua", folder=tmp_path) == (0, "marked\n", "")


FAILS = "Procedure.create{name = 'late', timeout = 0.01, function() %s end}"
LISTENS = "h:on('*', function() error('looks on') end)"
SLEEPS, SPINS = "async(sleep, 60) sleep(60)", "async(function() while true do end end) sleep(60)"


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        # What a script has handled does not change how it ends.
        (f"pcall({FAILS % SLEEPS}) sleep(0.02);", 0, ""),
        (f"pcall({FAILS % SPINS}) sleep(0.02);", 0, ""),
        (f"h = {FAILS % 'sleep(60)'}:start() for _ in h do end;", 0, ""),
        (f"h = {FAILS % 'while true do end'}:start() pcall(h.result, h);", 0, ""),
        (
            f"h = Procedure.create{{name = 'a', print}}:start() {LISTENS} h:result() sleep(0.01);",
            0,
            "a listener of a handle failed",
        ),
        # What nobody has handled does.
        (f"async({FAILS % 'sleep(60)'}) sleep(0.05);", 6, "a task failed that nobody awaited"),
        (f"{FAILS % 'sleep(60)'}();", 6, "took longer than"),
    ],
)
def test_a_script_ends_with_what_it_has_not_handled(
    tmp_path: Path, code: str, status: int, said: str
) -> None:
    ended, _, errors = run("run", "-e", code, folder=tmp_path)
    assert (ended, said in errors, bool(errors)) == (status, True, bool(said)), errors


def test_a_script_and_a_line_are_procedures_named_cell(tmp_path: Path) -> None:
    code = "local info = Context.execution_info() print(Context.node().name, info.origin_name)"
    (tmp_path / "a.lua").write_text(code)
    for arguments, text in [
        (["run", "a.lua"], ""),
        (["run", "-e", code], ""),
        (["repl"], f"{code}\n"),
    ]:
        ended = run(*arguments, folder=tmp_path, text=text)
        assert ended == (0, "cell\tcell\n", ""), arguments

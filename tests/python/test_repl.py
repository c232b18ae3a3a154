"""`aikit repl`: in a real pseudo-terminal, and with piped input."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

import pytest

from shell import AIKIT, run
from terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROMPT = r"aikit> "
REPL = [*AIKIT, "repl"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TERM": "xterm-256color",
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


@pytest.fixture
def terminal(tmp_path: Path, environment: dict[str, str]) -> Iterator[Terminal]:
    opened = Terminal(REPL, tmp_path, environment)
    opened.expect(PROMPT)
    yield opened
    opened.child.close(force=True)


def test_cells_share_their_variables_and_show_their_results(terminal: Terminal) -> None:
    terminal.enter("x = 6 * 7")
    terminal.expect(PROMPT)
    terminal.enter("x")
    terminal.expect(r"\n42\r?\n")
    terminal.expect(PROMPT)
    terminal.enter("print('out') io.stderr:write('err\\n')")
    terminal.expect(r"\nout\r?\n(.|\r|\n)*err")
    terminal.expect(PROMPT)
    terminal.type("\x04")
    assert terminal.ends() == 0


def test_an_error_has_its_place_and_its_hint_and_the_session_goes_on(terminal: Terminal) -> None:
    terminal.enter("Tool.read_file{path = 'none'}")
    terminal.expect(r"error: .*`none`")
    terminal.expect(r"cell \[1\]:1")
    terminal.expect(r"hint: ")
    terminal.expect(PROMPT)
    terminal.enter("1 + 1")
    terminal.expect(r"\n2\r?\n")


def test_records_are_a_table(terminal: Terminal) -> None:
    terminal.enter("{{name = 'Ada', n = 1}, {name = 'Grace', more = {2, 3}}}")
    terminal.expect(
        r"\nname   n  more\r?\n-----  -  ------\r?\nAda    1\r?\nGrace     \{2, 3\}\r?\n"
    )


def test_a_block_goes_on_until_it_is_whole(terminal: Terminal) -> None:
    terminal.enter("for i = 1, 2 do")
    terminal.expect(r"\.\.\.> ")
    terminal.enter("print('row ' .. i)")
    terminal.enter("end")
    terminal.expect(r"\nrow 1\r?\nrow 2\r?\n")
    terminal.expect(PROMPT)


def test_tab_completes_from_the_session(terminal: Terminal) -> None:
    terminal.enter("wonderful_name = 5")
    terminal.expect(PROMPT)
    terminal.type("wonderf\t")
    terminal.expect("wonderful_name")
    terminal.enter(" + 1")
    terminal.expect(r"\n6\r?\n")


def test_ctrl_c_stops_a_cell_and_clears_a_line(terminal: Terminal) -> None:
    terminal.enter("print('looping') while true do end")
    terminal.expect(r"\nlooping")
    terminal.type("\x03")
    terminal.expect(r"error: .*interrupted")
    terminal.expect(PROMPT)
    terminal.enter("print('asleep') sleep(60)")
    terminal.expect(r"\nasleep")
    terminal.type("\x03")
    terminal.expect(r"error: .*interrupted")
    terminal.expect(PROMPT)
    terminal.type("not wanted\x03")
    terminal.expect(PROMPT)
    terminal.enter("40 + 2")
    terminal.expect(r"\n42\r?\n")


def test_questions_are_asked_and_a_password_is_not_shown(terminal: Terminal) -> None:
    terminal.enter("name = input('name?') print('<' .. name .. '>')")
    terminal.expect(r"\nname\? ")
    terminal.enter("Ada")
    terminal.expect("<Ada>")
    terminal.expect(PROMPT)
    terminal.enter("word = getpass('word?') print(#word)")
    terminal.expect(r"\nword\? ")
    terminal.enter("hidden")
    terminal.expect(r"\n6\r?\n")
    assert "hidden" not in terminal.raw
    terminal.expect(PROMPT)
    terminal.enter("input('again?')")
    terminal.expect(r"\nagain\? ")
    terminal.type("\x03")
    terminal.expect(r"error: .*interrupted")
    terminal.expect(PROMPT)
    terminal.enter("2 + 3")
    terminal.expect(r"\n5\r?\n")


def test_a_cell_ends_the_program(terminal: Terminal) -> None:
    terminal.enter("os.exit(7)")
    assert terminal.ends() == 7


def test_typed_lines_are_kept_for_the_user_alone(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    for code in ("first = 1", " secret = 2"):
        terminal = Terminal(REPL, tmp_path, environment)
        terminal.expect(PROMPT)
        terminal.enter(code)
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert terminal.ends() == 0
    history = tmp_path / "state" / "aikit" / "repl_history"
    assert history.read_text() == "first = 1\n"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert stat.S_IMODE(history.parent.stat().st_mode) == 0o700
    terminal = Terminal(REPL, tmp_path, environment)
    terminal.expect(PROMPT)
    terminal.type("\x1b[A")
    terminal.expect("first = 1")
    terminal.enter("")
    terminal.expect(PROMPT)
    terminal.enter("first")
    terminal.expect(r"\n1\r?\n")
    terminal.child.close(force=True)


def test_a_setting_says_where_lines_are_kept(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "aikit.toml").write_text("[shell]\nhistory = false\n")
    for variables, expected in (({}, None), ({"AIKIT_SHELL__HISTORY": "typed"}, "x = 1\n")):
        terminal = Terminal(REPL, tmp_path, environment | variables)
        terminal.expect(PROMPT)
        terminal.enter("x = 1")
        terminal.expect(PROMPT)
        terminal.type("\x04")
        assert terminal.ends() == 0
        assert not (tmp_path / "state").exists()
        typed = tmp_path / "typed"
        assert (typed.read_text() if typed.exists() else None) == expected


def test_the_file_of_a_project_chooses_no_file_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "aikit.toml").write_text('[shell]\nhistory = "../.bashrc"\n')
    status, _, error = pipe("1", tmp_path, "repl")
    assert status == 2
    assert "`shell.history` names a file" in error
    assert "AIKIT_SHELL__HISTORY" in error


def test_colours_are_off_when_asked_for(tmp_path: Path, environment: dict[str, str]) -> None:
    coloured = {}
    for value in ("", "1"):
        terminal = Terminal(REPL, tmp_path, environment | {"NO_COLOR": value})
        terminal.expect(PROMPT)
        terminal.enter("local a = 'text'")
        terminal.expect(PROMPT)
        coloured[value] = re.search(r"\x1b\[(?:\d+;)*3\dm", terminal.raw) is not None
        terminal.child.close(force=True)
    assert coloured == {"": True, "1": False}


def pipe(text: str, folder: Path, *arguments: str) -> tuple[int, str, str]:
    return run(*arguments, folder=folder, text=text)


def test_piped_lines_are_cells(tmp_path: Path) -> None:
    text = "x = 1\nfor i = 1, 2 do\n  print(i)\nend\nx + 1\nio.read()\npiped\n"
    assert pipe(text, tmp_path, "repl") == (0, '1\n2\n2\n"piped"\n', "")
    status, out, error = pipe("error('no')\n'after'\nfor\n", tmp_path, "repl")
    assert (status, out) == (1, '"after"\n')
    assert "no" in error


def test_the_status_of_the_last_cell_is_that_of_the_program(tmp_path: Path) -> None:
    assert pipe("Tool.get('none')\n", tmp_path, "repl")[0] == 3
    assert pipe("Tool.get('none')\n1\n", tmp_path, "repl")[0] == 0
    assert pipe("os.exit(9)\nprint('never')\n", tmp_path, "repl") == (9, "", "")


@pytest.mark.parametrize("word", ["exit", "quit", "exit()", "quit()", " exit ", "quit(0)"])
def test_exit_and_quit_leave(tmp_path: Path, word: str) -> None:
    assert pipe(f"{word}\nprint('never')\n", tmp_path, "repl") == (0, "", "")


def test_exit_leaves_a_terminal_and_keeps_the_names_of_a_script(terminal: Terminal) -> None:
    terminal.enter("quit = 7")
    terminal.expect(PROMPT)
    terminal.enter("quit")
    terminal.expect(r"\n7\r?\n")
    terminal.expect(PROMPT)
    terminal.enter("exit")
    assert terminal.ends() == 0


def test_a_table_is_aligned_in_a_terminal(terminal: Terminal) -> None:
    terminal.enter("display.table{{name = 'Ada', n = 10}, {name = 'B', n = 2}}")
    terminal.expect(r"\nname   n\r?\n----  --\r?\nAda   10\r?\nB      2\r?\n")
    terminal.expect(PROMPT)
    terminal.enter("help")
    terminal.expect(r"\nRAG +Retrieval")


@pytest.mark.parametrize(
    "command",
    [
        ["state", "set", "x", "1"],
        ["session", "list"],
        ["run", "-e", "Artifact.put('x', 1)"],
        ["run", "-e", "RAG.open('x')"],
        ["rag", "ingest", "x.md"],
    ],
)
def test_where_nothing_can_be_kept_the_place_is_named(tmp_path: Path, command: list[str]) -> None:
    # As in a folder that cannot be written, but also for the administrator.
    (tmp_path / ".aikit").write_text("no folder")
    (tmp_path / "x.md").write_text("words")
    status, _, error = pipe("", tmp_path, *command)
    assert status == 11, error
    assert str(tmp_path / ".aikit") in error
    assert "hint: work in a folder that can be written" in error


def test_values_are_read_and_written_from_the_shell(tmp_path: Path) -> None:
    assert pipe("", tmp_path, "state", "set", "below", "-5") == (0, "", "")
    assert pipe("", tmp_path, "state", "get", "below") == (0, "-5\n", "")
    assert pipe("", tmp_path, "state", "delete", "below") == (0, "", "")
    for key, value in (("a/n", "42"), ("a/text", "plain words"), ("b", '{"x": [1, null]}')):
        assert pipe("", tmp_path, "state", "set", key, value) == (0, "", "")
    assert pipe("", tmp_path, "state", "get", "a/n") == (0, "42\n", "")
    assert pipe("", tmp_path, "state", "get", "a/text") == (0, "plain words\n", "")
    assert pipe("", tmp_path, "state", "get", "a/text", "--json")[1] == '"plain words"\n'
    assert pipe("", tmp_path, "state", "get", "b", "--json")[1] == '{"x":[1,null]}\n'
    assert pipe("", tmp_path, "state", "keys") == (0, "a/n\na/text\nb\n", "")
    assert pipe("", tmp_path, "state", "keys", "a/", "--json")[1] == '["a/n","a/text"]\n'
    assert pipe("", tmp_path, "state", "keys", "--scope", "custom:other") == (0, "", "")
    assert pipe("", tmp_path, "state", "delete", "b")[0] == 0
    for arguments in (("get", "b"), ("delete", "b")):
        status, _, error = pipe("", tmp_path, "state", *arguments)
        assert status == 3
        assert "hint" in error
    assert pipe("", tmp_path, "state", "get", "x", "--scope", "no")[0] == 2


def test_a_failed_task_that_nobody_awaited_fails_the_script(tmp_path: Path) -> None:
    code = "async(function() Tool.get('none') end) sleep(0.01) print('end')"
    status, out, error = pipe("", tmp_path, "run", "-e", code)
    assert (status, out) == (3, "end\n")
    assert "a task failed that nobody awaited" in error
    handled = "local t = async(function() error('x') end) print(pcall(t.await, t))"
    assert pipe("", tmp_path, "run", "-e", handled)[0] == 0


def test_a_question_without_an_answer_is_unavailable(tmp_path: Path) -> None:
    status, _, error = pipe("", tmp_path, "run", "-e", "getpass('word?')")
    assert status == 5
    assert "nobody answered" in error
    assert "hint" in error

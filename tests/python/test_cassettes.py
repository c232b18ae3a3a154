"""Cassettes: recorded against the live test server, replayed with the network closed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

import aikit
from aikit import errors
from aikit.testing import auto, no_network, record, replay
from invariants import ROOT
from servers.http_server import HttpServer
from servers.openai_server import OpenAIServer

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a-key-that-nobody-may-see"


def model_of(base_url: str, name: str = "echo") -> aikit.Model:
    return aikit.OpenAI(base_url, KEY).model(name)


def test_a_cassette_replays_with_the_network_closed_and_shows_what_changed(tmp_path: Path) -> None:
    path = tmp_path / "x.cassette"
    with OpenAIServer(api_key=KEY) as server, record(path) as recording:
        base_url = server.base_url
        model = model_of(base_url)
        whole = model.complete("Which birds hunt at night?")
        pieces = [it.text for it in model.stream("Count to three")]
        rows = model_of(base_url, "hashed").embed(["owls", "fish"])
    assert (recording.mode, recording.entries) == ("record", 3)
    text = path.read_text(encoding="utf-8")
    assert KEY not in text
    lines = [json.loads(it) for it in text.splitlines()]
    assert lines[0]["aikit_cassette"] == 1
    assert [it["kind"] for it in lines[1:]] == ["chat", "chat", "embed"]

    with no_network(), replay(path) as playing:
        model = model_of(base_url)
        assert np.array_equal(model_of(base_url, "hashed").embed(["owls", "fish"]), rows)
        assert [it.text for it in model.stream("Count to three")] == pieces
        assert model.complete("Which birds hunt at night?") == whole
        with pytest.raises(errors.CassetteMissError) as caught:
            model.complete("Which birds hunt at noon?")
    assert "recorded: user: Which birds hunt at night?" in str(caught.value)
    assert "asked:    user: Which birds hunt at noon?" in str(caught.value)
    assert playing.unused == 0


def test_the_run_of_an_agent_replays_with_its_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "deep" / "x.cassette"
    notes = tmp_path / "notes.txt"
    notes.write_text("owls hunt at night", encoding="utf-8")

    def asked() -> tuple[str, object]:
        agent = aikit.Agent(model_of(openai, "rules"), tools=["read_file"])
        page = aikit.tools.request_http(url=f"{web_url}/json")
        return agent.run("notes.txt").output, page.json

    with OpenAIServer(api_key=KEY) as server, HttpServer() as web, auto(path):
        openai, web_url = server.base_url, web.url
        output, page = asked()
        assert "owls hunt at night" in output
        assert len(web.requests) == 1
    notes.unlink()
    with no_network(), auto(path) as playing:
        assert asked() == (output, page)
    assert (playing.mode, playing.entries, playing.unused) == ("replay", 4, 0)


def test_what_is_not_recorded_runs_in_a_replay_and_no_network_keeps_it_in(tmp_path: Path) -> None:
    path = tmp_path / "x.cassette"
    calls: list[str] = []

    @aikit.tool
    def note_word(word: str) -> str:
        """Notes a word.

        Args:
            word: The word.
        """
        calls.append(word)
        return word

    def ask() -> str:
        call = {"name": "note_word", "arguments": {"word": "owl"}}
        model = aikit.testing.ScriptedModel([{"tool_calls": [call]}, "noted"])
        return aikit.Agent(model, tools=[note_word]).run("note it").output

    with record(path):
        assert ask() == "noted"
    with HttpServer() as web, replay(path):
        assert ask() == "noted"
        assert calls == ["owl", "owl"]
        index = aikit.RAG(tmp_path / "index", embedder="lexical")
        assert index.ingest(f"{web.url}/page").added == 1
        assert len(web.requests) == 1
        with no_network():
            refused = index.ingest(f"{web.url}/json")
        assert (refused.added, len(refused.failed), len(web.requests)) == (0, 1, 1)


def test_no_network_closes_it_for_models_and_tools_until_the_end() -> None:
    with OpenAIServer(api_key=KEY) as server:
        model = model_of(server.base_url)
        with no_network():
            with no_network():
                pass
            with pytest.raises(errors.DeniedError, match="no_network") as caught:
                model.complete("hi")
            assert caught.value.hint
            with pytest.raises(errors.DeniedError, match="no_network"):
                aikit.tools.request_http(url=server.base_url)
        assert server.requests == []
        assert model.complete("hi").text == "hi"


def test_a_block_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.cassette"
    model = aikit.testing.ScriptedModel(["one", "two"])

    def fail() -> None:
        with record(path):
            model.complete("hi")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not path.exists()
    with record(path):
        model.complete("hi")
    before = path.read_bytes()
    model = aikit.testing.ScriptedModel(["other"])
    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == before
    assert [it.name for it in tmp_path.iterdir()] == ["x.cassette"]


def test_a_cassette_stays_in_when_the_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.cassette"
    with record(path):
        monkeypatch.chdir(tmp_path)
        aikit.testing.ScriptedModel(["one"]).complete("hi")
    with replay("x.cassette"):
        assert aikit.testing.ScriptedModel([]).complete("hi").text == "one"


def test_what_is_no_cassette_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.cassette"
    with pytest.raises(errors.NotFoundError):
        replay(path).__enter__()
    for text, error in [
        ("", errors.CorruptError),
        ('{"aikit_cassette": 2}\n', errors.VersionMismatchError),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(error) as caught:
            replay(path).__enter__()
        assert caught.value.hint
    with record(path), pytest.raises(errors.ConflictError):
        record(path).__enter__()


def test_a_recording_replaces_no_other_file_and_nothing_of_git(tmp_path: Path) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("# Mine", encoding="utf-8")
    for path, error in [
        (notes, errors.InvalidArgsError),
        (tmp_path / ".git" / "config", errors.DeniedError),
        (tmp_path / ".aikit" / "aikit.db", errors.DeniedError),
        (notes / "x.cassette", errors.AikitError),
    ]:
        with pytest.raises(error) as caught:
            record(path).__enter__()
        assert caught.value.hint, path
    assert notes.read_text(encoding="utf-8") == "# Mine"
    assert [it.name for it in tmp_path.iterdir()] == ["notes.md"]


def test_a_recording_that_cannot_be_written_goes_elsewhere(tmp_path: Path) -> None:
    path, other = tmp_path / "x.cassette", tmp_path / "other.cassette"
    cassette = record(path)

    def fill() -> None:
        with cassette:
            aikit.testing.ScriptedModel(["one"]).complete("hi")
            path.write_text("mine", encoding="utf-8")

    with pytest.raises(errors.InvalidArgsError, match="not a cassette") as caught:
        fill()
    assert "`path`" in (caught.value.hint or "")
    with pytest.raises(errors.ConflictError):
        record(other).__enter__()
    with pytest.raises(errors.InvalidArgsError):
        cassette.eject(keep=False, path=other)
    with pytest.raises(errors.DeniedError):
        cassette.eject(path=tmp_path / ".git" / "x")
    cassette.eject(path=other)
    assert (cassette.path, cassette.entries) == (str(other), 1)
    assert path.read_text(encoding="utf-8") == "mine"
    with replay(other):
        assert aikit.testing.ScriptedModel([]).complete("hi").text == "one"


def test_what_a_person_answered_is_replayed_without_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.cassette"
    pin = {"question": "Which PIN?", "secret": True}
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return "1234" if "PIN" in prompt else "blue"

    def questions() -> list[object]:
        model = aikit.testing.ScriptedModel(
            [
                {"tool_calls": [{"name": "ask_user", "arguments": pin}]},
                "thank you",
            ]
        )
        colour = aikit.tools.ask_user(question="Which colour?").answer
        return [colour, aikit.Agent(model, tools=["ask_user"]).run("begin").output]

    monkeypatch.setattr("aikit._ask._is_interactive", lambda: True)
    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("getpass.getpass", answer)
    with record(path):
        recorded = questions()
    assert (recorded, len(asked)) == (["blue", "thank you"], 2)
    assert "1234" not in path.read_text(encoding="utf-8")
    with replay(path) as playing:
        assert questions() == recorded
    assert (len(asked), playing.unused) == (2, 0)


def test_a_cassette_of_the_first_version_still_replays(tmp_path: Path) -> None:
    data = ROOT / "tests" / "data" / "cassettes"
    command = [sys.executable, "-m", "aikit", "run", str(data / "first.lua")]
    done = subprocess.run(  # noqa: S603
        [*command, "--replay", str(data / "first.cassette")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    expected = (data / "first.txt").read_text(encoding="utf-8")
    assert (done.stderr, done.returncode, done.stdout) == ("", 0, expected)


def test_the_shell_records_and_replays(tmp_path: Path) -> None:
    script = "print(Model('openai:echo'):complete('hello').text, os.time())"
    command = [sys.executable, "-m", "aikit", "run", "-e"]

    def run(
        *options: str, code: str = script, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            [*command, code, *options],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    with OpenAIServer(api_key=KEY) as server:
        live = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
        recorded = run("--record", "x.cassette", **live)
    assert (recorded.returncode, recorded.stderr) == (0, "")
    assert recorded.stdout.startswith("hello\t")
    replayed = run("--replay", "x.cassette")
    assert (replayed.returncode, replayed.stdout) == (0, recorded.stdout), replayed.stderr
    assert run("--replay", "none.cassette").returncode == 3
    assert run("--record", "a", "--replay", "b").returncode == 2
    other = script.replace("hello", "hullo")
    missed = run("--replay", "x.cassette", code=other)
    assert (missed.returncode, "`strict` is false" in missed.stderr) == (14, True), missed.stderr
    with OpenAIServer(api_key=KEY) as server:
        live = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
        made = run("--replay", "x.cassette", "--strict", "false", code=other, **live)
        assert (made.returncode, made.stdout[:6]) == (0, "hullo\t"), made.stderr
        run("--replay", "x.cassette", "--strict", "false", **live)
        assert len(server.requests) == 1
    assert run("--strict", "false").returncode == 2
    assert run("--replay", "x.cassette", "--strict", "maybe").returncode == 2


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("exit(0)", 0),
        ("os.exit()", 0),
        ("exit(1)", 1),
        ("error('no')", 1),
        # Nobody waits for it.
        ("async(function() error('no') end) sleep(0)", 1),
    ],
)
def test_the_shell_keeps_a_recording_when_the_run_succeeds(
    tmp_path: Path, end: str, status: int
) -> None:
    script = f"Model('scripted:x', {{answers = {{'a'}}}}):complete('hi'); {end}"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "aikit", "run", "-e", script, "--record", "x.cassette"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert (tmp_path / "x.cassette").exists() == (status == 0)


def test_the_shell_saves_a_recording_elsewhere_where_its_file_was_taken(tmp_path: Path) -> None:
    script = (
        "Model('scripted:x', {answers = {'a'}}):complete('hi'); "
        "Tool.write_file{path = 'x.cassette', content = 'mine'} os.exit(0)"
    )
    saved = tmp_path / "temporary"
    saved.mkdir()
    command = [sys.executable, "-m", "aikit", "run", "-e", script, "--record"]

    def run(path: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            [*command, path],
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(saved)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    done = run("x.cassette")
    (file,) = saved.glob("aikit-*/x.cassette")
    assert (done.returncode, str(file) in done.stderr.replace("\n", "")) == (2, True), done.stderr
    assert len(file.read_text(encoding="utf-8").splitlines()) == 3
    assert (tmp_path / "x.cassette").read_text(encoding="utf-8") == "mine"
    # What is no cassette is refused before the script begins.
    (tmp_path / "x.cassette").write_text("other", encoding="utf-8")
    assert run("x.cassette").returncode == 2
    assert run(".git/x").returncode == 4
    assert (tmp_path / "x.cassette").read_text(encoding="utf-8") == "other"
    assert len(list(saved.iterdir())) == 1

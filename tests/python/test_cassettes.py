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


TEST_MODULE = """
import aikit
import pytest


@pytest.mark.parametrize("word", ["hello", "good bye"])
def test_says(cassette, word):
    model = aikit.Model("openai:echo")
    assert model.complete(word).text == word


def test_fails(cassette):
    aikit.Model("openai:echo").complete("x")
    assert FAILS is False
"""


def run_pytest(folder: Path, *options: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_fixture_records_once_and_replays_without_a_key(tmp_path: Path) -> None:
    module = tmp_path / "test_words.py"
    module.write_text(TEST_MODULE.replace("FAILS", "True"), encoding="utf-8")
    folder = tmp_path / "cassettes" / "test_words"
    with OpenAIServer(api_key=KEY) as server:
        live = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
        status, out = run_pytest(tmp_path, **live)
        assert (status, "2 passed" in out, "1 failed" in out) == (1, True, True), out
        recorded = len(server.requests)
        assert recorded == 3
        names = sorted(it.name for it in folder.iterdir())
        assert names == ["test_says[good_bye].cassette", "test_says[hello].cassette"]
        module.write_text(TEST_MODULE.replace("FAILS", "False"), encoding="utf-8")
        assert run_pytest(tmp_path, **live)[0] == 0
        # Only the test that has no cassette yet asks the server.
        assert len(server.requests) == recorded + 1
        assert run_pytest(tmp_path, "--aikit-record", **live)[0] == 0
        assert len(server.requests) == recorded + 4
    status, out = run_pytest(tmp_path)
    assert (status, "3 passed" in out) == (0, True), out
    changed = TEST_MODULE.replace("FAILS", "False").replace('"hello", ', '"hullo", ')
    module.write_text(changed.replace("complete(word)", "complete(word[::-1])"), encoding="utf-8")
    status, out = run_pytest(tmp_path, "-k", "good")
    assert status == 1
    assert "asked:    user: eyb doog" in out


def test_the_shell_records_and_replays(tmp_path: Path) -> None:
    script = "print(Model('openai:echo'):complete('hello').text, os.time())"
    command = [sys.executable, "-m", "aikit", "run", "-e", script]

    def run(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603
            [*command, *options],
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

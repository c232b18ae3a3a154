"""The commands of models: `aikit model`, `aikit agent run`, `aikit doctor`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from servers.ollama_server import OllamaServer
from servers.openai_server import OpenAIServer

if TYPE_CHECKING:
    from pathlib import Path


def aikit(folder: Path, *arguments: str, text: str = "", **variables: str) -> tuple[int, str, str]:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "aikit", *arguments],
        cwd=folder,
        env={**os.environ, **variables},
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def nowhere() -> str:
    """The address of a server that is down."""
    with OllamaServer() as server:
        return server.base_url


def test_the_providers_are_listed_with_what_they_lack(tmp_path: Path, nowhere: str) -> None:
    down = {"OLLAMA_BASE_URL": nowhere, "LLAMACPP_BASE_URL": f"{nowhere}/v1"}
    status, out, error = aikit(tmp_path, "model", "list", OPENAI_API_KEY="sk-not-shown", **down)
    assert (status, error) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["openai"].startswith("usable: ")
    assert lines["anthropic"] == "lacks the key `ANTHROPIC_API_KEY`"
    assert "sk-not-shown" not in out
    assert lines["azure"] == "lacks the key `AZURE_API_KEY` and the address `AZURE_ENDPOINT`"
    assert lines["ollama"].startswith("needs no key, but its server is down: ")
    assert "ollama serve" in lines["ollama"]
    with OllamaServer(api_key=None) as server:
        here = {**down, "OLLAMA_BASE_URL": server.url}
        rows = json.loads(aikit(tmp_path, "model", "list", "--json", **here)[1])
    assert len(rows) >= 25
    assert {it["name"] for it in rows if it["usable"]} == {"ollama", "scripted"}


def test_a_server_is_asked_for_its_models(tmp_path: Path, nowhere: str) -> None:
    with OllamaServer(api_key=None) as server:
        status, out, _ = aikit(tmp_path, "model", "check", "ollama", OLLAMA_BASE_URL=server.url)
    assert status == 0
    assert "rules:latest" in out
    status, out, _ = aikit(tmp_path, "model", "check", "ollama", OLLAMA_BASE_URL=nowhere)
    assert (status, "down: " in out, "ollama serve" in out) == (1, True, True), out
    # One among many that is down is no failure; a key that is refused is one.
    down = {"OLLAMA_BASE_URL": nowhere, "LLAMACPP_BASE_URL": f"{nowhere}/v1"}
    assert aikit(tmp_path, "model", "check", **down)[0] == 0
    with OllamaServer(api_key="right") as server:
        wrong = {**down, "OLLAMA_BASE_URL": server.url, "OLLAMA_API_KEY": "wrong-key"}
        for arguments in (["check"], ["check", "ollama"]):
            status, out, _ = aikit(tmp_path, "model", *arguments, **wrong)
            line = next(it for it in out.splitlines() if it.startswith("ollama"))
            assert (status, line.split()[1], "wrong-key" in out) == (1, "refused:", False), out
    status, _, error = aikit(tmp_path, "model", "check", "olama")
    assert (status, "did you mean `ollama`" in error) == (3, True)


def test_an_agent_runs_from_the_shell(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        variables = {
            "OPENAI_COMPATIBLE_BASE_URL": server.base_url,
            "OPENAI_COMPATIBLE_API_KEY": server.api_key,
        }
        options = ["--model", "openai-compatible:rules", "--tools", "calculate"]
        run = ["agent", "run", "Compute 6 * 7", *options]
        status, out, error = aikit(tmp_path, *run, **variables)
        assert (status, out.startswith("The answer: "), "42" in out) == (0, True, True), error
        assert error.startswith('[tool] calculate({"expression":"6 * 7"})'), error
        status, out, _ = aikit(tmp_path, *run, "--json", **variables)
        done = json.loads(out)
        assert done["usage"]["requests"] == 2
        assert done["steps"][0]["tool_calls"][0]["name"] == "calculate"

        (tmp_path / "agent.toml").write_text(
            'model = "openai-compatible:echo"\ninstructions = "be kind"\n[limits]\nrequests = 1\n'
        )
        run = ["agent", "run", "-", "--file", "agent.toml"]
        assert aikit(tmp_path, *run, text="hello you", **variables)[:2] == (0, "hello you\n")
        recorded = aikit(tmp_path, *run, "--record", "a.cassette", text="hi", **variables)
        assert recorded[0] == 0
    replayed = aikit(tmp_path, *run, "--replay", "a.cassette", text="hi")
    assert replayed == (0, "hi\n", "")


def test_an_agent_that_cannot_run_says_why(tmp_path: Path) -> None:
    status, _, error = aikit(tmp_path, "agent", "run", "hi")
    assert status == 5
    for way in ("OPENAI_API_KEY", "ollama serve", "cassette", "AIKIT_MODEL"):
        assert way in error
    (tmp_path / "agent.toml").write_text("tool = []\n")
    status, _, error = aikit(tmp_path, "agent", "run", "hi", "--file", "agent.toml")
    assert (status, "agent.toml" in error, "`tools`" in error) == (2, True, True), error
    options = ["--model", "scripted:x", "--tools", "calculat"]
    status, _, error = aikit(tmp_path, "agent", "run", "hi", *options)
    assert status in (2, 3), error


def test_the_doctor_looks_at_everything_and_says_what_to_do(tmp_path: Path, nowhere: str) -> None:
    quiet = {"OLLAMA_BASE_URL": nowhere, "LLAMACPP_BASE_URL": f"{nowhere}/v1"}
    status, out, error = aikit(tmp_path, "doctor", "--json", **quiet)
    assert (status, error) == (0, "")
    report = json.loads(out)
    assert report["ok"] is True
    checks = {it["name"]: it for it in report["checks"]}
    assert set(checks) == {
        "extension",
        "interpreter",
        "kernel spec",
        "ports",
        "configuration",
        "store",
        "models",
    }
    assert checks["models"]["verdict"] == "warning"
    assert "ollama serve" in checks["models"]["hint"]
    for name in ("extension", "interpreter", "ports", "configuration", "store"):
        assert checks[name]["verdict"] == "ok", checks[name]
    with OllamaServer(api_key=None) as server:
        variables = {**quiet, "OLLAMA_BASE_URL": server.url}
        status, out, _ = aikit(tmp_path, "doctor", **variables)
    assert status == 0
    assert "ollama (usable: " in out

    # The store is tried where it is, and nothing is left behind.
    assert list(tmp_path.iterdir()) == []
    aikit(tmp_path, "state", "set", "n", "1")
    before = set(tmp_path.rglob("*"))
    assert aikit(tmp_path, "doctor", **quiet)[0] == 0
    # It may take away the journal that a command has left.
    assert set(tmp_path.rglob("*")) <= before
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / ".aikit").write_text("no folder")
    status, out, _ = aikit(locked, "doctor", **quiet)
    assert status == 1
    (line,) = (it for it in out.splitlines() if "  store " in it)
    assert line.startswith("failed")
    assert str(locked / ".aikit") in line
    assert "→ work in a folder that can be written" in out

    (tmp_path / "aikit.toml").write_text("[models]\ndefalt = 'x'\n")
    status, out, _ = aikit(tmp_path, "doctor", **quiet)
    assert status == 1
    assert "did you mean `default`" in out


def test_the_doctor_sees_a_kernel_spec_whose_program_is_gone(tmp_path: Path, nowhere: str) -> None:
    folder = tmp_path / "kernels" / "aikit"
    folder.mkdir(parents=True)
    quiet = {"OLLAMA_BASE_URL": nowhere, "JUPYTER_PATH": str(tmp_path)}
    for program, verdict, says in [
        (sys.executable, "ok", "kernel.json"),
        ("/nowhere/python", "warning", "which is gone"),
    ]:
        (folder / "kernel.json").write_text(json.dumps({"argv": [program, "-m", "aikit"]}))
        report = json.loads(aikit(tmp_path, "doctor", "--json", **quiet)[1])
        check = next(it for it in report["checks"] if it["name"] == "kernel spec")
        assert (check["verdict"], says in check["says"]) == (verdict, True), check


def test_a_misspelt_variable_is_refused(tmp_path: Path) -> None:
    for name, suggestion in [
        ("AIKIT_SECURITY__ROOTZ", "`AIKIT_SECURITY__ROOTS`"),
        ("AIKIT_PROFILE", "`AIKIT_SECURITY__PROFILE`"),
    ]:
        status, _, error = aikit(tmp_path, "tool", "list", **{name: "x"})
        assert (status, name in error, suggestion in error) == (2, True, True), error

"""Bad input: each a clear error that names what to do, and nothing else is harmed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import aikit
from aikit import errors
from aikit.rag import RAG

if TYPE_CHECKING:
    from pathlib import Path


def command(*arguments: str, folder: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "aikit", *arguments],
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (None, 3, "No such file"),
        ("", 15, "not a JSON object"),
        ("{", 15, "not a JSON object"),
        ("[]", 15, "not a JSON object"),
        ('{"transport": "pigeon"}', 2, '`transport` is `"pigeon"`, it must be `tcp` or `ipc`'),
        ("\x00\x01", 15, "not a JSON object"),
    ],
)
def test_a_wrong_connection_file_is_named(
    tmp_path: Path, content: str | None, status: int, says: str
) -> None:
    file = tmp_path / "connection.json"
    if content is not None:
        file.write_text(content)
    done = command("kernel", "-f", str(file), folder=tmp_path)
    first, hint = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (status, "")
    assert first.startswith(f"error: connection file `{file}`: ")
    assert says in first
    assert hint.startswith("hint: ")


def test_a_missing_model_key_says_three_ways_out() -> None:
    with pytest.raises(errors.UnavailableError, match="`OPENAI_API_KEY` is not set") as caught:
        aikit.Agent("openai:gpt-5-mini")
    assert caught.value.hint is not None
    assert "base_url" in caught.value.hint


def test_an_unknown_tool_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(errors.NotFoundError, match="`calculat`") as caught:
        aikit.tools.invoke("calculat", {"expression": "1"})
    assert "calculate" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "args", [{}, {"expression": 3}, {"expression": "1", "more": 1}, {"expression": None}]
)
def test_wrong_arguments_are_answered_with_the_right_ones(args: dict[str, object]) -> None:
    with pytest.raises(errors.InvalidArgsError, match="`calculate`") as caught:
        aikit.tools.invoke("calculate", args)
    assert "`expression` (string, required)" in (caught.value.hint or "")


@pytest.mark.skipif(os.name == "nt", reason="the links and bytes of this test are of POSIX")
def test_unreadable_files_are_named_and_the_others_are_ingested(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, docs = tmp_path / "work", tmp_path / "work" / "docs"
    docs.mkdir(parents=True)
    monkeypatch.chdir(work)
    outside = tmp_path / "outside.md"
    outside.write_text("# Secrets\n\nThe password is xylophone.\n")
    (docs / "good.md").write_text("# Bees\n\nBees make honey.\n")
    (docs / "binary.md").write_bytes(bytes(range(256)) * 8)
    (docs / "outside.md").symlink_to(outside)
    (docs / "nowhere.md").symlink_to(tmp_path / "none")
    rag = RAG()
    report = rag.ingest("docs")
    # A link is no file of the folder; what is listed and cannot be read is named with its reason.
    assert report.added == 1
    assert [(it.source, it.kind) for it in report.failed] == [("docs/binary.md", "invalid_args")]
    with pytest.raises(errors.DeniedError, match=r"outside\.md"):
        rag.ingest("docs/outside.md")
    assert rag.search("honey", k=1)[0].source == "docs/good.md"
    # Nothing of the file outside is found, by words of it that a search does find.
    question = "Which password is xylophone?"
    assert rag.search(question, k=10) == []
    rag.ingest({"id": "known", "text": outside.read_text()})
    assert rag.search(question, k=10)[0].source == "known"


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.NotFoundError, match=r"`none\.txt`"):
        aikit.tools.read_file(path="none.txt")
    # The policy refuses it, not the system: everybody can read this one.
    with pytest.raises(errors.DeniedError, match="outside the working directory"):
        aikit.tools.read_file(path="/etc/passwd")
    assert issubclass(errors.DeniedError, PermissionError)


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("x = = 1", 1, "x"),
        ("error('boom')", 1, "boom"),
        ("return Tool.nothing{}", 3, "nothing"),
        ("Tool.calculate{}", 2, "expression"),
        ("local function f() return f() + 1 end f()", 1, "stack overflow"),
    ],
)
def test_a_script_that_fails_says_where_and_why(
    tmp_path: Path, code: str, status: int, says: str
) -> None:
    (tmp_path / "script.lua").write_text(f"\n{code}\n")
    done = command("run", "script.lua", folder=tmp_path)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert "panicked" not in done.stderr


def test_a_wrong_configuration_is_named_with_the_nearest_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "aikit.toml").write_text("[models]\ndefalt = 'x'\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.ConfigError, match="defalt") as caught:
        aikit.tools.list()
    assert "default" in str(caught.value)


def test_a_file_that_allows_more_is_named_and_one_of_others_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "aikit.toml"
    file.write_text("[security]\nhosts = ['wiki.lan']\n")
    program = "import logging; logging.basicConfig(level='INFO'); import aikit; aikit.tools.list()"

    def logged() -> str:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", program],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stderr

    said = logged()
    assert "INFO:aikit.components.config:the configuration allows more" in said
    for word in (str(file), "security.hosts", "wiki.lan"):
        assert word in said
    if os.name != "nt":
        file.chmod(0o666)
        said = logged()
        assert "WARNING:aikit.components.config.file:the configuration is ignored" in said
        assert str(file) in said
        assert "wiki.lan" not in said

"""The commands of retrieval: `aikit rag`."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from servers.openai_server import OpenAIServer
from shell import AIKIT, run

if TYPE_CHECKING:
    from pathlib import Path


REPLY = {
    "answered": True,
    "answer": "In summer [1].",
    "citations": [{"passage": 1, "quote": "honey in summer"}],
}


def test_a_question_is_answered_from_an_index(tmp_path: Path) -> None:
    make = "RAG.open('bees'):ingest({{id = 'bees', text = 'Bees make honey in\\nsummer.'}})"
    assert run("run", "-e", f"{make};", folder=tmp_path)[0] == 0
    with OpenAIServer(script=[json.dumps(REPLY)] * 2) as server:
        ask = [
            "rag",
            "ask",
            "When is honey made?",
            "--index",
            "bees",
            "--model",
            "openai-compatible:scripted",
        ]
        environment = {
            **os.environ,
            "OPENAI_COMPATIBLE_BASE_URL": server.base_url,
            "OPENAI_COMPATIBLE_API_KEY": server.api_key,
        }
        shown, data = (
            subprocess.run(  # noqa: S603
                [*AIKIT, *ask, *more],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for more in ([], ["--json"])
        )
    assert shown == 'In summer [1].\n\n[1] "honey in summer" (bees)\n'
    answer = json.loads(data)
    assert answer["answered"]
    assert answer["citations"][0]["quote"] == "honey in\nsummer"


def test_a_question_to_no_index_says_what_to_do(tmp_path: Path) -> None:
    status, _, error = run("rag", "ask", "When?", "--index", "none", folder=tmp_path)
    assert status == 3
    assert "there is no index `none`" in error
    assert "hint: make it first: `aikit rag ingest SOURCE --index none`" in error
    assert not (tmp_path / ".aikit").exists()


def test_documents_are_ingested_and_searched(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "owls.md").write_text("# Owls\n\nThey hunt\tmice at night.\n")
    (tmp_path / "docs" / "bad.md").write_bytes(b"\x00\x01")
    status, out, error = run("rag", "ingest", "docs", folder=tmp_path)
    assert (status, out) == (
        1,
        "1 added, 0 updated, 0 unchanged, 0 deleted, 1 failed; 1 chunks written, 1 embedded\n",
    )
    assert "docs/bad.md: the file is binary" in error
    (tmp_path / "docs" / "bad.md").unlink()
    given = ["--metadata", "year=2024", "--chunker", "markdown", "--json"]
    status, out, _ = run("rag", "ingest", "docs", *given, folder=tmp_path)
    assert (status, json.loads(out)["updated"]) == (0, 1)
    status, out, error = run("rag", "search", "hunting mice", folder=tmp_path)
    score, chunk, text = out.rstrip("\n").split("\t")
    assert (status, chunk, error) == (0, "docs/owls.md#0", "")
    assert float(score) > 0
    assert text == "# Owls They hunt mice at night."
    options = ["-k", "1", "--mode", "keyword", "--filter", '{"year": {"gte": 2024}}', "--json"]
    status, out, _ = run("rag", "search", "owl", *options, folder=tmp_path)
    assert [hit["source"] for hit in json.loads(out)] == ["docs/owls.md"]


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["search", "x"], 3, "no index `documents`"),
        (["search", "x", "--index", "../none"], 4, "outside the working directory"),
        (["ingest", "none.md"], 3, "none.md"),
        (["ingest", "none.md", "--metadata", "x"], 2, "NAME=VALUE"),
        (["ingest", "none.md", "--gone", "maybe"], 2, "maybe"),
        (["ingest", "none.md", "--chunker", "none"], 3, "no chunker named"),
    ],
)
def test_what_is_wrong_about_an_index_is_named(
    arguments: list[str], status: int, message: str, tmp_path: Path
) -> None:
    found, out, error = run("rag", *arguments, folder=tmp_path)
    assert (found, out) == (status, "")
    assert message in error
    assert "hint: " in error


def test_files_that_no_loader_reads_are_counted_and_long_texts_are_cut(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "owls.md").write_text("owls hunt mice " * 50)
    for number in range(12):
        (tmp_path / "docs" / f"{number:02}.pdf").write_bytes(b"%PDF")
    status, out, error = run("rag", "ingest", "docs", folder=tmp_path)
    assert status == 0
    assert "1 added, 0 updated, 0 unchanged, 0 deleted, 0 failed, 12 skipped; 1 chunks" in out
    assert error.splitlines()[0] == "docs/00.pdf: skipped, no loader reads `.pdf`"
    assert error.splitlines()[10:] == ["… 2 more were skipped; `--json` names all"]
    _, out, _ = run("rag", "search", "owls", folder=tmp_path)
    assert out.endswith("…\n")
    assert len(out) < 250
    _, out, _ = run("rag", "search", "owls", "--json", folder=tmp_path)
    assert json.loads(out)[0]["text"] == ("owls hunt mice " * 50).strip()
    # What nothing is alike is no hit.
    assert run("rag", "search", "quantum", folder=tmp_path) == (0, "", "")


def test_a_terminal_shows_hits_as_a_table_and_how_far_an_ingest_is(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# A\n\nwords \x1b[2J here\n")
    reader, writer = os.openpty()
    for arguments in (["ingest", "a.md"], ["search", "words"]):
        done = subprocess.run(  # noqa: S603
            [*AIKIT, "rag", *arguments],
            cwd=tmp_path,
            stdout=writer,
            stderr=writer,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0
    os.close(writer)
    shown = os.read(reader, 65_536).decode()
    os.close(reader)
    assert "score  source" in shown
    assert "a.md > A" in shown
    assert "\x1b[2J" not in shown

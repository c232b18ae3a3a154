"""The quickstart notebook in the Aikit kernel: without a model, and with a live server."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import documents
import pytest
import run_quickstart

from servers.openai_server import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import nbformat

pytestmark = pytest.mark.slow
SHARE_MIN = 0.7


def outputs_by_id(notebook: nbformat.NotebookNode) -> dict[str, str]:
    return {it.id: run_quickstart.outputs(it) for it in notebook.cells if it.cell_type == "code"}


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the cells print without a configured model, over all documents."""
    folder = tmp_path_factory.mktemp("quickstart")
    run_quickstart.prepare_folder(folder)
    return outputs_by_id(run_quickstart.execute(folder))


def test_the_whole_folder_is_ingested(offline: dict[str, str]) -> None:
    added, chunks = (int(it) for it in re.findall(r"\d+", offline["ingest"].splitlines()[-1]))
    assert added >= (450 if documents.find_manual() else 150)
    assert chunks > added


def test_most_questions_have_their_answer_in_the_top_five(offline: dict[str, str]) -> None:
    answered, asked = (int(it) for it in re.findall(r"\d+", offline["questions"]))
    assert asked >= (36 if documents.find_manual() else 12)
    assert answered >= SHARE_MIN * asked


def test_without_the_manual_the_docstrings_are_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "find_manual", lambda: None)
    corpus = run_quickstart.prepare_folder(tmp_path)
    cells = outputs_by_id(run_quickstart.execute(tmp_path))
    answered, asked = (int(it) for it in re.findall(r"\d+", cells["questions"]))
    assert asked == len(corpus.questions) >= 12
    assert answered >= SHARE_MIN * asked


def test_tools_answer_in_cells(offline: dict[str, str]) -> None:
    assert offline["tools"].startswith("8192")
    assert "4\twords" in offline["tools"]
    assert "vowels = 4" in offline["own-tool"]


def test_the_scripted_agent_uses_a_tool_and_the_index(offline: dict[str, str]) -> None:
    assert offline["agent"].splitlines() == [
        "called\tcalculate",
        "called\tsearch_documents",
        "6 * 7 is 42, and shutil.rmtree deletes a directory tree.",
    ]


@pytest.fixture(scope="module")
def live_server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, live_server: OpenAIServer) -> dict[str, str]:
    """What the same cells print with a live server, over all documents."""
    folder = tmp_path_factory.mktemp("quickstart-live")
    run_quickstart.prepare_folder(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIKIT_MODEL", "openai-compatible:thorough")
        patch.setenv("OPENAI_COMPATIBLE_BASE_URL", live_server.base_url)
        patch.setenv("OPENAI_COMPATIBLE_API_KEY", live_server.api_key)
        return outputs_by_id(run_quickstart.execute(folder))


def test_the_same_cells_run_against_a_live_server(live: dict[str, str]) -> None:
    assert live["model"] == "Say one sentence about Lua cells.\nSay one sentence about streams."
    *called, answer = live["agent"].splitlines()
    tools = ["calculate", "search_documents", "count_vowels"]
    assert called == [f"called\t{it}" for it in tools]
    assert answer.startswith("The answers: ")
    assert "42" in answer


def test_the_agent_asks_the_index_over_the_live_server(
    live: dict[str, str], live_server: OpenAIServer
) -> None:
    assert live
    bodies = [it.json() for it in live_server.requests if it.path == "/v1/chat/completions"]
    offered = [[tool["function"]["name"] for tool in it["tools"]] for it in bodies if "tools" in it]
    assert any(it.get("stream") for it in bodies)
    assert offered[0] == ["calculate", "search_documents", "count_vowels"]
    results = [it["content"] for it in bodies[-1]["messages"] if it["role"] == "tool"]
    hits = json.loads(results[1])
    assert len(hits) == 5
    assert all(hit["source"].startswith("documents/") for hit in hits)
    # What the question is about stands in one of them, wherever it is from.
    assert any("rmtree" in hit["text"] or "directory" in hit["text"] for hit in hits)

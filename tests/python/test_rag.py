"""Retrieval from Python: sources, embedders, progress, stores that last."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytest

import aikit
from aikit import errors
from aikit.hits import Hits
from aikit.rag import RAG
from servers.loopback import LoopbackServer
from servers.openai_server import OpenAIServer

if TYPE_CHECKING:
    from pathlib import Path

    from servers.loopback import Exchange, Request

RECORDS: list[dict[str, Any]] = [
    {"id": "cat", "text": "The cat sat on the mat.", "metadata": {"animal": True}},
    {"id": "rust", "text": "Rust has ownership, borrowing and lifetimes."},
]


def test_records_are_found_by_their_words() -> None:
    rag = RAG()
    report = rag.ingest(RECORDS)
    assert (report.added, report.chunks, report.failed) == (2, 2, [])
    hits = rag.search("Where did the cat sit?", k=1)
    assert [it.source for it in hits] == ["cat"]
    assert hits[0].metadata == {"animal": True}
    assert "<table>" in hits._repr_html_()  # what a notebook calls
    assert rag.ingest(RECORDS).unchanged == 2
    assert rag.delete("cat") == 1
    assert rag.stats().documents == 1


async def test_every_call_has_its_async_form() -> None:
    rag = RAG()
    assert (await rag.aingest(RECORDS)).added == 2
    assert isinstance(await rag.asearch("ownership", k=1), Hits)
    assert await rag.adelete(["cat", "none"]) == 1
    assert (await rag.astats()).documents == 1


def test_a_folder_is_ingested_and_its_store_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "one.md").write_text("# One\n\nBees make honey.\n")
    (tmp_path / "docs" / "two.txt").write_text("Ships cross the sea.")
    rag = RAG("index.db")
    done = [it.data["done"] for it in rag.start_ingest("docs") if "progress" in it.kind]
    assert done == [1, 2]
    again = pickle.loads(pickle.dumps(rag))  # noqa: S301  # our own
    hit = again.search("honey", k=1)[0]
    assert (hit.title, hit.source) == ("One", "docs/one.md")
    assert again.ingest("docs", progress=True).unchanged == 2


def test_a_pickle_carries_no_password(tmp_path: Path) -> None:
    with OpenAIServer() as server:
        rag = RAG(
            tmp_path / "index.db",
            embedder="openai-compatible:hashed",
            base_url=server.base_url.replace("//", "//ada:hidden@"),
            api_key=server.api_key,
        )
        pickled = pickle.dumps(rag)
    assert b"hidden" not in pickled
    assert server.api_key.encode() not in pickled
    assert server.base_url.encode() in pickled


def test_a_plain_name_is_an_index_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    RAG("manual").ingest(RECORDS)
    assert (tmp_path / ".aikit" / "rag" / "manual.db").is_file()
    assert RAG("manual").stats().documents == 2


def test_a_function_embeds() -> None:
    def lengths(texts: list[str]) -> object:
        return np.array([[len(it), 1.0] for it in texts], dtype=np.float32)

    rag = RAG(embedder=lengths, dim=2)
    rag.ingest([{"id": "short", "text": "x"}, {"id": "long", "text": "x" * 1000}])
    assert rag.stats().dim == 2
    assert rag.stats().embedder == "function:lengths"
    assert rag.search("y", k=1)[0].source == "short"


def test_an_agent_searches_through_the_index() -> None:
    rag = RAG()
    rag.ingest(RECORDS)
    call = {"name": "search_documents", "arguments": {"query": "ownership", "k": 1}}
    model = aikit.testing.ScriptedModel([{"tool_calls": [call]}, {"text": "ok", "expect": "Rust"}])
    assert aikit.Agent(model, tools=[rag.as_tool()]).run("go").output == "ok"


ANIMALS: list[dict[str, Any]] = [
    {"id": "owl", "text": "Owls hunt mice.", "metadata": {"year": 2024, "tags": ["bird"]}},
    {"id": "ship", "text": "Ships cross the sea.", "metadata": {"year": 2020}},
]


@pytest.mark.parametrize("mode", ["hybrid", "dense", "keyword"])
async def test_each_mode_says_what_it_compared(
    mode: Literal["hybrid", "dense", "keyword"],
) -> None:
    rag = RAG(language="english")
    rag.ingest(ANIMALS)
    hit = rag.search("hunting owls", mode=mode, k=1)[0]
    assert hit.source == "owl"
    assert (hit.scores.dense is None) == (mode == "keyword")
    assert (hit.scores.keyword is None) == (mode == "dense")
    assert (await rag.asearch("hunting owls", mode=mode, k=1))[0] == hit


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ({"year": {"gte": 2024}}, {"owl"}),
        ({"year": 2020}, {"ship"}),
        ({"tags": "bird"}, {"owl"}),
        ({"year": {"one_of": [2020, 2024]}}, {"owl", "ship"}),
        ({"negate": {"tags": {"exists": True}}}, {"ship"}),
        ({"any_of": [{"year": 1}, {"year": {"lt": 2021, "ne": 5}}]}, {"ship"}),
        ({"year": {"gt": 3000}}, set()),
    ],
)
def test_a_filter_says_which_documents_are_searched(
    filter_: dict[str, Any], expected: set[str]
) -> None:
    rag = RAG()
    rag.ingest(ANIMALS)
    assert {it.source for it in rag.search("owls and ships", filter=filter_)} == expected


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"mode": "fuzzy"}, "fuzzy"),
        ({"fusion": "sum"}, "sum"),
        ({"dense_weight": 1.5}, "dense_weight"),
        ({"min_score": float("nan")}, "min_score"),
        ({"filter": {"year": {"gtt": 1}}}, "gtt"),
        ({"filter": {"year": {"gt": None}}}, "gt"),
    ],
)
def test_a_wrong_option_of_a_search_is_named(options: dict[str, Any], named: str) -> None:
    rag = RAG()
    rag.ingest(ANIMALS)
    with pytest.raises(errors.InvalidArgsError, match=named):
        rag.search("owl", **options)


def test_only_new_texts_are_embedded_again() -> None:
    seen: list[str] = []

    def embed(texts: list[str]) -> object:
        seen.extend(texts)
        return [[float(len(it)), 1.0] for it in texts]

    rag = RAG(
        embedder=embed, dim=2, chunker="markdown", chunk_size_tokens=8, chunk_overlap_tokens=0
    )
    text = "# A\n\none two three four five\n\n# B\n\nsix seven eight nine ten\n"
    events = rag.start_ingest([{"id": "a", "text": text, "format": "markdown"}])
    counts = [it.data for it in events if it.kind == "rag.ingest.progress"]
    assert (counts[-1]["added"], counts[-1]["chunks"], counts[-1]["failed"]) == (1, 2, 0)
    seen.clear()
    changed = text.replace("ten", "eleven")
    report = rag.ingest([{"id": "a", "text": changed, "format": "markdown"}])
    assert (report.updated, report.chunks, report.embedded, len(seen)) == (1, 2, 1, 1)


def test_a_page_is_ingested_by_its_address() -> None:
    page = b"<title>Owls</title><nav>Menu</nav><main><h1>Owls</h1><p>They hunt mice.</p></main>"

    class Server(LoopbackServer):
        def answer(self, _: Request, exchange: Exchange) -> None:
            exchange.send(200, page, "text/html")

    rag = RAG()
    with Server() as server:
        assert rag.ingest(f"{server.url}/owls").added == 1
    hit = rag.search("mice", k=1)[0]
    assert (hit.title, hit.headings, "Menu" in hit.text) == ("Owls", ["Owls"], False)


def test_a_tool_of_an_index_has_its_own_name_and_number_of_hits() -> None:
    rag = RAG()
    rag.ingest(RECORDS)
    tool = rag.as_tool("look_up", "Animals and languages.", k=1)
    assert (tool.name, tool.info.summary) == ("look_up", "Animals and languages.")
    assert tool.info.input_schema["properties"]["k"]["default"] == 1
    found = tool(query="ownership of the cat")
    assert [it["source"] for it in found] == ["cat"]
    assert {"id", "text", "score", "source", "headings", "start", "end"} <= set(found[0])
    assert len(tool(query="ownership of the cat", k=2)) == 2
    with pytest.raises(errors.InvalidArgsError, match="`k` is `0`"):
        rag.as_tool(k=0)
    with pytest.raises(errors.InvalidArgsError, match="no name"):
        rag.as_tool("no name")


REPLY = {
    "answered": True,
    "answer": "On the mat [1].",
    "citations": [{"passage": 1, "quote": "sat on the mat"}],
}


def test_an_answer_cites_where_it_stands() -> None:
    rag = RAG()
    rag.ingest(RECORDS)
    answer = rag.ask("Where is the cat?", model=scripted(REPLY), k=1, instructions="In English.")
    assert isinstance(answer, aikit.Answer)
    assert answer.answered
    assert str(answer) == answer.text == "On the mat [1]."
    [citation] = answer.citations
    assert (citation.number, citation.source, citation.quote) == (1, "cat", "sat on the mat")
    assert RECORDS[0]["text"][citation.start : citation.end] == citation.quote
    assert citation.metadata == {"animal": True}
    assert (answer.usage.requests, answer.hits[0].id) == (1, "cat#0")
    assert "<q>sat on the mat</q>" in answer._repr_html_()


async def test_an_answer_that_is_not_in_the_documents_says_so() -> None:
    rag = RAG()
    assert not (await rag.aask("Anything?", model=scripted())).answered
    rag.ingest(RECORDS)
    invented = {"answer": "In Paris [1].", "citations": [{"passage": 1, "quote": "cat in Paris"}]}
    answer = await rag.aask("Where is the cat?", model=scripted(invented, invented))
    assert (answer.answered, answer.citations, answer.draft) == (False, [], "In Paris.")
    assert answer.unverified[0].quote == "cat in Paris"
    assert "Paris" not in answer.text
    with pytest.raises(errors.OutputError, match="did not answer in the form"):
        await rag.aask("Where is the cat?", model=aikit.testing.ScriptedModel(["no", "no"]))


def scripted(*replies: dict[str, Any]) -> aikit.testing.ScriptedModel:
    return aikit.testing.ScriptedModel([json.dumps(it) for it in replies])


def test_a_live_model_answers_from_the_index() -> None:
    rag = RAG()
    rag.ingest(RECORDS)
    with OpenAIServer(script=[json.dumps(REPLY)]) as server:
        client = aikit.OpenAI(base_url=server.base_url, api_key=server.api_key)
        answer = rag.ask("Where is the cat?", model=client.model("scripted"))
        sent = server.requests[0].json()["messages"]
    assert answer.answered
    assert answer.usage.input_tokens > 0
    assert [it["role"] for it in sent] == ["system", "user"]
    assert "The cat sat on the mat." in sent[1]["content"]


async def test_an_index_is_measured() -> None:
    rag = RAG()
    rag.ingest(RECORDS)
    qrels: list[dict[str, Any]] = [
        {"query": "ownership and borrowing", "relevant": "rust"},
        {"query": "a mat", "relevant": ["cat"]},
        {"query": "lifetimes", "relevant": {"none": 2}},
    ]
    evaluation = rag.evaluate(qrels, at=[2, 1])
    assert [it.k for it in evaluation.at] == [1, 2]
    assert evaluation.at[0].recall == pytest.approx(2 / 3)
    assert evaluation.missed == ["lifetimes"]
    assert evaluation.latency.p95_ms >= evaluation.latency.p50_ms > 0
    assert "<table>" in evaluation._repr_html_()
    by_chunk = await rag.aevaluate([{"query": "a mat", "relevant": "cat#0"}], at=1, level="chunk")
    assert by_chunk.at[0].ndcg == 1.0
    wrongs: list[list[dict[str, Any]]] = [
        [],
        [{"query": "x"}],
        [{"query": "x", "relevant": []}],
    ]
    for wrong in wrongs:
        with pytest.raises(errors.InvalidArgsError):
            rag.evaluate(wrong)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"embedder": "none"}, errors.NotFoundError),
        ({"embedder": len}, errors.InvalidArgsError),
        ({"index": "none"}, errors.NotFoundError),
        ({"chunk_size_tokens": 0}, errors.InvalidArgsError),
        ({"chunk_size_tokens": -1}, errors.InvalidArgsError),
        ({"chunker": "none"}, errors.NotFoundError),
    ],
)
def test_wrong_options_are_named(
    options: dict[str, object], error: type[errors.AikitError]
) -> None:
    with pytest.raises(error) as caught:
        RAG(**options)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.hint is not None


@pytest.mark.parametrize("k", [-1, 0, 1_001, 2**65])
def test_a_number_of_hits_out_of_range_is_named(k: int) -> None:
    rag = aikit.RAG()
    rag.ingest([{"id": "a", "text": "one chunk"}])
    with pytest.raises(errors.InvalidArgsError, match="`k` is `") as caught:
        rag.search("chunk", k=k)
    assert caught.value.hint


def test_a_file_whose_name_reads_like_a_glob_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a [x].md").write_text("penguins", encoding="utf-8")
    rag = aikit.RAG()
    assert rag.ingest("a [x].md").added == 1
    assert rag.search("penguins", k=1)[0].source == "a [x].md"


def test_an_id_that_is_given_twice_is_reported() -> None:
    report = aikit.RAG().ingest([{"id": "a", "text": "one"}, {"id": "a", "text": "two"}])
    assert (report.added, [it.source for it in report.failed]) == (1, ["a"])


@pytest.mark.parametrize("place", ["", " ", ".", "folder"])
def test_a_place_that_cannot_be_an_index_is_named(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / ".aikit" / "rag" / "folder.db").mkdir(parents=True)
    with pytest.raises(errors.InvalidArgsError):
        aikit.RAG(place)


def test_files_that_no_loader_reads_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.md").write_text("words")
    (tmp_path / "b.pdf").write_bytes(b"%PDF")
    report = RAG().ingest(".")
    assert (report.added, report.failed) == (1, [])
    assert [(it.source, it.reason) for it in report.skipped] == [
        ("b.pdf", "no loader reads `.pdf`")
    ]
    assert "no loader" in repr(report)

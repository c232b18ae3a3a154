"""How well each way of searching answers the judged questions of `judged.py`, beside bm25s.

All rank the same passages, and a section counts where its best passage stands. The ways: `lexical`
(dense search with the embedder of that name), `keyword`, `hybrid` of the two, `minilm`, `hybrid`
with it, and bm25s with the stemmer of Snowball and its English stop words.

    python benches/rag/quality.py [--folder F] [--parts A,B] [--questions N] [--skip-minilm]

`--folder` keeps the indexes, so that a second run embeds nothing; `--parts` takes some of the
manual's folders, such as `tutorial,howto,faq`, passages and questions alike. The program ends with
an error where a target is missed.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from judged import Judged, Passage, build, find_or_exit

import aikit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # The passages that fit a question, best first.
    Search = Callable[[str], Sequence[str]]

# Passages that are ranked; several may be of one section.
DEPTH = 50
AT_NDCG, AT_RECALL = 10, 5

COLUMNS = ("nDCG@10", "recall@5", "MRR@10", "p50 ms")


def sections(passages: Sequence[str]) -> list[str]:
    """The sections of ranked passages, each once."""
    return list(dict.fromkeys(it.rsplit("/", 1)[0] for it in passages))


def measure(search: Search, judged: Sequence[Judged]) -> list[float]:
    """Asks every question once; one section answers each.

    Args:
        search: What is measured.
        judged: The questions.

    Returns:
        The figures of `COLUMNS`.
    """
    ndcg = recall = mrr = 0.0
    taken = []
    for it in judged:
        begun = time.perf_counter()
        found = search(it.query)
        taken.append(time.perf_counter() - begun)
        ranking = sections(found)
        rank = ranking.index(it.section) + 1 if it.section in ranking else None
        if rank is not None and rank <= AT_NDCG:
            ndcg += 1 / math.log2(rank + 1)
            mrr += 1 / rank
            recall += rank <= AT_RECALL
    means = [value / len(judged) for value in (ndcg, recall, mrr)]
    return [*means, sorted(taken)[len(taken) // 2] * 1000]


def bm25(passages: Sequence[Passage]) -> Search:
    """The search of bm25s, as its own documentation sets it up for English."""
    import bm25s  # noqa: PLC0415  # a peer, which only this program needs
    import Stemmer  # noqa: PLC0415  # as above

    stemmer = Stemmer.Stemmer("english")

    def tokenize(texts: list[str]) -> object:
        return bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)

    index = bm25s.BM25()
    index.index(tokenize([it.text for it in passages]), show_progress=False)

    def search(query: str) -> list[str]:
        found, _ = index.retrieve(tokenize([query]), k=DEPTH, show_progress=False)
        return [passages[number].id for number in found[0]]

    return search


def opened(passages: Sequence[Passage], file: Path, embedder: str) -> aikit.RAG:
    """An index of the passages; what is there already is not embedded again."""
    rag = aikit.RAG(file, embedder=embedder, chunker="whole")
    begun = time.perf_counter()
    report = rag.ingest([{"id": it.id, "text": it.text} for it in passages], progress=True)
    if report.failed:
        sys.exit(f"{len(report.failed)} passages could not be ingested: {report.failed[0]}")
    if report.chunks:
        seconds = time.perf_counter() - begun
        print(f"{embedder}: {report.chunks} passages in {seconds:.0f} s", flush=True)
    return rag


def ways(rag: aikit.RAG, name: str) -> dict[str, Search]:
    """The searches of an index by their names."""

    def by(mode: str) -> Search:
        def search(query: str) -> list[str]:
            return [hit.source for hit in rag.search(query, k=DEPTH, mode=mode)]  # type: ignore[arg-type]

        return search

    return {name: by("dense"), "keyword": by("keyword"), f"hybrid ({name})": by("hybrid")}


def targets(rows: dict[str, list[float]]) -> list[str]:
    """What is missed: hybrid with minilm above both its parts, with lexical not below keyword."""
    ndcg = {name: figures[0] for name, figures in rows.items()}
    missed = []
    if ndcg["hybrid (lexical)"] < ndcg["keyword"]:
        missed.append("hybrid (lexical) is below keyword")
    if "minilm" in ndcg:
        missed += [
            f"hybrid (minilm) is not above {other}"
            for other in ("keyword", "minilm")
            if ndcg["hybrid (minilm)"] <= ndcg[other]
        ]
    return missed


def main() -> None:
    """Measures all and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--folder", type=Path, help="where indexes are kept")
    parser.add_argument("--parts", default="", help="folders of the manual; all when left out")
    parser.add_argument("--questions", type=int, help="only so many of them, evenly spread")
    parser.add_argument("--skip-minilm", action="store_true", help="without the model")
    options = parser.parse_args()
    passages, judged = build(find_or_exit())
    if options.parts:
        parts = tuple(f"{it}/" for it in options.parts.split(","))
        passages = [it for it in passages if it.section.startswith(parts)]
        judged = [it for it in judged if it.section.startswith(parts)]
    if options.questions:
        judged = judged[:: max(1, len(judged) // options.questions)]
    print(f"{len(passages)} passages, {len(judged)} judged questions", flush=True)
    print(f"{'':18}" + "".join(f"{it:>10}" for it in COLUMNS), flush=True)
    rows: dict[str, list[float]] = {}

    def add(name: str, search: Search) -> None:
        if name not in rows:
            rows[name] = measure(search, judged)
            figures = "".join(f"{it:10.3f}" for it in rows[name])
            print(f"{name:18}{figures}", flush=True)

    add("bm25s, stemming", bm25(passages))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        for embedder in ["lexical", *([] if options.skip_minilm else ["minilm"])]:
            rag = opened(passages, folder / f"{embedder}.db", embedder)
            rag.search("warm", k=1)
            for name, search in ways(rag, embedder).items():
                add(name, search)
    missed = targets(rows)
    for it in missed:
        print(f"MISSED: {it}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()

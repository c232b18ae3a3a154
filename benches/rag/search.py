"""Time of searches over 100,000 chunks, and of opening an index of that size.

    python benches/rag/search.py [--chunks 100000] [--searches 300] [--index flat]

The chunks are paragraphs of Python's manual (Debian's package `python3-doc`) of at most 40 tokens,
repeated with other words mixed in until there are enough; questions are runs of 2 to 8 words of
theirs. Vectors are 384 numbers that a function makes of the words, so that no model is measured.
Targets: keyword p95 at most 2 ms, hybrid p95 at most 3 ms, open and first search by words at most
200 ms.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import aikit

if TYPE_CHECKING:
    from collections.abc import Callable

DIM = 384
DOCUMENT_CHUNKS = 100
WORDS_OF_A_CHUNK = 60
TARGETS_MS = {"keyword": 2.0, "hybrid": 3.0, "open": 200.0}


def paragraphs(count: int) -> list[str]:
    """Paragraphs of the manual, repeated with words mixed in until there are `count`."""
    folders = sorted(Path("/usr/share/doc").glob("python3*/html/_sources"))
    if not folders:
        raise SystemExit("Python's manual is absent: install the package python3-doc")
    found: list[str] = []
    for path in sorted(folders[-1].rglob("*.txt")):
        for paragraph in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            words = paragraph.split()
            starts = range(0, len(words), WORDS_OF_A_CHUNK)
            found += [" ".join(words[it : it + WORDS_OF_A_CHUNK]) for it in starts]
    found = [it for it in found if len(it.split()) >= 8]  # noqa: PLR2004  # a sentence
    numbers = random.Random(7)  # noqa: S311  # the same every time
    whole = list(found)
    while len(found) < count:
        words = numbers.choice(whole).split() + numbers.choice(whole).split()[:5]
        numbers.shuffle(words)
        found.append(" ".join(words))
    return found[:count]


def embed(texts: list[str]) -> np.ndarray:
    """Sums a random vector for each word; near for texts that share words."""
    rows = np.full((len(texts), DIM), 1e-6, dtype=np.float32)
    for place, text in enumerate(texts):
        for word in text.lower().split():
            rows[place] += vector(word)
    return rows


VECTORS: dict[str, np.ndarray] = {}


def vector(word: str) -> np.ndarray:
    """The vector of a word, the same every time."""
    if word not in VECTORS:
        numbers = np.random.default_rng(zlib.crc32(word.encode()))
        VECTORS[word] = numbers.standard_normal(DIM).astype(np.float32)
    return VECTORS[word]


def times_ms(search: Callable[[str], object], questions: list[str]) -> np.ndarray:
    """Milliseconds of each search."""
    taken = []
    for question in questions:
        begin = time.perf_counter()
        search(question)
        taken.append((time.perf_counter() - begin) * 1000)
    return np.array(taken)


def show(name: str, taken: np.ndarray, target: float | None) -> bool:
    """Prints a row; whether its target was missed."""
    p50, p95 = np.percentile(taken, [50, 95])
    missed = target is not None and p95 > target
    word = "" if target is None else f"target {target:.0f}, " + ("MISSED" if missed else "reached")
    print(f"{name:34} p50 {p50:8.2f} ms   p95 {p95:8.2f} ms   {word}")
    return missed


def main() -> None:
    """Prints the figures; ends with an error where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=300)
    parser.add_argument("--index", default="flat", choices=["flat", "hnsw"])
    arguments = parser.parse_args()
    # Short paragraphs share a chunk.
    texts = paragraphs(arguments.chunks * 5 // 4)
    numbers = random.Random(11)  # noqa: S311  # the same every time
    questions = []
    for text in numbers.sample(texts, arguments.searches):
        words = text.split()
        length = numbers.randint(2, 8)
        start = numbers.randrange(max(1, len(words) - length))
        questions.append(" ".join(words[start : start + length]))
    questions = [it for it in questions if re.search(r"\w", it)]
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.db"

        def opened() -> aikit.RAG:
            return aikit.RAG(path, embedder=embed, dim=DIM, index=arguments.index)

        records = [
            {"id": f"{start}", "text": "\n\n".join(texts[start : start + DOCUMENT_CHUNKS])}
            for start in range(0, len(texts), DOCUMENT_CHUNKS)
        ]
        # A paragraph is a chunk: no two of them fit one together.
        begin = time.perf_counter()
        ingesting = aikit.RAG(
            path, embedder=embed, dim=DIM, chunk_size_tokens=100, chunk_overlap_tokens=0
        )
        report = ingesting.ingest(records)
        seconds = time.perf_counter() - begin
        size = Path(f"{path}.keyword").stat().st_size / 1e6
        print(f"{report.chunks} chunks in {seconds:.0f} s; keyword file {size:.0f} MB")
        opening = times_ms(lambda it: opened().search(it, mode="keyword"), questions[:5])
        missed.append(show("open and first search by words", opening, TARGETS_MS["open"]))
        rag = opened()
        rag.search(questions[0], mode="keyword")
        by_words = times_ms(lambda it: rag.search(it, mode="keyword"), questions)
        missed.append(show("keyword", by_words, TARGETS_MS["keyword"]))
        begin_s = time.perf_counter()
        rag.search(questions[0])
        print(f"first search by vectors: {time.perf_counter() - begin_s:.1f} s")
        dense = times_ms(lambda it: rag.search(it, mode="dense"), questions)
        show(f"dense ({arguments.index}, {DIM} numbers)", dense, None)
        hybrid = times_ms(rag.search, questions)
        missed.append(show(f"hybrid ({arguments.index})", hybrid, TARGETS_MS["hybrid"]))
        ratio = np.percentile(hybrid, 95) / np.percentile(dense, 95)
        print(f"hybrid / dense p95: {ratio:.2f}")
    sys.exit(any(missed))


if __name__ == "__main__":
    main()

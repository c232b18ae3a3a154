"""How many texts the embedder `minilm` embeds in a second, and how long a question takes.

The texts are sentences of 8 to 16 words; they are ingested as chunks of documents, so loading,
storing and indexing them is included. The figure to compare with is what candle alone reached with
such sentences, 281 a second on two cores.

    python benches/rag/embed.py [COUNT]
"""

from __future__ import annotations

import random
import sys
import time

import aikit

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "seven",
    "bees",
]
WORDS += ["make", "sweet", "honey", "near", "an", "old", "river", "bridge", "today"]
COUNT = 2_000
SENTENCES_OF_A_DOCUMENT = 200
QUESTIONS = 100
REFERENCE_PER_S = 281


def main() -> None:
    """Measures both and prints them."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    chosen = random.Random(1)  # noqa: S311  # the same sentences in every run
    sentences = [
        " ".join(chosen.choices(WORDS, k=chosen.randint(8, 16))) + "." for _ in range(count)
    ]
    size = SENTENCES_OF_A_DOCUMENT
    documents = [
        {"id": str(at), "text": "\n\n".join(sentences[at : at + size])}
        for at in range(0, count, size)
    ]
    rag = aikit.RAG(embedder="minilm", chunk_size_tokens=18, chunk_overlap_tokens=0)
    begun = time.perf_counter()
    report = rag.ingest(documents)
    per_second = report.chunks / (time.perf_counter() - begun)
    print(f"{report.chunks} sentences: {per_second:.0f} a second ", end="")
    print(f"({per_second / REFERENCE_PER_S:.2f} of {REFERENCE_PER_S})")
    taken = []
    for question in sentences[:QUESTIONS]:
        begun = time.perf_counter()
        rag.search(question, k=5)
        taken.append((time.perf_counter() - begun) * 1000)
    taken.sort()
    print(f"a question: p50 {taken[len(taken) // 2]:.1f} ms, p95 {taken[-len(taken) // 20]:.1f} ms")


if __name__ == "__main__":
    main()

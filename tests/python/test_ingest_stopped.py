"""An ingest that is stopped in its middle: nothing torn, and the next one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import aikit

if TYPE_CHECKING:
    from pathlib import Path

FILES = 40

# Says each time before it embeds, and goes on when it is told to.
CHILD = """
import sys
import aikit

def embed(texts):
    print("embeds", flush=True)
    sys.stdin.readline()
    return [[1.0, float(len(text))] for text in texts]

rag = aikit.RAG("index.db", embedder=embed, embedder_name="lengths", dim=2, chunk_size_tokens=50)
print("ingests", flush=True)
rag.ingest("documents")
"""


def open_index(folder: Path) -> aikit.RAG:
    def embed(texts: list[str]) -> list[list[float]]:
        return [[1.0, float(len(text))] for text in texts]

    return aikit.RAG(
        folder / "index.db", embedder=embed, embedder_name="lengths", dim=2, chunk_size_tokens=50
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("sent", ["SIGINT", "SIGKILL"])
@pytest.mark.parametrize("batches", [0, 1, 2])
def test_an_ingest_that_is_stopped_goes_on_next_time(
    tmp_path: Path, sent: str, batches: int
) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    for number in range(FILES):
        text = f"word{number} " + "and many common words of a text " * 60
        (documents / f"{number}.md").write_text(f"# {number}\n\n{text}\n")
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", CHILD],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ingests\n"
        for _ in range(batches):
            assert child.stdout.readline() == "embeds\n"
            child.stdin.write("go on\n")
            child.stdin.flush()
        # It holds a batch in its hands now.
        assert child.stdout.readline() == "embeds\n"
        os.kill(child.pid, getattr(signal, sent))
        _, error = child.communicate(timeout=60)
        assert child.returncode != 0
        assert sent == "SIGKILL" or "KeyboardInterrupt" in error

    rag = open_index(tmp_path)
    before = rag.stats()
    assert before.documents < FILES
    # Whatever is there is whole: as many chunks are found as are counted.
    found = rag.search("common", k=1000, mode="keyword")
    assert len(found) == before.chunks
    assert len({hit.source for hit in found}) == before.documents

    report = rag.ingest(documents)
    assert (report.added, report.unchanged) == (FILES - before.documents, before.documents)
    assert report.failed == []
    assert rag.stats().documents == FILES
    for number in (0, FILES // 2, FILES - 1):
        (hit, *_) = rag.search(f"word{number}", k=1, mode="keyword")
        assert hit.source.endswith(f"{number}.md")

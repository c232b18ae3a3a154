"""An ingest that is stopped in its middle: nothing torn, and the next one goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import aikit

if TYPE_CHECKING:
    from pathlib import Path

# Each is embedded by one call, and 64 are written at once.
DOCUMENTS = 200

# Says each time before it embeds, and goes on when it is told to.
CHILD = """
import json
import os
import aikit

def embed(texts):
    os.write(1, b"embeds\\n")
    os.read(0, 1)
    return [[1.0, float(len(text))] for text in texts]

rag = aikit.RAG("index.db", embedder=embed, embedder_name="lengths", dim=2, chunk_size_tokens=50)
print("ingests", flush=True)
rag.ingest(json.load(open("documents.json")))
"""


def open_index(folder: Path) -> aikit.RAG:
    def embed(texts: list[str]) -> list[list[float]]:
        return [[1.0, float(len(text))] for text in texts]

    return aikit.RAG(
        folder / "index.db", embedder=embed, embedder_name="lengths", dim=2, chunk_size_tokens=50
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("sent", ["SIGINT", "SIGKILL"])
@pytest.mark.parametrize("calls", [0, 80, 150])
def test_an_ingest_that_is_stopped_goes_on_next_time(tmp_path: Path, sent: str, calls: int) -> None:
    text = "and many common words of a text " * 2
    documents = [{"id": f"{number}", "text": f"word{number} {text}"} for number in range(DOCUMENTS)]
    (tmp_path / "documents.json").write_text(json.dumps(documents))
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
        for _ in range(calls):
            assert child.stdout.readline() == "embeds\n"
            child.stdin.write(".")
            child.stdin.flush()
        # It holds some in its hands now.
        assert child.stdout.readline() == "embeds\n"
        os.kill(child.pid, getattr(signal, sent))
        assert child.wait(timeout=60) != 0
        assert child.stderr is not None
        assert sent == "SIGKILL" or "KeyboardInterrupt" in child.stderr.read()

    rag = open_index(tmp_path)
    before = rag.stats()
    assert before.documents == calls // 64 * 64
    # Whatever is there is whole: as many chunks are found as are counted.
    found = rag.search("common", k=1000, mode="keyword")
    assert len(found) == before.chunks
    assert len({hit.source for hit in found}) == before.documents

    report = rag.ingest(documents)
    assert (report.added, report.unchanged) == (DOCUMENTS - before.documents, before.documents)
    assert report.failed == []
    assert rag.stats().documents == DOCUMENTS
    for number in (0, DOCUMENTS // 2, DOCUMENTS - 1):
        (hit, *_) = rag.search(f"word{number}", k=1, mode="keyword")
        assert hit.source == f"{number}"

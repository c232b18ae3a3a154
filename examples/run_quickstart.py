"""Runs the quickstart notebook in the Aikit kernel and prints its answers; `make demo` calls it.

    python examples/run_quickstart.py [FOLDER]

The folder (default `~/.cache/aikit/quickstart`) gets the documents, the questions and a copy of the
notebook, because a cell reads only below its working directory. Open the copy in JupyterLab to
go on from there.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import nbformat
from documents import ROOT, Corpus, prepare
from nbclient import NotebookClient

NOTEBOOK = ROOT / "examples" / "notebooks" / "quickstart.ipynb"
CELL_TIMEOUT_S = 600


def prepare_folder(folder: Path) -> Corpus:
    """Fills the working directory of the notebook.

    Args:
        folder: Where to write `documents/`, `questions.json` and the notebook.

    Returns:
        The documents and their questions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / ".aikit", ignore_errors=True)  # an index of an earlier run
    corpus = prepare(folder / "documents")
    questions = json.dumps([asdict(it) for it in corpus.questions], indent=2)
    (folder / "questions.json").write_text(questions, encoding="utf-8")
    shutil.copyfile(NOTEBOOK, folder / NOTEBOOK.name)
    return corpus


def execute(folder: Path) -> nbformat.NotebookNode:
    """Executes the notebook in a folder and stores its outputs there.

    Args:
        folder: A folder that `prepare_folder` has filled.

    Returns:
        The executed notebook.
    """
    notebook = nbformat.read(folder / NOTEBOOK.name, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="aikit",
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    nbformat.write(notebook, folder / NOTEBOOK.name)
    return notebook


def outputs(cell: nbformat.NotebookNode) -> str:
    """What a cell printed and showed, as text; pieces of one stream are one text."""
    texts: list[str] = []
    stream = None
    for output in cell.outputs:
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if texts and output.output_type == "stream" and output.name == stream:
            texts[-1] += text
        elif text:
            texts.append(text)
        stream = output.get("name")
    return "\n".join(it.rstrip() for it in texts)


def main() -> None:
    """Runs the notebook and prints each cell's title and answer."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    default = cache / "aikit" / "quickstart"
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else default
    corpus = prepare_folder(folder)
    files = sum(1 for it in corpus.folder.rglob("*") if it.is_file())
    print(f"Running {NOTEBOOK.name} in the Aikit kernel over {files} files: {corpus.name}\n")
    for cell in execute(folder).cells:
        if cell.cell_type == "markdown":
            print(f"\033[1m{cell.source}\033[0m" if sys.stdout.isatty() else cell.source)
        else:
            print(f"{outputs(cell)}\n")
    print("To go on in JupyterLab:\n")
    print(f"  {sys.executable} -m pip install jupyterlab")
    print(f"  {sys.executable} -m jupyterlab {folder / NOTEBOOK.name}\n")


if __name__ == "__main__":
    main()

"""The example notebooks give what is stored in them, in a folder of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient

from invariants import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# The quickstart needs documents; tests/notebooks/test_notebooks.py runs it.
NOTEBOOKS = sorted(
    it for it in (ROOT / "examples" / "notebooks").glob("*.ipynb") if it.stem != "quickstart"
)
CELL_TIMEOUT_S = 60


def shown(cell: Any) -> list[tuple[str, str]]:  # noqa: ANN401  # a cell of nbformat
    """Kind and text of each output; streams that follow one another are one."""
    outputs: list[tuple[str, str]] = []
    for output in cell.outputs:
        if output.output_type == "stream":
            kind, text = output.name, output.text
        elif output.output_type == "error":
            kind, text = "error", output.evalue
        else:
            kind, text = ",".join(sorted(output.data)), output.data.get("text/plain", "")
        if outputs and outputs[-1][0] == kind:
            outputs[-1] = (kind, outputs[-1][1] + text)
        else:
            outputs.append((kind, text))
    return outputs


def outputs_of(notebook: Any) -> dict[str, list[tuple[str, str]]]:  # noqa: ANN401
    return {it.id: shown(it) for it in notebook.cells if it.cell_type == "code"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda it: it.stem)
def test_a_notebook_gives_what_is_stored_in_it(path: Path, tmp_path: Path) -> None:
    stored = nbformat.read(path, as_version=4)
    executed = nbformat.read(path, as_version=4)
    client = NotebookClient(
        executed,
        timeout=CELL_TIMEOUT_S,
        kernel_name="aikit",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute()
    assert outputs_of(executed) == outputs_of(stored)
    # Again, as a reader does: what is there by now is in nobody's way.
    client.execute()


def test_the_notebooks_of_each_subject_are_there() -> None:
    assert [it.stem for it in NOTEBOOKS] == ["agents", "rag", "tools"]

"""Notebooks through nbclient: outputs are complete, errors and timeouts are what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat.v4 import new_code_cell, new_notebook

if TYPE_CHECKING:
    from pathlib import Path

    from nbformat import NotebookNode

pytestmark = pytest.mark.slow
TIMEOUT_S = 60
LINES = 20_000


@pytest.fixture(autouse=True)
def _without_a_past(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIKIT_KERNEL__HISTORY", "false")
    monkeypatch.chdir(tmp_path)


def notebook(*cells: str) -> NotebookNode:
    kernel = {"name": "aikit", "display_name": "Aikit", "language": "lua"}
    return new_notebook(cells=[new_code_cell(it) for it in cells], metadata={"kernelspec": kernel})


def run(ran: NotebookNode, **options: Any) -> list[list[NotebookNode]]:  # noqa: ANN401
    """Runs it; the outputs of each cell, of a notebook that its format accepts."""
    NotebookClient(ran, timeout=TIMEOUT_S, kernel_name="aikit", **options).execute()
    nbformat.validate(ran)
    return [it.outputs for it in ran.cells]


def test_all_that_cells_print_and_show_is_in_the_notebook() -> None:
    ran = notebook(
        f"for i = 1, {LINES} do print(i) end",
        "shown = display({['text/plain'] = 'first', ['text/html'] = '<b>first</b>'})",
        "shown:update({['text/plain'] = 'second'})\nprint('gone')\nclear_output()\nprint('kept')",
        "io.stderr:write('warned')\nreturn {answer = 42}",
    )
    lines, shown, cleared, last = run(ran)
    printed = "".join(it.text for it in lines)
    assert printed == "".join(f"{i}\n" for i in range(1, LINES + 1))
    # What a later cell updates changes where it was shown.
    assert [it.data["text/plain"] for it in shown] == ["second"]
    assert [it.text for it in cleared if it.output_type == "stream"] == ["kept\n"]
    assert (last[0].name, last[0].text) == ("stderr", "warned")
    assert "answer = 42" in last[1].data["text/plain"]
    assert [it.execution_count for it in ran.cells] == [1, 2, 3, 4]


def test_an_error_ends_the_run_and_says_where() -> None:
    ran = notebook("a = 1", "local b = nil\nreturn b.field", "after = true")
    with pytest.raises(CellExecutionError) as raised:
        run(ran)
    assert raised.value.ename == "script"
    assert "nil value" in raised.value.evalue
    assert "cell [2]:2" in "\n".join(ran.cells[1].outputs[0].traceback)
    assert ran.cells[2].outputs == []
    assert ran.cells[2].execution_count is None


def test_errors_that_are_allowed_stay_in_their_cells() -> None:
    ran = notebook("error('x')", "print('next')", "return 1")
    first, second, third = run(ran, allow_errors=True)
    assert [it.output_type for it in first] == ["error"]
    assert second[0].text == "next\n"
    assert third[0].data["text/plain"] == "1"


def test_a_cell_that_is_meant_to_fail_does_not_end_the_run() -> None:
    ran = notebook("error('x')", "return 2")
    ran.cells[0].metadata["tags"] = ["raises-exception"]
    assert run(ran)[1][0].data["text/plain"] == "2"


@pytest.mark.parametrize("code", ["while true do end", "sleep(600)"])
def test_a_cell_that_takes_too_long_is_interrupted_and_the_next_one_runs(code: str) -> None:
    ran = notebook("kept = 7", f"print('begun') {code}", "return kept")
    options = {"interrupt_on_timeout": True, "allow_errors": True}
    NotebookClient(ran, timeout=1, kernel_name="aikit", **options).execute()
    interrupted = ran.cells[1].outputs
    assert [it.output_type for it in interrupted] == ["stream", "error"]
    assert interrupted[1].ename == "KeyboardInterrupt"
    assert ran.cells[2].outputs[0].data["text/plain"] == "7"


def test_a_cell_that_takes_too_long_ends_the_run_without_an_interrupt() -> None:
    ran = notebook("while true do end", "never = true")
    with pytest.raises(CellTimeoutError):
        NotebookClient(ran, timeout=1, kernel_name="aikit").execute()

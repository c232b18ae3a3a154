"""Notebooks with parameters through papermill."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from papermill.exceptions import PapermillExecutionError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

# One of every kind that JSON has, and those that are easily written wrongly.
VALUES: dict[str, Any] = {
    "nothing": None,
    "yes": True,
    "no": False,
    "zero": 0,
    "negative": -17,
    "largest": 2**63 - 1,
    "smallest": -(2**63),
    "beyond_doubles": 2**53 + 1,
    "fraction": 0.1,
    "whole": 2.0,
    "huge": 1e300,
    "tiny": -5e-324,
    "text": "hello",
    "empty": "",
    "quotes": """it's "quoted" [[and]] ]==] -- no comment""",
    "lines": "one\ntwo\r\n\tthree\\n",
    "letters": "ä 😀 \u2028 \x00 \x7f",
    "digits_behind": "\x011\n2",
    "row": [1, "two", 3.5, True, [], {}],
    "hole": [1, None, 3],
    "record": {"name": "Ada", "two words": 1, "end": 2, "1": "one", "nested": {"deep": [None]}},
    "no_rows": [],
    "no_fields": {},
}


def notebook(path: Path, *cells: str, defaults: str | None = None) -> Path:
    made = [new_code_cell(it) for it in cells]
    if defaults is not None:
        made.insert(0, new_code_cell(defaults, metadata={"tags": ["parameters"]}))
    kernel = {"name": "aikit", "display_name": "Aikit", "language": "lua"}
    nbformat.write(new_notebook(cells=made, metadata={"kernelspec": kernel}), path)
    return path


def run(path: Path, **parameters: Any) -> nbformat.NotebookNode:  # noqa: ANN401
    return papermill.execute_notebook(
        path, path.with_suffix(".out.ipynb"), parameters=parameters, progress_bar=False
    )


def printed(cell: nbformat.NotebookNode) -> str:
    return "".join(it.text for it in cell.outputs if it.output_type == "stream")


def plain(value: Any) -> Any:  # noqa: ANN401
    """The value with an empty list for an empty object: a table is either."""
    if isinstance(value, list):
        return [plain(it) for it in value]
    if isinstance(value, dict):
        return {name: plain(it) for name, it in value.items()} or []
    return value


@pytest.mark.parametrize("name", VALUES)
def test_values_of_every_kind_of_json_arrive_as_they_are(
    name: str, arrived: dict[str, Any]
) -> None:
    told, wanted = (json.dumps(plain(it[name]), sort_keys=True) for it in (arrived, VALUES))
    # As text, so that an integer is no float and true is no number.
    assert told == wanted


@pytest.fixture(scope="module")
def arrived(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a cell makes of the parameters, as JSON."""
    path = tmp_path_factory.mktemp("papermill") / "values.ipynb"
    boxes = "\n".join(f"box('{name}', {name})" for name in VALUES)
    code = (
        "local boxed = {}\n"
        "local function box(name, value)\n"
        "  if value == nil then value = JSON.null end\n"
        "  boxed[#boxed + 1] = JSON.stringify({name, value})\n"
        f"end\n{boxes}\n"
        "print(table.concat(boxed, '\\n'))"
    )
    ran = run(notebook(path, code, defaults="text = 'default'\nunset = 'stays'"), **VALUES)
    # Not by `splitlines`, which takes more than a line feed for one.
    return dict(json.loads(line) for line in printed(ran.cells[-1]).rstrip("\n").split("\n"))


def test_parameters_take_the_place_of_the_defaults(tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "sum.ipynb",
        "print(count, name, unit)",
        defaults="count = 1  -- how many\nname = 'one'\nunit = 'm'",
    )
    ran = run(path, count=3, name="three")
    tags = [it.metadata.get("tags", []) for it in ran.cells]
    assert tags == [["parameters"], ["injected-parameters"], []]
    assert printed(ran.cells[2]) == "3\tthree\tm\n"
    assert printed(run(path).cells[-1]) == "1\tone\tm\n"


def test_papermill_tells_which_parameters_a_notebook_has(tmp_path: Path) -> None:
    path = notebook(tmp_path / "has.ipynb", defaults="count = 1  -- how many\nname = 'one'")
    told = papermill.inspect_notebook(path)
    assert set(told) == {"count", "name"}
    assert told["count"]["default"] == "1"


def test_an_error_ends_the_run_and_is_kept_in_the_notebook(tmp_path: Path) -> None:
    path = notebook(tmp_path / "fails.ipynb", "error('broken by ' .. who)", "print('never')")
    with pytest.raises(PapermillExecutionError) as raised:
        run(path, who="papermill")
    assert "broken by papermill" in raised.value.evalue
    kept = nbformat.read(path.with_suffix(".out.ipynb"), 4)
    cells = {it.source: it.outputs for it in kept.cells if it.cell_type == "code"}
    (error,) = cells["error('broken by ' .. who)"]
    assert (error.ename, "broken by papermill" in error.evalue) == ("script", True)
    assert cells["print('never')"] == []


def test_the_command_of_the_shell_finds_the_translator_too(tmp_path: Path) -> None:
    path = notebook(tmp_path / "shell.ipynb", "print(count + 1)", defaults="count = 1")
    out = tmp_path / "out.ipynb"
    command = [sys.executable, "-m", "papermill", str(path), str(out), "-p", "count", "41"]
    subprocess.run([*command, "--no-progress-bar"], check=True, capture_output=True, timeout=60)  # noqa: S603
    assert printed(nbformat.read(out, 4).cells[-1]) == "42\n"

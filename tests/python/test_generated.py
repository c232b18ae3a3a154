"""What follows from a table equals what is committed, and Python has a name for each API row."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import aikit
from aikit import _aikit

PACKAGE = Path(aikit.__file__).parent
ROOT = Path(__file__).parents[2]


def test_the_stub_of_the_tools_names_every_tool_and_argument() -> None:
    tree = ast.parse((PACKAGE / "tools.pyi").read_text(encoding="utf-8"))
    stub = {
        node.name: {it.arg for it in node.args.kwonlyargs}
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
    tools = {it.name: set(it.input_schema.get("properties", {})) for it in aikit.tools.list()}
    assert stub == tools


def test_bytes_are_bytes_in_the_stub_and_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary").write_bytes(b"\x00\xff")
    assert aikit.tools.read_file(path="binary").bytes == b"\x00\xff"
    stub = (PACKAGE / "tools.pyi").read_text(encoding="utf-8")
    assert "bytes: builtins.bytes | None" in stub
    assert "bytes: str" not in stub
    page = (ROOT / "docs/reference/tools.md").read_text(encoding="utf-8")
    assert page.count("| `bytes` | `bytes \\| None` |") == 2  # read_file and request_http
    assert "`list[Any]`" in page
    assert "builtins." not in page  # people do not write it


def test_the_stub_of_the_extension_names_what_it_exports() -> None:
    tree = ast.parse((PACKAGE / "_aikit.pyi").read_text(encoding="utf-8"))
    definitions = (ast.FunctionDef, ast.ClassDef)
    stub = {node.name for node in tree.body if isinstance(node, definitions)}
    assert stub == {it for it in dir(_aikit) if not it.startswith("_")}


def test_every_exported_name_exists_and_is_listed() -> None:
    for name in aikit.__all__:
        assert getattr(aikit, name) is not None
    assert set(aikit.__all__) <= set(dir(aikit))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = aikit.nothing


def test_importing_brings_none_of_the_heavy_modules() -> None:
    heavy = {"asyncio", "numpy", "jupyter_client", "logging", "inspect", "threading"}
    program = "import sys; before = set(sys.modules); import aikit; print(*set(sys.modules)-before)"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert heavy & set(done.stdout.split()) == set()


def test_records_of_the_core_reach_the_loggers_of_python() -> None:
    program = (
        "import logging, threading, aikit\n"
        "logging.basicConfig(level=logging.WARNING, format='%(name)s %(levelname)s')\n"
        "began, stay = threading.Event(), threading.Event()\n"
        "@aikit.tool(timeout_s=0.05)\n"
        "def late() -> None:\n"
        "    'Comes late.'\n"
        "    began.set()\n"
        "    stay.wait(60)\n"
        # On a busy machine the time may be up before the function has begun.
        "while not began.is_set():\n"
        "    try:\n"
        "        late.invoke({})\n"
        "    except TimeoutError:\n"
        "        pass\n"
        "stay.set()\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr == "aikit.python.callbacks WARNING\n"

"""The pytest fixture `cassette`: files of tests, and when they are written."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from aikit import errors
from aikit.pytest_plugin import file_name
from aikit.testing import record
from servers.openai_server import OpenAIServer

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a-key-that-nobody-may-see"

TEST_MODULE = """
import aikit
import pytest


@pytest.mark.parametrize("word", ["hello", "good bye"])
def test_says(cassette, word):
    model = aikit.Model("openai:echo")
    assert model.complete(word).text == word


def test_fails(cassette):
    aikit.Model("openai:echo").complete("x")
    assert FAILS is False
"""

# Tests whose names read the same, and ends that are none of a test that passed.
CLASSES = """
import aikit
import pytest


def ask(prompt):
    return aikit.testing.ScriptedModel([f"answer to {prompt}"]).complete(prompt).text


class TestA:
    @pytest.mark.parametrize("sign", ["a/b", "a:b", "A/b"])
    def test_x(self, cassette, sign):
        assert ask("a" + sign) == "answer to a" + sign


class TestB:
    @pytest.mark.parametrize("sign", ["a/b"])
    def test_x(self, cassette, sign):
        assert ask("b" + sign) == "answer to b" + sign


def test_skips(cassette):
    ask("skipped")
    pytest.skip("not here")


@pytest.mark.xfail
def test_is_expected_to_fail(cassette):
    ask("failed")
    assert False


@pytest.fixture
def broken(cassette):
    ask("broken")
    raise ZeroDivisionError


def test_breaks(broken):
    pass


def test_interrupts(cassette):
    ask("interrupted")
    raise KeyboardInterrupt
"""


def run_pytest(folder: Path, *options: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_fixture_records_once_and_replays_without_a_key(tmp_path: Path) -> None:
    module = tmp_path / "test_words.py"
    module.write_text(TEST_MODULE.replace("FAILS", "True"), encoding="utf-8")
    folder = tmp_path / "cassettes" / "test_words"
    with OpenAIServer(api_key=KEY) as server:
        live = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.base_url}
        status, out = run_pytest(tmp_path, **live)
        assert (status, "2 passed" in out, "1 failed" in out) == (1, True, True), out
        recorded = len(server.requests)
        assert recorded == 3
        names = sorted(it.name for it in folder.iterdir())
        assert [it.rpartition("-")[0] for it in names] == [
            "test_says[good_bye]",
            "test_says[hello]",
        ]
        module.write_text(TEST_MODULE.replace("FAILS", "False"), encoding="utf-8")
        assert run_pytest(tmp_path, **live)[0] == 0
        # Only the test that has no cassette yet asks the server.
        assert len(server.requests) == recorded + 1
        assert run_pytest(tmp_path, "--aikit-record", **live)[0] == 0
        assert len(server.requests) == recorded + 4
    status, out = run_pytest(tmp_path)
    assert (status, "3 passed" in out) == (0, True), out
    changed = TEST_MODULE.replace("FAILS", "False").replace('"hello", ', '"hullo", ')
    module.write_text(changed.replace("complete(word)", "complete(word[::-1])"), encoding="utf-8")
    status, out = run_pytest(tmp_path, "-k", "good")
    assert status == 1
    assert "asked:    user: eyb doog" in out
    assert "`pytest --aikit-record` records the cassette again" in out


def test_each_test_has_a_file_and_only_one_that_passed_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "test_many.py").write_text(CLASSES, encoding="utf-8")
    folder = tmp_path / "sub" / "cassettes" / "test_many"
    status, out = run_pytest(tmp_path)
    assert (status, "KeyboardInterrupt" in out) == (2, True), out
    assert "4 passed, 1 skipped, 1 xfailed, 1 error" in out
    names = sorted(it.name for it in folder.iterdir())
    assert [it.rpartition("-")[0] for it in names] == [
        "TestA.test_x[A_b]",
        "TestA.test_x[a_b]",
        "TestA.test_x[a_b]",
        "TestB.test_x[a_b]",
    ]
    # Also from another folder, where the tests have other paths.
    options = ["-k", "test_x", "--rootdir", ".", "test_many.py"]
    status, out = run_pytest(tmp_path / "sub", *options)
    assert (status, "4 passed" in out) == (0, True), out
    assert sorted(it.name for it in folder.iterdir()) == names
    for name, text in [("A_b", "aA/b"), ("TestB", "ba/b")]:
        (file,) = (it for it in folder.iterdir() if name in it.name)
        assert text in file.read_text(encoding="utf-8")


def test_a_test_may_take_its_cassette_out_itself(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        "import aikit\n"
        "def test_x(cassette, tmp_path):\n"
        "    aikit.testing.ScriptedModel(['one']).complete('hi')\n"
        "    cassette.eject(path=tmp_path / 'x.cassette')\n"
        "    assert (cassette.is_in, cassette.entries, cassette.late) == (False, 1, 0)\n",
        encoding="utf-8",
    )
    status, out = run_pytest(tmp_path)
    assert (status, "1 passed" in out) == (0, True), out
    with record(tmp_path / "y.cassette") as one:
        one.eject(keep=False)
        with record(tmp_path / "z.cassette") as other:
            with pytest.raises(errors.InvalidArgsError):
                one.eject()
            assert other.is_in
    assert (tmp_path / "z.cassette").exists()
    assert not (tmp_path / "y.cassette").exists()


def test_a_cassette_of_a_test_that_cannot_be_written_is_saved(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text(
        "import aikit, pathlib\n"
        "def test_x(cassette):\n"
        "    aikit.testing.ScriptedModel(['one']).complete('hi')\n"
        "    pathlib.Path(cassette.path).write_text('mine')\n"
        "def test_y(cassette):\n"
        "    pass\n",
        encoding="utf-8",
    )
    saved = tmp_path / "temporary"
    saved.mkdir()
    status, out = run_pytest(tmp_path, TMPDIR=str(saved))
    assert (status, "2 passed, 1 error" in out) == (1, True), out
    (file,) = saved.glob("aikit-*/test_x-*.cassette")
    assert str(file) in out.replace("\n", "")
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2


def test_the_name_of_a_cassette_is_short_and_one_of_its_test() -> None:
    first = file_name(f"tests/test_a.py::TestA::test_x[{'ä/' * 200}]")
    other = file_name(f"tests/test_a.py::TestA::test_x[{'ä/' * 199}]")
    assert first != other
    assert max(len(it.encode()) for it in (first, other)) < 120
    assert file_name("tests/a.py::test_x") == file_name("a.py::test_x")
    assert file_name("a.py::test_x[..]").startswith("test_x[..]-")

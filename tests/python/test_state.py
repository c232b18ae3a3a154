"""State from Python: a mapping that outlives the process, and loses no change of others."""

from __future__ import annotations

import asyncio
import math
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import aikit
from aikit import State, errors

VALUES: list[Any] = [
    None,
    True,
    1,
    1.0,
    -(2**63),
    float("inf"),
    "é\0",
    b"\x00\xff",
    [],
    {},
    {"list": [1, 2.5, None, {"": b""}]},
]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_is_a_mapping() -> None:
    state = State()
    state["a"] = 1
    state.update({"b": 2}, c=3)
    assert (state["a"], dict(state), len(state), "a" in state) == (
        1,
        {"a": 1, "b": 2, "c": 3},
        3,
        True,
    )
    assert state.pop("c") == 3
    assert state.setdefault("d", []) == []
    del state["a"]
    with pytest.raises(KeyError):
        state["a"]
    with pytest.raises(KeyError):
        del state["a"]
    number: Any = 1
    assert (state.get("a"), state.get("a", 7), number in state) == (None, 7, False)
    assert list(state) == state.keys() == ["b", "d"]
    assert state.keys("d") == ["d"]
    state.clear()
    assert not state


def test_values_keep_what_they_are() -> None:
    state = State()
    for position, value in enumerate(VALUES):
        state[f"{position}"] = value
    again = State()
    for position, value in enumerate(VALUES):
        found = again[f"{position}"]
        assert found == value
        assert type(found) is type(value)
    state["nan"] = math.nan
    assert math.isnan(state["nan"])


async def test_every_call_has_its_async_form() -> None:
    state = State("custom:async")
    await state.aset("n", 1)
    assert await state.aget("n") == 1

    async def add(n: int) -> int:
        await asyncio.sleep(0)
        return n + 1

    assert await state.aupdate("n", add) == 2
    assert await state.acompare_and_set("n", 2, 3)
    assert await state.akeys() == ["n"]
    assert await state.adelete("n")
    assert await state.aget("n", 0) == 0


def test_a_change_is_made_by_a_function_or_by_what_is_expected() -> None:
    state = State()
    assert state.update("n", lambda n: (n or 0) + 1) == 1
    assert state.update(key="n", change=lambda n: n + 1) == 2
    assert not state.compare_and_set("n", 1, 5)
    assert state.compare_and_set("n", 2, 5)
    assert state.compare_and_set("new", None, "x")
    with pytest.raises(ZeroDivisionError):
        state.update("n", lambda n: n / 0)
    assert state["n"] == 5
    with pytest.raises(errors.InvalidArgsError, match="function"):
        state.update("n", 3)  # type: ignore[call-overload]


def test_scopes_and_places_are_apart() -> None:
    State("user:ada")["x"] = 1
    assert "x" not in State("user:bob")
    State(url="sqlite:below/other.db")["x"] = 2
    assert State(url="sqlite:below/other.db")["x"] == 2
    assert "x" not in State()
    assert Path("below/other.db").is_file()
    memory = State(url="memory:")
    memory["x"] = 3
    assert "x" not in State(url="memory:")
    for scope, url in (("session", None), ("global", "postgres://x"), ("global", "sqlite:")):
        with pytest.raises(errors.InvalidArgsError) as caught:
            State(scope, url=url)
        assert caught.value.hint


def test_a_handle_travels_by_its_address() -> None:
    state = State("custom:there", url="sqlite:there.db")
    state["x"] = 1
    again = pickle.loads(pickle.dumps(state))  # noqa: S301  # our own
    assert (again["x"], repr(again)) == (1, repr(state))
    with pytest.raises(TypeError):
        pickle.dumps(State(url="memory:"))


def test_what_cannot_be_kept_is_refused() -> None:
    state = State()
    for key, value in (("", 1), ("x" * 2000, 1), ("x", object()), ("x", 2**64)):
        with pytest.raises(errors.InvalidArgsError):
            state[key] = value
    with pytest.raises(errors.LimitExceededError):
        state["x"] = bytes(17 << 20)
    assert not state


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603


def test_programs_that_count_together_lose_no_step() -> None:
    code = """
        import aikit
        state = aikit.State()
        for _ in range(50):
            state.update("count", lambda n: (n or 0) + 1)
    """
    programs = [python(code) for _ in range(3)]
    for program in programs:
        program.communicate(timeout=60)
    assert [it.returncode for it in programs] == [0, 0, 0]
    assert State()["count"] == 150


def test_what_was_acknowledged_survives_a_kill() -> None:
    code = """
        import itertools, aikit
        state, session = aikit.State(), aikit.Session("killed")
        for n in itertools.count():
            state["n"] = n
            session.append([{"role": "user", "content": str(n)}])
            aikit.Artifacts().put("n", str(n))
            print(n, flush=True)
    """
    program = python(code)
    assert program.stdout
    with program.stdout as printed:
        for line in printed:
            if int(line) == 20:
                program.send_signal(signal.SIGKILL)
                break
        acknowledged = max([20, *(int(it) for it in printed if it.endswith("\n"))])
    program.wait(timeout=60)
    assert State()["n"] in (acknowledged, acknowledged + 1)
    messages = aikit.Session.resume("killed").messages()
    assert [it["parts"][0]["text"] for it in messages][: acknowledged + 1] == [
        str(n) for n in range(acknowledged + 1)
    ]
    assert int(aikit.Artifacts().get("n").value) >= acknowledged


def test_a_forked_child_reads_and_writes() -> None:
    state = State()
    state["x"] = 1
    child = os.fork()
    if not child:
        status = 1
        try:
            state.update("x", lambda n: n + 1)
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    assert state["x"] == 2

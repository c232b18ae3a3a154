"""Earlier cells: those of this session and of the sessions before it, as ipykernel answers."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from kernel.conversation import TIMEOUT_S, Conversation

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def ask(kernel: Conversation, access: str, **options: Any) -> list[tuple[int, int, Any]]:  # noqa: ANN401
    """What a history request is answered with."""
    defaults: dict[str, Any] = {"raw": True, "output": False, "hist_access_type": access}
    msg_id = kernel.client.history(**(defaults | options))
    history: list[Any] = kernel.hear(msg_id).content["history"]
    return [(session, number, text) for session, number, text in history]


def end(kernel: Conversation) -> None:
    """Ends a kernel as a front end does, so that its last cells are kept."""
    kernel.control("shutdown_request", {"restart": False})
    assert kernel.ends_within(TIMEOUT_S)
    kernel.close()


def test_cells_of_earlier_sessions_are_found(tmp_path: Path) -> None:
    first = Conversation(folder=tmp_path)
    for code in ("a = 1", "a + 1", "print(a)"):
        first.execute(code)
    assert ask(first, "tail", n=2) == [(1, 2, "a + 1"), (1, 3, "print(a)")]
    end(first)
    second = Conversation(folder=tmp_path)
    assert ask(second, "tail", n=1) == [(1, 3, "print(a)")]
    second.execute("b = 2")
    second.execute("hidden = 1", store_history=False)
    assert ask(second, "tail", n=2) == [(1, 3, "print(a)"), (2, 1, "b = 2")]
    assert ask(second, "range", session=-1, start=1, stop=3) == [
        (1, 1, "a = 1"),
        (1, 2, "a + 1"),
    ]
    assert ask(second, "range", session=0, start=1, stop=9) == [(2, 1, "b = 2")]
    assert ask(second, "range", session=1, start=2, stop=3, output=True) == [(1, 2, ["a + 1", "2"])]
    assert ask(second, "range", session=-2, start=1, stop=9) == []
    assert ask(second, "search", pattern="* = *", n=9) == [(1, 1, "a = 1"), (2, 1, "b = 2")]
    second.execute("a = 1")
    found = ask(second, "search", pattern="a = ?", n=9, unique=True)
    assert found == [(2, 2, "a = 1")]
    end(second)


def test_two_kernels_in_one_folder_do_not_mix_their_cells(tmp_path: Path) -> None:
    one, two = Conversation(folder=tmp_path), Conversation(folder=tmp_path)
    for number in range(1, 4):
        one.execute(f"one = {number}")
        two.execute(f"two = {number}")
    sessions = {}
    for kernel, name in ((one, "one"), (two, "two")):
        own = ask(kernel, "range", session=0, start=1, stop=9)
        assert [(number, code) for _, number, code in own] == [
            (number, f"{name} = {number}") for number in range(1, 4)
        ]
        sessions[name] = own[0][0]
    assert sorted(sessions.values()) == [1, 2]
    end(one)
    seen = ask(two, "range", session=sessions["one"], start=1, stop=9)
    assert [code for _, _, code in seen] == ["one = 1", "one = 2", "one = 3"]
    end(two)


def test_a_store_that_fails_leaves_the_cells_of_the_session(tmp_path: Path) -> None:
    (tmp_path / ".aikit").mkdir()
    with closing(sqlite3.connect(tmp_path / ".aikit" / "aikit.db")) as other:
        other.execute("CREATE TABLE theirs (x)")
    kernel = Conversation(folder=tmp_path)
    assert kernel.execute("a = 1").content["status"] == "ok"
    assert ask(kernel, "tail", n=5) == [(1, 1, "a = 1")]
    assert ask(kernel, "range", session=-1, start=1, stop=9) == []
    end(kernel)


def test_a_setting_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "aikit.toml").write_text("[kernel]\nhistory = false\n")
    kernel = Conversation(folder=tmp_path)
    kernel.execute("a = 1")
    assert ask(kernel, "tail", n=5) == [(1, 1, "a = 1")]
    end(kernel)
    assert not (tmp_path / ".aikit").exists()

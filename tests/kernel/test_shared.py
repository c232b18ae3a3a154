"""Two notebooks and a Python program that use one state and one index at the same time."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

import aikit
from kernel.conversation import Conversation

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
STEPS = 25

CELL = """
for step = 1, STEPS do
  State.update('count', function(n) return (n or 0) + 1 end)
  local seen
  repeat
    seen = State.get('turns')
  until State.compare_and_set('turns', seen, (seen or 0) + 1)
  State.set('NAME/' .. step, step)
end
local index = RAG.open('shared')
index:ingest({{id = 'NAME', text = 'The notebook NAME likes WORD.'}})
print(index:stats().documents >= 1)
"""

PROGRAM = """
import aikit
state = aikit.State()
for step in range(1, STEPS + 1):
    state.update("count", lambda n: (n or 0) + 1)
    while True:
        seen = state.get("turns")
        if state.compare_and_set("turns", seen, (seen or 0) + 1):
            break
    state[f"program/{step}"] = step
index = aikit.RAG("shared")
index.ingest([{"id": "program", "text": "The program likes cherries."}])
"""


def test_no_change_is_lost_and_each_sees_the_rows_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kernels = {"one": ("apples", Conversation(folder=tmp_path))}
    kernels["two"] = ("bananas", Conversation(folder=tmp_path))
    code = textwrap.dedent(PROGRAM).replace("STEPS", str(STEPS))
    # All at once: the cells are sent before the program begins, and heard after it.
    sent = {}
    for name, (word, kernel) in kernels.items():
        cell = CELL.replace("STEPS", str(STEPS)).replace("NAME", name).replace("WORD", word)
        sent[name] = kernel.client.execute(cell)
    program = subprocess.run([sys.executable, "-c", code], timeout=120, check=False)  # noqa: S603
    assert program.returncode == 0
    for name, (_, kernel) in kernels.items():
        heard = kernel.hear(sent[name])
        assert heard.content["status"] == "ok", heard.content
    state = aikit.State()
    assert (state["count"], state["turns"]) == (3 * STEPS, 3 * STEPS)
    for name in ("one", "two", "program"):
        assert len(state.keys(f"{name}/")) == STEPS
    look = (
        "print(#State.keys('one/'), #State.keys('two/'), #State.keys('program/'))"
        " print(RAG.open('shared'):search('WHAT', {k = 1})[1].source)"
    )
    for what, source in (("apples", "one"), ("bananas", "two"), ("cherries", "program")):
        for _, kernel in kernels.values():
            heard = kernel.execute(look.replace("WHAT", what))
            printed = "".join(
                it["content"]["text"] for it in heard.broadcasts if it["msg_type"] == "stream"
            )
            assert printed == f"{STEPS}\t{STEPS}\t{STEPS}\n{source}\n"
        assert aikit.RAG("shared").search(what, k=1)[0].source == source
    for _, kernel in kernels.values():
        kernel.close()


def test_a_session_of_a_notebook_goes_on_in_python_and_in_the_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    kernel = Conversation(folder=tmp_path)
    kernel.execute(
        "local s = Session.create('review')\n"
        "local model = Model('scripted:x', {answers = {'Hello.'}})\n"
        "Agent{model = model}:run('Hi.', {session = s})\n"
        "s:state():set('page', 3)"
    )
    session = aikit.Session.resume("review")
    assert (len(session.messages()), session.state["page"]) == (2, 3)
    session.append([{"role": "user", "content": "And now from Python."}])
    shown = subprocess.run(
        [sys.executable, "-m", "aikit", "session", "show", "review"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "And now from Python." in shown
    assert kernel.execute("#Session.current():messages()").first("execute_result")["data"] == {
        "text/plain": "3"
    }
    kernel.close()

"""Sessions from Python: taken up again in any face, checkpoints, agents that go on."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import aikit
from aikit import Session, errors
from aikit.testing import ScriptedModel

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def shell(*arguments: str) -> str:
    command = [sys.executable, "-m", "aikit", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603


def texts(session: Session) -> list[str]:
    return [it["parts"][0]["text"] for it in session.messages()]


def test_a_session_is_made_found_and_deleted() -> None:
    session = Session("work", tags=["demo"], metadata={"n": 1})
    info = session.info()
    assert (info.name, info.tags, info.metadata, info.status) == (
        "work",
        ["demo"],
        {"n": 1},
        "active",
    )
    assert Session("work").id == session.id == Session.resume(session.id).id
    assert Session().info().name is None
    assert [it.name for it in Session.list(tag="demo")] == ["work"]
    assert "<table>" in Session.list()._repr_html_()  # what a notebook calls
    with pytest.raises(errors.ConflictError):
        Session.create("work")
    session.complete()
    assert [it.id for it in Session.list(status="completed")] == [session.id]
    with pytest.raises(errors.ConflictError):
        session.append([{"role": "user", "content": "x"}])
    Session.delete("work")
    with pytest.raises(errors.NotFoundError):
        Session.resume("work")


def test_the_block_of_a_session_is_where_it_is_current() -> None:
    assert Session.current() is None
    with Session("outer") as outer:
        assert Session.current() is outer
        with Session("inner") as inner, inner:
            assert Session.current() is inner
        assert Session.current() is outer
    assert Session.current() is None


def test_agents_continue_the_conversation() -> None:
    session = Session("talk")
    agent = aikit.Agent(ScriptedModel(["Hello Ada.", "You are Ada.", "Streamed."]))
    assert agent.run("I am Ada.", session=session).output == "Hello Ada."
    run = asyncio.run(agent.arun("Who am I?", session=session))
    assert len(run.messages) == 4
    agent.stream("Go on.", session=session).result()
    assert texts(session) == [
        "I am Ada.",
        "Hello Ada.",
        "Who am I?",
        "You are Ada.",
        "Go on.",
        "Streamed.",
    ]
    with pytest.raises(errors.InvalidArgsError):
        agent.run("x", session=session, history=run.messages)


def test_a_run_that_fails_adds_nothing() -> None:
    session = Session("talk")
    answers = [{"tool_calls": [{"name": "none", "arguments": {}}]}]
    agent = aikit.Agent(ScriptedModel(answers), limits=aikit.Limits(requests=1))
    with pytest.raises(errors.AikitError):
        agent.run("x", session=session)
    assert session.messages() == []


def test_checkpoints_hold_conversation_and_state() -> None:
    session = Session("work")
    session.append([{"role": "user", "content": "a"}])
    session.state["step"] = 1
    kept = session.checkpoint("first")
    assert (kept.name, kept.number, kept.messages, kept.values) == ("first", 1, 1, 1)
    session.append([{"role": "assistant", "content": "b"}])
    session.state.update(step=2, more=True)
    assert session.checkpoint().name == "2"
    session.restore("first")
    assert (texts(session), dict(session.state)) == (["a"], {"step": 1})
    session.append([{"role": "user", "content": "c"}])
    assert session.restore().messages == 2
    assert (texts(session), dict(session.state)) == (["a", "b"], {"step": 2, "more": True})
    assert [it.name for it in session.checkpoints()] == ["first", "2"]
    with pytest.raises(errors.NotFoundError, match="third"):
        session.restore("third")


def test_artifacts_of_a_session_go_with_it() -> None:
    session = Session("work")
    session.artifacts.put("a", "text")
    aikit.Artifacts().put("a", "theirs")
    assert session.artifacts.get("a").value == "text"
    Session.delete("work")
    assert session.artifacts.list() == []
    assert aikit.Artifacts().get("a").value == "theirs"


async def test_every_call_has_its_async_form() -> None:
    session = await Session.acreate("work")
    await session.aappend([{"role": "user", "content": "a"}])
    assert (await session.acheckpoint()).messages == 1
    assert len(await session.acheckpoints()) == 1
    assert (await session.arestore()).number == 1
    assert len(await session.amessages()) == 1
    await session.acomplete()
    assert (await session.ainfo()).status == "completed"
    assert (await Session.aresume("work")).id == session.id
    assert (await Session.aopen("work")).id == session.id
    assert len(await Session.alist()) == 1
    await Session.adelete("work")
    assert await Session.alist() == []


def test_a_handle_travels_by_its_identity() -> None:
    session = Session("work")
    assert pickle.loads(pickle.dumps(session)).id == session.id  # noqa: S301  # our own


def test_a_session_goes_on_in_lua_and_in_the_shell() -> None:
    code = (
        "local s = Session.open('work', {tags = {'demo'}})"
        " s:append{{role = 'user', content = 'from Lua'}} s:state():set('n', 1)"
        " Artifact.put('a', {n = 1}, {scope = 'session:' .. s.id})"
    )
    shell("run", "-e", code)
    session = Session.resume("work")
    assert (texts(session), session.state["n"]) == (["from Lua"], 1)
    assert session.artifacts.get("a").value == {"n": 1}
    session.append([{"role": "assistant", "content": "from Python"}])
    session.checkpoint("here")
    shown = json.loads(shell("session", "show", "work", "--json"))
    assert [it["parts"][0]["text"] for it in shown["messages"]] == ["from Lua", "from Python"]
    assert [it["name"] for it in shown["checkpoints"]] == ["here"]
    assert shell("state", "get", "n", "--scope", f"session:{session.id}") == "1\n"
    listed = json.loads(shell("session", "list", "--tag", "demo", "--json"))
    assert [it["id"] for it in listed] == [session.id]
    assert "from Python" in shell("session", "show", "work")
    assert session.id in shell("session", "list")
    printed = shell("run", "-e", "print(#Session.resume('work'):messages())")
    assert printed == "2\n"
    shell("session", "delete", "work")
    assert Session.list() == []

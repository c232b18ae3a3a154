"""Hooks in Python: functions sync and async, every answer, failures, loops, built-in ones."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import hooks
from aikit.errors import (
    AikitError,
    DeniedError,
    InvalidArgsError,
    LimitExceededError,
    NotFoundError,
    ToolError,
)
from aikit.testing import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_hooks() -> Iterator[None]:
    yield
    for hook in hooks.list():
        hooks.unregister(hook.name)


def words(text: str) -> Any:  # noqa: ANN401  # None where a hook says so
    return aikit.tools.count_words(text=text)


def info(name: str) -> hooks.HookInfo:
    return next(it for it in hooks.list() if it.name == name)


def test_a_hook_sees_a_call_and_changes_its_arguments() -> None:
    seen = []

    @aikit.hook("tool.before", priority="high")
    def longer(call: hooks.Call) -> hooks.Modify:
        seen.append((call.point, call.tool, call.caller, call.attempt))
        return hooks.Modify(args={"text": call.args["text"] + " more"})

    assert words("a b").words == 3
    assert seen == [("tool.before", "count_words", "user", 1)]
    assert longer.__name__ == "longer"  # type: ignore[attr-defined]  # called as the function
    known = info("longer")
    assert (known.points, known.priority, known.origin) == (["tool.before"], 500, "python")
    assert (known.calls, known.failures, known.state) == (1, 0, "on")


@pytest.mark.parametrize("is_async", [False, True])
def test_the_decorator_makes_a_procedure_that_is_a_hook(is_async: bool) -> None:  # noqa: FBT001
    seen: list[object] = []

    def look(args: Any, envelope: Any, following: Any) -> Any:  # noqa: ANN401
        seen.append((envelope.operation_name, envelope.source_type, args[0].point))
        return following()

    def plain(call: hooks.Call) -> hooks.Modify:
        return hooks.Modify(args={"text": call.args["text"] + " more"})

    async def waits(call: hooks.Call) -> hooks.Modify:
        await asyncio.sleep(0)
        return plain(call)

    function = waits if is_async else plain
    made = aikit.hook("tool.before")(function)
    assert isinstance(made, aikit.Procedure)
    with aikit.Context.create() as ctx:
        assert words("a b").words == 3
    # One procedure a hook: its function is no second one.
    names = [node.name for node in ctx.graph]
    assert names == ["tool:count_words", f"hook:{function.__name__}"]
    hooks.unregister(function.__name__)

    aikit.hook("tool.before", name="looks")(aikit.Procedure(function, middleware=[look]))
    assert words("a b").words == 3
    assert seen == [(function.__name__, "hook", "tool.before")]
    call = hooks.Call(
        {"point": "tool.before", "caller": "user", "attempt": 1, "args": {"text": "x"}}
    )
    assert made.run(call) == hooks.Modify(args={"text": "x more"})


ANSWERS: list[tuple[str, Any, Any]] = [
    ("tool.before", hooks.Replace({"words": 7}), 7),
    ("tool.before", {"replace": {"words": 7}}, 7),
    ("tool.after", hooks.Modify(result={"words": 8}), 8),
    ("tool.after", hooks.Replace({"words": 9}), 9),
    ("tool.after", hooks.Retry(max=2), 2),
    ("tool.before", None, 2),
    ("tool.before", hooks.Stop("no"), DeniedError),
    ("tool.before", hooks.Stop("no", "limit_exceeded"), LimitExceededError),
    ("tool.before", hooks.Retry(delay_s=0, max=1), DeniedError),
]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(("point", "answer", "expected"), ANSWERS)
def test_every_answer_has_its_effect(
    point: str, answer: object, expected: object, *, is_async: bool
) -> None:
    def sync(_: hooks.Call) -> object:
        return answer

    async def slow(_: hooks.Call) -> object:
        await asyncio.sleep(0)
        return answer

    with hooks.register(point, slow if is_async else sync, required=True):
        if isinstance(expected, type):
            with pytest.raises(expected, match="stopped the call"):
                words("a b")
        else:
            assert words("a b").words == expected
    assert words("a b").words == 2


def test_a_failed_call_is_made_again() -> None:
    calls = []

    @aikit.tool
    def shaky() -> int:
        """Fails at first."""
        calls.append(1)
        if len(calls) < 3:
            raise OSError("not yet")
        return len(calls)

    with hooks.register("tool.error", lambda _: hooks.Retry(max=5)):
        assert shaky.invoke() == 3
    calls.clear()
    with pytest.raises(ToolError, match="not yet"):
        shaky.invoke()


def test_an_async_program_has_hooks_too() -> None:
    loops = []

    async def note(_: hooks.Call) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    async def program() -> None:
        with hooks.register("tool.before", note):
            result = await aikit.tools.ainvoke("count_words", {"text": "a"})
            assert result.words == 1
        assert loops == [asyncio.get_running_loop()]

    asyncio.run(program())


def test_what_a_hook_does_is_not_shown_to_it_again() -> None:
    depth = []

    def using(_: hooks.Call) -> None:
        depth.append(1)
        assert words("a b c").words == 3

    with hooks.register("tool.before", using, required=True):
        assert words("a").words == 1
    assert len(depth) == 1


def test_a_hook_that_raises_harms_itself_and_is_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def bad(_: hooks.Call) -> None:
        raise RuntimeError("broken hook")

    hooks.register("tool.before", bad)
    with caplog.at_level(logging.WARNING):
        for _ in range(8):
            assert words("a").words == 1
    known = info("bad")
    assert (known.state, known.calls, known.failures) == ("off", 5, 5)
    told = known.last_error or ""
    assert "hook `bad` at `tool.before`" in told
    assert "broken hook" in told
    assert any("a hook was switched off" in it.getMessage() for it in caplog.records)
    assert hooks.enable("bad") == 1
    assert info("bad").state == "on"


def test_a_required_hook_that_raises_takes_the_call_with_it() -> None:
    def guard(_: hooks.Call) -> None:
        raise RuntimeError("broken guard")

    hooks.register("tool.before", guard, required=True)
    for _ in range(8):
        with pytest.raises(
            Exception, match=r"hook `guard` at `tool.before` failed: .*broken guard"
        ):
            words("a")
    assert info("guard").state == "on"


def test_a_hook_in_an_endless_loop_is_cut_off_and_named() -> None:
    over = threading.Event()

    def loop(_: hooks.Call) -> None:
        while not over.is_set():
            time.sleep(0.001)

    async def wait(_: hooks.Call) -> None:
        await asyncio.Event().wait()

    try:
        for function in (loop, wait):
            name = function.__name__
            with hooks.register("tool.before", function, timeout_s=0.05):
                assert words("a b").words == 2
                told = info(name).last_error
                assert told == f"hook `{name}` at `tool.before` took longer than 50ms"
    finally:
        over.set()


def test_three_calls_that_take_too_long_switch_a_hook_off() -> None:
    async def wait(_: hooks.Call) -> None:
        await asyncio.Event().wait()

    hooks.register("tool.before", wait, timeout_s=0.02)
    for _ in range(5):
        assert words("a").words == 1
    assert (info("wait").state, info("wait").failures) == ("off", 3)


def answering(answer: object, _: hooks.Call) -> object:
    return answer


def test_two_lambdas_are_two_hooks_and_a_name_is_taken_over() -> None:
    for _ in range(2):
        hooks.register("tool.before", lambda _: None)
    assert len(hooks.list()) == 2
    for answer in (1, 2):
        replace = hooks.Replace({"words": answer})
        hooks.register("tool.after", functools.partial(answering, replace), name="own")
    assert words("a").words == 2
    assert hooks.unregister("own") == 1


def test_a_method_and_an_object_are_hooks() -> None:
    class Counter:
        def __init__(self) -> None:
            self.seen = 0

        def count(self, _: hooks.Call) -> None:
            self.seen += 1

        def __call__(self, call: hooks.Call) -> None:
            self.count(call)

    counter = Counter()
    hooks.register("tool.before", counter.count)
    hooks.register("tool.after", counter)
    words("a")
    assert counter.seen == 2


def test_hooks_stand_around_models_agents_state_and_sessions(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = []
    hooks.register("*", lambda call: points.append(call.point), name="all")
    # Hooks stay when the program goes to another folder.
    monkeypatch.chdir(tmp_path)
    assert aikit.Agent(ScriptedModel(["hello"])).run("hi").output == "hello"
    state = aikit.State()
    state["a"] = 1
    assert state["a"] == 1
    with aikit.Session("work") as session:
        session.checkpoint()
    expected = {"agent", "agent.step", "model", "state.read", "state.write"}
    expected |= {"session.start", "session.checkpoint"}
    assert {it.rsplit(".", 1)[0] for it in points} >= expected


def test_points_say_what_they_show() -> None:
    points = {it.name: it for it in hooks.points()}
    assert points["tool.before"].changes == ["args"]
    assert "error" in points["model.error"].shows
    assert not points["limit.exceeded"].is_replaceable
    for moment in ("before", "after", "error"):
        for subject in ("cell", "tool", "model", "agent", "agent.step", "rag.ingest"):
            assert f"{subject}.{moment}" in points


def test_a_refusal_is_observed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[hooks.Call] = []
    with hooks.register("security.violation", seen.append), pytest.raises(DeniedError):
        aikit.tools.read_file(path="/etc/passwd")
    assert seen[0].permission == "file_read"
    assert "outside" in seen[0].rule


def test_built_in_hooks() -> None:
    with hooks.use("metrics", on="tool"):
        words("a")
        assert info("metrics").report["tool"]["count_words"]["calls"] == 1
    with hooks.use("cost_limit", requests=1):
        model = ScriptedModel(["one", "two"])
        assert model.complete("hi").text == "one"
        with pytest.raises(LimitExceededError, match="1 of 1 requests are used"):
            model.complete("hi")
    with hooks.use("cache"):
        model = ScriptedModel(["one", "two"])
        assert [model.complete("hi").text for _ in range(2)] == ["one", "one"]
    assert hooks.list() == []


def test_the_configuration_of_a_folder_switches_hooks_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder, text in [(one, "metrics = true\nretry = {attempts = 1}"), (other, "")]:
        folder.mkdir()
        (folder / "aikit.toml").write_text(f"[hooks]\n{text}\n", encoding="utf-8")
    monkeypatch.chdir(one)
    assert {(it.name, it.origin) for it in hooks.list()} == {
        ("metrics", "config"),
        ("retry", "config"),
    }
    monkeypatch.chdir(other)
    assert hooks.list() == []
    (one / "aikit.toml").write_text("[hooks]\nretry = {tries = 1}\n", encoding="utf-8")
    monkeypatch.chdir(one)
    with pytest.raises(aikit.errors.ConfigError, match=r"`hooks\.retry`"):
        hooks.list()
    monkeypatch.chdir(other)


@pytest.mark.parametrize("is_async", [False, True])
def test_a_function_approves(*, is_async: bool) -> None:
    asked: list[dict[str, Any]] = []

    def approve(call: dict[str, Any]) -> bool:
        asked.append(call)
        return bool(call["args"]["text"] == "good")

    async def approve_later(call: dict[str, Any]) -> bool:
        return approve(call)

    function: Callable[[dict[str, Any]], object] = approve_later if is_async else approve
    with hooks.use("approval", names="count_words", approve=function):
        assert words("good").words == 1
        with pytest.raises(DeniedError, match="did not allow"):
            words("bad")
    assert [it["tool"] for it in asked] == ["count_words"] * 2
    assert asked[0]["digest"] != asked[1]["digest"]


def test_what_cannot_be_registered_is_refused() -> None:
    def nothing(_: hooks.Call) -> None:
        pass

    with pytest.raises(NotFoundError, match="no hook point") as caught:
        hooks.register("tools.before", nothing)
    assert "`tool.before`" in (caught.value.hint or "")
    with pytest.raises(InvalidArgsError, match="`priority` is"):
        hooks.register("tool.before", nothing, priority="urgent")
    with pytest.raises(InvalidArgsError, match="`timeout_s` is"):
        hooks.register("tool.before", nothing, timeout_s=0)
    with pytest.raises(InvalidArgsError, match="no point"):
        hooks.register([], nothing)
    with pytest.raises(InvalidArgsError, match="cannot be called"):
        hooks.register("tool.before", 7)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match="caches"):
        hooks.use("caches")
    with pytest.raises(InvalidArgsError, match="the hook `retry`"):
        hooks.use("retry", calls=1)


def test_an_answer_is_data() -> None:
    assert hooks.Modify(args=1).to_dict() == {"modify": {"args": 1}}
    assert hooks.Skip() == hooks.Skip()
    assert hooks.Stop("a") != hooks.Stop("b")
    assert "Stop" in repr(hooks.Stop("a"))


def test_a_registration_takes_away_itself_and_not_what_took_its_place() -> None:
    first = hooks.register("tool.before", lambda _: None, name="a")
    second = hooks.register("tool.before", lambda _: hooks.Stop("second"), name="a")
    assert not first.unregister()
    with pytest.raises(DeniedError, match="second"):
        words("a b")
    with first:
        pass
    assert [it.name for it in hooks.list()] == ["a"]
    assert second.unregister()
    assert not second.unregister()
    assert hooks.list() == []


def test_an_agent_does_not_take_away_what_is_required() -> None:
    hooks.register("tool.before", lambda _: None, name="guard", required=True)
    hooks.register("tool.before", lambda _: None, name="seen")
    refused: list[Exception] = []

    @aikit.tool
    def unguard() -> int:
        """Takes the hooks away."""
        with pytest.raises(DeniedError) as denied:
            hooks.unregister("guard")
        refused.append(denied.value)
        with pytest.raises(DeniedError) as denied:
            hooks.register("tool.before", lambda _: None, name="guard")
        refused.append(denied.value)
        return hooks.unregister("seen")

    asked = {"tool_calls": [{"name": "unguard", "arguments": {}}]}
    aikit.Agent(ScriptedModel([asked, "done"]), tools=[unguard]).run("go")
    assert [str(it).split(":")[0] for it in refused] == ["the hook `guard` stays"] * 2
    assert [it.name for it in hooks.list()] == ["guard"]
    assert hooks.unregister("guard") == 1


def test_the_function_of_a_hook_keeps_its_name_in_errors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stubborn(_: hooks.Call) -> object:
        return object()

    async def patient(_: hooks.Call) -> object:
        return object()

    for function in (stubborn, patient):
        caplog.clear()
        hook = hooks.register("tool.before", function, name="other")
        words("a")
        hook.unregister()
        assert f"`{function.__name__}`" in caplog.text
        assert "`ask" not in caplog.text


def test_a_hook_that_says_it_was_interrupted_has_failed() -> None:
    class StoppedError(AikitError):
        kind = "interrupted"

    @aikit.hook("tool.before", name="stop")
    def stop(_: hooks.Call) -> None:
        raise StoppedError("stop")

    for _ in range(6):
        assert words("a b").words == 2
    known = info("stop")
    assert known.state == "off"
    assert "stop" in (known.last_error or "")


def test_a_user_who_presses_stop_in_a_hook_ends_the_call() -> None:
    @aikit.hook("tool.before", name="stop")
    def stop(_: hooks.Call) -> None:
        raise KeyboardInterrupt

    for _ in range(6):
        with pytest.raises(KeyboardInterrupt):
            words("a b")
    assert info("stop").failures == 0

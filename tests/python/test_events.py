"""Events from Python: patterns, bounds, functions, and the log that outlives the process."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

import aikit
from aikit import errors, events

if TYPE_CHECKING:
    from pathlib import Path


def test_a_subscription_gives_what_fits_in_order_with_its_identities() -> None:
    with events.subscribe("build.*") as build:
        first = events.publish("build.start", {"files": 3})
        events.publish("other.thing")
        second = events.publish("build.done")
        seen = list(build.events(timeout=0.01))
    assert [(it.kind, it.sequence) for it in seen] == [
        ("build.start", first),
        ("build.done", second),
    ]
    assert seen[0].data == {"files": 3}
    assert len(seen[0].trace_id) == 32
    assert seen[0].request_id
    assert seen[0].execution_id is None


def test_what_a_tool_does_is_an_event_of_its_request() -> None:
    with events.subscribe("procedure.**") as procedures:
        aikit.tools.count_words(text="one two")
        started, ended = procedures.receive(timeout=5), procedures.receive(timeout=5)
    assert started is not None
    assert ended is not None
    assert (started.kind, ended.kind) == ("procedure.start", "procedure.end")
    assert started.execution_id == ended.execution_id is not None
    assert started.request_id == ended.request_id


def test_functions_get_events_and_async_code_waits_for_them() -> None:
    done = threading.Event()
    subscription = events.subscribe(
        "call.*", lambda event: done.set() if event.data == 2 else 1 / 0
    )
    events.publish("call.a", 1)
    events.publish("call.b", 2)
    assert done.wait(30)
    assert subscription.stats().failed == 1
    assert "ZeroDivisionError" in str(subscription.stats().error) or subscription.stats().error
    subscription.stop()

    async def run() -> tuple[int, list[str]]:
        waiting = asyncio.create_task(events.areceive("later", timeout=30))
        await asyncio.sleep(0.01)
        sequence = events.publish("later")
        received = await waiting
        assert received is not None
        assert received.sequence == sequence
        with events.subscribe("n.*") as numbers:
            events.publish("n.1")
            events.publish("n.2")
            kinds = [it.kind async for it in numbers.events(timeout=0.01)]
        return sequence, kinds

    assert asyncio.run(run())[1] == ["n.1", "n.2"]
    assert events.receive("never", timeout=0.001) is None


def test_names_of_aikit_and_patterns_that_fit_nothing_are_refused() -> None:
    for kind in ("policy.decision", "", "a..b", "a.*", "a b"):
        with pytest.raises(errors.InvalidArgsError) as raised:
            events.publish(kind)
        assert raised.value.hint
    for pattern in ("", "a..b", "x" * 300):
        with pytest.raises(errors.InvalidArgsError):
            events.subscribe(pattern)
    with pytest.raises(errors.InvalidArgsError, match="capacity"):
        events.subscribe("a", capacity=0)


PROGRAM = """
    import sys
    from aikit import events

    for number in range(int(sys.argv[1]), int(sys.argv[2])):
        events.publish("job.step", number)
    events.publish("other")
    for event in events.replay(after=int(sys.argv[3]), pattern="job.**"):
        print(event.sequence, event.data)
"""


def run(folder: Path, *args: int) -> list[str]:
    ran = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", textwrap.dedent(PROGRAM), *map(str, args)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ},
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout.splitlines()


def test_kept_events_are_replayed_after_a_restart(tmp_path: Path) -> None:
    text = '[events]\npersist = ["job.**"]\nretention = 4\n'
    (tmp_path / "aikit.toml").write_text(text, encoding="utf-8")
    assert run(tmp_path, 0, 3, 0) == ["1 0", "2 1", "3 2"]
    assert run(tmp_path, 3, 5, 2) == ["3 2", "4 3", "5 4"]
    # The retention has forgotten the first of the five.
    assert run(tmp_path, 5, 5, 0) == ["2 1", "3 2", "4 3", "5 4"]


def test_what_a_program_publishes_last_is_kept(tmp_path: Path) -> None:
    (tmp_path / "aikit.toml").write_text('[events]\npersist = ["**"]\n', encoding="utf-8")
    code = "from aikit import events; [events.publish('last', n) for n in range(100)]"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=60, check=True)  # noqa: S603
    assert len(run(tmp_path, 0, 1, 0)) == 1
    code = "from aikit import events; print(len(events.replay(pattern='last')))"
    counted = subprocess.run(  # noqa: S603  # our own
        [sys.executable, "-c", code],
        cwd=tmp_path,
        timeout=60,
        check=True,
        capture_output=True,
        text=True,
    )
    assert counted.stdout == "100\n"


def test_without_a_configuration_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    events.publish("job.step")
    with pytest.raises(errors.UnavailableError) as raised:
        events.replay()
    assert "persist" in str(raised.value.hint)
    assert not (tmp_path / ".aikit" / "aikit.db").exists()
    with pytest.raises(errors.InvalidArgsError, match="limit"):
        asyncio.run(events.areplay(limit=0))


@pytest.mark.parametrize("text", ["persist = ['a..b']", "retention = 0", "persists = []"])
def test_a_wrong_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "aikit.toml").write_text(f"[events]\n{text}\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.ConfigError) as raised:
        events.publish("a")
    assert text.split(" ", maxsplit=1)[0] in str(raised.value)

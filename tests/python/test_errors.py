"""The exceptions follow from the table of kinds and carry what the core says."""

from __future__ import annotations

import builtins
import copy
import pickle

import pytest

import aikit
from aikit import _aikit, errors


def test_every_kind_has_its_class_with_both_parents() -> None:
    for code, name, parent, also, _, retryable, summary in _aikit.error_kinds():
        if also == "KeyboardInterrupt":
            assert not hasattr(errors, name)  # raised as Python's own
            continue
        found = getattr(errors, name)
        assert issubclass(found, getattr(errors, parent))
        assert not also or issubclass(found, getattr(builtins, also))
        assert (found.kind, found.retryable) == (code, retryable)
        assert found.__doc__ == summary


def test_an_exception_says_what_and_what_to_do() -> None:
    with pytest.raises(aikit.errors.NotFoundError) as caught:
        aikit.tools.get("count_wrods")
    error = caught.value
    assert error.message == "no tool named `count_wrods`"
    assert error.hint is not None
    assert "count_words" in error.hint
    assert str(error) == f"{error.message}\nhint: {error.hint}"
    assert (error.kind, error.retryable, error.run) == ("not_found", False, None)
    assert isinstance(error, LookupError)


def test_a_failed_run_carries_what_was_done() -> None:
    agent = aikit.Agent(aikit.testing.ScriptedModel(["one", "two"]))
    call = {"name": "count_words", "arguments": {"text": "a b"}}
    model = aikit.testing.ScriptedModel([{"tool_calls": [call]}] * 3)
    agent = aikit.Agent(model, tools=["count_words"], limits=aikit.Limits(requests=2))
    with pytest.raises(errors.LimitExceededError) as caught:
        agent.run("go")
    assert caught.value.run is not None
    assert caught.value.run["usage"]["requests"] == 2


@pytest.mark.parametrize("name", ["InvalidArgsError", "DeniedError", "StorageIOError", "Retry"])
def test_exceptions_survive_copies_and_pickles(name: str) -> None:
    error = getattr(errors, name)("what", hint="do this", run={"steps": 1})
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301  # our own
        assert type(other) is type(error)
        assert (other.message, other.hint, other.run) == ("what", "do this", {"steps": 1})


def test_an_exception_of_a_tool_keeps_its_cause_and_its_kind() -> None:
    @aikit.tool
    def divide(number: int) -> float:
        """Divides one."""
        return 1 / number

    with pytest.raises(errors.ToolError, match=r"`divide` raised ZeroDivisionError") as caught:
        divide.invoke({"number": 0})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "divide" in "".join(caught.value.script_traceback)

    @aikit.tool
    def refuse() -> None:
        """Refuses."""
        raise errors.DeniedError("not you", hint="ask")

    with pytest.raises(PermissionError) as refused:
        refuse.invoke({})
    assert isinstance(refused.value, errors.DeniedError)
    assert (refused.value.message, refused.value.hint) == ("not you", "ask")

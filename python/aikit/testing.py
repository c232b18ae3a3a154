"""Models for tests: no key, no network, the same answers every time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _aikit
from ._tools import listed
from .models import Model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class ScriptedModel(Model):
    """Gives the answers of a list, one a request.

    Args:
        answers: Texts, or mappings with ``text``, ``tool_calls`` (``name`` and ``arguments``
            each) and ``expect``, a piece that the last message must contain.
        name: Its name; the full name is ``scripted:NAME``.
    """

    def __init__(self, answers: Sequence[str | Mapping[str, Any]], *, name: str = "test") -> None:
        super().__init__(f"scripted:{name}", answers=listed("answers", answers))


class FunctionModel(Model):
    """Asks a function for each answer.

    Args:
        function: Gets ``{"messages": …, "tools": …}`` and returns a text or a mapping with
            ``text`` and ``tool_calls``; sync or async.
        name: Its name; the full name is ``function:NAME``.
    """

    def __init__(self, function: Callable[[dict[str, Any]], object], *, name: str = "test") -> None:
        self._native = _aikit.Model.from_function(name, function)

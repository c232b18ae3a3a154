"""What stands for executions, and is shown as their tree."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import _aikit


class Shown:
    """Has executions: who called whom, how long each took, what came of it."""

    __slots__ = ()

    @abstractmethod
    def _tree(self) -> _aikit.Tree:
        """Returns the executions as they are now."""

    def text(self) -> str:
        """Returns the tree of the executions in lines."""
        return self._tree().text()

    def svg(self) -> str:
        """Returns the tree beside the time that each execution took, as a drawing."""
        return self._tree().svg()

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        tree = self._tree()
        return {"text/html": tree.html(), "text/plain": tree.text()}

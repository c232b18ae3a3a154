"""Blocks of a program as procedures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _aikit
from . import _given as given
from ._callbacks import SCOPE
from ._entries import Entry, block, to_leave
from ._watched import Watch
from .errors import InvalidArgsError
from .graph import ProcedureNode

if TYPE_CHECKING:
    from types import TracebackType

    from ._entries import Block


# When a call or a block begins a new execution.
BOUNDARIES = ("always", "child", "auto", "never")


class track:  # noqa: N801  # it reads as a verb: `with aikit.track("step"):`
    """Makes a block a procedure: a node in the graph, a span, events, metrics.

    ``with aikit.track("load") as node:`` (or ``async with``) gives the node. A cancelled Context
    raises when the block begins; an ``async with`` block ends with its Context, as that of a
    ``Context`` does.

    Args:
        name: Name in the graph, in spans and in events.
        timeout: Seconds until the deadline of everything inside; 0 and None mean no limit. It ends
            an ``async with`` block where that waits; in a ``with`` block the next call of aikit
            raises.
        boundary: When the block begins a new execution: ``auto`` (when there is none), ``always``,
            ``child`` (as a child of the one around it) or ``never``.

    Raises:
        CancelledError: If the Context was cancelled before.
        DeadlineError: If its deadline has passed.
        LimitExceededError: If too many procedures stand around the block.
    """

    __slots__ = ("_boundary", "_entry", "_execution", "_name", "_timeout")

    def __init__(self, name: str, *, timeout: float | None = None, boundary: str = "auto") -> None:
        self._name = given.text("name", name)
        self._timeout = given.seconds("timeout", timeout)
        self._boundary = given.one_of("boundary", boundary, BOUNDARIES)
        self._execution: _aikit.Execution | None = None
        self._entry: Entry | None = None

    def __enter__(self) -> ProcedureNode:
        execution = self._begun()
        return self._entered(execution, None, block())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left(block())
        self._end(error)

    async def __aenter__(self) -> ProcedureNode:
        execution = self._begun()
        return self._entered(execution, Watch(execution), block())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        watch = self._left(block()).watch
        is_own = watch is not None and watch.close(error)
        instead = self._end(error)
        if is_own and instead is not None:
            raise instead from error

    def _begun(self) -> _aikit.Execution:
        if self._execution is not None:
            raise InvalidArgsError(
                f"the block `{self._name}` runs already",
                hint="make another `aikit.track(…)` for each block",
            )
        self._execution = execution = _aikit.Execution.begin_block(
            self._name, self._timeout, self._boundary
        )
        return execution

    def _entered(
        self, execution: _aikit.Execution, watch: Watch | None, block: Block
    ) -> ProcedureNode:
        self._entry = Entry.begin(SCOPE.set(execution.scope), watch, block)
        node = execution.context.node
        assert node is not None  # noqa: S101  # an execution has one
        return ProcedureNode(node)

    def _left(self, block: Block) -> Entry:
        entries = [] if self._entry is None else [self._entry]
        entry = to_leave(entries, block, f"the block `{self._name}`")
        self._entry = None
        entry.end()
        return entry

    def _end(self, error: BaseException | None) -> BaseException | None:
        """Ends the execution; returns what to raise in place of ``error``, if anything."""
        execution, self._execution = self._execution, None
        if execution is None:
            return None
        if error is None:
            # Raises where the block came to its end too late.
            execution.end()
            return None
        return execution.fail(error)

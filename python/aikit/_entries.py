"""Blocks that were entered, and who may leave them."""

from __future__ import annotations

import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from ._callbacks import leave, running_loop
from .errors import InvalidArgsError

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Sequence

    from ._watched import Watch

# Identities of a frame and of its code; zeros where there is no code of Python's.
Block = tuple[int, int]


class Entry(NamedTuple):
    """One time that a block was entered."""

    token: contextvars.Token[Any]
    watch: Watch | None
    block: Block
    thread: int
    task: weakref.ref[Any] | None

    @classmethod
    def begin(cls, token: contextvars.Token[Any], watch: Watch | None, block: Block) -> Entry:
        """Notes who enters.

        Args:
            token: What goes back to what was current before.
            watch: What ends the block with its Context.
            block: What `block` gave to who enters.
        """
        task = _current_task()
        reference = None if task is None else weakref.ref(task)
        return cls(token, watch, block, threading.get_ident(), reference)

    def end(self) -> None:
        """Makes current again what was so before."""
        leave(self.token)

    def is_of_block(self, block: Block) -> bool:
        """Whether it is left where it was entered, whoever runs that now."""
        return self.block == block and block[0] != 0

    def is_of_caller(self) -> bool:
        """Whether this thread and task have entered it."""
        own = None if self.task is None else self.task()
        if self.thread != threading.get_ident() or own is not _current_task():
            return False
        return self.task is None or own is not None

    def is_abandoned(self) -> bool:
        """Whether nobody is there any more who could leave it."""
        if self.task is not None:
            task = self.task()
            return task is None or bool(task.done())
        return all(it.ident != self.thread for it in threading.enumerate())


def block() -> Block:
    """Returns what tells the block that is entered or left from the others.

    It is called by ``__enter__`` and the like. What an `ExitStack` enters and leaves belongs to the
    block around.
    """
    try:
        frame = sys._getframe(2)  # noqa: SLF001  # as `logging` finds who calls it
    except ValueError:  # no code of Python's
        return 0, 0
    while frame.f_back is not None and frame.f_globals.get("__name__") == "contextlib":
        frame = frame.f_back
    return id(frame), id(frame.f_code)


def to_leave(entries: Sequence[Entry], block: Block, what: str) -> Entry:
    """Returns the one of the entries that is left now.

    A generator may be ended by another task than the one that began it: its frame tells. Where that
    differs as well, whoever has entered leaves.

    Args:
        entries: Those that were not left yet, in the order of their beginnings.
        block: What `block` gave to who leaves.
        what: What was entered, for the error.

    Raises:
        InvalidArgsError: If none of them is the caller's.
    """
    best: Entry | None = max(
        reversed([*entries]),
        key=lambda it: (it.is_of_block(block), it.is_of_caller()),
        default=None,
    )
    if best is None:
        raise InvalidArgsError(
            f"{what} is left more often than it was entered",
            hint="write `with …:` or `async with …:`, which leaves it once",
        )
    if best.is_of_block(block) or best.is_of_caller() or best.is_abandoned():
        return best
    raise InvalidArgsError(
        f"{what} was entered by another thread or task, which is still inside",
        hint="leave it where it was entered; several may enter a Context, each for itself",
    )


def _current_task() -> Any:  # noqa: ANN401  # a task of whatever loop
    loop = running_loop()
    return None if loop is None else sys.modules["asyncio"].current_task(loop)

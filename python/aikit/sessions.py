"""Sessions: a conversation, a state, artifacts and checkpoints that can be taken up again."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from . import _aikit
from ._entries import Entry, block, to_leave
from .artifacts import Artifacts
from .records import Record, table
from .state import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    # In the class `list` is a method.
    _Messages = list[dict[str, Any]]
    _Checkpoints = list["Checkpoint"]


class SessionInfo(Record):
    """What is known about a session.

    Attributes:
        id: Its identity.
        name: Its name, if it has one.
        tags: Words to find it by.
        metadata: What the caller knows about it.
        status: ``active`` or ``completed``.
        messages: Number of messages of its conversation.
        checkpoints: Number of its checkpoints.
        created_s: When it was made, in seconds since 1970 UTC.
        updated_s: When it was last written, in seconds since 1970 UTC.
    """

    id: str
    name: str | None
    tags: list[str]
    metadata: dict[str, Any]
    status: str
    messages: int
    checkpoints: int
    created_s: float
    updated_s: float


class SessionList(list[SessionInfo]):
    """Sessions, those written last first; a table in notebooks."""

    def _repr_html_(self) -> str:
        return table(self, ["name", "id", "status", "messages", "tags"])


class Checkpoint(Record):
    """What is known about a checkpoint.

    Attributes:
        name: Its name; its number where it was given none.
        number: Number among the checkpoints of the session, from 1.
        messages: How many messages the conversation had.
        values: How many values the state had.
        created_s: When it was made, in seconds since 1970 UTC.
    """

    name: str
    number: int
    messages: int
    values: int
    created_s: float


class Session:
    """A span of work of the project, which any notebook, program or shell can take up again.

    ``Session("name")`` takes up the session of that name, or begins it; without a name it begins
    one. As a context manager it is the current session inside the block, and stays active after it.

    Args:
        name: Its name; no two sessions have the same.
        tags: Words to find a new one by.
        metadata: What is known about a new one.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._native = _aikit.Session("open", name, list(tags), dict(metadata or {}))
        self._entered: list[Entry] = []

    @classmethod
    def _of(cls, native: _aikit.Session) -> Session:
        session = cls.__new__(cls)
        session._native, session._entered = native, []  # noqa: SLF001  # our own
        return session

    @classmethod
    def create(
        cls,
        name: str | None = None,
        *,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Begins a session.

        Args:
            name: A name that no other session has.
            tags: Words to find it by.
            metadata: What is known about it.

        Raises:
            ConflictError: If the name is taken.
        """
        return cls._of(_aikit.Session("create", name, list(tags), dict(metadata or {})))

    @classmethod
    async def acreate(
        cls,
        name: str | None = None,
        *,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Is ``create`` for async code."""
        native = _aikit.Session.amake("create", name, list(tags), dict(metadata or {}))
        return cls._of(await native)

    @classmethod
    async def aopen(
        cls,
        name: str | None = None,
        *,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Is ``Session(name)`` for async code."""
        native = _aikit.Session.amake("open", name, list(tags), dict(metadata or {}))
        return cls._of(await native)

    @classmethod
    def resume(cls, id_or_name: str) -> Session:
        """Takes up a session; a completed one is active again.

        Raises:
            NotFoundError: If there is none of that identity or name.
        """
        return cls._of(_aikit.Session.resume(id_or_name))

    @classmethod
    async def aresume(cls, id_or_name: str) -> Session:
        """Is ``resume`` for async code."""
        return cls._of(await _aikit.Session.aresume(id_or_name))

    @classmethod
    def list(cls, *, tag: str | None = None, status: str | None = None) -> SessionList:
        """Returns the sessions with a tag and a status, those written last first."""
        return SessionList(map(SessionInfo, _aikit.Session.list(tag, status)))

    @classmethod
    async def alist(cls, *, tag: str | None = None, status: str | None = None) -> SessionList:
        """Is ``list`` for async code."""
        return SessionList(map(SessionInfo, await _aikit.Session.alist(tag, status)))

    @classmethod
    def current(cls) -> Session | None:
        """Returns the session whose ``with`` block this runs in, if there is one."""
        return _CURRENT.get()

    @staticmethod
    def delete(id_or_name: str) -> None:
        """Deletes a session with its conversation, state, checkpoints and artifacts."""
        _aikit.Session.delete(id_or_name)

    @staticmethod
    async def adelete(id_or_name: str) -> None:
        """Is ``delete`` for async code."""
        await _aikit.Session.adelete(id_or_name)

    @property
    def id(self) -> str:
        """Its identity."""
        return self._native.id()

    @property
    def state(self) -> State:
        """Its values: the scope ``session:ID``."""
        return State._of(self._native.state(), f"session:{self.id}")  # noqa: SLF001  # our own

    @property
    def artifacts(self) -> Artifacts:
        """Its artifacts: those of the scope ``session:ID``."""
        return Artifacts(f"session:{self.id}")

    def info(self) -> SessionInfo:
        """Returns what is known about it now."""
        return SessionInfo(self._native.info())

    async def ainfo(self) -> SessionInfo:
        """Is ``info`` for async code."""
        return SessionInfo(await self._native.ainfo())

    def messages(self) -> _Messages:
        """Returns its conversation, oldest message first."""
        return self._native.messages()  # type: ignore[no-any-return]

    async def amessages(self) -> _Messages:
        """Is ``messages`` for async code."""
        return await self._native.amessages()  # type: ignore[no-any-return]

    def append(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Adds messages to its conversation, all together.

        Args:
            messages: Messages with ``role`` and ``content``, or ``messages`` of a run.

        Raises:
            ConflictError: If the session is completed.
        """
        self._native.append([dict(it) for it in messages])

    async def aappend(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Is ``append`` for async code."""
        await self._native.aappend([dict(it) for it in messages])

    def checkpoint(self, name: str | None = None) -> Checkpoint:
        """Keeps the conversation and the state as they are now.

        Args:
            name: Name of the checkpoint; a number when it is None.

        Raises:
            ConflictError: If the name is taken, or the session is completed.
        """
        return Checkpoint(self._native.checkpoint(name))

    async def acheckpoint(self, name: str | None = None) -> Checkpoint:
        """Is ``checkpoint`` for async code."""
        return Checkpoint(await self._native.acheckpoint(name))

    def checkpoints(self) -> _Checkpoints:
        """Returns its checkpoints, oldest first."""
        return [Checkpoint(it) for it in self._native.checkpoints()]

    async def acheckpoints(self) -> _Checkpoints:
        """Is ``checkpoints`` for async code."""
        return [Checkpoint(it) for it in await self._native.acheckpoints()]

    def restore(self, name: str | None = None) -> Checkpoint:
        """Makes the conversation and the state what they were at a checkpoint.

        Args:
            name: Name of the checkpoint; the newest when it is None.

        Raises:
            NotFoundError: If there is none of that name.
        """
        return Checkpoint(self._native.restore(name))

    async def arestore(self, name: str | None = None) -> Checkpoint:
        """Is ``restore`` for async code."""
        return Checkpoint(await self._native.arestore(name))

    def complete(self) -> None:
        """Ends it: nothing is added until it is taken up again."""
        self._native.complete()

    async def acomplete(self) -> None:
        """Is ``complete`` for async code."""
        await self._native.acomplete()

    def __enter__(self) -> Self:
        self._entered.append(Entry.begin(_CURRENT.set(self), None, block()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        entry = to_leave(self._entered, block(), "the session")
        self._entered.remove(entry)
        entry.end()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_resume, (self.id,))

    def __repr__(self) -> str:
        return f"Session({self.id!r})"


_CURRENT: ContextVar[Session | None] = ContextVar("aikit_session", default=None)


def _resume(identity: str) -> Session:
    return Session.resume(identity)

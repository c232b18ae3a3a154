"""The handle of started work: its events, its result, its end."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from . import _given as given
from ._callbacks import is_async
from ._work import Waiting
from .errors import InvalidArgsError
from .records import Record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    from . import _aikit
    from ._work import Work

ResultT = TypeVar("ResultT")


class Event(Record):
    """Something that happened.

    Attributes:
        kind: Dotted name, such as ``agent.text.delta``.
        data: What belongs to the event.
        sequence: Position among the events of the run, the process or the log, from 1.
        time: When it happened, in seconds since 1970-01-01 UTC.
        source: The procedure that published it, when known.
        request_id: The request it belongs to.
        trace_id: W3C trace id of the request: 32 hexadecimal digits.
        execution_id: The execution of a procedure it belongs to; None outside one.
    """

    kind: str
    data: Any
    sequence: int
    time: float
    source: str | None
    request_id: str
    trace_id: str
    execution_id: str | None


def _each(native: _aikit.Handle | _aikit.HandleView) -> Iterator[Event]:
    """The events from the first one; ends with the run."""
    position = 0
    while (event := native.event(position)) is not None:
        position = event["sequence"]
        yield Event(event)


async def _aeach(native: _aikit.Handle | _aikit.HandleView) -> AsyncIterator[Event]:
    position = 0
    while (event := await native.aevent(position)) is not None:
        position = event["sequence"]
        yield Event(event)


class Events(Sequence[Event]):
    """The events of a run until it was asked for; iterating with ``async for`` waits for more.

    It is equal to a list of equal events. Each event is made when it is looked at.
    """

    def __init__(self, native: _aikit.Handle | _aikit.HandleView) -> None:
        self._native = native
        self._until_now = native.events()

    def __len__(self) -> int:
        return self._until_now.count()

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        chosen = range(len(self))[index]
        if isinstance(chosen, range):
            return [self._made(it) for it in chosen]
        return self._made(chosen)

    def __iter__(self) -> Iterator[Event]:
        return map(self._made, range(len(self)))

    def _made(self, index: int) -> Event:
        fields = self._until_now.get(index)
        assert fields is not None  # noqa: S101  # a range said that it is there
        return Event(fields)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (Events, list)):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def __repr__(self) -> str:
        return repr([*self])

    def on(self, kind: str, listener: Callable[[Event], object]) -> Listening:
        """Calls ``listener`` with each event of that name, those until now included.

        It runs on a thread of its own, and so is no async function, until the run ends or the
        answer is closed; what it raises is logged as a warning of ``aikit.handles`` and harms
        nothing else.

        Args:
            kind: The name, such as ``stream.chunk``, or ``*`` for every one. A colon means a dot.
            listener: Gets the event.

        Raises:
            InvalidArgsError: If no event can have the name, or the listener cannot be called or is
                async.
        """
        given.function("listener", listener)
        if is_async(listener):
            raise InvalidArgsError(
                f"`listener` is {given.shown(listener)}, which is async",
                hint="give a function that waits for nothing, or use `async for` on the events",
            )
        return Listening(self._native, _name_of(kind), listener)

    def __aiter__(self) -> AsyncIterator[Event]:
        return _aeach(self._native)


def _name_of(kind: str) -> str:
    """The name of an event, as somebody wrote it, or ``*``."""
    name = given.text("kind", kind).replace(":", ".")
    is_one = all(part.isprintable() and part.split() == [part] for part in name.split("."))
    if name != "*" and (not is_one or "*" in name):
        raise InvalidArgsError(
            f"`kind` is {given.shown(kind)}, which no event is called",
            hint="give the name of an event, such as `stream.chunk`, or `*` for every one",
        )
    return name


class Listening:
    """A listener of a run's events; ``close`` ends it, ``join`` waits for its end."""

    def __init__(
        self,
        native: _aikit.Handle | _aikit.HandleView,
        kind: str,
        listener: Callable[[Event], object],
    ) -> None:
        import threading  # noqa: PLC0415  # needed with the first listener only

        # It holds no handle: a run whose handles are gone is cancelled, and this ends with it.
        self._view = native.view()
        self._is_closed = False
        self._thread = threading.Thread(
            target=self._listen, args=(kind, listener), name="aikit-listener", daemon=True
        )
        self._thread.start()

    def _listen(self, kind: str, listener: Callable[[Event], object]) -> None:
        for event in _each(self._view):
            if self._is_closed:
                return
            if kind in {"*", event.kind}:
                try:
                    listener(event)
                except Exception as error:  # noqa: BLE001  # the others are still told
                    _report(listener, event, error)

    def close(self) -> None:
        """Calls the listener no more, and ends its thread."""
        self._is_closed = True
        self._view.close()

    def join(self, timeout: float | None = None) -> None:
        """Waits until the run has ended and every event was told.

        Args:
            timeout: Longest time to wait, in seconds.
        """
        self._thread.join(given.seconds("timeout", timeout))


def _report(listener: Callable[[Event], object], event: Event, error: Exception) -> None:
    import logging  # noqa: PLC0415  # needed where something is wrong only

    name = getattr(listener, "__name__", None) or type(listener).__name__
    logger = logging.getLogger("aikit.handles")
    logger.warning("the listener `%s` failed at the event `%s`", name, event.kind, exc_info=error)


# Of a usage, what is always there, and what stands in it when it is not 0.
_TOTALS = ("requests", "input_tokens", "output_tokens")
_DETAILS = ("cached_input_tokens", "reasoning_tokens")


class Usage(Record):
    """What a call or a run consumed.

    Attributes:
        requests: Requests sent to the provider.
        input_tokens: Tokens read by the model.
        output_tokens: Tokens written by the model.
        cached_input_tokens: Those of the tokens read that came from the provider's cache, where
            it says so.
        reasoning_tokens: Those of the tokens written that the model spent on reasoning, where the
            provider says so.
    """

    requests: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


class Handle(Generic[ResultT]):
    """Stands for work that was started.

    Iterating, with ``for`` or ``async for``, gives its events from the first one and ends with
    the work; several iterations may run side by side. Dropping the handle cancels the work.
    """

    def __init__(
        self,
        native: _aikit.Handle,
        wrap: Callable[[Any], ResultT],
        work: Work[ResultT] | None = None,
    ) -> None:
        self._native = native
        self._wrap = wrap
        self._work = work

    def result(self) -> ResultT:
        """Waits for the result; may be asked again.

        Raises:
            AikitError: What ended the work, if it failed; of a procedure, what its function raised,
                as it is.
            InvalidArgsError: On the event loop that does the work: there, await the handle. In the
                function that is the work, which would wait for itself, over others or at once.
            UnavailableError: In a forked process: the work goes on in the one that started it.
        """
        if self._work is None:
            return self._wrap(self._native.result())
        with Waiting(self._work):
            return self._wrap(self._native.result())

    def cancel(self, reason: str = "cancelled by the program") -> None:
        """Asks the work to end; its result is then a ``CancelledError`` with this reason."""
        self._native.cancel(given.text("reason", reason))

    @property
    def is_finished(self) -> bool:
        """Whether the work has ended."""
        return self._native.is_finished()

    @property
    def events(self) -> Events:
        """The events until now, as a list that also tells of those to come."""
        return Events(self._native)

    @property
    def dropped(self) -> int:
        """How many events are kept no more: the oldest, beyond 65,536.

        Who comes too late for them gets an event ``events.lost`` with their ``count`` instead.
        """
        return self._native.dropped()

    @property
    def status(self) -> str:
        """``running``, ``completed``, ``failed`` or ``cancelled``."""
        return self._native.status()

    @property
    def usage(self) -> Usage:
        """What the work has consumed until now: every model it has called, at any depth."""
        used = self._native.usage()
        names = [*_TOTALS, *(name for name in _DETAILS if name in used)]
        return Usage({name: int(used[name]) for name in names})

    @property
    def trace_id(self) -> str:
        """W3C trace id: 32 hexadecimal digits."""
        return self._native.trace_id()

    def __await__(self) -> Generator[Any, None, ResultT]:
        return self._aresult().__await__()

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        tree = self._native.tree()
        return {"text/html": tree.html(), "text/plain": tree.text()}

    async def _aresult(self) -> ResultT:
        if self._work is None:
            return self._wrap(await self._native.aresult())
        with Waiting(self._work):
            return self._wrap(await self._native.aresult())

    def __iter__(self) -> Iterator[Event]:
        return _each(self._native)

    def __aiter__(self) -> AsyncIterator[Event]:
        return _aeach(self._native)


class HandleView:
    """The events and the cancellation of started work, without its result.

    It does not hold the work: that is cancelled when its handles are gone.
    """

    __slots__ = ("_native",)

    def __init__(self, native: _aikit.HandleView) -> None:
        self._native = native

    def cancel(self, reason: str = "cancelled by the program") -> None:
        """Asks the work to end; its result is then a ``CancelledError`` with this reason."""
        self._native.cancel(given.text("reason", reason))

    @property
    def events(self) -> Events:
        """The events until now, as a list that also tells of those to come."""
        return Events(self._native)

    @property
    def dropped(self) -> int:
        """How many events are kept no more, see ``Handle.dropped``."""
        return self._native.dropped()

    def __iter__(self) -> Iterator[Event]:
        return _each(self._native)

    def __aiter__(self) -> AsyncIterator[Event]:
        return _aeach(self._native)

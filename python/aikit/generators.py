"""Procedures of generator functions: what they yield, within their execution."""

from __future__ import annotations

import contextvars
import sys
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from . import _aikit
from ._callbacks import SCOPE, leave
from ._watched import STREAM, StreamWatches, cancellations, watched
from .contexts import Context
from .errors import InvalidArgsError
from .middleware import Arguments, awaited

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator

    from typing_extensions import Self

    from .errors import AikitError
    from .procedures import Procedure

T = TypeVar("T")


class BusyError(InvalidArgsError, RuntimeError):
    """A stream was asked for an item while it was at work on another; to Python a RuntimeError."""


class ProcedureStream(Generic[T]):
    """What a generator yields, while it is iterated.

    Leaving it early, with ``close`` or ``aclose`` or by dropping it, ends the call as cancelled.

    Attributes:
        returned: What the generator returned; None before its end.
    """

    def __init__(
        self, procedure: Procedure[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.returned: Any = None
        self._procedure = procedure
        self._call = (args, kwargs)
        self._execution: _aikit.Execution | None = None
        self._generator: Any = None
        self._has_ended = False
        # Where the generator stands, which may be within a block that it has begun.
        self._scope: object = None
        # Held by whoever has asked for an item, until it is there.
        self._turn = threading.Lock()

    def _begin(self) -> _aikit.Execution:
        if self._execution is None:
            self._execution = _aikit.Execution.begin(self._procedure._options)  # noqa: SLF001
        return self._execution

    def _open(self, execution: _aikit.Execution) -> Any:  # noqa: ANN401  # what the function gives
        args, kwargs = self._call
        self._procedure._check(args, kwargs)  # noqa: SLF001  # one class in two parts
        return self._procedure._through(Arguments(*args, **kwargs), execution)  # noqa: SLF001

    def _take_turn(self) -> None:
        if not self._turn.acquire(blocking=False):
            raise BusyError(
                f"the stream of `{self._procedure.name}` is at work on an item already",
                hint="ask for the next item when that one is there, or begin a stream for each "
                "reader",
            )

    def _abandon(self) -> None:
        self._has_ended = True
        if self._execution is not None:
            self._execution.abandon()

    def __repr__(self) -> str:
        return f"ProcedureStream({self._procedure.name!r})"


class SyncStream(ProcedureStream[T]):
    """What a generator function yields.

    With a time limit each item is made on a thread of its own, which is left behind when the limit
    comes first; the generator is closed there once it gives that item.
    """

    def __init__(
        self, procedure: Procedure[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        super().__init__(procedure, args, kwargs)
        # In which the generator runs on other threads; None where it runs on its reader's.
        self._variables: contextvars.Context | None = None
        # Whether the generator is at work on an item that nobody waits for.
        self._is_left_behind = False

    def _begin(self) -> _aikit.Execution:
        if self._execution is not None:
            return self._execution
        is_limited = self._procedure._options.is_limited()  # noqa: SLF001  # one class in two parts
        execution = super()._begin()
        if is_limited:
            self._variables = contextvars.copy_context()
        return execution

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return self._ask(next)

    def send(self, value: Any) -> T:  # noqa: ANN401  # what `yield` gives
        """Goes on with ``value`` as what the ``yield`` gives, to the next item."""
        return self._ask(lambda generator: generator.send(value))

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> T:  # noqa: ANN401
        """Raises an exception where the generator stands; returns the item that comes then."""
        thrown = _thrown(error, value, traceback)
        if self._has_ended:
            raise thrown
        return self._ask(lambda generator: _throw_into(generator, thrown))

    def _ask(self, ask: Callable[[Any], T]) -> T:
        """The item that the generator gives when it is asked like this."""
        if self._has_ended:
            raise StopIteration
        self._take_turn()
        try:
            return self._step(ask)
        finally:
            self._turn.release()

    def _step(self, ask: Callable[[Any], T]) -> T:
        execution = self._begin()
        token = SCOPE.set(self._scope or execution.scope)
        try:
            if self._variables is None:
                value = self._item(execution, ask)
                self._scope = SCOPE.get()
            else:
                value = self._item_elsewhere(execution, ask, self._variables)
            execution.chunk(value)
        except StopIteration as stop:
            self._has_ended = True
            execution.end()
            self.returned = stop.value
            raise StopIteration(stop.value) from None
        except BaseException as error:
            self._has_ended = True
            instead = execution.fail(error)
            self._close_generator()
            if instead is None:
                raise
            raise instead from error
        finally:
            leave(token)
        return value

    def _item(self, execution: _aikit.Execution, ask: Callable[[Any], T]) -> T:
        if self._generator is None:
            self._generator = iter(self._open(execution))
        return ask(self._generator)

    def _item_elsewhere(
        self, execution: _aikit.Execution, ask: Callable[[Any], T], variables: contextvars.Context
    ) -> T:
        """The item, made on another thread; the time limit of the execution ends the wait."""

        def make() -> T:
            # The first item begins where the thread is; the others where the generator stands.
            scope = None if self._generator is not None else SCOPE.get()
            return variables.run(self._item_from, scope, execution, ask)

        def close() -> None:
            variables.run(_close, self._generator)

        item = _Item(self._procedure.name, make, close)
        try:
            return item.wait(execution)
        finally:
            self._is_left_behind = item.is_left_behind

    def _item_from(self, scope: object, execution: _aikit.Execution, ask: Callable[[Any], T]) -> T:
        if scope is not None:
            SCOPE.set(scope)
        return self._item(execution, ask)

    def close(self) -> None:
        """Ends the generator and, if it had not ended, the call as cancelled."""
        if not self._has_ended:
            self._take_turn()
            token = SCOPE.set(self._scope or self._begin().scope)
            try:
                self._close_generator()
            finally:
                leave(token)
                self._abandon()
                self._turn.release()

    def _close_generator(self) -> None:
        if self._is_left_behind:
            return
        if self._variables is None:
            _close(self._generator)
        else:
            self._variables.run(_close, self._generator)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Python would close the generator in its reader's place, where the blocks that it leaves
        # would stay behind as the current ones.
        generator, self._generator = self._generator, None
        if generator is None or self._has_ended:
            self._abandon()
            return
        token = SCOPE.set(self._scope)
        try:
            if self._variables is None:
                _close(generator)
            else:
                self._variables.run(_close, generator)
        finally:
            leave(token)
            self._abandon()


class _Item(Generic[T]):
    """One item of a generator, made on another thread while somebody waits for it.

    Args:
        name: The procedure.
        make: Makes it.
        close: Closes the generator, where nobody waits any more when the item is there.
    """

    __slots__ = ("_close", "_error", "_lock", "_make", "_name", "_state", "_value")

    def __init__(self, name: str, make: Callable[[], T], close: Callable[[], None]) -> None:
        self._name = name
        self._make = make
        self._close = close
        self._lock = threading.Lock()
        # `asked`, `begun`, `there`; `left` once nobody waits.
        self._state = "asked"
        self._value: T | None = None
        self._error: BaseException | None = None

    def wait(self, execution: _aikit.Execution) -> T:
        """Gives the item, or raises what the generator has raised, or why there is none."""

        def run() -> None:
            self._run()

        run.__name__ = self._name
        try:
            execution.run_limited(run)
        except BaseException:
            self._leave()
            raise
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # which refers to this frame
        return cast("T", self._value)

    @property
    def is_left_behind(self) -> bool:
        """Whether the generator is still at work on it, though nobody waits."""
        return self._state == "left"

    def _run(self) -> None:
        if not self._go_on("asked", "begun"):
            return
        try:
            self._value = self._make()
        except BaseException as error:  # noqa: BLE001  # raised where somebody waits
            self._error = error
        if not self._go_on("begun", "there"):
            self._value = self._error = None
            self._close()

    def _leave(self) -> None:
        with self._lock:
            # What has not begun never does, and what is there is nobody's.
            self._state = "left" if self._state == "begun" else "there"

    def _go_on(self, before: str, after: str) -> bool:
        with self._lock:
            is_there = self._state == before
            if is_there:
                self._state = after
        return is_there


class AsyncStream(ProcedureStream[T]):
    """What an async generator function yields.

    Its ``async with`` blocks of a Context and of ``aikit.track`` rest between two items; one that
    has ended meanwhile ends the generator at the next.
    """

    def __init__(
        self, procedure: Procedure[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        super().__init__(procedure, args, kwargs)
        self._watches = StreamWatches()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return await self._ask(lambda generator: generator.__anext__())

    async def asend(self, value: Any) -> T:  # noqa: ANN401  # what `yield` gives
        """Goes on with ``value`` as what the ``yield`` gives, to the next item."""
        return await self._ask(lambda generator: generator.asend(value))

    async def athrow(self, error: Any, value: Any = None, traceback: Any = None) -> T:  # noqa: ANN401
        """Raises an exception where the generator stands; returns the item that comes then."""
        thrown = _thrown(error, value, traceback)
        return await self._ask(lambda generator: _athrow_into(generator, thrown))

    async def _ask(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """The item that the generator gives when it is asked like this."""
        if self._has_ended:
            raise StopAsyncIteration
        self._take_turn()
        try:
            return await _AsyncNext(self, ask)
        finally:
            self._turn.release()

    async def _next(self, ask: Callable[[Any], Awaitable[T]], ended: AikitError | None) -> T:
        """The next item; one of its blocks may have ended."""
        execution = self._begin()
        if self._generator is None:
            opened = self._open(execution)
            self._generator = (await awaited(opened)).__aiter__()
        following = ask(self._generator) if ended is None else self._cancel(ended)
        value: T = await following
        execution.chunk(value)
        return value

    async def _cancel(self, ended: AikitError) -> T:
        """Cancels the generator where it stands, which is where it has yielded."""
        cancellation = sys.modules["asyncio"].CancelledError()
        try:
            value: T = await _athrow_into(self._generator, cancellation)
        except BaseException as error:
            if error is cancellation:
                raise ended from error
            raise
        return value

    async def aclose(self) -> None:
        """Ends the generator and, if it had not ended, the call as cancelled."""
        if not self._has_ended:
            self._take_turn()
            token = SCOPE.set(self._scope or self._begin().scope)
            try:
                await self._close_generator()
            finally:
                leave(token)
                self._abandon()
                self._turn.release()

    async def _close_generator(self) -> None:
        await _aclose(self._generator)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._abandon()


class _AsyncNext(Generic[T]):
    """The next item of an async stream, within its execution."""

    __slots__ = ("_ask", "_stream")

    def __init__(self, stream: AsyncStream[T], ask: Callable[[Any], Awaitable[T]]) -> None:
        self._stream = stream
        self._ask = ask

    def __await__(self) -> Generator[Any, Any, T]:
        stream = self._stream
        before = cancellations()
        execution = stream._begin()  # noqa: SLF001  # one class in two parts
        token = SCOPE.set(stream._scope or execution.scope)  # noqa: SLF001
        running = STREAM.set(stream._watches)  # noqa: SLF001
        ended = stream._watches.resume()  # noqa: SLF001
        try:
            value: T = yield from watched(execution, stream._next(self._ask, ended))  # noqa: SLF001
            stream._scope = SCOPE.get()  # noqa: SLF001
        except StopAsyncIteration:
            stream._has_ended = True  # noqa: SLF001
            execution.end()
            raise
        except BaseException as raised:  # noqa: BLE001  # raised again
            stream._has_ended = True  # noqa: SLF001
            error = raised
            try:
                # It may stand between two items, with its cleanup before it.
                yield from stream._close_generator().__await__()  # noqa: SLF001
            except BaseException as late:  # noqa: BLE001  # raised below
                error = late
            instead = execution.fail(error)
            # Where somebody else has cancelled the task as well, that is what it is.
            if instead is None or cancellations() > before:
                raise error  # noqa: B904  # the one that is handled, or came of it
            raise instead from error
        finally:
            stream._watches.rest()  # noqa: SLF001
            leave(running)
            leave(token)
        return value


def _thrown(error: Any, value: Any, traceback: Any) -> BaseException:  # noqa: ANN401  # as Python's
    """The exception of the three things that ``throw`` of a generator takes."""
    thrown = value
    if not isinstance(thrown, BaseException):
        is_class = isinstance(error, type) and issubclass(error, BaseException)
        thrown = (error() if value is None else error(value)) if is_class else error
    if not isinstance(thrown, BaseException):
        raise InvalidArgsError(
            f"`{error!r:.80}` is no exception", hint="give an exception, or the class of one"
        )
    return thrown if traceback is None else thrown.with_traceback(traceback)


def _throw_into(generator: Any, error: BaseException) -> Any:  # noqa: ANN401  # an item
    # What middleware gives in a generator's place may be any iterator.
    throw = getattr(generator, "throw", None)
    if throw is None:
        raise error
    return throw(error)


async def _athrow_into(generator: Any, error: BaseException) -> Any:  # noqa: ANN401  # an item
    throw = getattr(generator, "athrow", None)
    if throw is None:
        raise error
    return await throw(error)


def exhaust(generator: Any) -> Any:  # noqa: ANN401  # what the function gives
    """Runs a generator to its end and tells of its items; returns what it returns."""
    items = iter(generator)
    index = 0
    try:
        while True:
            try:
                value = next(items)
            except StopIteration as stop:
                return stop.value
            Context.get()._native.emit_chunk(index, value)  # noqa: SLF001  # its own facade
            index += 1
    finally:
        _close(items)


async def aexhaust(generator: Any) -> None:  # noqa: ANN401  # what the function gives
    """Runs an async generator to its end and tells of its items."""
    items = (await awaited(generator)).__aiter__()
    index = 0
    try:
        async for value in items:
            Context.get()._native.emit_chunk(index, value)  # noqa: SLF001  # its own facade
            index += 1
    finally:
        await _aclose(items)


def _close(generator: Any) -> None:  # noqa: ANN401  # what the function gives
    close = getattr(generator, "close", None)
    if close is not None:
        close()


async def _aclose(generator: Any) -> None:  # noqa: ANN401  # what the function gives
    close = getattr(generator, "aclose", None)
    if close is not None:
        await close()

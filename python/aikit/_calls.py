"""The way of a call through the middleware of its procedure, and calls of async ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _aikit
from ._callbacks import SCOPE, leave
from ._watched import cancellations, watched
from .errors import InvalidArgsError
from .middleware import Arguments, Envelope, awaited

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from .procedures import Procedure

T = TypeVar("T")


class Next:
    """The rest of the way to the function.

    Each middleware has one, so it is made and called as often as there is middleware: what is the
    same for all of them is handed on, and the usual `next()` asks nothing about its arguments.
    """

    __slots__ = ("_arguments", "_check", "_envelope", "_position", "_procedure")

    def __init__(
        self,
        procedure: Procedure[Any],
        envelope: Envelope,
        check: Callable[[], None],
        position: int,
        arguments: Arguments,
    ) -> None:
        self._procedure = procedure
        self._envelope = envelope
        self._check = check
        self._position = position
        self._arguments = arguments

    def __call__(self, args: Arguments | tuple[Any, ...] | list[Any] | None = None) -> Any:  # noqa: ANN401
        arguments = self._arguments if args is None else self._changed(args)
        check = self._check
        # Nothing further in is called once the call was cancelled.
        check()
        procedure = self._procedure
        all_middleware = procedure._middleware  # noqa: SLF001  # one class in two parts
        position = self._position
        if position == len(all_middleware):
            return procedure._function(*arguments.args, **arguments.kwargs)  # noqa: SLF001
        envelope = self._envelope
        following = Next(procedure, envelope, check, position + 1, arguments)
        return all_middleware[position](arguments, envelope, following)

    def _changed(self, args: object) -> Arguments:
        if isinstance(args, Arguments):
            return args
        if isinstance(args, (tuple, list)):
            return Arguments(*args, **self._arguments.kwargs)
        raise InvalidArgsError(
            f"`next` was given `{args!r}`",
            hint="call `next()` for the same arguments, or give `Arguments` or a tuple",
        )


class AsyncCall(Generic[T]):
    """One call of an async function; begins when it is awaited."""

    __slots__ = ("_args", "_kwargs", "_procedure")

    def __init__(
        self, procedure: Procedure[T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._procedure = procedure
        self._args = args
        self._kwargs = kwargs

    def __await__(self) -> Generator[Any, Any, T]:
        procedure = self._procedure
        before = cancellations()
        execution = _aikit.Execution.begin(procedure._options)  # noqa: SLF001
        token = SCOPE.set(execution.scope)
        try:
            value: T = yield from watched(execution, self._run(execution))
        except BaseException as error:
            leave(token)
            instead = execution.fail(error)
            # Where somebody else has cancelled the task as well, that is what it is.
            if instead is None or cancellations() > before:
                raise
            raise instead from error
        leave(token)
        execution.end()
        return value

    async def _run(self, execution: _aikit.Execution) -> T:
        procedure = self._procedure
        procedure._check(self._args, self._kwargs)  # noqa: SLF001  # one class in two parts
        arguments = Arguments(*self._args, **self._kwargs)
        value: T = await awaited(procedure._through(arguments, execution))  # noqa: SLF001
        return value

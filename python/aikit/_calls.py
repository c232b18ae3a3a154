"""The way of a call through the middleware of its procedure, and calls of async ones."""

from __future__ import annotations

from types import CoroutineType, MethodType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _aikit
from . import _given as given
from ._callbacks import SCOPE, leave
from ._watched import cancellations, watched
from .errors import InvalidArgsError
from .middleware import Arguments, awaited

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TypeAlias

    from .middleware import Envelope, Middleware
    from .procedures import Procedure

    # Middleware, and what follows it on the way in; None at the function.
    _Way: TypeAlias = "tuple[Middleware, _Way] | None"
    # Where a call stands: the function, the envelope, what raises once the call was cancelled, the
    # way that is left and the arguments.
    _Stand: TypeAlias = "tuple[Callable[..., Any], Envelope, Callable[[], None], _Way, Arguments]"

T = TypeVar("T")


def way_of(middleware: tuple[Middleware, ...]) -> _Way:
    """The way to the function, outermost first."""
    way: _Way = None
    for it in reversed(middleware):
        way = (it, way)
    return way


def go_on(
    stand: _Stand,
    args: Any = None,  # noqa: ANN401  # what middleware has given
    /,
    *more: Any,  # noqa: ANN401
    **named: Any,  # noqa: ANN401
) -> Any:  # noqa: ANN401  # as the function
    """Goes the rest of the way; as a method of where the call stands, middleware calls it ``next``.

    It is made and called as often as there is middleware. Nothing in Python is made and called as
    quickly as a method of a tuple, and the usual `next()` asks nothing about its arguments.
    """
    function, envelope, check, way, arguments = stand
    if args is not None or more or named:
        arguments = _changed(arguments, (args, *more), named)
    # Nothing further in is called once the call was cancelled.
    check()
    if way is not None:
        middleware, rest = way
        following = MethodType(go_on, (function, envelope, check, rest, arguments))
        return middleware(arguments, envelope, following)
    value = function(*arguments.args, **arguments.kwargs)
    if type(value) is CoroutineType:
        # A sync function may give one; middleware around it may not make one.
        envelope._given = value  # noqa: SLF001  # for its procedure
    return value


def _changed(arguments: Arguments, positional: tuple[Any, ...], named: dict[str, Any]) -> Arguments:
    if positional == (None,) and [*named] == ["args"]:
        positional, named = (named["args"],), {}
    if len(positional) == 1 and not named:
        (args,) = positional
        if args is None:
            return arguments
        if isinstance(args, Arguments):
            return args
        if isinstance(args, (tuple, list)):
            return Arguments(*args, **arguments.kwargs)
    parts = [given.shown(it)[1:-1] for it in (() if positional == (None,) else positional)]
    parts += [f"{name}={given.shown(it)[1:-1]}" for name, it in named.items()]
    raise InvalidArgsError(
        f"`next` was given `{', '.join(parts)}`",
        hint="call `next()` for the same arguments, or give one thing: a tuple of those by "
        "position, or `Arguments`",
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

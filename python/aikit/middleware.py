"""Middleware: what wraps the calls of a procedure, what it knows, how it is bundled."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import _given as given
from ._callbacks import is_async
from ._given import InvalidTypeError
from .contexts import Context
from .errors import DeniedError, InvalidArgsError
from .handles import HandleView

if TYPE_CHECKING:
    from collections.abc import Callable

    from . import _aikit
    from .procedures import Procedure

# A call of middleware: what it gets is described at `Middleware`.
Middleware = Any
"""Wraps a call: ``def middleware(args, envelope, next): return next(args)``, sync or async.

It gets the `Arguments`, the `Envelope` and the rest of the way as a function. ``next()`` goes on
with the same arguments, ``next(args)`` with others (`Arguments`, or a tuple of positional ones);
around an async function its answer is awaited. It may answer without calling ``next``.
"""


class Arguments:
    """The arguments of a call, as middleware sees them.

    ``arguments[0]`` is the first positional one, ``arguments["name"]`` one that was given by name.

    Attributes:
        args: Those by position.
        kwargs: Those by name.
    """

    __slots__ = ("args", "kwargs")

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # any argument
        self.args = args
        self.kwargs = kwargs

    def __getitem__(self, key: int | str) -> Any:  # noqa: ANN401  # any argument
        return self.args[key] if isinstance(key, int) else self.kwargs[key]

    def __len__(self) -> int:
        return len(self.args) + len(self.kwargs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Arguments):
            return NotImplemented
        return (self.args, self.kwargs) == (other.args, other.kwargs)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = [*map(repr, self.args), *(f"{name}={it!r}" for name, it in self.kwargs.items())]
        return f"Arguments({', '.join(parts)})"


class Envelope:
    """What middleware knows about the call it wraps."""

    __slots__ = ("_execution", "_given", "_procedure")

    # One is made for each call: what it tells is found when it is asked.
    def __init__(self, procedure: Procedure[Any], execution: _aikit.Execution | None) -> None:
        # The coroutine that the function gave, where it gave one.
        self._given: object = None
        self._procedure = procedure
        self._execution = execution

    @property
    def operation_name(self) -> str:
        """Name of the procedure."""
        return self._procedure.name

    @property
    def source_type(self) -> str:
        """``procedure`` or ``hook``."""
        return self._procedure._options.source_type  # noqa: SLF001  # of this package

    @property
    def metadata(self) -> dict[str, Any]:
        """What the procedure's metadata are."""
        metadata: dict[str, Any] = self._procedure._options.metadata  # noqa: SLF001  # as above
        return metadata

    @property
    def context(self) -> Context:
        """The Context of this execution; cancel it to end the operation of a handle."""
        if self._execution is not None:
            return Context(self._execution.context)
        return Context.get()

    @property
    def pid(self) -> str | None:
        """Identity of this execution."""
        node = self.context.node
        return None if node is None else node.pid

    @property
    def handle(self) -> HandleView | None:
        """Events and cancellation of the operation, when somebody holds its handle."""
        native = self.context._native.operation  # noqa: SLF001  # its own facade
        return None if native is None else HandleView(native)

    def __repr__(self) -> str:
        return f"Envelope({self.operation_name!r})"


class Pipeline:
    """Middleware that belongs together; given to ``use`` it counts as its parts."""

    __slots__ = ("middleware",)

    def __init__(self, middleware: Iterable[Middleware] = ()) -> None:
        self.middleware: tuple[Middleware, ...] = flatten(middleware)

    def use(self, *middleware: Middleware) -> Pipeline:
        """Returns a bundle with more, innermost."""
        return Pipeline((*self.middleware, *middleware))

    def __repr__(self) -> str:
        return f"Pipeline({len(self.middleware)} middleware)"


def pipeline(*middleware: Middleware) -> Pipeline:
    """Bundles middleware, outermost first."""
    return Pipeline(middleware)


class GuardError(DeniedError):
    """A guard did not let a call go on.

    It is a ``DeniedError``, and its kind is ``denied``: where one has gone through a tool or an
    agent, that is what comes out.
    """


def guard(allows: Callable[..., Any], *, name: str | None = None) -> Middleware:
    """Makes middleware that lets a call go on or denies it.

    Args:
        allows: Gets `Arguments` and `Envelope` and returns whether the call may go on; an async one
            for async procedures.
        name: Name for the message; the function's when None.

    Returns:
        Middleware that raises `GuardError`.
    """
    given.function("allows", allows)
    label: str = given.text("name", name or getattr(allows, "__name__", "guard"))
    denied = functools.partial(_denied, label)
    if is_async(allows):

        async def check_async(args: Arguments, envelope: Envelope, following: Any) -> Any:  # noqa: ANN401
            if not await allows(args, envelope):
                raise denied(envelope)
            return await awaited(following())

        check_async.__name__ = check_async.__qualname__ = label
        check_async.is_guard = True  # type: ignore[attr-defined]  # for messages
        return check_async

    async def decide(answer: Any, envelope: Envelope, following: Any) -> Any:  # noqa: ANN401
        if not await awaited(answer):
            raise denied(envelope)
        return await awaited(following())

    def check(args: Arguments, envelope: Envelope, following: Any) -> Any:  # noqa: ANN401
        answer = allows(args, envelope)
        if inspect.isawaitable(answer):
            if not envelope._procedure._gives_awaitable:  # noqa: SLF001  # of this package
                raise refusal(answer, f"the guard `{label}`", envelope.operation_name)
            # An async function that does not look like one; what is not awaited is not called.
            return decide(answer, envelope, following)
        if not answer:
            raise denied(envelope)
        return following()

    check.__name__ = check.__qualname__ = label
    return check


def _denied(label: str, envelope: Envelope) -> GuardError:
    return GuardError(
        f"guard `{label}` does not let `{envelope.operation_name}` be called",
        hint="call it with what the guard asks for, or as somebody who may",
    )


def flatten(middleware: Iterable[Middleware]) -> tuple[Middleware, ...]:
    """Returns middleware with every bundle's parts in its place."""
    if isinstance(middleware, Pipeline):
        return middleware.middleware
    if isinstance(middleware, str) or not isinstance(middleware, Iterable):
        given.refuse("middleware", middleware, "list of middleware", "give a list of functions")
    flat: list[Middleware] = []
    for it in middleware:
        if isinstance(it, Pipeline):
            flat.extend(it.middleware)
        elif callable(it):
            flat.append(it)
        else:
            raise InvalidTypeError(
                f"the middleware {given.shown(it)} cannot be called",
                hint="write `def middleware(args, envelope, next): return next(args)`",
            )
    return tuple(flat)


def refusal(answer: Any, what: str, function: str) -> InvalidArgsError:  # noqa: ANN401  # an awaitable
    """The error of what turned out to be async around a function that is not; closes its answer."""
    close = getattr(answer, "close", None)
    if close is not None:
        close()
    return InvalidArgsError(
        f"{what} around `{function}` is async, but `{function}` is not",
        hint="write it with `def`, or the function with `async def`",
    )


async def awaited(value: Any) -> Any:  # noqa: ANN401  # an answer, or an awaitable of one
    """Awaits ``value`` as often as it takes."""
    while inspect.isawaitable(value):
        value = await value
    return value

"""Procedures: functions with tracking, middleware, a time limit, a schema and a handle."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from . import _aikit
from ._callbacks import SCOPE, is_async, leave
from ._parameters import parameters_of
from ._watched import cancellations, watched
from .errors import InvalidArgsError
from .generators import AsyncStream, SyncStream, aexhaust, exhaust
from .handles import Handle
from .middleware import Arguments, Envelope, Middleware, awaited, flatten

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from typing_extensions import Self

T = TypeVar("T")


_CONTEXT_OPTIONS = {
    "user": None,
    "tenant": None,
    "roles": None,
    "metadata": None,
    "request_id": None,
    "trace_id": None,
    "traceparent": None,
    "timeout": None,
    "tick": None,
}


class Procedure(Generic[T]):
    """A function with what stands around its calls.

    Calling it does what calling the function does (a coroutine function gives an awaitable, a
    generator function an iterator), and each call is a node in the graph, has a span, events and
    metrics, and ends with its Context. It is immutable: ``with_…``, ``use`` and ``pipe`` give a new
    one. On a class it is a method.

    Args:
        function: Sync or async function, generator function, or any other callable.
        name: Name in the graph, in spans and in events; the function's when None.
        schema: JSON Schema of the arguments, by name; made of the type hints when None. False holds
            arguments against nothing.
        middleware: Outermost first; see `Middleware`.
        timeout: Seconds one call may take; 0 and None mean no limit. A sync function then runs on a
            thread of its own, which is left behind when it does not return in time.
        metadata: Data that middleware sees.
        boundary: When a call begins a new execution: ``auto`` (when there is none), ``always``,
            ``child`` (as a child of the one around it) or ``never``.

    Raises:
        InvalidArgsError: If the function cannot be called, or an option is none.
    """

    __slots__ = (
        "__dict__",
        "_context",
        "_function",
        "_kind",
        "_middleware",
        "_options",
        "_parameters",
        "_settings",
    )

    def __init__(  # noqa: PLR0913  # each is an option of its own
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        schema: Mapping[str, Any] | bool | None = None,
        middleware: Iterable[Middleware] = (),
        timeout: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        boundary: str = "auto",
        _settings: dict[str, Any] | None = None,
    ) -> None:
        if not callable(function):
            raise InvalidArgsError(
                f"`{function}` cannot be called", hint="pass a function, not its result"
            )
        name = name or getattr(function, "__name__", None) or type(function).__name__
        self._function = function
        self._kind = _kind_of(function)
        self._settings = {
            "name": name,
            "schema": schema,
            "timeout": timeout,
            "metadata": None if metadata is None else dict(metadata),
            "boundary": boundary,
            "is_hook": False,
            "context": None,
            **(_settings or {}),
        }
        self._middleware = flatten(middleware)
        self._parameters, schema = parameters_of(function, self._settings["schema"])
        self._options = _aikit.ProcedureOptions({**self._settings, "schema": schema})
        functools.update_wrapper(self, function, updated=())

    @property
    def name(self) -> str:
        """Name in the graph, in spans and in events."""
        name: str = self._settings["name"]
        return name

    # Calls ---------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, D102  # as the function
        kind = self._kind
        if kind == "sync":
            return self._call(args, kwargs)
        if kind == "async":
            return self._acall(args, kwargs)
        return self.stream(*args, **kwargs)

    def run(self, *args: Any, **kwargs: Any) -> T:  # noqa: ANN401  # as the function
        """Calls it and blocks until it returns, also when it is async, on any thread, in any cell.

        Of a generator it gives what the generator returns.
        """
        if self._kind == "sync":
            value: T = self._call(args, kwargs)
            return value
        box: list[T] = []
        self._options.run_limited(self._boxed(args, kwargs, box))
        return box[0]

    async def arun(self, *args: Any, **kwargs: Any) -> T:  # noqa: ANN401  # as the function
        """Calls it without blocking the event loop; a sync function runs on another thread."""
        if self._kind == "async":
            return await self._acall(args, kwargs)
        box: list[T] = []
        await self._options.arun_limited(self._boxed(args, kwargs, box))
        return box[0]

    def start(self, *args: Any, **kwargs: Any) -> Handle[T]:  # noqa: ANN401  # as the function
        """Starts it beside the caller and gives its handle: events, result, cancellation.

        The seed's name for it, ``with_handle``, is an alias.
        """
        box: list[T] = []
        native = self._options.start(self._boxed(args, kwargs, box))
        return Handle(native, lambda _: box[0])

    with_handle = start

    def stream(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # a `ProcedureStream`
        """Calls a generator function: iterating gives what it yields, and ends with it.

        Raises:
            InvalidArgsError: If the function is no generator function.
        """
        if self._kind == "generator":
            return SyncStream(self, args, kwargs)
        if self._kind == "async generator":
            return AsyncStream(self, args, kwargs)
        raise InvalidArgsError(
            f"`{self.name}` is no generator", hint="write the function with `yield`, or call it"
        )

    # New procedures ------------------------------------------------------------------------------

    def use(self, *middleware: Middleware) -> Self:
        """Adds middleware inside of what is there; a bundle of `pipeline` counts as its parts."""
        return self._changed(middleware=(*self._middleware, *flatten(middleware)))

    def with_middleware(self, middleware: Middleware) -> Self:
        """Adds one middleware."""
        return self.use(middleware)

    def with_timeout(self, seconds: float | None) -> Self:
        """Limits the time of a call; 0 and None mean no limit."""
        return self._changed(timeout=seconds)

    def with_metadata(self, metadata: Mapping[str, Any] | None = None, **more: Any) -> Self:  # noqa: ANN401
        """Adds data that middleware sees."""
        merged = {**(self._settings["metadata"] or {}), **(metadata or {}), **more}
        return self._changed(metadata=merged)

    def with_context(self, **overrides: Any) -> Self:  # noqa: ANN401  # options of `Context.child`
        """Gives each call a Context that differs from the caller's in this.

        Args:
            overrides: ``metadata``, ``trace_id``, ``traceparent``, ``request_id``, ``timeout``,
                ``roles``, ``tick``.
        """
        unknown = sorted(
            set(overrides) - set(_CONTEXT_OPTIONS) | {"user", "tenant"} & set(overrides)
        )
        if unknown:
            known = ", ".join(sorted(set(_CONTEXT_OPTIONS) - {"user", "tenant"}))
            raise InvalidArgsError(
                f"`{unknown[0]}` is no option of a Context for a call",
                hint=f"the options are {known}",
            )
        return self._changed(context={**_CONTEXT_OPTIONS, **overrides})

    def pipe(self, *following: Procedure[Any]) -> Procedure[Any]:
        """Makes a procedure that passes its result to the next one, and so on."""
        return pipe(self, *following)

    def _changed(
        self,
        *,
        middleware: tuple[Middleware, ...] | None = None,
        **settings: Any,  # noqa: ANN401  # options
    ) -> Self:
        return type(self)(
            self._function,
            middleware=self._middleware if middleware is None else middleware,
            _settings={**self._settings, **settings},
        )

    def __get__(self, instance: object, owner: type | None = None) -> Any:  # noqa: ANN401
        if instance is None:
            return self
        bound = object.__new__(type(self))
        for slot in Procedure.__slots__:
            if slot != "__dict__":
                setattr(bound, slot, getattr(self, slot, None))
        bound.__dict__.update(self.__dict__)
        bound._function = functools.partial(self._function, instance)
        if self._parameters is not None:
            bound._parameters = self._parameters.bound()
        return bound

    def __repr__(self) -> str:
        return f"Procedure({self.name!r})"

    # The way through -----------------------------------------------------------------------------

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        options = self._options
        if options.is_limited():
            box: list[Any] = []
            options.run_limited(self._boxed(args, kwargs, box))
            return box[0]
        execution = _aikit.Execution.begin(options)
        token = SCOPE.set(execution.scope)
        try:
            if self._parameters is not None:
                self._check(args, kwargs)
            if self._middleware:
                value = self._through(Arguments(*args, **kwargs), execution)
            else:
                value = self._function(*args, **kwargs)
        except BaseException as error:
            leave(token)
            execution.fail(error)
            raise
        leave(token)
        execution.end()
        return value

    async def _acall(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
        return await _AsyncCall(self, args, kwargs)

    def _boxed(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], box: list[T]
    ) -> Callable[[], object]:
        """A function without arguments that puts what this one gives into ``box``."""
        if self._kind in {"sync", "generator"}:

            def call() -> None:
                self._check(args, kwargs)
                value = self._through(Arguments(*args, **kwargs), None)
                if self._kind == "generator":
                    value = exhaust(value)
                box.append(value)

            call.__name__ = self.name
            return call

        async def acall() -> None:
            self._check(args, kwargs)
            value = self._through(Arguments(*args, **kwargs), None)
            if self._kind == "async generator":
                await aexhaust(value)
                value = None
            else:
                value = await awaited(value)
            box.append(value)

        acall.__name__ = self.name
        return acall

    def _check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._parameters is not None:
            self._options.check(self._parameters.named(self.name, args, kwargs))

    def _through(self, arguments: Arguments, execution: _aikit.Execution | None) -> Any:  # noqa: ANN401
        if not self._middleware:
            return self._function(*arguments.args, **arguments.kwargs)
        envelope = Envelope(self.name, self._options, execution)
        return _Next(self, envelope, 0, arguments)()


class _Next:
    """The rest of the way to the function."""

    __slots__ = ("_arguments", "_envelope", "_position", "_procedure")

    def __init__(
        self, procedure: Procedure[Any], envelope: Envelope, position: int, arguments: Arguments
    ) -> None:
        self._procedure = procedure
        self._envelope = envelope
        self._position = position
        self._arguments = arguments

    def __call__(self, args: Arguments | tuple[Any, ...] | list[Any] | None = None) -> Any:  # noqa: ANN401
        arguments = self._arguments
        if isinstance(args, Arguments):
            arguments = args
        elif isinstance(args, (tuple, list)):
            arguments = Arguments(*args, **arguments.kwargs)
        elif args is not None:
            raise InvalidArgsError(
                f"`next` was given `{args!r}`",
                hint="call `next()` for the same arguments, or give `Arguments` or a tuple",
            )
        # Nothing further in is called once the call was cancelled.
        self._envelope.context.check()
        procedure = self._procedure
        all_middleware = procedure._middleware  # noqa: SLF001  # one class in two parts
        if self._position == len(all_middleware):
            return procedure._function(*arguments.args, **arguments.kwargs)  # noqa: SLF001
        following = _Next(procedure, self._envelope, self._position + 1, arguments)
        return all_middleware[self._position](arguments, self._envelope, following)


class _AsyncCall(Generic[T]):
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


# Bundles -----------------------------------------------------------------------------------------


def pipe(*procedures: Procedure[Any]) -> Procedure[Any]:
    """Makes a procedure that passes the result of each to the next; of one, that one itself.

    Args:
        procedures: At least one. If any is async, so is the result.

    Raises:
        InvalidArgsError: If there is none, or one is no procedure.
    """
    if not procedures:
        raise InvalidArgsError("`pipe` was given no procedure", hint="give at least one")
    for it in procedures:
        if not isinstance(it, Procedure):
            raise InvalidArgsError(
                f"`{it!r}` is no procedure", hint="make one with `aikit.procedure` or `Procedure`"
            )
    first, *rest = procedures
    if not rest:
        return first
    name = " | ".join(it.name for it in procedures)
    if any(it._kind == "async" for it in procedures):  # noqa: SLF001  # its own module

        async def chain_async(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            value = await awaited(first(*args, **kwargs))
            for following in rest:
                value = await awaited(following(value))
            return value

        return Procedure(chain_async, name=name, schema=False)

    def chain(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as the first
        value = first(*args, **kwargs)
        for following in rest:
            value = following(value)
        return value

    return Procedure(chain, name=name, schema=False)


@overload
def procedure(function: Callable[..., Any], /) -> Procedure[Any]: ...
@overload
def procedure(
    function: None = None,
    /,
    *,
    name: str | None = None,
    schema: Mapping[str, Any] | bool | None = None,
    middleware: Iterable[Middleware] = (),
    timeout: float | None = None,
    metadata: Mapping[str, Any] | None = None,
    boundary: str = "auto",
) -> Callable[[Callable[..., Any]], Procedure[Any]]: ...
def procedure(
    function: Callable[..., Any] | None = None,
    /,
    **options: Any,
) -> Any:
    """Makes a procedure of a function or a method: ``@procedure`` or ``@procedure(name=…)``.

    Args:
        function: The function, when used without options.
        options: As for `Procedure`.
    """
    if function is not None:
        return Procedure(function, **options)
    return lambda decorated: Procedure(decorated, **options)


def procedure_factory(*middleware: Middleware, is_hook: bool = False) -> Callable[..., Any]:
    """Makes a decorator like `procedure` whose procedures have some middleware from the beginning.

    Args:
        middleware: Outermost first; stands outside of each procedure's own.
        is_hook: Whether its procedures are hooks: their envelopes say ``source_type`` ``hook``.
    """
    common = flatten(middleware)

    def factory(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:  # noqa: ANN401
        if function is None:
            return lambda decorated: factory(decorated, **options)
        own = flatten(options.pop("middleware", ()))
        made: Procedure[Any] = Procedure(function, middleware=(*common, *own), **options)
        return made._changed(is_hook=is_hook)  # noqa: SLF001  # its own module

    return factory


# What functions are ------------------------------------------------------------------------------


def _kind_of(function: Callable[..., Any]) -> str:
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    if inspect.isasyncgenfunction(target):
        return "async generator"
    if inspect.isgeneratorfunction(target):
        return "generator"
    return "async" if is_async(target) else "sync"

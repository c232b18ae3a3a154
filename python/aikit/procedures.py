"""Procedures: functions with tracking, middleware, a time limit, a schema and a handle."""

from __future__ import annotations

import copy
import functools
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from . import _aikit
from . import _given as given
from ._callbacks import SCOPE, is_async, leave
from ._calls import AsyncCall, go_on, way_of
from ._functions import asyncio_mark, kind_of, mark_async, marks_of, unwrapped
from ._given import InvalidTypeError
from ._parameters import parameters_of
from ._work import Work
from .contexts import CHILD_OPTIONS
from .contexts import options as context_options
from .errors import InvalidArgsError
from .generators import AsyncStream, SyncStream, aexhaust, exhaust
from .handles import Handle
from .middleware import Arguments, Envelope, Middleware, awaited, flatten, refusal
from .tracking import BOUNDARIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from typing_extensions import Self

T = TypeVar("T")


class Procedure(Generic[T]):
    """A function with what stands around its calls.

    Calling it does what calling the function does (a coroutine function gives an awaitable, a
    generator function an iterator), and each call is a node in the graph, has a span, events and
    metrics, and ends with its Context. It is immutable: ``with_…``, ``use`` and ``pipe`` give a new
    one. On a class it is a method.

    Args:
        function: Sync or async function, generator function, or any other callable. What
            ``@classmethod`` and ``@staticmethod`` give is taken too.
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
        InvalidArgsError: If the function cannot be called, an option is none, or middleware is
            async around a function that is not.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_binding",
        "_function",
        "_kind",
        "_middleware",
        "_options",
        "_parameters",
        "_settings",
        "_taken_from",
        "_way",
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
        binding, function = unwrapped(function)
        name = name or getattr(function, "__name__", None) or type(function).__name__
        self._function = function
        self._kind = kind_of(function)
        # The procedure and the object, of a method that was taken from one.
        self._taken_from: tuple[Procedure[T], object] | None = None
        self._settings = {
            "name": given.text("name", name),
            "schema": schema,
            "timeout": given.seconds("timeout", timeout),
            "metadata": given.optional_mapping("metadata", metadata),
            "boundary": given.one_of("boundary", boundary, BOUNDARIES),
            "is_hook": False,
            "context": None,
            "binding": binding,
            **(_settings or {}),
        }
        self._binding: str = self._settings["binding"]
        self._middleware = flatten(middleware)
        self._way = way_of(self._middleware)
        self._check_middleware()
        self._parameters, schema = parameters_of(function, self._settings["schema"])
        self._options = _aikit.ProcedureOptions({**self._settings, "schema": schema})
        functools.update_wrapper(self, function, updated=())
        self.__dict__.update(marks_of(function))
        if self._kind == "async":
            mark_async(self)

    @property
    def _is_async(self) -> bool:
        """Whether a call gives an awaitable; read by `is_async`."""
        return self._kind == "async"

    @property
    def _is_coroutine(self) -> object:
        """What `asyncio.iscoroutinefunction` looks at, before Python 3.14."""
        return asyncio_mark() if self._kind == "async" else None

    @property
    def _gives_awaitable(self) -> bool:
        """Whether what middleware answers is awaited."""
        return self._kind in {"async", "async generator"}

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
        work, function = self._work(args, kwargs)
        self._options.run_limited(function)
        return work.value()

    async def arun(self, *args: Any, **kwargs: Any) -> T:  # noqa: ANN401  # as the function
        """Calls it without blocking the event loop; a sync function runs on another thread."""
        if self._kind == "async":
            return await self._acall(args, kwargs)
        work, function = self._work(args, kwargs)
        await self._options.arun_limited(function)
        return work.value()

    def start(self, *args: Any, **kwargs: Any) -> Handle[T]:  # noqa: ANN401  # as the function
        """Starts it beside the caller and gives its handle: events, result, cancellation.

        The seed's name for it, ``with_handle``, is an alias.
        """
        work, function = self._work(args, kwargs)
        native = self._options.start(function)
        return Handle(native, lambda _: work.value(), work)

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
        return self._changed(timeout=given.seconds("seconds", seconds))

    def with_metadata(self, metadata: Mapping[str, Any] | None = None, **more: Any) -> Self:  # noqa: ANN401
        """Adds data that middleware sees."""
        added = given.optional_mapping("metadata", metadata) or {}
        merged = {**(self._settings["metadata"] or {}), **added, **more}
        return self._changed(metadata=merged)

    def with_context(self, **overrides: Any) -> Self:  # noqa: ANN401  # options of `Context.child`
        """Gives each call a Context that differs from the caller's in this.

        Args:
            overrides: ``metadata``, ``trace_id``, ``traceparent``, ``request_id``, ``timeout``,
                ``roles``, ``tick``.
        """
        unknown = sorted(set(overrides) - CHILD_OPTIONS)
        if unknown:
            raise InvalidArgsError(
                f"`{unknown[0]}` is no option of a Context for a call",
                hint=f"the options are {', '.join(sorted(CHILD_OPTIONS))}",
            )
        names = ("roles", "metadata", "request_id", "trace_id", "traceparent", "timeout", "tick")
        context = context_options(None, None, *(overrides.get(name) for name in names))
        return self._changed(context=context)

    def pipe(self, *following: Procedure[Any]) -> Procedure[Any]:
        """Makes a procedure that passes its result to the next one, and so on."""
        from .pipes import pipe  # noqa: PLC0415  # which is made of this

        return pipe(self, *following)

    def _changed(
        self,
        *,
        middleware: tuple[Middleware, ...] | None = None,
        **settings: Any,  # noqa: ANN401  # options
    ) -> Self:
        if self._taken_from is not None:
            procedure, owner = self._taken_from
            changed = procedure._changed(middleware=middleware, **settings)  # noqa: SLF001  # its own
            return changed._of(owner)  # type: ignore[return-value]  # noqa: SLF001  # of this class
        return type(self)(
            self._function,
            middleware=self._middleware if middleware is None else middleware,
            _settings={**self._settings, **settings},
        )

    def _check_middleware(self) -> None:
        if self._kind in {"async", "async generator"}:
            return
        for it in self._middleware:
            if is_async(it):
                what = "guard" if getattr(it, "is_guard", False) else "middleware"
                name = getattr(it, "__name__", repr(it))
                raise InvalidArgsError(
                    f"the {what} `{name}` is async, but the function `{self.name}` is not",
                    hint=f"write the {what} with `def`, or the function with `async def`",
                )

    def __get__(self, instance: object, owner: type | None = None) -> Any:  # noqa: ANN401
        if self._binding == "none":
            return self
        if self._binding == "class":
            return self._of(type(instance) if owner is None else owner)
        return self if instance is None else self._of(instance)

    def _of(self, owner: object) -> Self:
        """The method of an object, or of a class."""
        bound = object.__new__(type(self))
        for slot in Procedure.__slots__:
            if slot not in {"__dict__", "__weakref__"}:
                setattr(bound, slot, getattr(self, slot))
        bound.__dict__.update(self.__dict__)
        bound._function = functools.partial(self._function, owner)
        bound._taken_from = (self, owner)
        if self._parameters is not None:
            bound._parameters = self._parameters.bound()
        return bound

    def __eq__(self, other: object) -> bool:
        if self._taken_from is None or not isinstance(other, Procedure):
            return self is other
        if other._taken_from is None:
            return False
        # As of methods that Python binds.
        (procedure, owner), (others, its) = self._taken_from, other._taken_from
        return procedure is others and owner is its

    def __hash__(self) -> int:
        if self._taken_from is None:
            return object.__hash__(self)
        procedure, owner = self._taken_from
        return hash((id(procedure), id(owner)))

    # Copies --------------------------------------------------------------------------------------

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if self._taken_from is None:
            return self
        procedure, owner = self._taken_from
        copied = copy.deepcopy(owner, memo)
        return procedure._of(copied)  # type: ignore[return-value]  # noqa: SLF001  # of this class

    def __reduce__(self) -> Any:  # noqa: ANN401  # as pickle wants it
        if self._taken_from is not None:
            procedure, owner = self._taken_from
            return procedure._of, (owner,)  # noqa: SLF001  # its own
        from ._pickling import reduced  # noqa: PLC0415  # seldom needed

        return reduced(self)

    def __repr__(self) -> str:
        return f"Procedure({self.name!r})"

    # The way through -----------------------------------------------------------------------------

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        options = self._options
        if options.is_limited():
            work, function = self._work(args, kwargs)
            options.run_limited(function)
            return work.value()
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
        return await AsyncCall(self, args, kwargs)

    def _work(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Work[T], Any]:
        """A call beside the caller, and the function without arguments that makes it."""
        work: Work[T] = Work(self.name)
        if self._kind in {"sync", "generator"}:

            def call() -> T:
                self._check(args, kwargs)
                value = self._through(Arguments(*args, **kwargs), None)
                if self._kind == "generator":
                    value = exhaust(value)
                return value  # type: ignore[no-any-return]  # as the function

            return work, work.function(call)

        async def acall() -> T:
            self._check(args, kwargs)
            value = self._through(Arguments(*args, **kwargs), None)
            if self._kind == "async generator":
                value = aexhaust(value)
            return await awaited(value)  # type: ignore[no-any-return]  # as the function

        return work, work.async_function(acall)

    def _check(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._parameters is not None:
            self._options.check(self._parameters.named(self.name, args, kwargs))

    def _through(self, arguments: Arguments, execution: _aikit.Execution | None) -> Any:  # noqa: ANN401
        way = self._way
        if way is None:
            return self._function(*arguments.args, **arguments.kwargs)
        envelope = Envelope(self, execution)
        check = envelope.context.check if execution is None else execution.check
        value = go_on((self._function, envelope, check, way, arguments))
        if type(value) is CoroutineType and not self._gives_awaitable:
            is_own = value is envelope._given  # noqa: SLF001  # one class in two parts
            if not is_own:
                raise refusal(value, "a middleware", self.name)
        return value


# What `procedure` takes besides the function.
_OPTIONS = frozenset({"name", "schema", "middleware", "timeout", "metadata", "boundary"})

# Decorators --------------------------------------------------------------------------------------


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
    _check_options("procedure", options)
    if function is not None:
        return Procedure(function, **options)
    return lambda decorated: Procedure(decorated, **options)


def _check_options(what: str, options: Mapping[str, Any]) -> None:
    """Refuses what is no option here, before there is a function to decorate."""
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise InvalidTypeError(
            f"`{unknown[0]}` is no option of `{what}`",
            hint=f"the options are {', '.join(sorted(_OPTIONS))}",
        )


def procedure_factory(*middleware: Middleware, is_hook: bool = False) -> Callable[..., Any]:
    """Makes a decorator like `procedure` whose procedures have some middleware from the beginning.

    Args:
        middleware: Outermost first; stands outside of each procedure's own.
        is_hook: Whether its procedures are hooks: their envelopes say ``source_type`` ``hook``.
    """
    common = flatten(middleware)

    def factory(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:  # noqa: ANN401
        _check_options("procedure", options)
        if function is None:
            return lambda decorated: factory(decorated, **options)
        own = flatten(options.pop("middleware", ()))
        made: Procedure[Any] = Procedure(function, middleware=(*common, *own), **options)
        return made._changed(is_hook=is_hook)  # noqa: SLF001  # its own module

    return factory

"""What flows with a call: identities, user, deadline, cancellation, metrics; who called whom."""

from __future__ import annotations

import contextvars
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from . import _aikit
from . import _given as given
from ._callbacks import SCOPE
from ._entries import Entry, block, to_leave
from ._given import InvalidTypeError
from ._watched import Watch
from .errors import AikitError, NotFoundError
from .graph import ProcedureGraph, ProcedureNode
from .metrics import Metrics
from .records import Record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from ._entries import Block

T = TypeVar("T")

# What may differ in a Context below another.
CHILD_OPTIONS = frozenset(
    {"roles", "metadata", "request_id", "trace_id", "traceparent", "timeout", "tick"}
)


class User(Record):
    """On whose behalf a call runs.

    Attributes:
        id: The user's identity.
        tenant_id: The tenant the user belongs to, if there are tenants.
        roles: Roles granted by the host.
    """

    id: str
    tenant_id: str | None
    roles: list[str]


class UsageSums(Record):
    """What calls of models used.

    Attributes:
        input_tokens: Tokens sent.
        output_tokens: Tokens received.
        requests: Calls of models.
        cost_usd: Money in US dollars, where the price is known.
        cached_input_tokens: Those of the tokens sent that came from a provider's cache, where it
            says so.
        reasoning_tokens: Those of the tokens received that were spent on reasoning, where a
            provider says so.
    """

    input_tokens: float
    output_tokens: float
    requests: float
    cost_usd: float
    cached_input_tokens: float = 0
    reasoning_tokens: float = 0


class ExecutionInfo(Record):
    """Where an execution stands.

    Attributes:
        pid: The current execution.
        parent_pid: Its caller.
        root_pid: The procedure the chain of calls began with.
        name: Name of the current procedure.
        origin_name: Name of the procedure the chain began with.
        is_standalone: Whether the current procedure is the one the chain began with.
        depth: Callers above it; 0 for a root.
        execution_id: Identity of the execution, unique beyond the process.
    """

    pid: str
    parent_pid: str | None
    root_pid: str
    name: str
    origin_name: str
    is_standalone: bool
    depth: int
    execution_id: str


class Context(Metrics):
    """What flows with a call.

    ``with Context.create(…) as ctx:`` (or ``async with``) makes it the current one: every call of
    aikit inside belongs to it, also in ``asyncio.gather`` and in a thread that was started with
    ``contextvars.copy_context()``. A function that an agent or a procedure calls finds its own with
    ``Context.get()``.

    An ``async with`` block ends with the Context, as one of ``asyncio.timeout`` does: once it was
    cancelled or its deadline has passed, the task is cancelled where it waits, and the block raises
    ``CancelledError`` or ``DeadlineError`` of aikit. A ``with`` block cannot be left like that;
    there the next call of aikit raises. Do not yield inside of an ``async with`` block, unless the
    generator is a procedure: the task would be cancelled in the reader's code.
    """

    __slots__ = ("_entered", "_native")

    def __init__(self, native: _aikit.Context) -> None:
        self._native: _aikit.Context = native
        self._entered: list[Entry] = []

    @classmethod
    def create(  # noqa: PLR0913  # each is an option of its own
        cls,
        *,
        user: str | None = None,
        tenant_id: str | None = None,
        roles: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        trace_id: str | None = None,
        traceparent: str | None = None,
        timeout: float | None = None,
        tick: int | None = None,
    ) -> Self:
        """Makes a Context for a request, a job, a test.

        Args:
            user: On whose behalf; inside of a call it cannot be changed.
            tenant_id: The tenant the user belongs to.
            roles: Roles of the user; inside of a call they can only be narrowed.
            metadata: Data of the application.
            request_id: Identity of the request, 1 to 256 bytes; made when None.
            trace_id: W3C trace id, 32 lower-case hexadecimal digits; made when None.
            traceparent: Header of a caller elsewhere (W3C trace context): goes on with its trace,
                below its span.
            timeout: Seconds until the deadline of everything inside.
            tick: Number of the step of a loop, from 1.

        Raises:
            InvalidArgsError: If an identity or the timeout is none.
            DeniedError: If a call would get another user.
        """
        given_options = options(
            user, tenant_id, roles, metadata, request_id, trace_id, traceparent, timeout, tick
        )
        return cls(_aikit.Context.create(given_options))

    @classmethod
    def get(cls) -> Self:
        """Returns the current Context.

        Raises:
            NotFoundError: If there is none.
        """
        context = cls.try_get()
        if context is None:
            raise NotFoundError(
                "there is no current context",
                hint="enter one with `with Context.create(…)`, or use `Context.try_get()`",
            )
        return context

    @classmethod
    def try_get(cls) -> Self | None:
        """Returns the current Context, if there is one."""
        native = _aikit.Context.current()
        return None if native is None else cls(native)

    @staticmethod
    def is_context(value: object) -> bool:
        """Returns whether ``value`` is a Context."""
        return isinstance(value, Context)

    def child(  # noqa: PLR0913  # each is an option of its own
        self,
        *,
        roles: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        trace_id: str | None = None,
        traceparent: str | None = None,
        timeout: float | None = None,
        tick: int | None = None,
    ) -> Self:
        """Makes a Context below this one.

        It shares events, channels, graph and cancellation (cancelling this one cancels it, not the
        other way round) and owns its metrics: what is added counts in the procedure around too,
        what is set does not. Roles and deadline can be narrowed, never widened; metadata are added.
        """
        given_options = options(
            None, None, roles, metadata, request_id, trace_id, traceparent, timeout, tick
        )
        return type(self)(self._native.child(given_options))

    def fork(self, function: Callable[..., T], *args: object, **overrides: Any) -> T:  # noqa: ANN401
        """Runs ``function(*args)`` in a child of this Context; an async one gives its awaitable.

        Args:
            function: What to run.
            args: Its arguments.
            overrides: Options of the child, as for ``child``.
        """
        unknown = sorted(set(overrides) - CHILD_OPTIONS)
        if unknown:
            raise InvalidTypeError(
                f"`{unknown[0]}` is no option of a child",
                hint=f"the options are {', '.join(sorted(CHILD_OPTIONS))}",
            )
        return self.child(**overrides).run(function, *args)

    def run(self, function: Callable[..., T], *args: object, **kwargs: Any) -> T:  # noqa: ANN401
        """Runs ``function`` in this Context; of an async one, gives its awaitable.

        The awaitable ends with the Context, as an ``async with`` block does.
        """
        given.function("function", function)
        result = contextvars.copy_context().run(self._run, function, args, kwargs)
        # Work that begins when it is awaited begins in this Context all the same.
        return self._awaited(result) if inspect.isawaitable(result) else result  # type: ignore[return-value]

    def _run(self, function: Callable[..., T], args: Any, kwargs: Any) -> T:  # noqa: ANN401
        SCOPE.set(self._native.scope())
        return function(*args, **kwargs)

    async def _awaited(self, result: Awaitable[T]) -> T:
        async with self:
            return await result

    def emit(self, kind: str, data: object = None, *, source: str | None = None) -> None:
        """Publishes an event.

        Args:
            kind: Dotted name.
            data: What belongs to the event.
            source: Who publishes it; the current procedure when None.
        """
        kind, source = given.text("kind", kind), given.optional_text("source", source)
        self._native.emit(kind, data, source)

    def cancel(self, reason: str = "cancelled by the program") -> None:
        """Cancels everything that runs in this Context and below it, and nothing above.

        The Context of a running procedure is that of this one execution: its caller gets a
        ``CancelledError`` and may go on. The first reason stays.
        """
        self._native.cancel(given.text("reason", reason))

    def check(self) -> None:
        """Raises if this Context was cancelled or its deadline has passed.

        Raises:
            CancelledError: With the reason.
            DeadlineError: After the deadline.
        """
        self._native.check()

    @property
    def is_cancelled(self) -> bool:
        """Whether this Context or one above it was cancelled."""
        return self._native.is_cancelled

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline; None when there is none."""
        return self._native.remaining

    @property
    def request_id(self) -> str:
        """Identity of the request."""
        return self._native.request_id

    @property
    def trace_id(self) -> str:
        """W3C trace id: 32 hexadecimal digits."""
        return self._native.trace_id

    @property
    def execution_id(self) -> str | None:
        """Identity of what belongs together for those who watch; None outside of a call."""
        return self._native.execution_id

    @property
    def user(self) -> User:
        """On whose behalf."""
        name, tenant_id, roles = self._native.user
        return User({"id": name, "tenant_id": tenant_id, "roles": roles})

    @property
    def caller(self) -> str:
        """Who chose what is being done: ``user``, or ``agent`` in what a model has called."""
        return self._native.caller

    @property
    def metadata(self) -> dict[str, Any]:
        """Data of the application; a copy."""
        metadata: dict[str, Any] = self._native.metadata
        return metadata

    @property
    def tick(self) -> int | None:
        """Number of the step of the agent or the loop around what runs here, from 1."""
        return self._native.tick

    def add_usage(
        self,
        *,
        input_tokens: float = 0,
        output_tokens: float = 0,
        requests: float = 0,
        cost_usd: float = 0,
    ) -> None:
        """Adds what a call of a model used.

        Raises:
            InvalidArgsError: If a sum is negative or not finite.
        """
        sums = (
            given.number("input_tokens", input_tokens),
            given.number("output_tokens", output_tokens),
            given.number("requests", requests),
            given.number("cost_usd", cost_usd),
        )
        self._native.add_usage(sums)

    @property
    def usage(self) -> UsageSums:
        """What calls of models used."""
        return UsageSums(self._native.usage)

    @property
    def node(self) -> ProcedureNode | None:
        """The current execution."""
        node = self._native.node
        return None if node is None else ProcedureNode(node)

    @property
    def origin(self) -> ProcedureNode | None:
        """The procedure the chain of calls began with."""
        origin = self._native.origin
        return None if origin is None else ProcedureNode(origin)

    @property
    def graph(self) -> ProcedureGraph:
        """The executions of the root call."""
        return ProcedureGraph(self._native)

    @property
    def is_standalone(self) -> bool:
        """Whether nothing was called by another procedure here."""
        return self._native.is_standalone

    def is_within(self, name: str) -> bool:
        """Returns whether the current procedure or a caller of it has that name."""
        return self._native.is_within(given.text("name", name))

    def has_ancestor_named(self, name: str) -> bool:
        """Returns whether a caller of the procedure, or a caller's caller, has that name."""
        return self._native.has_ancestor_named(given.text("name", name))

    @property
    def origin_name(self) -> str | None:
        """Name of the procedure the chain of calls began with."""
        return self._native.origin_name

    @property
    def execution_info(self) -> ExecutionInfo | None:
        """Where the current execution stands; None outside of one."""
        info = self._native.execution_info
        return None if info is None else ExecutionInfo(info)

    def __enter__(self) -> Self:
        self._entered.append(Entry.begin(SCOPE.set(self._native.scope()), None, block()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._left(block())

    async def __aenter__(self) -> Self:
        watch = Watch(self._native)
        token = SCOPE.set(self._native.scope())
        self._entered.append(Entry.begin(token, watch, block()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        watch = self._left(block()).watch
        if watch is not None and watch.close(error):
            try:
                self.check()
            except AikitError as ended:
                raise ended from error

    def _left(self, block: Block) -> Entry:
        entry = to_leave(self._entered, block, "the Context")
        self._entered.remove(entry)
        entry.end()
        return entry

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and self._native == other._native

    def __hash__(self) -> int:
        return hash((self.request_id, self.trace_id))

    def __repr__(self) -> str:
        node = self.node
        within = "" if node is None else f", within {node.name!r}"
        return f"Context(request {self.request_id}{within})"


def options(  # noqa: PLR0913, PLR0917  # one for each option
    user: str | None,
    tenant_id: str | None,
    roles: Iterable[str] | None,
    metadata: Mapping[str, Any] | None,
    request_id: str | None,
    trace_id: str | None,
    traceparent: str | None,
    timeout: float | None,
    tick: int | None,
) -> dict[str, Any]:
    """Returns the options of a Context, each looked at."""
    return {
        "user": given.optional_text("user", user),
        "tenant_id": given.optional_text("tenant_id", tenant_id),
        "roles": None if roles is None else given.texts("roles", roles),
        "metadata": given.optional_mapping("metadata", metadata),
        "request_id": given.optional_text("request_id", request_id),
        "trace_id": given.optional_text("trace_id", trace_id),
        "traceparent": given.optional_text("traceparent", traceparent),
        "timeout": given.seconds("timeout", timeout),
        "tick": None if tick is None else given.whole("tick", tick),
    }

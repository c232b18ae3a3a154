"""What flows with a call: identities, user, deadline, cancellation, metrics; who called whom."""

from __future__ import annotations

import contextvars
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from . import _aikit
from ._callbacks import SCOPE, leave, place
from .errors import InvalidArgsError, NotFoundError
from .graph import ProcedureGraph, ProcedureNode
from .records import Record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from types import TracebackType

    from typing_extensions import Self

T = TypeVar("T")


class User(Record):
    """On whose behalf a call runs.

    Attributes:
        id: The user's identity.
        tenant: The tenant the user belongs to, if there are tenants.
        roles: Roles granted by the host.
    """

    id: str
    tenant: str | None
    roles: list[str]


class UsageSums(Record):
    """What calls of models used.

    Attributes:
        input_tokens: Tokens sent.
        output_tokens: Tokens received.
        requests: Calls of models.
        cost_usd: Money in US dollars, where the price is known.
    """

    input_tokens: float
    output_tokens: float
    requests: float
    cost_usd: float


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


class Context:
    """What flows with a call.

    ``with Context.create(…) as ctx:`` (or ``async with``) makes it the current one: every call of
    aikit inside belongs to it, also in ``asyncio.gather`` and in a thread that was started with
    ``contextvars.copy_context()``. A function that an agent or a procedure calls finds its own with
    ``Context.get()``.
    """

    __slots__ = ("_entered", "_native")

    def __init__(self, native: _aikit.Context) -> None:
        self._native = native
        # By thread and task: several may be inside at once.
        self._entered: dict[tuple[int, int], list[contextvars.Token[object]]] = {}

    @classmethod
    def create(  # noqa: PLR0913  # each is an option of its own
        cls,
        *,
        user: str | None = None,
        tenant: str | None = None,
        roles: Iterable[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        trace_id: str | None = None,
        timeout: float | None = None,
        tick: int | None = None,
    ) -> Self:
        """Makes a Context for a request, a job, a test.

        Args:
            user: On whose behalf; inside of a call it cannot be changed.
            tenant: The tenant the user belongs to.
            roles: Roles of the user; inside of a call they can only be narrowed.
            metadata: Data of the application.
            request_id: Identity of the request, 1 to 256 bytes; made when None.
            trace_id: W3C trace id, 32 lower-case hexadecimal digits; made when None.
            timeout: Seconds until the deadline of everything inside.
            tick: Number of the step of a loop, from 1.

        Raises:
            InvalidArgsError: If an identity or the timeout is none.
            DeniedError: If a call would get another user.
        """
        options = _options(user, tenant, roles, metadata, request_id, trace_id, timeout, tick)
        return cls(_aikit.Context.create(options))

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
        timeout: float | None = None,
        tick: int | None = None,
    ) -> Self:
        """Makes a Context below this one.

        It shares events, channels, graph and cancellation (cancelling this one cancels it, not the
        other way round) and owns its metrics. Roles and deadline can be narrowed, never widened;
        metadata are added.
        """
        options = _options(None, None, roles, metadata, request_id, trace_id, timeout, tick)
        return type(self)(self._native.child(options))

    def fork(self, function: Callable[..., T], *args: object, **overrides: Any) -> T:  # noqa: ANN401
        """Runs ``function(*args)`` in a child of this Context; an async one gives its awaitable.

        Args:
            function: What to run.
            args: Its arguments.
            overrides: Options of the child, as for ``child``.
        """
        return self.child(**overrides).run(function, *args)

    def run(self, function: Callable[..., T], *args: object, **kwargs: Any) -> T:  # noqa: ANN401
        """Runs ``function`` in this Context; of an async one, gives its awaitable."""
        result = contextvars.copy_context().run(self._run, function, args, kwargs)
        # Work that begins when it is awaited begins in this Context all the same.
        return self._awaited(result) if inspect.isawaitable(result) else result  # type: ignore[return-value]

    def _run(self, function: Callable[..., T], args: Any, kwargs: Any) -> T:  # noqa: ANN401
        SCOPE.set(self._native.scope())
        return function(*args, **kwargs)

    async def _awaited(self, result: Awaitable[T]) -> T:
        token = SCOPE.set(self._native.scope())
        try:
            return await result
        finally:
            leave(token)

    def emit(self, kind: str, data: object = None, *, source: str | None = None) -> None:
        """Publishes an event.

        Args:
            kind: Dotted name.
            data: What belongs to the event.
            source: Who publishes it; the current procedure when None.
        """
        self._native.emit(kind, data, source)

    def cancel(self, reason: str = "cancelled by the program") -> None:
        """Cancels everything that runs in this Context and below it; the first reason stays."""
        self._native.cancel(reason)

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
        name, tenant, roles = self._native.user
        return User({"id": name, "tenant": tenant, "roles": roles})

    @property
    def metadata(self) -> dict[str, Any]:
        """Data of the application; a copy."""
        metadata: dict[str, Any] = self._native.metadata
        return metadata

    @property
    def tick(self) -> int | None:
        """Number of the step of the agent or the loop around what runs here, from 1."""
        return self._native.tick

    @property
    def metrics(self) -> dict[str, Any]:
        """Counters of the current execution; dots in names make dicts in dicts."""
        metrics: dict[str, Any] = self._native.metrics
        return metrics

    def add_metric(self, name: str, amount: float) -> None:
        """Adds ``amount`` to the metric ``name``.

        Raises:
            InvalidArgsError: If the name is empty, longer than 255 bytes or has control characters;
                if the amount is not finite, or negative for one of ``usage.*``.
        """
        self._native.add_metric(name, amount)

    def set_metric(self, name: str, value: float) -> None:
        """Replaces the metric ``name``.

        Raises:
            InvalidArgsError: As of ``add_metric``.
        """
        self._native.set_metric(name, value)

    def get_metric(self, name: str) -> float:
        """Returns the metric ``name``; 0 when nothing was added to it."""
        return self._native.get_metric(name)

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
        self._native.add_usage((input_tokens, output_tokens, requests, cost_usd))

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
        return self._native.is_within(name)

    def has_ancestor_named(self, name: str) -> bool:
        """Returns whether a caller of the procedure, or a caller's caller, has that name."""
        return self._native.has_ancestor_named(name)

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
        self._entered.setdefault(place(), []).append(SCOPE.set(self._native.scope()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A generator may be ended by another task than the one that began it.
        here = place()
        key = here if here in self._entered else next(iter(self._entered))
        tokens = self._entered[key]
        leave(tokens.pop())
        if not tokens:
            del self._entered[key]

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and self._native == other._native

    def __hash__(self) -> int:
        return hash((self.request_id, self.trace_id))

    def __repr__(self) -> str:
        node = self.node
        within = "" if node is None else f", within {node.name!r}"
        return f"Context(request {self.request_id}{within})"


def _options(  # noqa: PLR0913, PLR0917  # one for each option
    user: str | None,
    tenant: str | None,
    roles: Iterable[str] | None,
    metadata: Mapping[str, Any] | None,
    request_id: str | None,
    trace_id: str | None,
    timeout: float | None,
    tick: int | None,
) -> dict[str, Any]:
    if isinstance(roles, str):
        raise InvalidArgsError(f"`roles` is the text `{roles}`", hint="give a list of roles")
    return {
        "user": user,
        "tenant": tenant,
        "roles": None if roles is None else list(roles),
        "metadata": None if metadata is None else dict(metadata),
        "request_id": request_id,
        "trace_id": trace_id,
        "timeout": timeout,
        "tick": tick,
    }


class track:  # noqa: N801  # it reads as a verb: `with aikit.track("step"):`
    """Makes a block a procedure: a node in the graph, a span, events, metrics.

    ``with aikit.track("load") as node:`` (or ``async with``) gives the node. A cancelled Context
    raises when the block begins.

    Args:
        name: Name in the graph, in spans and in events.

    Raises:
        CancelledError: If the Context was cancelled before.
        DeadlineError: If its deadline has passed.
        LimitExceededError: If too many procedures stand around the block.
    """

    __slots__ = ("_execution", "_name", "_token")

    def __init__(self, name: str) -> None:
        self._name = name
        self._execution: _aikit.Execution | None = None
        self._token: contextvars.Token[object] | None = None

    def __enter__(self) -> ProcedureNode:
        if self._execution is not None:
            raise InvalidArgsError(
                f"the block `{self._name}` runs already",
                hint="make another `aikit.track(…)` for each block",
            )
        self._execution = execution = _aikit.Execution.begin_named(self._name)
        self._token = SCOPE.set(execution.scope)
        node = execution.context.node
        assert node is not None  # noqa: S101  # an execution has one
        return ProcedureNode(node)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        execution, self._execution = self._execution, None
        if execution is not None:
            if error is None:
                execution.end()
            else:
                execution.fail(error)
        if self._token is not None:
            leave(self._token)

    async def __aenter__(self) -> ProcedureNode:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

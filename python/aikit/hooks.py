"""Hooks: functions that stand around calls and see, change, answer, stop or repeat them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _aikit, _callbacks
from . import _given as given
from .records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from .procedures import Procedure

__all__ = [
    "Call",
    "HookInfo",
    "HookPoint",
    "Modify",
    "Registration",
    "Replace",
    "Retry",
    "Skip",
    "Stop",
    "enable",
    "hook",
    "list",
    "points",
    "register",
    "unregister",
    "use",
]


class Call(Record):
    """What a hook is shown: the fields that the point names, see ``points``.

    Attributes:
        point: Name of the point, such as ``tool.before``.
        caller: Who chose what is done: ``user`` or ``agent``.
        attempt: Which attempt it is, from 1.
    """

    point: str
    caller: str
    attempt: int


class HookInfo(Record):
    """A hook and how it fares.

    Attributes:
        name: Its name.
        points: Where it is asked.
        priority: Higher ones are asked first.
        timeout_s: How long one call of it may take, in seconds.
        required: Whether a call fails when it fails.
        origin: Where it comes from: ``rust``, ``built-in``, ``config``, ``lua``, ``python``.
        state: ``on``, or ``off`` when it was switched off because it kept failing.
        calls: How often it was asked.
        failures: How often it failed.
        last_error: What it failed with last.
        report: What the hook tells about itself.
    """

    name: str
    points: Sequence[str]
    priority: int
    timeout_s: float
    required: bool
    origin: str
    state: str
    calls: int
    failures: int
    last_error: str | None
    report: Any


class HookPoint(Record):
    """A point at which hooks can be asked.

    Attributes:
        name: Its name, such as ``tool.before``.
        summary: When it is asked.
        shows: Fields of the ``Call`` that a hook gets.
        changes: Those that ``Modify`` may change.
        is_replaceable: Whether ``Replace`` and ``Skip`` have a meaning.
    """

    name: str
    summary: str
    shows: Sequence[str]
    changes: Sequence[str]
    is_replaceable: bool


class _Answer:
    """What a hook returns; none of them lets the call go on as it is."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self._answer = dict(answer)

    def to_dict(self) -> dict[str, Any]:
        """Returns the answer as plain data, which a hook may return as well."""
        return self._answer

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Answer):
            return NotImplemented
        return self._answer == other._answer

    __hash__ = None  # type: ignore[assignment]  # it holds any data

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._answer!r})"


class Modify(_Answer):
    """Changes fields: arguments before a call, its result after it.

    Args:
        fields: The changed fields by name.
    """

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401  # any data
        super().__init__({"modify": fields})


class Replace(_Answer):
    """Gives the result; before a call, the call is left out.

    Args:
        value: The result; None for an empty one.
    """

    def __init__(self, value: Any) -> None:  # noqa: ANN401  # any data
        super().__init__({"replace": value})


class Skip(_Answer):
    """Gives an empty result; before a call, the call is left out."""

    def __init__(self) -> None:
        super().__init__({"skip": True})


class Stop(_Answer):
    """Ends the call with an error.

    Args:
        reason: What the error says.
        kind: Kind of the error.
    """

    def __init__(self, reason: str, kind: str = "denied") -> None:
        reason, kind = given.text("reason", reason), given.text("kind", kind)
        super().__init__({"stop": reason, "kind": kind})


class Retry(_Answer):
    """Has the call made again, hooks included; before a call it asks the hooks again.

    Args:
        delay_s: How long to wait first, in seconds, at most an hour.
        max: How often during one call, 1 to 100.
    """

    def __init__(self, *, delay_s: float = 0.0, max: int = 3) -> None:  # noqa: A002  # as in Lua
        times = given.whole("max", max)
        super().__init__({"retry": {"delay_s": given.number("delay_s", delay_s), "max": times}})


class Registration:
    """A registered hook. It stays when this is gone; as a context manager it is taken away.

    Attributes:
        name: Its name.
        points: Where it is asked.
        priority: Higher ones are asked first.
    """

    def __init__(self, infos: Sequence[Mapping[str, Any]]) -> None:
        self._infos = infos
        self.name: str = infos[0]["name"]
        self.points: Sequence[str] = [point for info in infos for point in info["points"]]
        self.priority: int = infos[0]["priority"]

    def unregister(self) -> bool:
        """Takes the hook away and returns whether it was still there."""
        return _aikit.remove_hooks([info["id"] for info in self._infos]) > 0

    def __enter__(self) -> Registration:  # noqa: PYI034  # nobody derives from it
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.unregister()

    def __repr__(self) -> str:
        return f"Registration(name={self.name!r}, points={self.points!r})"


def register(  # noqa: PLR0913  # keyword arguments
    point: str | Sequence[str],
    fn: Callable[[Call], object],
    *,
    name: str | None = None,
    priority: str | int = "normal",
    timeout_s: float = 30.0,
    required: bool = False,
) -> Registration:
    """Has a function asked at points around calls, as long as the process lives.

    Args:
        point: Where: a name such as ``tool.before``, a pattern such as ``tool.*`` or ``*.error``,
            or a list of them.
        fn: Gets a ``Call`` and returns None to let it go on, or one of ``Modify``, ``Replace``,
            ``Skip``, ``Stop``, ``Retry``. It may be async.
        name: Its name; a hook with the name and the points of an earlier one takes its place. The
            function's own when it is None.
        priority: Higher ones are asked first: ``highest``, ``high``, ``normal``, ``low``,
            ``lowest`` or a whole number up to a million.
        timeout_s: How long one call of it may take, in seconds, at most a day. It is cut off then;
            the thread of a sync function goes on.
        required: Whether a call fails when the hook fails. Otherwise the call goes on as if the
            hook had returned None, with a warning and the event ``hook.failed``; a hook that fails
            five times in a row, or takes too long three times in a row, is switched off.

    Raises:
        InvalidArgsError: If an option does not fit.
        NotFoundError: If there is no such point.
    """
    given.function("fn", fn)
    options = {
        "name": given.optional_text("name", name) or _name(fn),
        "priority": _priority(priority),
        "timeout_s": given.number("timeout_s", timeout_s),
        "required": given.flag("required", required),
    }
    return Registration([_aikit.register_hook(_plain("point", point), _shown(fn), options)])


def hook(
    point: str | Sequence[str],
    *,
    name: str | None = None,
    priority: str | int = "normal",
    timeout_s: float = 30.0,
    required: bool = False,
) -> Callable[[Callable[..., Any]], Procedure[Any]]:
    """Decorates a function, sync or async, to have it asked at points; see ``register``.

    It becomes a procedure whose ``source_type`` is ``hook``. A procedure is decorated as well: then
    its middleware, its time limit and its other options hold each time it is asked.
    """
    from .procedures import Procedure  # noqa: PLC0415  # hooks may be used without procedures

    # What is wrong is said here, and not where a function is decorated.
    _plain("point", point)
    _priority(priority)
    given.number("timeout_s", timeout_s)

    def registered(function: Callable[..., Any]) -> Procedure[Any]:
        # Of a function nothing but the call is left, and that is a procedure by itself already.
        asked = function
        if isinstance(function, Procedure):
            asked = made = function._changed(is_hook=True)  # noqa: SLF001  # of this package
        else:
            made = Procedure(
                function, name=_name(function), schema=False, _settings={"is_hook": True}
            )
        register(
            point,
            asked,
            name=name or _name(made),
            priority=priority,
            timeout_s=timeout_s,
            required=required,
        )
        return made

    return registered


def unregister(name: str) -> int:
    """Takes the hooks of a name away and returns how many there were."""
    return _aikit.unregister_hook(given.text("name", name))


def list() -> Sequence[HookInfo]:  # noqa: A001  # the name of the script API
    """Returns the hooks in the order in which they are asked."""
    return [HookInfo({"last_error": None, "report": None, **it}) for it in _aikit.list_hooks()]


def points() -> Sequence[HookPoint]:
    """Returns the points at which hooks can be asked."""
    return [HookPoint(it) for it in _aikit.hook_points()]


def enable(name: str) -> int:
    """Switches on again what was switched off because it kept failing.

    Returns:
        How many hooks have that name.
    """
    return _aikit.enable_hook(given.text("name", name))


def use(  # noqa: PLR0913  # keyword arguments
    built_in: str,
    *,
    name: str | None = None,
    priority: str | int | None = None,
    timeout_s: float | None = None,
    on: str | Sequence[str] | None = None,
    names: str | Sequence[str] | None = None,
    level: str | None = None,
    ttl_s: float | None = None,
    entries_max: int | None = None,
    bytes_max: int | None = None,
    calls: int | None = None,
    per_s: float | None = None,
    burst: int | None = None,
    wait: bool | None = None,
    wait_max_s: float | None = None,
    each: bool | None = None,
    attempts: int | None = None,
    delay_s: float | None = None,
    delay_max_s: float | None = None,
    usd: float | None = None,
    tokens: int | None = None,
    requests: int | None = None,
    prices: Mapping[str, Mapping[str, float]] | None = None,
    callers: str | None = None,
    approve: Callable[[dict[str, Any]], object] | None = None,
) -> Registration:
    """Switches on a hook that comes with aikit.

    Args:
        built_in: ``logging``, ``metrics``, ``cache``, ``rate_limit``, ``retry``, ``cost_limit`` or
            ``approval``. Each takes the first five options and its own.
        name: Name in lists; that of the built-in hook when it is None.
        priority: As in ``register``.
        timeout_s: As in ``register``.
        on: Kinds of call it stands around, such as ``tool`` and ``model``.
        names: Names of the tools, models or agents it is for; a ``*`` at the end stands for
            anything.
        level: Of ``logging``: ``trace``, ``debug`` or ``info``.
        ttl_s: Of ``cache``: how long an answer is good, in seconds.
        entries_max: Of ``cache``: how many answers are kept.
        bytes_max: Of ``cache``: how many bytes of answers are kept.
        calls: Of ``rate_limit``: how many calls may begin in a period.
        per_s: Of ``rate_limit``: length of the period, in seconds.
        burst: Of ``rate_limit``: how many calls may begin at once.
        wait: Of ``rate_limit``: whether a call waits for its turn, or is refused.
        wait_max_s: Of ``rate_limit``: longest wait, in seconds.
        each: Of ``rate_limit``: whether each name has a limit of its own.
        attempts: Of ``retry``: how many further attempts there are.
        delay_s: Of ``retry``: bound of the first pause, in seconds.
        delay_max_s: Of ``retry``: largest bound of a pause, in seconds.
        usd: Of ``cost_limit``: most money, in US dollars.
        tokens: Of ``cost_limit``: most tokens.
        requests: Of ``cost_limit``: most requests.
        prices: Of ``cost_limit``: by name of a model ``input`` and ``output``, US dollars for a
            million tokens.
        callers: Of ``approval``: whose calls are asked about, ``all`` or ``agent``.
        approve: Of ``approval``: decides instead of the user; gets a dict with ``tool``, ``args``,
            ``action``, ``always`` and ``digest``, and returns True, False or ``"always"``.

    Raises:
        NotFoundError: If there is no such hook.
        InvalidArgsError: If an option does not fit.
    """
    options = {
        "name": name,
        "priority": None if priority is None else _priority(priority),
        "timeout_s": timeout_s,
        "on": None if on is None else _plain("on", on),
        "names": None if names is None else _plain("names", names),
        "level": level,
        "ttl_s": ttl_s,
        "entries_max": entries_max,
        "bytes_max": bytes_max,
        "calls": calls,
        "per_s": per_s,
        "burst": burst,
        "wait": wait,
        "wait_max_s": wait_max_s,
        "each": each,
        "attempts": attempts,
        "delay_s": delay_s,
        "delay_max_s": delay_max_s,
        "usd": usd,
        "tokens": tokens,
        "requests": requests,
        "prices": given.optional_mapping("prices", prices),
        "callers": callers,
    }
    for key, look in _LOOKS.items():
        if options[key] is not None:
            options[key] = look(key, options[key])
    given.optional_function("approve", approve)
    options = {key: value for key, value in options.items() if value is not None}
    return Registration(_aikit.use_hook(given.text("built_in", built_in), options, approve))


# How options of the built-in hooks are looked at.
_LOOKS: Mapping[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("name", "level", "callers"), given.text),
    **dict.fromkeys(
        ("entries_max", "bytes_max", "calls", "burst", "attempts", "tokens", "requests"),
        given.count,
    ),
    **dict.fromkeys(
        ("timeout_s", "ttl_s", "per_s", "wait_max_s", "delay_s", "delay_max_s", "usd"),
        given.number,
    ),
    **dict.fromkeys(("wait", "each"), given.flag),
}


def _plain(name: str, point: str | Sequence[str]) -> str | Sequence[str]:
    return given.text(name, point) if isinstance(point, str) else given.texts(name, point)


def _priority(priority: str | int) -> str | int:
    if isinstance(priority, str):
        return given.text("priority", priority)
    if not hasattr(type(priority), "__index__"):
        given.refuse(
            "priority", priority, "priority", "give a word such as `high`, or a whole number"
        )
    return given.whole("priority", priority)


def _name(function: Callable[..., object]) -> str:
    """What the hook of a function is called, wherever it is named."""
    name = getattr(function, "name" if hasattr(function, "with_handle") else "__name__", None)
    # Two lambdas are two hooks.
    return name if isinstance(name, str) and name != "<lambda>" else "anonymous"


def _shown(function: Any) -> Any:  # noqa: ANN401  # what is no function is refused in Rust
    """Returns a function that shows the data of a point as a `Call`; async where this one is."""
    if not callable(function):
        return function

    def ask(data: dict[str, Any]) -> object:
        return function(_call(data))

    async def ask_async(data: dict[str, Any]) -> object:
        return await function(_call(data))

    shown = ask_async if _callbacks.is_async(function) else ask
    # What errors call it.
    shown.__name__ = shown.__qualname__ = _name(function)
    return shown


def _call(data: dict[str, Any]) -> Call:
    """Returns the data of a point with every field that the point shows; None for what is not."""
    if not _shows:
        _shows.update({it["name"]: it["shows"] for it in _aikit.hook_points()})
    return Call({**dict.fromkeys(_shows[data["point"]]), **data})


# Fields by point, once they are known.
_shows: dict[str, Sequence[str]] = {}

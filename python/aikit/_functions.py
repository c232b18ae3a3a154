"""What the functions of procedures are: sync or async, generators, methods."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any

from ._callbacks import is_async
from ._given import InvalidTypeError, shown
from .errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Callable

# What has many results: the kinds of generator functions.
GENERATORS = frozenset({"generator", "async generator"})

# What `inspect` looks for in what stands for a function without being one.
_MARKS = ("__code__", "__defaults__", "__kwdefaults__")


def unwrapped(function: Any) -> tuple[str, Callable[..., Any]]:  # noqa: ANN401  # anything
    """Returns what a method gets first (``instance``, ``class``, ``none``), and its function."""
    if isinstance(function, classmethod):
        return "class", function.__func__
    if isinstance(function, staticmethod):
        return "none", function.__func__
    if isinstance(function, property):
        raise InvalidArgsError(
            "a property cannot be made a procedure",
            hint="write `@property` above `@aikit.procedure`",
        )
    if not callable(function):
        raise InvalidTypeError(
            f"{shown(function)} cannot be called", hint="pass a function, not its result"
        )
    return "instance", function


def kind_of(function: Callable[..., Any]) -> str:
    """Returns ``sync``, ``async``, ``generator`` or ``async generator``."""
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    if inspect.isasyncgenfunction(target):
        return "async generator"
    if inspect.isgeneratorfunction(target):
        return "generator"
    return "async" if is_async(target) else "sync"


def marks_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Returns attributes by which `inspect` sees that what wraps ``function`` is of its kind.

    A callable without code of its own has none.
    """
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    target = getattr(target, "__func__", target)
    marks = {name: getattr(target, name) for name in _MARKS if hasattr(target, name)}
    if marks and not hasattr(function, "__name__"):
        # What `functools.partial` gives has no name, which `inspect` asks for as well.
        marks["__name__"] = target.__name__
    return marks


def mark_async(procedure: object) -> None:
    """Tells `inspect` that a call gives an awaitable, from Python 3.12 on; see `asyncio_mark`."""
    mark = getattr(inspect, "markcoroutinefunction", None)
    if mark is not None:
        mark(procedure)


def asyncio_mark() -> object:
    """Returns what `asyncio` marks coroutine functions with that are no functions."""
    coroutines = getattr(sys.modules.get("asyncio"), "coroutines", None)
    return getattr(coroutines, "_is_coroutine", None)

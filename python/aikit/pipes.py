"""Procedures one after the other, as one."""

from __future__ import annotations

from typing import Any

from ._functions import GENERATORS
from ._given import shown
from .errors import InvalidArgsError
from .middleware import awaited
from .procedures import Procedure


def pipe(*procedures: Procedure[Any]) -> Procedure[Any]:
    """Makes a procedure that passes the result of each to the next; of one, that one itself.

    Args:
        procedures: At least one. If any is async, so is the result. A generator has no one result
            to pass on, so it is refused: collect what it yields in a function of its own, or go
            through it with `aikit.streams.map`.

    Raises:
        InvalidArgsError: If there is none, one is no procedure, or one is a generator.
    """
    if not procedures:
        raise InvalidArgsError("`pipe` was given no procedure", hint="give at least one")
    for it in procedures:
        _check(it)
    first, *rest = procedures
    if not rest:
        return first
    name = " | ".join(it.name for it in procedures)
    if any(it._kind == "async" for it in procedures):  # noqa: SLF001  # its own package

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


def _check(it: Procedure[Any]) -> None:
    if not isinstance(it, Procedure):
        raise InvalidArgsError(
            f"{shown(it)} is no procedure", hint="make one with `aikit.procedure` or `Procedure`"
        )
    if it._kind in GENERATORS:  # noqa: SLF001  # its own package
        raise InvalidArgsError(
            f"`{it.name}` is a generator, which has no one result to pass on",
            hint="collect what it yields in a function, or use `aikit.streams.map`",
        )

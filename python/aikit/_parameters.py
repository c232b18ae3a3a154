"""The parameters of a function that are held against a schema."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import _given as given
from ._checks import UncheckedError, check_of, items_of, values_of
from ._schema import hints_of
from .errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._checks import Check

# What is looked at of each argument that is held against the schema, by the parameter's name.
_Views = Mapping[str, "Callable[[Any], Any] | None"]


class Parameters:
    """The parameters that are held against a schema."""

    __slots__ = ("_signature", "_views")

    def __init__(self, signature: inspect.Signature, views: _Views | None) -> None:
        self._signature = signature
        self._views = views

    def bound(self) -> Parameters:
        """Those of a method that was taken from its object."""
        first, *others = self._signature.parameters.values()
        # `*args` takes the object as well, and what follows.
        rest = [first, *others] if first.kind is inspect.Parameter.VAR_POSITIONAL else others
        return Parameters(self._signature.replace(parameters=rest), self._views)

    def named(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name; of those that take anything only whether they are there counts."""
        try:
            bound = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise InvalidArgsError(
                f"`{name}`: {error}", hint=f"its parameters are {self._signature}"
            ) from None
        views = self._views
        if views is None:
            return bound
        seen: dict[str, Any] = {}
        for key, it in bound.items():
            if key not in views:
                continue
            view = views[key]
            try:
                seen[key] = it if view is None else view(it)
            except UncheckedError:
                continue
        return seen


def parameters_of(
    function: Callable[..., Any],
    schema: Mapping[str, Any] | bool | None,  # noqa: FBT001  # False is a schema that checks nothing
) -> tuple[Parameters | None, dict[str, Any] | None]:
    """What is checked of a call, and by which schema."""
    if schema is False:
        return None, None
    if schema is not None and schema is not True and not isinstance(schema, Mapping):
        given.refuse(
            "schema",
            schema,
            "JSON Schema",
            "give a mapping, None to have it made of the type hints, or False for no schema",
        )
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        if isinstance(schema, dict):
            raise InvalidArgsError(
                f"the parameters of `{function}` cannot be seen, so there is nothing to check",
                hint="leave the schema out, or wrap it in a function",
            ) from None
        return None, None
    if schema is not None and schema is not True:
        return Parameters(signature, None), dict(schema)
    checks = _checks(function, signature)
    if not checks:
        return None, None
    properties = {name: it.schema for name, it in checks.items()}
    views = {name: it.view for name, it in checks.items()}
    return Parameters(signature, views), {"type": "object", "properties": properties}


def _checks(function: Callable[..., Any], signature: inspect.Signature) -> dict[str, Check]:
    """How those parameters are checked whose type hints data can be held against."""
    hints = hints_of(function)
    checks: dict[str, Check] = {}
    for name, parameter in signature.parameters.items():
        if name not in hints:
            continue
        check = check_of(hints[name], f"the parameter `{name}`")
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            check = items_of(check)
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            check = values_of(check)
        if check.schema:
            checks[name] = check
    return checks

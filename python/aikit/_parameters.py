"""The parameters of a function that are held against a schema."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import _given as given
from ._schema import schema_of_parameters
from .errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Callable


class Parameters:
    """The parameters that are held against a schema."""

    __slots__ = ("_checked", "_signature")

    def __init__(self, signature: inspect.Signature, checked: frozenset[str] | None) -> None:
        self._signature = signature
        self._checked = checked

    def bound(self) -> Parameters:
        """Those of a method that was taken from its object."""
        rest = list(self._signature.parameters.values())[1:]
        return Parameters(self._signature.replace(parameters=rest), self._checked)

    def named(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments by name; of those that take anything only whether they are there counts."""
        try:
            bound = self._signature.bind(*args, **kwargs).arguments
        except TypeError as error:
            raise InvalidArgsError(
                f"`{name}`: {error}", hint=f"its parameters are {self._signature}"
            ) from None
        checked = self._checked
        return {key: it for key, it in bound.items() if checked is None or key in checked}


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
    made = schema_of_parameters(function, signature)
    if made is None:
        return None, None
    return Parameters(signature, frozenset(made["properties"])), made

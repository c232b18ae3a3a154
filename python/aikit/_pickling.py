"""Procedures by their names, as functions are pickled."""

from __future__ import annotations

import inspect
import pickle
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .procedures import Procedure


def reduced(procedure: Procedure[Any]) -> tuple[Any, ...]:
    """Returns what pickle wants to know: the name, and what was changed since.

    Raises:
        PicklingError: If nothing of that name is the procedure, or what it was made of.
    """
    names = (procedure.__module__, procedure.__dict__["__qualname__"])
    function = procedure._function  # noqa: SLF001  # one class in two parts
    found = _named(*names)
    if found is procedure:
        return _named, names
    if found is function or getattr(found, "_function", None) is function:
        middleware, settings = procedure._middleware, procedure._settings  # noqa: SLF001
        return _made_again, (type(procedure), names, middleware, settings)
    where = ".".join(names)
    message = f"the procedure `{procedure.name}` is not what `{where}` is; give it a name there"
    raise pickle.PicklingError(message)


def _named(module: str, qualname: str) -> Any:  # noqa: ANN401  # what has that name
    found: Any = sys.modules.get(module) or __import__(module, fromlist=["_"])
    for name in qualname.split("."):
        # As it stands there: a class would give a method.
        found = inspect.getattr_static(found, name, None)
    return found


def _made_again(
    kind: type[Procedure[Any]],
    names: tuple[str, str],
    middleware: tuple[Any, ...],
    settings: dict[str, Any],
) -> Procedure[Any]:
    found = _named(*names)
    function = getattr(found, "_function", found)
    return kind(function, middleware=middleware, _settings=settings)

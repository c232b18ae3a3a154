"""JSON Schema of a Python function, and its arguments back from JSON."""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import re
import types
import typing
from collections import abc
from typing import TYPE_CHECKING, Any

from .errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Callable

_SIMPLE: dict[object, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    Any: {},
    object: {},
    inspect.Parameter.empty: {},
}
USABLE = "use str, int, float, bool, list, dict, Literal, Enum, a dataclass or a pydantic model"
_LISTS = (list, set, tuple, abc.Sequence)
_MAPPINGS = (dict, abc.Mapping)
UNIONS = (typing.Union, getattr(types, "UnionType", typing.Union))


class FunctionSchema:
    """What a model must know to call a function.

    Attributes:
        summary: First paragraph of the docstring.
        schema: JSON Schema of the arguments, an object.
    """

    def __init__(self, function: Callable[..., object]) -> None:
        summary, described = _read_docstring(inspect.getdoc(function) or "")
        name = getattr(function, "__name__", type(function).__name__)
        self.summary = summary or name.replace("_", " ")
        self._hints: dict[str, Any] = {}
        hints = hints_of(function)
        properties: dict[str, Any] = {}
        required: list[str] = []
        for index, parameter in enumerate(inspect.signature(function).parameters.values()):
            is_self = index == 0 and parameter.name == "self" and inspect.isfunction(function)
            if is_self or parameter.kind is inspect.Parameter.VAR_KEYWORD:
                continue
            if parameter.kind in {
                inspect.Parameter.VAR_POSITIONAL,
                inspect.Parameter.POSITIONAL_ONLY,
            }:
                raise InvalidArgsError(
                    f"the parameter `{parameter}` of `{name}` cannot be given by name",
                    hint="a tool's arguments are named: use ordinary or keyword-only parameters",
                )
            hint = hints.get(parameter.name, parameter.annotation)
            schema = _schema_of_parameter(hint, f"the parameter `{parameter.name}` of `{name}`")
            if parameter.name in described:
                schema = {**schema, "description": described[parameter.name]}
            if parameter.default is inspect.Parameter.empty:
                required.append(parameter.name)
            elif isinstance(parameter.default, (str, int, float, bool)):
                schema = {**schema, "default": parameter.default}
            properties[parameter.name] = schema
            self._hints[parameter.name] = hint
        self.schema: dict[str, Any] = {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }

    def arguments(self, args: dict[str, Any]) -> dict[str, Any]:
        """Returns the arguments as the function declares them: dataclasses, enumerations, models.

        Args:
            args: Plain data that fits the schema.
        """
        return {name: _revive(value, self._hints.get(name)) for name, value in args.items()}


def hints_of(function: Callable[..., object]) -> dict[str, Any]:
    """Returns the type hints of a function; one that cannot be read is ``Any``."""
    target: Any = function
    while isinstance(target, functools.partial):
        target = target.func
    target = inspect.unwrap(target)
    if not inspect.isroutine(target):
        target = getattr(target, "__call__", target)  # noqa: B004  # its annotations are wanted
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception:  # noqa: BLE001  # the code of a hint: names that are missing, no type
        written = getattr(target, "__annotations__", {})
        names = getattr(target, "__globals__", {})
        return {name: _hint(hint, names) for name, hint in written.items()}


def _hint(written: Any, names: dict[str, Any]) -> Any:  # noqa: ANN401  # any hint
    """One hint of several, of which one cannot be read."""
    one = type("one", (), {"__annotations__": {"hint": written}})
    try:
        return typing.get_type_hints(one, names, include_extras=True)["hint"]
    except Exception:  # noqa: BLE001  # as a name that only a type checker sees
        return Any


def _schema_of_parameter(hint: Any, place: str) -> dict[str, Any]:  # noqa: ANN401  # any hint
    try:
        return schema_of(hint, place)
    except RecursionError:
        raise InvalidArgsError(
            f"{place} has a type that contains itself, which has no JSON Schema",
            hint="use `dict` for what is inside of itself",
        ) from None
    except NameError as error:
        raise InvalidArgsError(
            f"{place} has a type whose fields cannot be read: {error}",
            hint="define the types of its fields in the module of the class",
        ) from error


def schema_of(hint: Any, place: str) -> dict[str, Any]:  # noqa: ANN401, PLR0911  # any hint
    """Returns the JSON Schema of a type hint.

    Args:
        hint: The type hint.
        place: What is described, for the error.

    Raises:
        InvalidArgsError: If the hint has no schema.
    """
    simple = _simple(hint)
    if simple is not None:
        return dict(simple)
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        described = [it for it in parts[1:] if isinstance(it, str)]
        schema = schema_of(parts[0], place)
        return {**schema, "description": described[0]} if described else schema
    if origin in UNIONS:
        return {"anyOf": [schema_of(part, place) for part in parts]}
    if origin is typing.Literal:
        return {"enum": list(parts)}
    kind = origin or hint
    if kind in _LISTS:
        items = [part for part in parts if part is not Ellipsis]
        one = items[0] if len(set(map(str, items))) == 1 else Any
        return {"type": "array", "items": schema_of(one, place)}
    if kind in _MAPPINGS:
        values = schema_of(parts[1], place) if parts else {}
        return {"type": "object", "additionalProperties": values}
    if isinstance(hint, type):
        return _schema_of_class(hint, place)
    raise InvalidArgsError(
        f"{place} has the type `{hint}`, which has no JSON Schema",
        hint=USABLE,
    )


def _simple(hint: Any) -> dict[str, Any] | None:  # noqa: ANN401  # any hint
    try:
        return _SIMPLE.get(hint)
    except TypeError:  # it has no hash, as `Annotated[int, [1]]`
        return None


def _schema_of_class(hint: type, place: str) -> dict[str, Any]:
    if issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}
    if hasattr(hint, "model_json_schema"):  # pydantic
        return _inlined(hint.model_json_schema())
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint, include_extras=True)
        fields = dataclasses.fields(hint)
        return {
            "type": "object",
            "properties": {it.name: schema_of(hints[it.name], place) for it in fields},
            "required": [it.name for it in fields if _has_no_default(it)],
            "additionalProperties": False,
        }
    if hasattr(hint, "__required_keys__"):  # TypedDict
        hints = typing.get_type_hints(hint)
        return {
            "type": "object",
            "properties": {name: schema_of(it, place) for name, it in hints.items()},
            "required": sorted(hint.__required_keys__),
            "additionalProperties": False,
        }
    raise InvalidArgsError(
        f"{place} has the type `{hint.__name__}`, which has no JSON Schema",
        hint=USABLE,
    )


def _inlined(model: dict[str, Any]) -> dict[str, Any]:
    """The schema of a model, without references, which would point elsewhere inside of another.

    Where a model contains itself, anything may stand.
    """
    definitions: dict[str, Any] = {
        f"#/$defs/{name}": it for name, it in model.pop("$defs", {}).items()
    }

    def read(schema: Any, around: tuple[str, ...]) -> Any:  # noqa: ANN401  # any part
        if isinstance(schema, list):
            return [read(it, around) for it in schema]
        if not isinstance(schema, dict):
            return schema
        name = schema.get("$ref")
        if not isinstance(name, str) or name not in definitions:
            return {key: read(it, around) for key, it in schema.items()}
        beside = {key: it for key, it in schema.items() if key != "$ref"}
        if name in around:
            return beside
        return {**read(definitions[name], (*around, name)), **read(beside, around)}

    schema: dict[str, Any] = read(model, ())
    return schema


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _revive(value: Any, hint: Any) -> Any:  # noqa: ANN401, PLR0911  # any value of any hint
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _revive(value, parts[0])
    if origin in UNIONS:
        fitting = [part for part in parts if part is not type(None)]
        return value if value is None or len(fitting) != 1 else _revive(value, fitting[0])
    if isinstance(value, list):
        items = [_revive(item, parts[0] if parts else None) for item in value]
        return items if origin not in {tuple, set} else origin(items)
    if hint is float and type(value) is int:
        return float(value)
    if isinstance(hint, type) and not origin:
        if issubclass(hint, enum.Enum):
            return hint(value)
        if hasattr(hint, "model_validate"):
            return hint.model_validate(value)
        if dataclasses.is_dataclass(hint) and isinstance(value, dict):
            hints = typing.get_type_hints(hint)
            return hint(**{name: _revive(it, hints.get(name)) for name, it in value.items()})
    return value


_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns?|Raises|Yields?|Examples?|Notes?):\s*$")
_ENTRY = re.compile(r"^(\*{0,2}\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Returns the first paragraph and the descriptions of the arguments, Google style."""
    summary: list[str] = []
    described: dict[str, str] = {}
    section, name, indent = "", "", 0
    for line in text.splitlines():
        stripped = line.strip()
        if match := _SECTION.match(line):
            section = match[1]
            continue
        if not section:
            summary.append(stripped)
            continue
        if not section.startswith(("Arg", "Param")) or not stripped:
            continue
        depth = len(line) - len(line.lstrip())
        entry = _ENTRY.match(stripped)
        if entry and (not indent or depth <= indent):
            name, indent = entry[1], depth
            described[name] = entry[2]
        elif name:
            described[name] = f"{described[name]} {stripped}".strip()
    paragraph = "\n".join(summary).strip().split("\n\n")[0]
    return " ".join(paragraph.split()), described

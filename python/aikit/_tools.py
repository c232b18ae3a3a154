"""What a tool is in Python; `aikit.tools` adds a function for each built-in one."""

from __future__ import annotations

import builtins
import functools
import inspect
from typing import TYPE_CHECKING, Any, overload

from . import _aikit
from . import _given as given
from ._callbacks import is_async
from .errors import InvalidArgsError
from .records import Record, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeAlias, TypeVar

    _AnyFunction = Callable[..., Any]
    _Item = TypeVar("_Item")
    # What an agent or a model takes as a tool: a tool, a function, or the name of a built-in tool
    # or of a group of them.
    _AnyTool: TypeAlias = "Tool | Callable[..., object] | str"


class ToolInfo(Record):
    """What is known about a tool.

    Attributes:
        name: Its name.
        summary: What it does.
        permissions: What it touches: ``file_read``, ``network``, …
        input_schema: JSON Schema of its arguments.
        output_schema: JSON Schema of its result, where it is known.
        timeout_s: Longest time for one call in seconds, if it has its own.
        origin: ``built-in``, ``python``, ``lua`` or ``agent``.
    """

    name: str
    summary: str
    permissions: builtins.list[str]
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None
    timeout_s: float | None
    origin: str


class ToolList(builtins.list[ToolInfo]):
    """Tools, shown as a table in notebooks."""

    def _repr_html_(self) -> str:
        return table(self, ["name", "summary", "permissions"])


class ToolOutput(Record):
    """Result of a tool: its fields as attributes."""


class Tool:
    """A tool: a named function with a schema, called under the rules of the session.

    Calling the tool with keyword arguments runs it; a tool made of a Python function is called
    like that function, without the rules.
    """

    def __init__(self, native: _aikit.Tool, function: _AnyFunction | None = None) -> None:
        self.native = native
        self._function = function
        self.info = ToolInfo(native.info())
        self.name: str = self.info.name
        self.__name__ = self.name
        self.__doc__ = self.info.summary
        if function is not None:
            functools.update_wrapper(self, function)

    def invoke(self, args: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401  # the tool's
        """Runs the tool: checks the arguments, asks the policy, keeps the time limit.

        Args:
            args: Arguments by name.

        Raises:
            InvalidArgsError: If the arguments do not fit the schema.
            DeniedError: If the policy forbids it.
            ToolError: If the tool fails.
        """
        return self._wrap(self.native.invoke(given.optional_mapping("args", args) or {}))

    async def ainvoke(self, args: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
        """Is ``invoke`` for async code; cancelling it ends the tool."""
        arguments = given.optional_mapping("args", args) or {}
        return self._wrap(await self.native.ainvoke(arguments))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # the tool's own
        if self._function is not None:
            return self._function(*args, **kwargs)
        if args:
            raise TypeError(f"{self.name}() takes keyword arguments only")
        return self.invoke(kwargs)

    def __get__(self, instance: object, owner: type | None = None) -> Tool:
        """Binds a tool made of a method in a class body, as the method would be."""
        if instance is None or self._function is None:
            return self
        return _make(self._function.__get__(instance, owner), self._options)

    _options: Mapping[str, Any] = {}

    def _wrap(self, value: Any) -> Any:  # noqa: ANN401  # the tool's own
        if self.info.origin != "built-in" or not isinstance(value, dict):
            return value
        return output_class(self.name)(value)

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"


@overload
def tool(function: _AnyFunction, /) -> Tool: ...
@overload
def tool(
    function: None = None,
    /,
    *,
    name: str | None = None,
    summary: str | None = None,
    timeout_s: float | None = None,
) -> Callable[[_AnyFunction], Tool]: ...
def tool(
    function: _AnyFunction | None = None,
    /,
    *,
    name: str | None = None,
    summary: str | None = None,
    timeout_s: float | None = None,
) -> Tool | Callable[[_AnyFunction], Tool]:
    """Makes a tool of a function or a method, sync or async.

    The schema comes from the type hints, the descriptions from the docstring (Google style).

    Args:
        function: The function; without it the call gives a decorator.
        name: Name of the tool; the function's when None.
        summary: What it does; the docstring's first paragraph when None.
        timeout_s: Longest time for one call in seconds.

    Raises:
        InvalidArgsError: If a parameter cannot be described by a JSON Schema.
    """
    options = {"name": name, "summary": summary, "timeout_s": timeout_s}
    if function is None:
        return functools.partial(_make, options=options)
    return _make(function, options)


def _make(function: _AnyFunction, options: Mapping[str, Any]) -> Tool:
    from ._schema import FunctionSchema  # noqa: PLC0415  # imports `inspect` and `typing` whole

    schema = FunctionSchema(function)
    name = options["name"] or getattr(function, "__name__", type(function).__name__)

    def call(args: dict[str, Any]) -> Any:  # noqa: ANN401  # the function's own
        return function(**schema.arguments(args))  # an awaitable is awaited

    async def acall(args: dict[str, Any]) -> Any:  # noqa: ANN401  # the function's own
        return await function(**schema.arguments(args))

    adapter = acall if is_async(function) else call
    adapter.__name__ = name
    described = {
        "name": name,
        "summary": options["summary"] or schema.summary,
        "schema": schema.schema,
        "timeout_s": options["timeout_s"],
    }
    native = _aikit.Tool.from_function(described, adapter)
    made = Tool(native, function)
    made._options = options  # noqa: SLF001  # for `__get__`
    return made


def listed(name: str, values: Iterable[_Item]) -> builtins.list[_Item]:
    """Returns the list that the argument ``name`` is; a lone text is none.

    Raises:
        InvalidArgsError: If it is a text, whose letters would be the items otherwise.
    """
    if isinstance(values, (str, bytes)):
        raise InvalidArgsError(
            f"`{name}` is the text `{values!s:.40}`, not a list", hint=f"write [{values!r:.40}]"
        )
    return builtins.list(values)


def natives_of(tools: Iterable[_AnyTool]) -> builtins.list[_aikit.Tool]:
    """Returns the tools that ``tools`` means, groups taken apart.

    A tool that is named by itself and with its group counts once.
    """
    natives: builtins.list[_aikit.Tool] = []
    named: set[str] = set()
    for item in listed("tools", tools):
        if isinstance(item, str):
            found = [it for it in _aikit.find_tools([item]) if it.info()["name"] not in named]
            named.update(it.info()["name"] for it in found)
            natives += found
        else:
            natives.append((item if isinstance(item, Tool) else tool(item)).native)
    return natives


def list() -> ToolList:  # noqa: A001  # the name of the script API
    """Returns what is known about every tool of the session."""
    return ToolList(ToolInfo(it.info()) for it in _aikit.find_tools(None))


def get(name: str) -> Tool:
    """Returns the tool ``name``.

    Raises:
        NotFoundError: If there is none; the hint has the nearest names.
    """
    return Tool(_aikit.find_tool(given.text("name", name)))


def invoke(name: str, args: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401  # the tool's
    """Runs the tool ``name``, see ``Tool.invoke``."""
    return get(name).invoke(args)


async def ainvoke(name: str, args: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
    """Is ``invoke`` for async code."""
    return await get(name).ainvoke(args)


def output_class_name(name: str) -> str:
    """Returns the name of the class of a built-in tool's result."""
    return "".join(word.capitalize() for word in name.split("_")) + "Output"


_output_classes: dict[str, type[ToolOutput]] = {}


def output_class(name: str) -> type[ToolOutput]:
    """Returns the class of the result of the built-in tool ``name``."""
    if name not in _output_classes:
        namespace = {"__module__": "aikit.tools"}
        _output_classes[name] = type(output_class_name(name), (ToolOutput,), namespace)
    return _output_classes[name]


def function_of(tool_: Tool) -> _AnyFunction:
    """Makes a real function of a built-in tool: signature and docstring follow from its schema."""
    schema = tool_.info.input_schema
    required = schema.get("required", [])

    def call(**args: Any) -> Any:  # noqa: ANN401  # the tool's own
        return tool_.invoke({name: value for name, value in args.items() if value is not None})

    properties: dict[str, dict[str, Any]] = schema.get("properties", {})
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if name in required else None,
        )
        for name in sorted(properties, key=lambda it: it not in required)
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__name__ = call.__qualname__ = tool_.name
    lines = [tool_.info.summary, "", "Args:"]
    for name, it in properties.items():
        described = " ".join(str(it.get("description", "")).split())
        default = f" Default: {it['default']!r}." if "default" in it else ""
        lines.append(f"    {name}: {described}{default}")
    call.__doc__ = "\n".join(lines if properties else lines[:1])
    return call

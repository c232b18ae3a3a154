"""Tools: the built-in ones as functions, and functions of your own as tools.

Every built-in tool is a function of this module: ``aikit.tools.calculate(expression="2 + 2")``.
Their types stand in ``tools.pyi``, which follows from their schemas (`make generate`).
"""

from __future__ import annotations

from typing import Any

from . import _aikit
from ._tools import (
    Tool,
    ToolInfo,
    ToolList,
    ToolOutput,
    ainvoke,
    function_of,
    get,
    invoke,
    list,  # noqa: A004  # the name of the script API
    output_class,
    output_class_name,
    tool,
)

__all__ = ["Tool", "ToolInfo", "ToolList", "ToolOutput", "ainvoke", "get", "invoke", "list", "tool"]


def __getattr__(name: str) -> Any:  # noqa: ANN401  # a function, or the class of its result
    if name.startswith("_"):
        raise AttributeError(name)
    found = {it.info()["name"]: it for it in _aikit.find_tools(None)}
    for tool_name, native in found.items():
        if name == tool_name:
            value = globals()[name] = function_of(Tool(native))
            return value
        if name == output_class_name(tool_name):
            return output_class(tool_name)
    raise AttributeError(f"no tool named {name!r}; tools: {', '.join(sorted(found))}")


def __dir__() -> list[str]:  # type: ignore[type-arg]  # the function `list` hides the class
    return sorted({*globals(), *(it.info()["name"] for it in _aikit.find_tools(None))})

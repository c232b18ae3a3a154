"""Tools, agents and retrieval with a Rust core, and a Jupyter kernel that speaks Lua.

Everything is imported on first use, so that `import aikit` costs next to nothing.
"""

from __future__ import annotations

# As `typing.TYPE_CHECKING`, without the import: that costs a starting kernel a third of its time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import errors, kernelspec, testing, tools
    from .agents import Agent, AgentRun, Limits
    from .artifacts import Artifact, Artifacts
    from .errors import AikitError
    from .handles import Event, Handle
    from .kernelspec import install as install_kernel
    from .models import Model, OpenAI
    from .rag import RAG, Hit
    from .sessions import Session
    from .state import State
    from .tools import Tool, tool
    from .vectors import VectorIndex

__all__ = [
    "RAG",
    "Agent",
    "AgentRun",
    "AikitError",
    "Artifact",
    "Artifacts",
    "Event",
    "Handle",
    "Hit",
    "Limits",
    "Model",
    "OpenAI",
    "Session",
    "State",
    "Tool",
    "VectorIndex",
    "errors",
    "install_kernel",
    "kernelspec",
    "testing",
    "tool",
    "tools",
]

# Where each name lives: (module, name there); an empty name is the module itself.
_HOMES = {
    "Agent": ("agents", "Agent"),
    "AgentRun": ("agents", "AgentRun"),
    "AikitError": ("errors", "AikitError"),
    "Artifact": ("artifacts", "Artifact"),
    "Artifacts": ("artifacts", "Artifacts"),
    "Event": ("handles", "Event"),
    "Handle": ("handles", "Handle"),
    "Hit": ("rag", "Hit"),
    "Limits": ("agents", "Limits"),
    "Model": ("models", "Model"),
    "OpenAI": ("models", "OpenAI"),
    "RAG": ("rag", "RAG"),
    "Session": ("sessions", "Session"),
    "State": ("state", "State"),
    "Tool": ("tools", "Tool"),
    "VectorIndex": ("vectors", "VectorIndex"),
    "errors": ("errors", ""),
    "install_kernel": ("kernelspec", "install"),
    "kernelspec": ("kernelspec", ""),
    "testing": ("testing", ""),
    "tool": ("tools", "tool"),
    "tools": ("tools", ""),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # whatever the name stands for
    home = _HOMES.get(name)
    if home is None and name != "__version__":
        raise AttributeError(f"module 'aikit' has no attribute {name!r}")
    import importlib  # noqa: PLC0415  # a starting kernel does not come here

    if home is None:
        return importlib.import_module("importlib.metadata").version("aikit")
    module = importlib.import_module(f".{home[0]}", __name__)
    value = getattr(module, home[1]) if home[1] else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

"""Tools, agents and retrieval with a Rust core, and a Jupyter kernel that speaks Lua.

Everything is imported on first use, so that `import aikit` costs next to nothing.
"""

from __future__ import annotations

# Every interpreter has loaded them.
import _thread
import os
import sys

# As `typing.TYPE_CHECKING`, without the import: that costs a starting kernel a third of its time.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from . import channels, errors, events, hooks, kernelspec, streams, telemetry, testing, tools
    from .agents import Agent, AgentRun, Approval, Limits
    from .answers import Answer
    from .artifacts import Artifact, Artifacts
    from .channels import Channel, ChannelEvent
    from .contexts import Context
    from .errors import AikitError
    from .handles import Event, Handle
    from .hits import Hit
    from .hooks import hook
    from .kernelspec import install as install_kernel
    from .middleware import GuardError, guard, pipeline
    from .models import Model
    from .pipes import pipe
    from .plots import Plot, plot
    from .procedures import Procedure, procedure, procedure_factory
    from .providers import (
        XAI,
        ZAI,
        Anthropic,
        Azure,
        Cohere,
        DeepSeek,
        Doubleword,
        Gemini,
        Groq,
        HuggingFace,
        Hyperbolic,
        LlamaCpp,
        MiniMax,
        Mira,
        Mistral,
        Moonshot,
        Ollama,
        OpenAI,
        OpenRouter,
        Perplexity,
        Together,
        Venice,
        VoyageAI,
        XiaomiMiMo,
    )
    from .rag import RAG
    from .sessions import Session
    from .state import State
    from .tools import Tool, tool
    from .tracking import track
    from .vectors import VectorIndex

__all__ = [
    "RAG",
    "XAI",
    "ZAI",
    "Agent",
    "AgentRun",
    "AikitError",
    "Answer",
    "Anthropic",
    "Approval",
    "Artifact",
    "Artifacts",
    "Azure",
    "Channel",
    "ChannelEvent",
    "Cohere",
    "Context",
    "DeepSeek",
    "Doubleword",
    "Event",
    "Gemini",
    "Groq",
    "GuardError",
    "Handle",
    "Hit",
    "HuggingFace",
    "Hyperbolic",
    "Limits",
    "LlamaCpp",
    "MiniMax",
    "Mira",
    "Mistral",
    "Model",
    "Moonshot",
    "Ollama",
    "OpenAI",
    "OpenRouter",
    "Perplexity",
    "Plot",
    "Procedure",
    "Session",
    "State",
    "Together",
    "Tool",
    "VectorIndex",
    "Venice",
    "VoyageAI",
    "XiaomiMiMo",
    "channels",
    "errors",
    "events",
    "guard",
    "hook",
    "hooks",
    "install_kernel",
    "kernelspec",
    "pipe",
    "pipeline",
    "plot",
    "procedure",
    "procedure_factory",
    "streams",
    "telemetry",
    "testing",
    "tool",
    "tools",
    "track",
]

# Where each name lives: (module, name there); an empty name is the module itself.
_HOMES = {
    "Agent": ("agents", "Agent"),
    "AgentRun": ("agents", "AgentRun"),
    "AikitError": ("errors", "AikitError"),
    "Approval": ("agents", "Approval"),
    "Artifact": ("artifacts", "Artifact"),
    "Artifacts": ("artifacts", "Artifacts"),
    "Anthropic": ("providers", "Anthropic"),
    "Azure": ("providers", "Azure"),
    "Channel": ("channels", "Channel"),
    "ChannelEvent": ("channels", "ChannelEvent"),
    "Cohere": ("providers", "Cohere"),
    "Context": ("contexts", "Context"),
    "DeepSeek": ("providers", "DeepSeek"),
    "Doubleword": ("providers", "Doubleword"),
    "Answer": ("answers", "Answer"),
    "Event": ("handles", "Event"),
    "Gemini": ("providers", "Gemini"),
    "Groq": ("providers", "Groq"),
    "GuardError": ("middleware", "GuardError"),
    "Handle": ("handles", "Handle"),
    "Hit": ("hits", "Hit"),
    "HuggingFace": ("providers", "HuggingFace"),
    "Hyperbolic": ("providers", "Hyperbolic"),
    "Limits": ("agents", "Limits"),
    "LlamaCpp": ("providers", "LlamaCpp"),
    "MiniMax": ("providers", "MiniMax"),
    "Mira": ("providers", "Mira"),
    "Mistral": ("providers", "Mistral"),
    "Model": ("models", "Model"),
    "Moonshot": ("providers", "Moonshot"),
    "Ollama": ("providers", "Ollama"),
    "OpenAI": ("providers", "OpenAI"),
    "OpenRouter": ("providers", "OpenRouter"),
    "Perplexity": ("providers", "Perplexity"),
    "Plot": ("plots", "Plot"),
    "Procedure": ("procedures", "Procedure"),
    "RAG": ("rag", "RAG"),
    "Session": ("sessions", "Session"),
    "State": ("state", "State"),
    "Together": ("providers", "Together"),
    "Tool": ("tools", "Tool"),
    "VectorIndex": ("vectors", "VectorIndex"),
    "Venice": ("providers", "Venice"),
    "VoyageAI": ("providers", "VoyageAI"),
    "XAI": ("providers", "XAI"),
    "XiaomiMiMo": ("providers", "XiaomiMiMo"),
    "ZAI": ("providers", "ZAI"),
    "channels": ("channels", ""),
    "errors": ("errors", ""),
    "guard": ("middleware", "guard"),
    "hook": ("hooks", "hook"),
    "hooks": ("hooks", ""),
    "install_kernel": ("kernelspec", "install"),
    "kernelspec": ("kernelspec", ""),
    "pipe": ("pipes", "pipe"),
    "pipeline": ("middleware", "pipeline"),
    "plot": ("plots", "plot"),
    "procedure": ("procedures", "procedure"),
    "procedure_factory": ("procedures", "procedure_factory"),
    "events": ("events", ""),
    "streams": ("streams", ""),
    "telemetry": ("telemetry", ""),
    "testing": ("testing", ""),
    "tool": ("tools", "tool"),
    "tools": ("tools", ""),
    "track": ("tracking", "track"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # whatever the name stands for
    home = _HOMES.get(name)
    if home is None and name != "__version__":
        raise AttributeError(f"module 'aikit' has no attribute {name!r}")
    with _importing:
        import importlib  # noqa: PLC0415  # a starting kernel does not come here

        _get_ahead_of_logging()
        if home is None:
            return importlib.import_module("importlib.metadata").version("aikit")
        module = importlib.import_module(f".{home[0]}", __name__)
        value = getattr(module, home[1]) if home[1] else module
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


# Forks ------------------------------------------------------------------------------------------

# Held while something is imported on first use, and by a fork: the child would wait for ever for a
# module that a thread was importing which it does not have.
_importing = _thread.RLock()

# How long a fork waits for that.
_FORK_TIME_MAX_S = 10.0

# By thread: how many calls of `_before_fork` wait for their end.
_forking: dict[int, int] = {}

_is_ahead_of_logging = False


def _core() -> Any:  # noqa: ANN401  # a module, once it is loaded
    return sys.modules.get("aikit._aikit")


def _before_fork() -> None:
    here = _thread.get_ident()
    depth = _forking.get(here, 0)
    _forking[here] = depth + 1
    if depth:
        return
    _importing.acquire(timeout=_FORK_TIME_MAX_S)
    if core := _core():
        core.begin_fork()


def _after_fork_in_parent() -> None:
    here = _thread.get_ident()
    depth = _forking.pop(here, 0)
    if depth > 1:
        _forking[here] = depth - 1
    if depth != 1:
        return
    if core := _core():
        core.end_fork()
    if _importing._is_owned():  # type: ignore[attr-defined]  # noqa: SLF001  # not after a vain wait
        _importing.release()


def _after_fork_in_child() -> None:
    global _importing  # noqa: PLW0603  # a thread of the parent may have it
    _importing = _thread.RLock()
    _forking.clear()
    if core := _core():
        core.forget_parent()


def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_before_fork,
            after_in_parent=_after_fork_in_parent,
            after_in_child=_after_fork_in_child,
        )


def _get_ahead_of_logging() -> None:
    """Has forks wait for us before they take the lock of `logging`, which we may wait for.

    What is registered last is called first, so that is done once more when `logging` is there.
    """
    global _is_ahead_of_logging  # noqa: PLW0603  # once
    if not _is_ahead_of_logging:
        import logging  # noqa: F401, PLC0415  # the first call of anything needs it

        _is_ahead_of_logging = True
        _watch_forks()


_watch_forks()

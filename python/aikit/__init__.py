"""Tools, agents and retrieval with a Rust core, and a Jupyter kernel that speaks Lua.

Everything is imported on first use, so that `import aikit` costs next to nothing.
"""

from __future__ import annotations

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
    import importlib  # noqa: PLC0415  # a starting kernel does not come here

    if home is None:
        return importlib.import_module("importlib.metadata").version("aikit")
    module = importlib.import_module(f".{home[0]}", __name__)
    value = getattr(module, home[1]) if home[1] else module
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

"""Agents: a model with instructions, tools and limits, run until it answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from . import _aikit
from ._callbacks import is_async
from ._tools import Tool, natives_of
from .errors import InvalidArgsError
from .handles import Handle, Usage
from .models import Model
from .records import Record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import TypeAlias

    from ._tools import _AnyTool
    from .sessions import Session

    # What knows the executions of a run.
    _Executions: TypeAlias = "_aikit.ProcedureNode | _aikit.Handle"
    _Verdict: TypeAlias = "bool | str"
    _Approve: TypeAlias = "Callable[[Approval], _Verdict | Awaitable[_Verdict]]"


@dataclass(frozen=True)
class Limits:
    """Bounds of one run.

    Attributes:
        requests: Most requests to the model, at least 1.
        tool_calls: Most tool calls.
        seconds: Longest time in seconds; None for no limit.

    Raises:
        InvalidArgsError: If one of them is out of range.
    """

    requests: int = 10
    tool_calls: int = 20
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("requests", 1), ("tool_calls", 0), ("seconds", 0)):
            value = getattr(self, name)
            if value is None and name == "seconds":
                continue
            is_number = isinstance(value, (int, float) if name == "seconds" else int)
            # Not `value < least`: that is false for a NaN.
            if not is_number or isinstance(value, bool) or not value >= least:
                kind = "number" if name == "seconds" else "whole number"
                raise InvalidArgsError(
                    f"`{name}` is `{value!r}`", hint=f"give a {kind} from {least}"
                )


class Approval(Record):
    """An action of an agent that waits for an approval.

    Attributes:
        tool: The tool that would act; None where no tool does.
        args: Its arguments.
        action: What exactly would happen, as one sentence.
        detail: What else there is to see, such as the difference of an edit.
        always: What the answer ``always`` would allow; None where each action is asked.
        digest: BLAKE3 of tool and arguments; the approval counts for no other call.
    """

    tool: str | None
    args: dict[str, Any] | None
    action: str
    detail: str
    always: str | None
    digest: str | None


class ToolUse(Record):
    """A tool call of a model and its answer.

    Attributes:
        id: Identity within the conversation.
        name: Name of the tool.
        arguments: Arguments as the model wrote them.
        result: What the tool answered, or the error as data.
        is_error: Whether the result is an error.
    """

    id: str
    name: str
    arguments: Any
    result: Any
    is_error: bool


class Step(Record):
    """One iteration of a run: an answer of the model and the tools it asked for.

    Attributes:
        text: What the model said.
        tool_calls: The tools it asked for and what they answered.
        usage: What the request consumed.
    """

    text: str
    tool_calls: list[ToolUse]
    usage: Usage

    _records: ClassVar[Mapping[str, type[Record]]] = {"tool_calls": ToolUse, "usage": Usage}


class AgentRun(Record):
    """One execution of an agent.

    Attributes:
        agent: Name of the agent.
        output: The last text of the model.
        messages: The whole conversation; pass it as ``history`` to go on.
        usage: What the run consumed.
        steps: The iterations, oldest first.
        finish_reason: Why the model stopped.
    """

    agent: str
    output: str
    messages: list[dict[str, Any]]
    usage: Usage
    steps: list[Step]
    finish_reason: str | None

    _records: ClassVar[Mapping[str, type[Record]]] = {"usage": Usage, "steps": Step}

    # Beside the fields: it is no part of what the run answered.
    __slots__ = ("_executions",)

    def __init__(self, fields: Mapping[str, Any], executions: _Executions | None = None) -> None:
        super().__init__(fields)
        object.__setattr__(self, "_executions", executions)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__  # the executions belong to this process

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        object.__setattr__(self, "_executions", None)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any] | None:
        executions: _Executions | None = self._executions
        if executions is None:
            return None  # the fields are shown
        bundle: dict[str, Any] = _aikit.run_bundle(self.output, executions.tree())
        return bundle


def _decider(approve: _Approve | None) -> Callable[[dict[str, Any]], Any] | None:
    """Returns what the binding calls: a function of a mapping."""
    if approve is None:
        return None
    if not callable(approve):
        raise InvalidArgsError(f"`approve` is `{approve!r:.40}`", hint="pass a function")

    def decide(data: dict[str, Any]) -> Any:  # noqa: ANN401  # checked by the binding
        return approve(Approval(data))

    async def adecide(data: dict[str, Any]) -> Any:  # noqa: ANN401  # checked by the binding
        return await cast("Awaitable[_Verdict]", approve(Approval(data)))

    function = adecide if is_async(approve) else decide
    # Errors call it what the user calls it.
    name = getattr(approve, "__name__", "approve")
    function.__name__ = name if name.isidentifier() else "approve"
    return function


class Agent:
    """A model with instructions, tools and limits.

    Args:
        model: A model, or its name such as ``openai:gpt-5-mini``; None for the configured one.
        instructions: What the model is told before the conversation.
        tools: Functions, tools, agents' tools, or names of built-in tools and groups.
        limits: Bounds of each run.
        approve: Decides instead of the user what needs an approval: gets an `Approval`, gives
            True, False, ``yes``, ``no`` or ``always`` (a ``yes``: it is asked each time); sync or
            async. When None, the user is asked in the terminal or the notebook.
        name: Name in events and messages: letters, digits, ``_`` and ``-``.

    Raises:
        InvalidArgsError: If two tools have one name or the limits allow nothing.
    """

    def __init__(  # noqa: PLR0913  # keyword arguments, named as in Lua
        self,
        model: Model | str | None = None,
        *,
        instructions: str = "",
        tools: Sequence[_AnyTool] = (),
        limits: Limits | None = None,
        approve: _Approve | None = None,
        name: str = "agent",
    ) -> None:
        model = model if isinstance(model, Model) else Model(model)
        bounds = asdict(limits or Limits())
        natives = natives_of(tools)
        self._native = _aikit.Agent(
            name,
            model._native,  # noqa: SLF001
            instructions,
            natives,
            bounds,
            _decider(approve),
        )
        self.name = name

    def run(
        self,
        prompt: str,
        *,
        history: Sequence[Mapping[str, Any]] = (),
        session: Session | None = None,
    ) -> AgentRun:
        """Runs until the model answers without asking for tools.

        Args:
            prompt: What the user says.
            history: The conversation so far, such as ``messages`` of an earlier run.
            session: The session whose conversation is continued, in place of a history.

        Raises:
            LimitExceededError: If a limit is reached; its ``run`` has what was done until then.
            ModelError: If the model fails.
        """
        return AgentRun(*self._native.run(prompt, list(history), _native(session)))

    async def arun(
        self,
        prompt: str,
        *,
        history: Sequence[Mapping[str, Any]] = (),
        session: Session | None = None,
    ) -> AgentRun:
        """Is ``run`` for async code; cancelling it ends the run and its tools."""
        return AgentRun(*await self._native.arun(prompt, list(history), _native(session)))

    def start(
        self,
        prompt: str,
        *,
        history: Sequence[Mapping[str, Any]] = (),
        session: Session | None = None,
    ) -> Handle[AgentRun]:
        """Starts a run and returns its handle at once."""
        native = self._native.start(prompt, list(history), _native(session))
        return Handle(native, lambda fields: AgentRun(fields, native))

    def stream(
        self,
        prompt: str,
        *,
        history: Sequence[Mapping[str, Any]] = (),
        session: Session | None = None,
    ) -> Handle[AgentRun]:
        """Is ``start`` under the name that fits ``for event in agent.stream(…)``."""
        return self.start(prompt, history=history, session=session)

    def as_tool(self, summary: str) -> Tool:
        """Returns this agent as a tool of another one: it takes a ``prompt``.

        Args:
            summary: What the agent does; the other model chooses by it.
        """
        return Tool(self._native.as_tool(summary))

    def __repr__(self) -> str:
        return f"Agent({self.name!r})"


def _native(session: Session | None) -> _aikit.Session | None:
    return None if session is None else session._native  # noqa: SLF001  # our own

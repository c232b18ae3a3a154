"""Language models without an agent: answers, streams, embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from . import _aikit
from ._tools import listed, natives_of
from .handles import Usage
from .records import Record

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ._tools import _AnyTool

    # A prompt, or a conversation of messages with `role` and `content`.
    _Conversation = str | Sequence[Mapping[str, Any]]


class ModelResponse(Record):
    """A model's answer.

    Attributes:
        text: What it said.
        reasoning: What it showed of its reasoning.
        tool_calls: The tools it asks for: ``id``, ``name`` and ``arguments`` each.
        message: The whole message: ``role`` and ``parts``, tool calls among them.
        usage: What the call consumed.
        finish_reason: Why the model stopped: ``stop``, ``length``, ``tool_calls``, …
        model: The model that answered, in the provider's word.
    """

    text: str
    reasoning: str
    tool_calls: list[dict[str, Any]]
    message: dict[str, Any]
    usage: Usage
    finish_reason: str
    model: str

    _records: ClassVar[Mapping[str, type[Record]]] = {"usage": Usage}


class ModelEvent(Record):
    """A piece of an answer while it arrives.

    Attributes:
        kind: ``text``, ``reasoning``, or ``done`` for the last one.
        text: The piece; empty when done, because the pieces have said everything.
        response: The whole answer, with ``done`` only.
    """

    kind: str
    text: str
    response: ModelResponse | None

    _records: ClassVar[Mapping[str, type[Record]]] = {"response": ModelResponse}


class ModelStream:
    """An answer piece by piece, for ``for`` or ``async for``; leaving it ends the call."""

    def __init__(self, native: _aikit.ModelStream) -> None:
        self._native = native

    def __iter__(self) -> Iterator[ModelEvent]:
        while (event := self._native.next()) is not None:
            yield ModelEvent({"response": None, **event})

    async def __aiter__(self) -> AsyncIterator[ModelEvent]:
        while (event := await self._native.anext()) is not None:
            yield ModelEvent({"response": None, **event})


class Model:
    """A language model by name.

    Args:
        name: ``provider:model`` such as ``openai:gpt-5-mini``; None for the configured one.
        base_url: Address of the provider's API; without a provider in ``name``, of an
            OpenAI-compatible server.
        api_key: Key; without it the provider's environment variable is read, then
            ``models.keys`` of aikit.toml.
        options: Options of one provider: ``api`` (``chat`` or ``responses``), ``api_version``
            of Azure, ``answers`` of a scripted model; ``params``, what is sent with each request
            as it is, by the provider's own names.

    Raises:
        NotFoundError: If the provider is unknown.
        UnavailableError: If a key or an address is missing.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        **options: Any,  # noqa: ANN401  # each provider has its own
    ) -> None:
        self._native = _aikit.Model(name, base_url, api_key, options)

    @property
    def name(self) -> str:
        """Full name, ``provider:model``."""
        return self._native.name()

    @staticmethod
    def list() -> list[dict[str, Any]]:
        """Returns the providers: what is usable here and what each lacks.

        Servers of this machine are looked for, half a second at most; nobody else is asked.

        Returns:
            Records with ``name``, ``summary``, ``usable``, ``lacks``, ``chat``, ``embeddings``;
            those of servers that do not answer also with ``error``, ``kind`` and ``hint``.
        """
        return _aikit.list_models()

    @staticmethod
    def check(provider: str | None = None) -> builtins.list[dict[str, Any]]:
        """As ``list``, but all servers of your own are asked for the models they have.

        Args:
            provider: The only one to look at, such as ``ollama``.

        Returns:
            The records of ``list``; those of servers also with ``models``, or ``error``, ``kind``
            (``auth`` when the key was refused) and ``hint``.

        Raises:
            NotFoundError: If the provider is unknown.
        """
        return _aikit.check_models(provider)

    def complete(
        self,
        prompt: _Conversation,
        *,
        instructions: str = "",
        tools: Sequence[_AnyTool] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> ModelResponse:
        """Asks for one whole answer.

        Args:
            prompt: A text, or messages with ``role`` and ``content``, oldest first.
            instructions: What the model is told before the conversation.
            tools: What the model may ask for: functions, tools, names of built-in tools and
                groups. They are not called: the answer has the ``tool_calls``.
            temperature: Randomness, 0 to 2; the provider's default when None.
            max_tokens: Longest answer in tokens; the provider's default when None.

        Raises:
            InvalidArgsError: If a number is out of range or the prompt is no conversation.
            ModelError: If the provider fails; its subclasses say how.
        """
        asked = _asked(prompt, instructions, temperature, max_tokens)
        return ModelResponse(self._native.complete(asked, natives_of(tools)))

    async def acomplete(
        self,
        prompt: _Conversation,
        *,
        instructions: str = "",
        tools: Sequence[_AnyTool] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> ModelResponse:
        """Is ``complete`` for async code; cancelling it drops the request."""
        asked = _asked(prompt, instructions, temperature, max_tokens)
        return ModelResponse(await self._native.acomplete(asked, natives_of(tools)))

    def stream(
        self,
        prompt: _Conversation,
        *,
        instructions: str = "",
        tools: Sequence[_AnyTool] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> ModelStream:
        """Asks for an answer piece by piece, for ``for`` or ``async for``."""
        asked = _asked(prompt, instructions, temperature, max_tokens)
        return ModelStream(self._native.stream(asked, natives_of(tools)))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embeds each text.

        Returns:
            Embeddings in the order of the texts, shape (n, dim).
        """
        embeddings: NDArray[np.float32] = self._native.embed(listed("texts", texts))
        return embeddings

    async def aembed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Is ``embed`` for async code."""
        embeddings: NDArray[np.float32] = await self._native.aembed(listed("texts", texts))
        return embeddings

    def __repr__(self) -> str:
        return f"Model({self.name!r})"


def _asked(
    prompt: _Conversation, instructions: str, temperature: float | None, max_tokens: int | None
) -> dict[str, Any]:
    return {
        "prompt": prompt,
        "instructions": instructions,
        "temperature": temperature,
        "max_tokens": max_tokens,
    }


def list_models() -> list[dict[str, Any]]:
    """Returns the providers: what is usable here and what each lacks."""
    return _aikit.list_models()

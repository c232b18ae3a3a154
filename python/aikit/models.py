"""Language models without an agent: answers, streams, embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from . import _aikit
from ._address import without_secrets
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


class _Client:
    """A provider of models at one address, with one key.

    Args:
        base_url: Address of its API; the provider's own when None.
        api_key: Key; without it the provider's environment variable is read. The owner's key goes
            to the owner's address only: with ``base_url``, give the key that belongs to it.
        options: Options of each of its models, such as ``params``.
    """

    _provider: ClassVar[str]

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        **options: Any,  # noqa: ANN401  # each provider has its own
    ) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._options = options

    def model(self, name: str) -> Model:
        """Returns the model ``name`` of this provider."""
        full = f"{self._provider}:{name}"
        return Model(full, base_url=self._base_url, api_key=self._api_key, **self._options)

    def __repr__(self) -> str:
        shown = None if self._base_url is None else without_secrets(self._base_url)
        return f"{type(self).__name__}(base_url={shown!r})"


class OpenAI(_Client):
    """OpenAI, or any server that speaks its protocol.

    Args:
        base_url: Address of the server; OpenAI's own when None.
        api_key: Key; without it ``OPENAI_API_KEY`` is read.
        api: ``chat`` for chat completions, ``responses`` for the responses API.
        options: Options of each of its models, such as ``params``.
    """

    _provider = "openai"

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        api: str = "chat",
        **options: Any,  # noqa: ANN401  # as of every provider
    ) -> None:
        super().__init__(base_url, api_key, api=api, **options)

    def model(self, name: str) -> Model:
        """Returns the model ``name`` of this server."""
        # A key of OpenAI's must not go to whatever address is given.
        provider = "openai" if self._base_url is None else "openai-compatible"
        full = f"{provider}:{name}"
        return Model(full, base_url=self._base_url, api_key=self._api_key, **self._options)


class Azure(_Client):
    """Deployments of Azure OpenAI.

    Args:
        base_url: Endpoint of the resource; ``AZURE_ENDPOINT`` when None.
        api_key: Key; without it ``AZURE_API_KEY`` is read.
        api_version: Version of the API, such as ``2024-10-21``, which is the default.
        options: Options of each of its models, such as ``params``.
    """

    _provider = "azure"

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        api_version: str | None = None,
        **options: Any,  # noqa: ANN401  # as of every provider
    ) -> None:
        super().__init__(base_url, api_key, api_version=api_version, **options)


class OpenRouter(_Client):
    """Models of many providers behind OpenRouter.

    Args:
        base_url: Address of its API; OpenRouter's own when None.
        api_key: Key; without it ``OPENROUTER_API_KEY`` is read.
        api: ``chat`` for chat completions, ``responses`` for the responses API.
        options: Options of each of its models, such as ``params``.
    """

    _provider = "openrouter"


class XAI(_Client):
    """Models of xAI, such as Grok.

    Args:
        base_url: Address of its API; xAI's own when None.
        api_key: Key; without it ``XAI_API_KEY`` is read.
        api: ``chat`` for chat completions, ``responses`` for the responses API.
        options: Options of each of its models, such as ``params``.
    """

    _provider = "xai"


class Anthropic(_Client):
    """Models of Anthropic, such as Claude.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "anthropic"


class Cohere(_Client):
    """Models of Cohere.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "cohere"


class DeepSeek(_Client):
    """Models of DeepSeek.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "deepseek"


class Doubleword(_Client):
    """Models of Doubleword.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "doubleword"


class Gemini(_Client):
    """Models of Google's Gemini API.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "gemini"


class Groq(_Client):
    """Models of Groq.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "groq"


class HuggingFace(_Client):
    """Models of the router of Hugging Face.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "huggingface"


class Hyperbolic(_Client):
    """Models of Hyperbolic; without tools.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "hyperbolic"


class LlamaCpp(_Client):
    """Models of a ``llama-server`` of llama.cpp.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "llamacpp"


class MiniMax(_Client):
    """Models of MiniMax.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "minimax"


class Mira(_Client):
    """Models of the gateway of Mira; without tools.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "mira"


class Mistral(_Client):
    """Models of Mistral.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "mistral"


class Moonshot(_Client):
    """Models of Moonshot, such as Kimi.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "moonshot"


class Ollama(_Client):
    """Models of an Ollama daemon.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "ollama"


class Perplexity(_Client):
    """Models of Perplexity; without tools.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "perplexity"


class Together(_Client):
    """Models of Together AI.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "together"


class Venice(_Client):
    """Models of Venice.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "venice"


class VoyageAI(_Client):
    """Models of Voyage AI; embeddings only.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "voyageai"


class XiaomiMiMo(_Client):
    """Models of Xiaomi MiMo.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "xiaomimimo"


class ZAI(_Client):
    """Models of Z.AI, such as GLM.

    ``base_url``, ``api_key`` and ``params`` are those of every provider.
    """

    _provider = "zai"


def list_models() -> list[dict[str, Any]]:
    """Returns the providers: what is usable here and what each lacks."""
    return _aikit.list_models()

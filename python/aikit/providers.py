"""Providers of models: a class each, which holds an address and a key."""

from __future__ import annotations

from typing import Any, ClassVar

from ._address import without_secrets
from .models import Model


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

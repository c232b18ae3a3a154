"""Retrieval: documents go in, the chunks that fit a question come out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from . import _aikit
from ._address import without_password
from .answers import Answer
from .errors import InvalidArgsError
from .evaluation import Evaluation
from .handles import Handle
from .hits import Hit, Hits
from .models import Model
from .records import Record
from .tools import Tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    # A path or a glob, or a record with `id`, `text`, and if wanted `title` and `metadata`.
    _Source = str | os.PathLike[str] | Mapping[str, Any]
    # A question and the ids that answer it: `query` and `relevant`, which is an id, a list of ids,
    # or a mapping from ids to grades.
    _Judged = Mapping[str, Any]
    # What judgements name.
    _Level = Literal["document", "chunk"]
    # What happens to documents whose file is gone.
    _Gone = Literal["delete", "keep"]
    # What a question is compared with: vectors and words, vectors, or words.
    _Mode = Literal["hybrid", "dense", "keyword"]
    # How a hybrid search makes one order of two: by scores, or by ranks.
    _Fusion = Literal["convex", "rrf"]
    # Takes texts and returns one vector for each: an array of shape (n, dim), or lists.
    _EmbedFunction = Callable[[list[str]], Any]


class IngestFailure(Record):
    """A source that could not be ingested.

    Attributes:
        source: Path or id.
        kind: Code of the error's kind.
        reason: What went wrong.
    """

    source: str
    kind: str
    reason: str


class IngestSkipped(Record):
    """A file that an ingest left out.

    Attributes:
        source: Its path.
        reason: Why.
    """

    source: str
    reason: str


class IngestReport(Record):
    """What an ingest did.

    Attributes:
        added: Documents that are new.
        updated: Documents whose content changed.
        unchanged: Documents that were there already.
        deleted: Documents whose file is gone.
        failed: Sources that could not be ingested; the rest was.
        skipped: Files of folders and globs that were left out, because no loader reads such files.
        chunks: Chunks written.
        embedded: Those whose text was new and was embedded; the others kept their embeddings.
    """

    added: int
    updated: int
    unchanged: int
    deleted: int
    failed: list[IngestFailure]
    skipped: list[IngestSkipped]
    chunks: int
    embedded: int

    _records: ClassVar[Mapping[str, type[Record]]] = {
        "failed": IngestFailure,
        "skipped": IngestSkipped,
    }


class RagStats(Record):
    """What an index holds.

    Attributes:
        documents: Number of documents.
        chunks: Number of chunks.
        damaged: Chunks that cannot be read; ingest their documents again.
        embedder: Name of the embedder.
        dim: Length of its vectors.
        index: Kind of vector index.
        path: The file of the store, if there is one.
    """

    documents: int
    chunks: int
    damaged: int
    embedder: str
    dim: int
    index: str
    path: str | None


class RAG:
    """Documents, their chunks and an index over them.

    Args:
        path: File of the store, made when it does not exist, or a plain name for an index of the
            project, below ``.aikit``; None keeps everything in memory.
        embedder: ``lexical``, ``minilm`` (needs the extra ``aikit[minilm]``), ``local:PATH`` (the
            folder of a BERT model), ``provider:model``, or a function that takes a list of texts
            and returns one vector for each.
        dim: Length of the function's vectors.
        embedder_name: What the store remembers of the function; change it with the vectors.
        base_url: Address of the provider of the embedder. A password in it is not pickled.
        api_key: Key of the provider; without it the provider's environment variable is read, as
            where the object is unpickled.
        index: ``flat`` (exact) or ``hnsw`` (approximate, for many rows).
        chunker: ``tokens``, ``markdown`` (sections) or ``whole``.
        chunk_size_tokens: Most tokens of a chunk.
        chunk_overlap_tokens: Tokens that two chunks of one section share; an eighth of the chunk
            size, at most 64, when None.
        language: Language of the documents, for searches by words: its English name, or ``none``.
            None takes that of the index, which is ``english`` for a new one.

    Raises:
        ConfigError: If the store was made with another embedder or language.
        NotFoundError: If there is no such embedder, index, chunker or language, or a model's folder
            lacks a file.
        UnavailableError: If ``minilm`` is not installed.
    """

    def __init__(  # noqa: PLR0913  # an index has these parts
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        embedder: str | _EmbedFunction = "lexical",
        dim: int | None = None,
        embedder_name: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        index: str = "flat",
        chunker: str = "tokens",
        chunk_size_tokens: int | None = None,
        chunk_overlap_tokens: int | None = None,
        language: str | None = None,
    ) -> None:
        if callable(embedder) and dim is None:
            raise InvalidArgsError(
                "a function as `embedder` needs `dim`", hint="give the length of its vectors"
            )
        name = embedder_name or getattr(embedder, "__name__", "function")
        # Absolute, so that it means the same where the object is unpickled.
        self._path = None if path is None else str(_aikit.store_path(path))
        self._options = {
            "index": index,
            "chunker": chunker,
            "chunk_size_tokens": chunk_size_tokens,
            "chunk_overlap_tokens": chunk_overlap_tokens,
            "language": language,
        }
        self._embedding = {
            "embedder": embedder,
            "dim": dim,
            "embedder_name": embedder_name,
            # A pickle is a file, and files are passed on: no password goes along.
            "base_url": None if base_url is None else without_password(base_url),
        }
        place = {"base_url": base_url, "api_key": api_key}
        options = {**self._options, **place, "embedder_name": name, "dim": dim}
        self._native = _aikit.Rag(self._path, embedder, options)

    def ingest(
        self,
        sources: _Source | Sequence[_Source],
        *,
        progress: bool = False,
        gone: _Gone = "delete",
        metadata: Mapping[str, Any] | None = None,
    ) -> IngestReport:
        """Reads, splits, embeds and stores documents; what is stored already is left alone.

        Args:
            sources: Files, folders, globs, addresses of pages (``https://…``), or records. A glob
                has the depth that is written: ``docs/*.md`` is one folder, ``docs/**/*.md``
                everything below.
            progress: Whether to draw a progress bar, in a terminal or a notebook.
            gone: What happens to documents below the same folders whose file is gone: ``delete``
                or ``keep``.
            metadata: What is known about every document of this call.

        Returns:
            What was done; a source that fails is named there and does not stop the others.
        """
        if not progress:
            options = {"gone": gone, "metadata": dict(metadata or {})}
            return IngestReport(self._native.ingest(_plain(sources), options))
        from ._progress import Bar  # noqa: PLC0415  # only where one is drawn

        handle = self.start_ingest(sources, gone=gone, metadata=metadata)
        with Bar("ingest") as bar:
            for event in handle:
                if event.kind == "rag.ingest.progress":
                    bar.update(event.data["done"], event.data["total"])
        return handle.result()

    async def aingest(
        self,
        sources: _Source | Sequence[_Source],
        *,
        gone: _Gone = "delete",
        metadata: Mapping[str, Any] | None = None,
    ) -> IngestReport:
        """Is ``ingest`` for async code; cancelling it ends the work after a document."""
        return await self.start_ingest(sources, gone=gone, metadata=metadata)

    def start_ingest(
        self,
        sources: _Source | Sequence[_Source],
        *,
        gone: _Gone = "delete",
        metadata: Mapping[str, Any] | None = None,
    ) -> Handle[IngestReport]:
        """Starts an ingest; the handle's ``rag.ingest.progress`` events tell how far it is."""
        options = {"gone": gone, "metadata": dict(metadata or {})}
        native = self._native.start_ingest(_plain(sources), options)
        return Handle(native, IngestReport)

    def search(  # noqa: PLR0913  # a search has these parts
        self,
        query: str,
        *,
        k: int = 5,
        mode: _Mode = "hybrid",
        fusion: _Fusion = "convex",
        dense_weight: float | None = None,
        min_score: float | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # the word in every language
    ) -> Hits:
        """Finds the chunks that fit a question best.

        Args:
            query: The question.
            k: Number of hits, 1 to 1000.
            mode: ``hybrid`` (vectors and words), ``dense`` (vectors) or ``keyword`` (words, by
                BM25; asks no embedder).
            fusion: How a hybrid search makes one order of two: ``convex`` adds the scores of each
                list, brought to 0 to 1; ``rrf`` adds reciprocal ranks.
            dense_weight: Share of the vectors in a hybrid score, 0 to 1; 0.5 when left out. With
                the embedder ``lexical``, which weighs the same words, they then count for what
                the words did not find, a tenth.
            min_score: Hits with a lower score are left out.
            filter: Which documents are searched, by their metadata:
                ``{"year": {"gte": 2024}, "lang": "en"}``. Operators are ``eq``, ``ne``, ``gt``,
                ``gte``, ``lt``, ``lte``, ``one_of``, ``none_of``, ``exists``; ``all_of``,
                ``any_of`` and ``negate`` combine filters.

        Returns:
            Hits, best first.

        Raises:
            InvalidArgsError: If an option is out of its range, or a filter is wrong.
        """
        options = _search_options(mode, fusion, dense_weight, min_score, filter)
        return Hits(Hit(hit) for hit in self._native.search(query, k, options))

    async def asearch(  # noqa: PLR0913  # as `search`
        self,
        query: str,
        *,
        k: int = 5,
        mode: _Mode = "hybrid",
        fusion: _Fusion = "convex",
        dense_weight: float | None = None,
        min_score: float | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # the word in every language
    ) -> Hits:
        """Is ``search`` for async code."""
        options = _search_options(mode, fusion, dense_weight, min_score, filter)
        return Hits(Hit(hit) for hit in await self._native.asearch(query, k, options))

    def ask(  # noqa: PLR0913  # a search has these parts
        self,
        question: str,
        *,
        model: Model | str | None = None,
        k: int = 5,
        mode: _Mode = "hybrid",
        fusion: _Fusion = "convex",
        dense_weight: float | None = None,
        min_score: float | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # the word in every language
        instructions: str = "",
        max_tokens: int | None = None,
    ) -> Answer:
        """Answers a question from the documents.

        Searches, lets a model read the hits as data, and looks up every quote that it gives: a
        citation is a place in a document, not what a model says of it.

        Args:
            question: The question.
            model: A model, or its name such as ``openai:gpt-5-mini``; None for the configured one.
            k: Number of chunks that the model reads, 1 to 1000.
            mode: As that of ``search``, and so are ``fusion``, ``dense_weight``, ``min_score`` and
                ``filter``.
            fusion: See ``mode``.
            dense_weight: See ``mode``.
            min_score: See ``mode``.
            filter: See ``mode``.
            instructions: What the model is told beside how it answers, such as a language.
            max_tokens: Longest answer in tokens; the provider's default when None.

        Returns:
            The answer; ``answered`` is False where the documents do not answer.

        Raises:
            OutputError: If the model does not answer in the form that is asked for.
            ModelError: If the model fails.
        """
        model = model if isinstance(model, Model) else Model(model)
        options = _search_options(mode, fusion, dense_weight, min_score, filter)
        options |= {"instructions": instructions, "max_tokens": max_tokens}
        return Answer(self._native.ask(question, model._native, k, options))  # noqa: SLF001  # of this package

    async def aask(  # noqa: PLR0913  # a search has these parts
        self,
        question: str,
        *,
        model: Model | str | None = None,
        k: int = 5,
        mode: _Mode = "hybrid",
        fusion: _Fusion = "convex",
        dense_weight: float | None = None,
        min_score: float | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # the word in every language
        instructions: str = "",
        max_tokens: int | None = None,
    ) -> Answer:
        """Is ``ask`` for async code; cancelling it drops the request."""
        model = model if isinstance(model, Model) else Model(model)
        options = _search_options(mode, fusion, dense_weight, min_score, filter)
        options |= {"instructions": instructions, "max_tokens": max_tokens}
        return Answer(await self._native.aask(question, model._native, k, options))  # noqa: SLF001  # of this package

    def evaluate(  # noqa: PLR0913  # a search has these parts
        self,
        qrels: Sequence[_Judged],
        *,
        at: int | Sequence[int] = (1, 5, 10),
        level: _Level = "document",
        mode: _Mode = "hybrid",
        fusion: _Fusion = "convex",
        dense_weight: float | None = None,
        min_score: float | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # the word in every language
    ) -> Evaluation:
        """Asks judged questions and measures what is found.

        Args:
            qrels: Records with ``query`` and ``relevant``: an id, a list of ids, or a mapping from
                ids to grades above 0.
            at: Where results are cut, each 1 to 1000.
            level: What the judgements name: documents, each counted once at its best chunk, or
                chunks.
            mode: As that of ``search``, and so are ``fusion``, ``dense_weight``, ``min_score`` and
                ``filter``.
            fusion: See ``mode``.
            dense_weight: See ``mode``.
            min_score: See ``mode``.
            filter: See ``mode``.

        Raises:
            InvalidArgsError: If there is no question, or one is malformed.
        """
        options = _search_options(mode, fusion, dense_weight, min_score, filter)
        options |= {"at": at if isinstance(at, int) else list(at), "level": level}
        return Evaluation(self._native.evaluate([dict(it) for it in qrels], options))

    async def aevaluate(  # noqa: PLR0913  # a search has these parts
        self,
        qrels: Sequence[_Judged],
        *,
        at: int | Sequence[int] = (1, 5, 10),
        level: _Level = "document",
        mode: _Mode = "hybrid",
        fusion: _Fusion = "convex",
        dense_weight: float | None = None,
        min_score: float | None = None,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # the word in every language
    ) -> Evaluation:
        """Is ``evaluate`` for async code."""
        options = _search_options(mode, fusion, dense_weight, min_score, filter)
        options |= {"at": at if isinstance(at, int) else list(at), "level": level}
        return Evaluation(await self._native.aevaluate([dict(it) for it in qrels], options))

    def delete(self, ids: str | Sequence[str]) -> int:
        """Deletes documents by their paths or ids and returns how many there were."""
        return self._native.delete([ids] if isinstance(ids, str) else list(ids))

    async def adelete(self, ids: str | Sequence[str]) -> int:
        """Is ``delete`` for async code."""
        count: int = await self._native.adelete([ids] if isinstance(ids, str) else list(ids))
        return count

    def stats(self) -> RagStats:
        """Returns what the index holds."""
        return RagStats(self._native.stats())

    async def astats(self) -> RagStats:
        """Is ``stats`` for async code."""
        return RagStats(await self._native.astats())

    def as_tool(
        self,
        name: str = "search_documents",
        summary: str = "Searches the documents and returns the chunks that fit a question best.",
        k: int = 5,
    ) -> Tool:
        """Returns the search as a tool of agents, called with ``query`` and, if wanted, ``k``.

        Args:
            name: Name of the tool.
            summary: What is to be found there; the model chooses by it.
            k: Hits of a call that names no number, 1 to 1000.
        """
        return Tool(self._native.as_tool(name, summary, k))

    def __reduce__(self) -> tuple[Any, ...]:
        if self._path is None:
            raise TypeError("a RAG in memory cannot be pickled: give it a path")
        return (_open, (self._path, {**self._embedding, **self._options}))

    def __repr__(self) -> str:
        return f"RAG({self._path!r})"


def _open(path: str, options: dict[str, Any]) -> RAG:
    return RAG(path, **options)


def _search_options(
    mode: _Mode,
    fusion: _Fusion,
    dense_weight: float | None,
    min_score: float | None,
    filter_: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The options of a search but for the number of hits, as the extension takes them."""
    return {
        "mode": mode,
        "fusion": fusion,
        "dense_weight": dense_weight,
        "min_score": min_score,
        "filter": _filter(filter_),
    }


def _filter(given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if given is None else dict(given)


def _plain(sources: _Source | Sequence[_Source]) -> list[Any]:
    if isinstance(sources, (str, os.PathLike)) or hasattr(sources, "keys"):
        return [_plain_one(sources)]
    return [_plain_one(source) for source in sources]


def _plain_one(source: Any) -> Any:  # noqa: ANN401  # a path or a record
    return os.fspath(source) if isinstance(source, os.PathLike) else source

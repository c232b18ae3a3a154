from os import PathLike
from pathlib import Path
from typing import Any, SupportsIndex, final

from _typeshed import Incomplete, SupportsGetItem

@final
class Agent:
    """
    A configured agent.
    """
    def __new__(
        cls,
        /,
        name: str,
        model: Model,
        instructions: str,
        tools: SupportsGetItem[int, Tool],
        limits: Incomplete,
    ) -> Agent:
        """
        An agent of a model and tools; `limits` is a mapping of `requests`, `tool_calls`, `seconds`.
        """
    def arun(self, /, prompt: str, history: Incomplete) -> Any:
        """
        `run` as an awaitable.
        """
    def as_tool(self, /, summary: str) -> Tool:
        """
        This agent as a tool of another one.
        """
    def run(self, /, prompt: str, history: Incomplete) -> Incomplete:
        """
        Runs until the model answers.
        """
    def start(self, /, prompt: str, history: Incomplete) -> Handle:
        """
        Starts a run.
        """

@final
class Handle:
    """
    Started work.
    """
    def aevent(self, /, after: SupportsIndex) -> Any:
        """
        `event` as an awaitable.
        """
    def aresult(self, /) -> Any:
        """
        `result` as an awaitable.
        """
    def cancel(self, /, reason: str) -> None:
        """
        Asks the work to end.
        """
    def event(self, /, after: SupportsIndex) -> Incomplete | None:
        """
        Waits for the event after position `after`; `None` after the last one.
        """
    def events(self, /) -> list[Incomplete]:
        """
        The events until now.
        """
    def is_finished(self, /) -> bool:
        """
        Whether the work has ended.
        """
    def result(self, /) -> Incomplete:
        """
        Waits for the result.
        """
    def trace_id(self, /) -> str:
        """
        W3C trace id.
        """

@final
class Model:
    """
    A language model.
    """
    def __new__(
        cls, /, name: str | None, base_url: str | None, api_key: str | None, options: Incomplete
    ) -> Model:
        """
        A model by `provider:model`; `None` for the configured one.
        """
    def acomplete(self, /, request: Incomplete, tools: SupportsGetItem[int, Tool]) -> Any:
        """
        `complete` as an awaitable.
        """
    def aembed(self, /, texts: SupportsGetItem[int, str]) -> Any:
        """
        `embed` as an awaitable.
        """
    def complete(self, /, request: Incomplete, tools: SupportsGetItem[int, Tool]) -> Incomplete:
        """
        One whole answer. `request` is a mapping of `prompt` (a text or a list of messages),
        `instructions`, `temperature` and `max_tokens`; the model may ask for `tools`.
        """
    def embed(self, /, texts: SupportsGetItem[int, str]) -> Incomplete:
        """
        One embedding for each text, as an array of shape (n, dim).
        """
    @classmethod
    def from_function(cls, /, name: str, function: Any) -> Model:
        """
        A model that asks a function for each answer.
        """
    def name(self, /) -> str:
        """
        Full name, `provider:model`.
        """
    def stream(self, /, request: Incomplete, tools: SupportsGetItem[int, Tool]) -> ModelStream:
        """
        An answer piece by piece, to the request of `complete`.
        """

@final
class ModelStream:
    """
    An answer while it arrives.
    """
    def anext(self, /) -> Any:
        """
        `next` as an awaitable.
        """
    def next(self, /) -> Incomplete | None:
        """
        The next piece; `None` after the last one.
        """

@final
class Rag:
    """
    Documents and an index over them.
    """
    def __new__(
        cls, /, path: str | PathLike[str] | None, embedder: Any, options: Incomplete
    ) -> Rag:
        """
        Opens a store; `None` keeps everything in memory. `options` is a mapping of `index`,
        `chunker`, `chunk_size_tokens`, `chunk_overlap_tokens` and `language`, of `embedder_name` and `dim` where
        the embedder is a function, and of `base_url` and `api_key` where it is a provider's.
        """
    def aask(self, /, question: str, model: Model, options: Incomplete) -> Any:
        """
        `ask` as an awaitable.
        """
    def adelete(self, /, ids: SupportsGetItem[int, str]) -> Any:
        """
        `delete` as an awaitable.
        """
    def aevaluate(self, /, qrels: Incomplete, options: Incomplete) -> Any:
        """
        `evaluate` as an awaitable.
        """
    def as_tool(self, /, name: str, summary: str, k: SupportsIndex) -> Tool:
        """
        The search as a tool of agents.
        """
    def asearch(self, /, query: str, options: Incomplete) -> Any:
        """
        `search` as an awaitable.
        """
    def ask(self, /, question: str, model: Model, options: Incomplete) -> Incomplete:
        """
        Answers a question with a model; `options` is a mapping of those of `search`, `instructions`
        and `max_tokens`.
        """
    def astats(self, /) -> Any:
        """
        `stats` as an awaitable.
        """
    def delete(self, /, ids: SupportsGetItem[int, str]) -> int:
        """
        Deletes documents; answers how many there were.
        """
    def evaluate(self, /, qrels: Incomplete, options: Incomplete) -> Incomplete:
        """
        Measures how judged questions are answered; `options` is a mapping of `at`,
        `level` and those of `search` but for `k`.
        """
    def ingest(self, /, sources: Incomplete, options: Incomplete) -> Incomplete:
        """
        Ingests paths and records.
        """
    def search(self, /, query: str, options: Incomplete) -> Incomplete:
        """
        The chunks that fit best, best first. `options` is a mapping of `k`, `mode`, `fusion`,
        `dense_weight`, `min_score` and `filter`.
        """
    def start_ingest(self, /, sources: Incomplete, options: Incomplete) -> Handle:
        """
        Starts an ingest whose events tell its progress.
        """
    def stats(self, /) -> Incomplete:
        """
        What the index holds.
        """

@final
class Reply:
    """
    Where a Python function's answer goes.
    """
    def is_abandoned(self, /) -> bool:
        """
        Whether nobody waits for the answer any more.
        """
    def reject(self, /, raised: BaseException) -> None:
        """
        Answers with what the function raised.
        """
    def resolve(self, /, value: Any) -> None:
        """
        Answers with what the function returned.
        """

@final
class Scope:
    """
    What a Python function that Rust calls knows of its caller; kept in a context variable, so
    that calls it makes into aikit belong to the same run.
    """

@final
class Tool:
    """
    A tool.
    """
    def ainvoke(self, /, args: Incomplete) -> Any:
        """
        `invoke` as an awaitable.
        """
    @classmethod
    def from_function(cls, /, options: Incomplete, function: Any) -> Tool:
        """
        A tool made of a function that takes one argument, the mapping of arguments; `options`
        is a mapping of `name`, `summary`, `schema` and `timeout_s`.
        """
    def info(self, /) -> Incomplete:
        """
        What is known about it.
        """
    def invoke(self, /, args: Incomplete) -> Incomplete:
        """
        Runs it with a mapping of arguments.
        """

@final
class VectorIndex:
    """
    Nearest-neighbour search over rows of `float32`.
    """
    def __len__(self, /) -> int:
        """
        Number of rows.
        """
    def __new__(cls, /, kind: str, dimension: SupportsIndex, metric: str) -> VectorIndex:
        """
        An empty index.
        """
    def add(self, /, ids: Incomplete, rows: Incomplete) -> None:
        """
        Adds rows of shape (n, dim), contiguous; a row replaces the one of its id.
        """
    def delete(self, /, ids: Incomplete) -> int:
        """
        Deletes rows; answers how many there were.
        """
    def search(self, /, queries: Incomplete, k: SupportsIndex) -> tuple[Incomplete, Incomplete]:
        """
        The nearest rows of each query, best first.
        """

def api_modules() -> Any:
    """
    Every module of the script API with its functions and classes, in the order of the reference.
    """

def check_profile(name: str) -> None:
    """
    Raises `InvalidArgsError` with the nearest profile when there is none of that name.
    """

def close_interpreter() -> None:
    """
    Called by `atexit`: lets nobody in any more and waits for those who are inside.
    """

def error_kinds() -> list[tuple[str, str, str, str, int, bool, str]]:
    """
    The table of error kinds: `(code, class, parent, built-in parent, exit status, retryable,
    summary)` each.
    """

def find_tool(name: str) -> Tool:
    """
    The tool of that name.
    """

def find_tools(names: SupportsGetItem[int, str] | None = None) -> list[Tool]:
    """
    The tools of these names and groups; `None` for every tool of the session.
    """

def forget_visits() -> None:
    """
    Called in a forked child, where the threads that were inside do not exist.
    """

def kernelspec_files() -> dict[str, bytes]:
    """
    The files of the kernel spec by their names; they are part of the extension, so that a wheel
    needs no data folder to install another one.
    """

def list_models() -> list[Incomplete]:
    """
    The providers: what is usable here and what each lacks.
    """

def run_command(argv: SupportsGetItem[int, str]) -> int:
    """
    Runs one command of the command line; `argv` begins with the program's name. Answers the exit
    status.
    """

def store_path(place: str | PathLike[str]) -> Path:
    """
    The file of the index that a program calls `place`: a plain name is one of the project, as in
    scripts; anything else is a path.
    """

def __getattr__(name: str) -> Incomplete: ...

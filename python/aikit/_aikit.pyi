from os import PathLike
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex, final

from _typeshed import Incomplete, SupportsGetItem

__all__ = [
    "Agent",
    "Arrival",
    "Artifacts",
    "Channel",
    "ChannelSession",
    "Context",
    "EventList",
    "Execution",
    "Handle",
    "HandleView",
    "Model",
    "ModelStream",
    "Plot",
    "ProcedureNode",
    "ProcedureOptions",
    "Rag",
    "Reply",
    "Scope",
    "Session",
    "State",
    "Subscription",
    "TelemetrySpan",
    "Tool",
    "Tree",
    "VectorIndex",
    "Watch",
    "add_to_counter",
    "aflush_events",
    "api_modules",
    "areplay_events",
    "begin_fork",
    "call_as_visitor",
    "channel_session",
    "check_instrument",
    "check_models",
    "check_profile",
    "close_interpreter",
    "close_network",
    "eject_cassette",
    "enable_hook",
    "end_fork",
    "end_trace",
    "error_kinds",
    "find_tool",
    "find_tools",
    "flush_events",
    "flush_telemetry",
    "forget_parent",
    "holds_cassette",
    "hook_points",
    "insert_cassette",
    "kernelspec_files",
    "list_hooks",
    "list_models",
    "publish_event",
    "record_in_histogram",
    "record_telemetry_error",
    "register_hook",
    "remove_channel",
    "remove_hooks",
    "replay_events",
    "reset_telemetry_provider",
    "run_bundle",
    "run_command",
    "set_otlp_provider",
    "set_telemetry_provider",
    "start_trace",
    "store_path",
    "subscribe_events",
    "traceparent",
    "try_channel",
    "unregister_hook",
    "use_hook",
]

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
        approve: Any | None = None,
    ) -> Agent:
        """
        An agent of a model and tools; `limits` is a mapping of `requests`, `tool_calls`, `seconds`;
        `approve` decides instead of the user.
        """
    def arun(self, /, prompt: str, history: Incomplete, session: Session | None) -> Any:
        """
        `run` as an awaitable.
        """
    def as_tool(self, /, summary: str) -> Tool:
        """
        This agent as a tool of another one.
        """
    def run(
        self, /, prompt: str, history: Incomplete, session: Session | None
    ) -> tuple[Incomplete, ProcedureNode | None]:
        """
        Runs until the model answers.
        """
    def start(self, /, prompt: str, history: Incomplete, session: Session | None) -> Handle:
        """
        Starts a run.
        """

@final
class Arrival:
    """
    Where an event comes that is awaited. Who stops awaiting gives it up, and the event goes back
    into the subscription, before all others.
    """
    def __new__(cls, /) -> Arrival:
        """
        A place for one event.
        """
    def give_up(self, /) -> None:
        """
        Nobody awaits it any more.
        """
    def keep(self, /) -> Incomplete | None:
        """
        The event, once.
        """

@final
class Artifacts:
    """
    The artifacts of one scope.
    """
    def __new__(cls, /, scope: str, url: str | None) -> Artifacts:
        """
        Opens a scope at `url`; in the store of the project when it is `None`.
        """
    def adelete(self, /, name: str) -> Any:
        """
        `delete` as an awaitable.
        """
    def aget(self, /, name: str) -> Any:
        """
        `get` as an awaitable.
        """
    def alist(self, /, tag: str | None, prefix: str) -> Any:
        """
        `list` as an awaitable.
        """
    def aput(self, /, name: str, value: Incomplete, options: Incomplete) -> Any:
        """
        `put` as an awaitable.
        """
    def delete(self, /, name: str) -> bool:
        """
        Deletes an artifact; answers whether there was one.
        """
    def get(self, /, name: str) -> Incomplete:
        """
        An artifact with its content.
        """
    def list(self, /, tag: str | None, prefix: str) -> Incomplete:
        """
        The artifacts with a tag whose names begin with `prefix`.
        """
    def put(self, /, name: str, value: Incomplete, options: Incomplete) -> Incomplete:
        """
        Stores a value; `options` is a mapping of `mime`, `tags` and `metadata`, and of `file` where
        a file is stored in place of a value.
        """

@final
class Channel:
    """
    A channel of the user and the conversation of the caller.
    """
    def __new__(cls, /, name: str) -> Channel:
        """
        Opens a channel, which is made when there is none.
        """
    def areceive(self, /, arrival: Arrival, timeout: SupportsFloat | SupportsIndex | None) -> Any:
        """
        `receive` as an awaitable, which ends when an event has come to `arrival`.
        """
    def arequest(
        self,
        /,
        payload: Incomplete,
        options: Incomplete,
        timeout: SupportsFloat | SupportsIndex | None,
    ) -> Any:
        """
        `request` as an awaitable.
        """
    def await_for_response(self, /, id: str, timeout: SupportsFloat | SupportsIndex | None) -> Any:
        """
        `wait_for_response` as an awaitable.
        """
    def destroy(self, /) -> None:
        """
        Ends the channel.
        """
    def name(self, /) -> str:
        """
        Its name, in lower case.
        """
    def publish(self, /, event: Incomplete, payload: Incomplete, options: Incomplete) -> int:
        """
        Publishes an event: its type with a payload and options, or all of it; answers its number.
        """
    def receive(self, /, timeout: SupportsFloat | SupportsIndex | None) -> Incomplete | None:
        """
        The next event; `None` when none came in time or the channel was destroyed.
        """
    def request(
        self,
        /,
        payload: Incomplete,
        options: Incomplete,
        timeout: SupportsFloat | SupportsIndex | None,
    ) -> Incomplete:
        """
        Publishes a request and waits for its response.
        """
    def respond(self, /, request: Incomplete, payload: Incomplete) -> int:
        """
        Answers a request, an event or its id; answers the number of the response.
        """
    def subscribe(
        self, /, function: Any | None, capacity: SupportsIndex, drop: str
    ) -> Subscription:
        """
        Subscribes to the events from now on; a function gets them where one is given.
        """
    def subscriber_count(self, /) -> int:
        """
        How many subscriptions there are.
        """
    def wait_for_response(
        self, /, id: str, timeout: SupportsFloat | SupportsIndex | None
    ) -> Incomplete:
        """
        Waits for the response to a request.
        """

@final
class ChannelSession:
    """
    The channels of one user in one conversation.
    """
    def channels(self, /) -> list[str]:
        """
        Names of the channels, in order.
        """
    def destroy(self, /) -> None:
        """
        Ends every channel.
        """
    def get_channel(self, /, name: str) -> Channel:
        """
        A channel, made when there is none.
        """
    def id(self, /) -> str:
        """
        Tenant, user and conversation.
        """

@final
class Context:
    """
    What flows with a call.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def add_metric(self, /, name: str, amount: SupportsFloat | SupportsIndex) -> None: ...
    def add_usage(
        self,
        /,
        sums: tuple[
            SupportsFloat | SupportsIndex,
            SupportsFloat | SupportsIndex,
            SupportsFloat | SupportsIndex,
            SupportsFloat | SupportsIndex,
        ],
    ) -> None:
        """
        Adds input tokens, output tokens, requests and US dollars.
        """
    @property
    def caller(self, /) -> str: ...
    def cancel(self, /, reason: str) -> None:
        """
        Cancels it and what is below it.
        """
    def check(self, /) -> None:
        """
        Raises when it was cancelled or its deadline has passed.
        """
    def child(self, /, options: Incomplete) -> Context:
        """
        A Context below this one.
        """
    def clear_graph(self, /) -> None: ...
    @staticmethod
    def create(options: Incomplete) -> Context:
        """
        A Context of the program's own, in the session's services.
        """
    @staticmethod
    def current() -> Context | None:
        """
        The Context of the running function, if there is one.
        """
    def emit(self, /, kind: str, data: Any, source: str | None) -> None:
        """
        Publishes an event.
        """
    def emit_chunk(self, /, index: SupportsIndex, value: Any) -> None:
        """
        Publishes what a generator hands out, unless the Context has ended.
        """
    @property
    def execution_count(self, /) -> int:
        """
        How many executions the graph has seen.
        """
    @property
    def execution_id(self, /) -> str | None: ...
    @property
    def execution_info(self, /) -> Incomplete | None: ...
    def find_node(self, /, pid: str) -> ProcedureNode | None:
        """
        The node of that identity.
        """
    def get_metric(self, /, name: str) -> float: ...
    def has_ancestor_named(self, /, name: str) -> bool: ...
    @property
    def is_cancelled(self, /) -> bool:
        """
        Whether it was cancelled.
        """
    @property
    def is_standalone(self, /) -> bool: ...
    def is_within(self, /, name: str) -> bool: ...
    @property
    def metadata(self, /) -> Incomplete: ...
    @property
    def metrics(self, /) -> Incomplete:
        """
        All metrics, nested by the dots of their names.
        """
    @property
    def node(self, /) -> ProcedureNode | None: ...
    @property
    def nodes(self, /) -> list[ProcedureNode]:
        """
        The nodes of the graph, in the order of their beginnings.
        """
    @property
    def operation(self, /) -> HandleView | None:
        """
        Events and cancellation of the operation that this belongs to, when somebody holds its
        handle.
        """
    @property
    def origin(self, /) -> ProcedureNode | None: ...
    @property
    def origin_name(self, /) -> str | None: ...
    @property
    def remaining(self, /) -> float | None:
        """
        Seconds until the deadline.
        """
    @property
    def request_id(self, /) -> str: ...
    @property
    def root(self, /) -> ProcedureNode | None: ...
    def scope(self, /) -> Scope:
        """
        What to keep in the context variable while this Context is the current one.
        """
    def set_metric(self, /, name: str, value: SupportsFloat | SupportsIndex) -> None: ...
    @property
    def tick(self, /) -> int | None: ...
    @property
    def trace_id(self, /) -> str: ...
    def tree(self, /) -> Tree:
        """
        The executions of the graph as they are now.
        """
    @property
    def usage(self, /) -> Incomplete: ...
    @property
    def user(self, /) -> tuple[str, str | None, list[str]]:
        """
        `(id, tenant_id, roles)`.
        """
    def watch(self, /, stopped: Any) -> Watch:
        """
        Calls `stopped` from a thread of Rust's when it ends, until the watch is dropped.
        """

@final
class EventList:
    """
    Events that were there at one time; each is made an object of Python's when it is asked for.
    """
    def count(self, /) -> int:
        """
        How many there are.
        """
    def get(self, /, index: SupportsIndex) -> Incomplete | None:
        """
        The one at `index`, from 0; `None` where there is none.
        """

@final
class Execution:
    """
    One execution that has begun.
    """
    def abandon(self, /) -> None:
        """
        Ends it as cancelled: a generator whose reader has gone.
        """
    @staticmethod
    def begin(options: ProcedureOptions) -> Execution:
        """
        Begins an execution below the running function, or below the session.
        """
    @staticmethod
    def begin_block(
        name: str, timeout: SupportsFloat | SupportsIndex | None, boundary: str
    ) -> Execution:
        """
        Begins that of a block, which has a name, a time limit and a boundary.
        """
    def check(self, /) -> None:
        """
        Raises when the Context was cancelled or its deadline has passed.
        """
    def chunk(self, /, value: Any) -> None:
        """
        Publishes what a generator hands out, unless the Context has ended.
        """
    @property
    def context(self, /) -> Context: ...
    def end(self, /) -> None:
        """
        Ends it with a result; raises where that came too late.
        """
    def fail(self, /, raised: BaseException) -> Any | None:
        """
        Ends it with an exception; answers the one to raise in its place, where that says more.
        """
    def run_limited(self, /, function: Any) -> None:
        """
        Calls a function without arguments on a thread of its own, within the execution, and waits
        for it no longer than the execution may take. Without a waiter the execution is cancelled.
        """
    @property
    def scope(self, /) -> Scope:
        """
        What to keep in the context variable while it runs.
        """
    def watch(self, /, stopped: Any) -> Watch:
        """
        Calls `stopped` from a thread of Rust's when the Context ends, until the watch is dropped.
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
    def dropped(self, /) -> int:
        """
        How many events are kept no more.
        """
    def event(self, /, after: SupportsIndex) -> Incomplete | None:
        """
        Waits for the event after position `after`; `None` after the last one.
        """
    def events(self, /) -> EventList:
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
    def status(self, /) -> str:
        """
        Where the work stands.
        """
    def trace_id(self, /) -> str:
        """
        W3C trace id.
        """
    def tree(self, /) -> Tree:
        """
        The executions around the work.
        """
    def usage(self, /) -> Incomplete:
        """
        What the work has used until now.
        """
    def view(self, /) -> HandleView:
        """
        Its events, without holding the work.
        """

@final
class HandleView:
    """
    The events of started work.
    """
    def aevent(self, /, after: SupportsIndex) -> Any:
        """
        `event` as an awaitable.
        """
    def cancel(self, /, reason: str) -> None:
        """
        Asks the work to end.
        """
    def close(self, /) -> None:
        """
        Ends the waits for events.
        """
    def dropped(self, /) -> int:
        """
        How many events are kept no more.
        """
    def event(self, /, after: SupportsIndex) -> Incomplete | None:
        """
        Waits for the event after position `after`; `None` after the last one, and when closed.
        """
    def events(self, /) -> EventList:
        """
        The events until now.
        """
    def view(self, /) -> HandleView:
        """
        The same events, closed by themselves.
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
class Plot:
    """
    A chart, which is drawn whenever it is asked for.
    """
    def __new__(cls, /, options: Incomplete) -> Plot:
        """
        A chart of the options of `plot`, `data` among them.
        """
    def bundle(self, /) -> Incomplete:
        """
        All three, by media type.
        """
    @property
    def name(self, /) -> str:
        """
        Its kind and title.
        """
    def svg(self, /) -> str:
        """
        The drawing as SVG.
        """
    def text(self, /) -> str:
        """
        The drawing in characters.
        """
    def vega_lite(self, /) -> Incomplete:
        """
        The description that Vega-Lite draws.
        """

@final
class ProcedureNode:
    """
    One execution of a procedure.
    """
    def __eq__(self, value: object, /) -> bool: ...
    def __ne__(self, value: object, /) -> bool: ...
    def add_metric(self, /, name: str, amount: SupportsFloat | SupportsIndex) -> None: ...
    @property
    def ancestors(self, /) -> list[ProcedureNode]: ...
    @property
    def children(self, /) -> list[ProcedureNode]: ...
    @property
    def completed(self, /) -> float | None:
        """
        Seconds since 1970-01-01 UTC.
        """
    @property
    def depth(self, /) -> int: ...
    @property
    def error(self, /) -> str | None: ...
    def get_metric(self, /, name: str) -> float: ...
    def merge_metrics(
        self, /, sums: SupportsGetItem[int, tuple[str, SupportsFloat | SupportsIndex]]
    ) -> None:
        """
        Adds sums by name.
        """
    @property
    def metrics(self, /) -> Incomplete: ...
    @property
    def name(self, /) -> str: ...
    @property
    def parent(self, /) -> ProcedureNode | None: ...
    @property
    def parent_pid(self, /) -> str | None: ...
    @property
    def pid(self, /) -> str: ...
    def set_metric(self, /, name: str, value: SupportsFloat | SupportsIndex) -> None: ...
    @property
    def started(self, /) -> float:
        """
        Seconds since 1970-01-01 UTC.
        """
    @property
    def status(self, /) -> str: ...
    def tree(self, /) -> Tree:
        """
        It and what it called.
        """

@final
class ProcedureOptions:
    """
    What a procedure is made with.
    """
    def __new__(cls, /, given: Incomplete) -> ProcedureOptions: ...
    def arun_limited(self, /, function: Any) -> Any:
        """
        `run_limited` as an awaitable.
        """
    def check(self, /, args: Any) -> None:
        """
        Holds arguments, by name, against the schema.
        """
    def is_limited(self, /) -> bool:
        """
        Whether a call may have to be given up before the function returns.
        """
    @property
    def metadata(self, /) -> Incomplete: ...
    def run_limited(self, /, function: Any) -> None:
        """
        Calls a function without arguments on a thread of its own, as a procedure, and waits for it
        no longer than its time limit and its Context allow.
        """
    @property
    def source_type(self, /) -> str: ...
    def start(self, /, function: Any) -> Handle:
        """
        Starts a function without arguments as a procedure.
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
    def aask(self, /, question: str, model: Model, k: SupportsIndex, options: Incomplete) -> Any:
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
    def asearch(self, /, query: str, k: SupportsIndex, options: Incomplete) -> Any:
        """
        `search` as an awaitable.
        """
    def ask(
        self, /, question: str, model: Model, k: SupportsIndex, options: Incomplete
    ) -> Incomplete:
        """
        Answers a question with a model that reads `k` chunks; `options` is a mapping of those of
        `search`, `instructions` and `max_tokens`.
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
    def search(self, /, query: str, k: SupportsIndex, options: Incomplete) -> Incomplete:
        """
        The chunks that fit best, best first. `options` is a mapping of `mode`, `fusion`,
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
    def lose(self, /) -> None:
        """
        Answers that the loop has ended on which the function was to go on.
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
class Session:
    """
    One session.
    """
    def __new__(
        cls, /, how: str, name: str | None, tags: SupportsGetItem[int, str], metadata: Incomplete
    ) -> Session:
        """
        Begins a session; `how` is `create`, or `open` to take up the one of that name.
        """
    def aappend(self, /, messages: Incomplete) -> Any:
        """
        `append` as an awaitable.
        """
    def acheckpoint(self, /, name: str | None) -> Any:
        """
        `checkpoint` as an awaitable.
        """
    def acheckpoints(self, /) -> Any:
        """
        `checkpoints` as an awaitable.
        """
    def acomplete(self, /) -> Any:
        """
        `complete` as an awaitable.
        """
    @classmethod
    def adelete(cls, /, id_or_name: str) -> Any:
        """
        `delete` as an awaitable.
        """
    def ainfo(self, /) -> Any:
        """
        `info` as an awaitable.
        """
    @classmethod
    def alist(cls, /, tag: str | None, status: str | None) -> Any:
        """
        `list` as an awaitable.
        """
    @classmethod
    def amake(
        cls, /, how: str, name: str | None, tags: SupportsGetItem[int, str], metadata: Incomplete
    ) -> Any:
        """
        `new` as an awaitable.
        """
    def amessages(self, /) -> Any:
        """
        `messages` as an awaitable.
        """
    def append(self, /, messages: Incomplete) -> None:
        """
        Adds messages to its conversation.
        """
    def arestore(self, /, name: str | None) -> Any:
        """
        `restore` as an awaitable.
        """
    @classmethod
    def aresume(cls, /, id_or_name: str) -> Any:
        """
        `resume` as an awaitable.
        """
    def checkpoint(self, /, name: str | None) -> Incomplete:
        """
        Keeps the conversation and the state as they are now.
        """
    def checkpoints(self, /) -> Incomplete:
        """
        Its checkpoints.
        """
    def complete(self, /) -> None:
        """
        Ends it.
        """
    @classmethod
    def delete(cls, /, id_or_name: str) -> None:
        """
        Deletes a session.
        """
    def id(self, /) -> str:
        """
        Its identity.
        """
    def info(self, /) -> Incomplete:
        """
        What is known about it now.
        """
    @classmethod
    def list(cls, /, tag: str | None, status: str | None) -> Incomplete:
        """
        The sessions with a tag and a status.
        """
    def messages(self, /) -> Incomplete:
        """
        Its conversation.
        """
    def restore(self, /, name: str | None) -> Incomplete:
        """
        Makes everything what it was at a checkpoint.
        """
    @classmethod
    def resume(cls, /, id_or_name: str) -> Session:
        """
        Takes up a session.
        """
    def state(self, /) -> State:
        """
        Its state.
        """

@final
class State:
    """
    The values of one scope.
    """
    def __new__(cls, /, scope: str, url: str | None) -> State:
        """
        Opens a scope at `url`; in the store of the project when it is `None`.
        """
    def acompare_and_set(self, /, key: str, expected: Incomplete, new: Incomplete) -> Any:
        """
        `compare_and_set` as an awaitable.
        """
    def adelete(self, /, key: str) -> Any:
        """
        `delete` as an awaitable.
        """
    def afind(self, /, key: str) -> Any:
        """
        `find` as an awaitable.
        """
    def akeys(self, /, prefix: str) -> Any:
        """
        `keys` as an awaitable.
        """
    def aset(self, /, key: str, value: Incomplete) -> Any:
        """
        `set` as an awaitable.
        """
    def aupdate(self, /, key: str, change: Any) -> Any:
        """
        `update` as an awaitable.
        """
    def compare_and_set(self, /, key: str, expected: Incomplete, new: Incomplete) -> bool:
        """
        Keeps `new` when the value is `expected`; answers whether it was.
        """
    def delete(self, /, key: str) -> bool:
        """
        Deletes a value; answers whether there was one.
        """
    def find(self, /, key: str) -> list[Incomplete]:
        """
        The value of a key in a list of one; an empty list when there is none.
        """
    def keys(self, /, prefix: str) -> list[str]:
        """
        The keys that begin with `prefix`.
        """
    def set(self, /, key: str, value: Incomplete) -> None:
        """
        Keeps a value.
        """
    def update(self, /, key: str, change: Any) -> Incomplete:
        """
        Changes a value by a function; answers the new one.
        """

@final
class Subscription:
    """
    A subscription.
    """
    def areceive(self, /, arrival: Arrival, timeout: SupportsFloat | SupportsIndex | None) -> Any:
        """
        `receive` as an awaitable, which ends when an event has come to `arrival`.
        """
    def receive(self, /, timeout: SupportsFloat | SupportsIndex | None) -> Incomplete | None:
        """
        The next event; `None` when none came in time or there will be none any more.
        """
    def stats(self, /) -> Incomplete:
        """
        How the subscription is.
        """
    def stop(self, /) -> None:
        """
        Ends the subscription.
        """

@final
class TelemetrySpan:
    """
    A span of a program.
    """
    def __new__(cls, /, name: str, attributes: Incomplete) -> TelemetrySpan:
        """
        Begins a span below what runs.
        """
    def finish(self, /) -> None:
        """
        Ends it.
        """
    def identity(self, /) -> tuple[str, str]:
        """
        The trace, and the span's own identity; empty while nobody records.
        """
    def record_error(self, /, error: Any) -> None:
        """
        Notes an exception.
        """
    def set_attribute(self, /, key: str, value: Incomplete) -> None:
        """
        Sets an attribute.
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
class Tree:
    """
    Executions as people see them, as they were when it was made.
    """
    def html(self, /) -> str:
        """
        In HTML, with parts that can be folded.
        """
    def svg(self, /) -> str:
        """
        Beside the time that each of them took.
        """
    def text(self, /) -> str:
        """
        In lines of characters.
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

@final
class Watch:
    """
    Waits for the end of a Context, until dropped.
    """
    def close(self, /) -> None: ...

def add_to_counter(
    instrument: tuple[str, str, str], amount: SupportsFloat | SupportsIndex, attributes: Incomplete
) -> None:
    """
    Adds an amount to the counter `(name, unit, description)`.
    """

def aflush_events(timeout: SupportsFloat | SupportsIndex | None) -> Any:
    """
    `flush_events` as an awaitable.
    """

def api_modules() -> Any:
    """
    Every module of the script API with its functions and classes, in the order of the reference.
    """

def areplay_events(after: SupportsIndex, pattern: str, limit: SupportsIndex) -> Any:
    """
    `replay_events` as an awaitable.
    """

def begin_fork() -> None:
    """
    Called before a fork: keeps threads of Rust's from entering and waits for those that are about
    to, and for those that make what is made once. `CPython` before 3.12 lists the states of threads
    under a lock that it takes again in the child before it makes it anew; a child that was forked
    while another thread listed its own would wait for ever, inside of `os.fork`.
    """

def call_as_visitor(function: Any, args: Any) -> Any:
    """
    Calls `function` with a tuple of arguments, as a visitor: what it calls is Python code above
    frames of Rust's.
    """

def channel_session() -> ChannelSession:
    """
    Whose channels there are, and which.
    """

def check_instrument(instrument: tuple[str, str, str]) -> None:
    """
    Refuses an instrument `(name, unit, description)` that providers do not take.
    """

def check_models(provider: str | None) -> list[Incomplete]:
    """
    As `list_models`, but servers of the user's own are asked; `provider` names one of them.
    """

def check_profile(name: str) -> None:
    """
    Raises `InvalidArgsError` with the nearest profile when there is none of that name.
    """

def close_interpreter() -> None:
    """
    Called by `atexit`: gives functions what was published last, then lets nobody in any more and
    waits for those who are inside.
    """

def close_network(closed: bool) -> None:
    """
    Closes the network, or takes back one closing.
    """

def eject_cassette(
    number: SupportsIndex, keep: bool, path: str | PathLike[str] | None = None
) -> Incomplete:
    """
    Takes the cassette of a number out; a recording is written when it is kept, to `path` if it is
    given.
    """

def enable_hook(name: str) -> int:
    """
    Switches on again what was switched off because it kept failing; answers how many hooks have
    that name.
    """

def end_fork() -> None:
    """
    Called in the parent after a fork, or when it failed.
    """

def end_trace() -> None:
    """
    Ends the trace that `start_trace` began in the same Context.
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

def flush_events(timeout: SupportsFloat | SupportsIndex | None) -> int:
    """
    Waits until functions have been given what was published, and until it is written where it is
    kept; answers how much functions have not been given.
    """

def flush_telemetry(seconds: SupportsFloat | SupportsIndex) -> None:
    """
    Hands over what the provider still keeps, within `seconds`.
    """

def forget_parent() -> None:
    """
    Called in a forked child, where the threads that were inside do not exist. What was theirs is
    cleared away after this, and counts down no further than to nobody.
    """

def holds_cassette(number: SupportsIndex) -> bool:
    """
    Whether the cassette of a number is in.
    """

def hook_points() -> Incomplete:
    """
    Every point at which hooks can be asked.
    """

def insert_cassette(path: str | PathLike[str], mode: str, strict: bool) -> tuple[int, str]:
    """
    Begins with the cassette `path`; answers its number and whether it is recorded or replayed.
    """

def kernelspec_files() -> dict[str, bytes]:
    """
    The files of the kernel spec by their names; they are part of the extension, so that a wheel
    needs no data folder to install another one.
    """

def list_hooks() -> Incomplete:
    """
    Every hook, in the order in which they are asked.
    """

def list_models() -> list[Incomplete]:
    """
    The providers: what is usable here and what each lacks.
    """

def publish_event(kind: str, data: Incomplete) -> int:
    """
    Publishes an event; answers its number.
    """

def record_in_histogram(
    instrument: tuple[str, str, str], value: SupportsFloat | SupportsIndex, attributes: Incomplete
) -> None:
    """
    Notes a value in the histogram `(name, unit, description)`.
    """

def record_telemetry_error(error: Any) -> None:
    """
    Notes an exception on the span of what runs.
    """

def register_hook(points: Incomplete, function: Any, options: Incomplete) -> Incomplete:
    """
    Has a function asked at points around calls; answers what is known about the hook.
    """

def remove_channel(name: str) -> bool:
    """
    Destroys a channel; answers whether there was one.
    """

def remove_hooks(ids: SupportsGetItem[int, SupportsIndex]) -> int:
    """
    Takes registrations away by their identities; answers how many were still there.
    """

def replay_events(after: SupportsIndex, pattern: str, limit: SupportsIndex) -> list[Incomplete]:
    """
    Kept events after a number of the log, oldest first.
    """

def reset_telemetry_provider() -> None:
    """
    Records nothing from now on.
    """

def run_bundle(output: str, tree: Tree) -> Incomplete:
    """
    What a notebook shows of a run with that answer.
    """

def run_command(
    argv: SupportsGetItem[int, str],
    interpreter: tuple[str, str, SupportsGetItem[int, str]] | None = None,
) -> int:
    """
    Runs one command of the command line; `argv` begins with the program's name. `interpreter` is
    the program that runs it, its version, and the folders in which Jupyter looks for kernels.
    Answers the exit status.
    """

def set_otlp_provider(
    addresses: tuple[str | None, str | None],
    told: tuple[SupportsGetItem[int, tuple[str, str]], SupportsGetItem[int, tuple[str, str]]],
    seconds: SupportsFloat | SupportsIndex,
    capture_content: bool,
) -> None:
    """
    Records by sending OTLP, http/protobuf, to the `addresses` for traces and metrics; `told` are
    headers, and what is said of the program.
    """

def set_telemetry_provider(provider: Any, capture_content: bool) -> None:
    """
    Records with `provider`, an object as `aikit.telemetry` adapts it.
    """

def start_trace(name: str) -> str:
    """
    Begins a trace; answers its id.
    """

def store_path(place: str | PathLike[str]) -> Path:
    """
    The file of the index that a program calls `place`: a plain name is one of the project, as in
    scripts; anything else is a path.
    """

def subscribe_events(
    pattern: str, function: Any | None, capacity: SupportsIndex, drop: str
) -> Subscription:
    """
    Subscribes to events from now on; a function gets them where one is given.
    """

def traceparent() -> str | None:
    """
    What would be told to a program that is called from here, as a header.
    """

def try_channel(name: str) -> Channel | None:
    """
    Opens a channel; `None` where there are none.
    """

def unregister_hook(name: str) -> int:
    """
    Takes the hooks of a name away; answers how many there were.
    """

def use_hook(built_in: str, options: Incomplete, approve: Any | None = None) -> Incomplete:
    """
    Switches on a hook that comes with aikit; answers what is known about its parts.
    """

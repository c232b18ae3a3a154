"""Threads and event loops on which Rust calls Python functions."""

from __future__ import annotations

import atexit
import contextvars
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any

from . import _aikit

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from types import FrameType

    from ._threads import Threads

# What a function called by Rust belongs to: an `_aikit.Scope`, read by the next call into Rust.
SCOPE: contextvars.ContextVar[object] = contextvars.ContextVar("aikit_scope", default=None)

# Id of the trace that the outermost calls belong to, see `aikit.telemetry.start_trace`.
open_trace: contextvars.ContextVar[str | None] = contextvars.ContextVar("aikit_trace", default=None)

# Whether a log handler or a telemetry provider runs, whose own calls are told to neither.
SILENT: contextvars.ContextVar[bool] = contextvars.ContextVar("aikit_silent", default=False)

CO_ASYNC = 0x80 | 0x200  # a coroutine function or an async generator, as in `inspect`


def leave(token: contextvars.Token[Any]) -> None:
    """Goes back to the run around; where the block is left from elsewhere, that place stays."""
    try:
        token.var.reset(token)
    except ValueError:
        # Closed by the collector, or stepped by another task: that one is in its own run.
        return


def place() -> tuple[int, int]:
    """Returns what tells this thread and task from the others."""
    loop = running_loop()
    task = None if loop is None else sys.modules["asyncio"].current_task(loop)
    return threading.get_ident(), 0 if task is None else id(task)


def current_scope() -> object:
    """Returns the run that the current function belongs to, or None."""
    return SCOPE.get()


def calls_handlers() -> bool:
    """Returns whether this thread is that of a ``logging.handlers.QueueListener``."""
    module = sys.modules.get("logging.handlers")
    if module is None:
        return False
    monitor = module.QueueListener._monitor.__code__  # noqa: SLF001  # what its thread runs
    frame: FrameType | None = sys._getframe()  # noqa: SLF001
    while frame is not None:
        if frame.f_code is monitor:
            return True
        frame = frame.f_back
    return False


def is_async(function: Callable[..., object]) -> bool:
    """Returns whether calling ``function`` gives a coroutine, as far as one can see."""
    while hasattr(function, "func") and hasattr(function, "keywords"):  # functools.partial
        function = function.func
    declared = getattr(function, "_is_async", None)  # a procedure
    if isinstance(declared, bool):
        return declared
    code = getattr(function, "__code__", None)
    if code is None:
        code = getattr(getattr(type(function), "__call__", None), "__code__", None)  # noqa: B004
    return code is not None and bool(code.co_flags & CO_ASYNC)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Returns the event loop that runs on this thread, if one does."""
    # While another thread imports it, it is there without its parts; no loop runs here then.
    find = getattr(sys.modules.get("asyncio"), "get_running_loop", None)
    if find is None:
        return None
    try:
        loop: asyncio.AbstractEventLoop = find()
    except RuntimeError:
        return None
    return loop


# Sync functions ----------------------------------------------------------------------------------


class _SyncCall:
    """One call of a sync function."""

    __slots__ = ("args", "event_loop", "function", "reply", "scope", "variables")

    def __init__(  # noqa: PLR0913, PLR0917  # the border with Rust is flat
        self,
        function: Callable[..., object],
        args: tuple[object, ...],
        variables: contextvars.Context,
        event_loop: asyncio.AbstractEventLoop | None,
        scope: object,
        reply: _aikit.Reply,
    ) -> None:
        self.function = function
        self.args = args
        self.variables = variables
        self.event_loop = event_loop
        self.scope = scope
        self.reply = reply

    def run(self) -> None:
        if self.reply.is_abandoned():
            self.reply.resolve(None)
            return
        try:
            value = self.variables.run(self._call)
            if hasattr(type(value), "__await__"):
                # A sync function that answers an awaitable, such as a lambda round a coroutine.
                self._await(value)
            else:
                self.reply.resolve(value)
        except BaseException as error:  # noqa: BLE001  # every end is an answer
            self.reply.reject(error)

    def cancel(self) -> None:
        """A thread cannot be stopped; the answer is dropped when it comes."""

    def _call(self) -> object:
        SCOPE.set(self.scope)
        return self.function(*self.args)

    def _await(self, awaitable: Any) -> None:  # noqa: ANN401  # anything that can be awaited
        async def finish() -> object:
            return await awaitable

        _AsyncCall(finish, (), self.variables, self.event_loop, self.scope, self.reply).start()


# Async functions ---------------------------------------------------------------------------------


class _AsyncCall:
    """One call of an async function; begins on a loop whose thread is not blocked."""

    __slots__ = (
        "args",
        "event_loop",
        "function",
        "is_cancelled",
        "reply",
        "scope",
        "task",
        "variables",
    )

    def __init__(  # noqa: PLR0913, PLR0917  # the border with Rust is flat
        self,
        function: Callable[..., Coroutine[object, object, object]],
        args: tuple[object, ...],
        variables: contextvars.Context,
        event_loop: asyncio.AbstractEventLoop | None,
        scope: object,
        reply: _aikit.Reply,
    ) -> None:
        self.function = function
        self.args = args
        self.variables = variables
        self.event_loop = event_loop
        self.scope = scope
        self.reply = reply
        self.task: asyncio.Task[None] | None = None
        self.is_cancelled = False

    def start(self) -> None:
        with _lock:
            loop = self.event_loop
            if loop is None or loop in _blocked:
                loop = self.event_loop = _free_loop()
            _waiting.setdefault(loop, set()).add(self)
        try:
            loop.call_soon_threadsafe(_Beginning(self, loop), context=self.variables)
        except RuntimeError:  # the loop is closed
            self.lose(loop)

    def cancel(self) -> None:
        self.is_cancelled = True
        loop = self.event_loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._cancel_task)

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Called on the loop."""
        if not self._leave_queue(loop):
            return  # the loop was blocked in the meantime, and another one took the call
        if self.is_cancelled or self.reply.is_abandoned():
            self.reply.resolve(None)
            return
        SCOPE.set(self.scope)
        running = _begun.get(id(loop))
        if running is None:
            running = _begun[id(loop)] = _Running(loop)
        running.calls.add(self)
        self.task = loop.create_task(self._run(running))

    def lose(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop has ended before it began the call."""
        if self._leave_queue(loop):
            self.reply.lose()

    def _leave_queue(self, loop: asyncio.AbstractEventLoop) -> bool:
        with _lock:
            calls = _waiting.get(loop, set())
            if self not in calls:
                return False
            calls.discard(self)
            if not calls:
                del _waiting[loop]  # nothing here keeps a loop that has ended
        return True

    def _cancel_task(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def _run(self, running: _Running) -> None:
        try:
            self.reply.resolve(await self.function(*self.args))
        except BaseException as error:  # noqa: BLE001  # every end is an answer
            if self._is_lost(error):
                self.reply.lose()
            else:
                self.reply.reject(error)
        finally:
            running.calls.discard(self)

    def _is_lost(self, error: BaseException) -> bool:
        """Whether a loop that ends has cancelled its tasks, as ``asyncio.run`` does."""
        module = sys.modules["asyncio"]
        loop = self.event_loop
        if self.is_cancelled or not isinstance(error, module.CancelledError) or loop in _own_loops:
            return False
        # A function may have cancelled its own task as well; that ends nobody else's.
        return all(_is_asked_to_end(task) for task in module.all_tasks(loop))


def _is_asked_to_end(task: asyncio.Task[Any]) -> bool:
    cancelling = getattr(task, "cancelling", None)  # new in Python 3.11
    return cancelling is not None and cancelling() > 0


class _Beginning:
    """Begins a call on its loop; a loop that is closed before drops it, and the call is lost."""

    __slots__ = ("_call", "_loop")

    def __init__(self, call: _AsyncCall, loop: asyncio.AbstractEventLoop) -> None:
        self._call: _AsyncCall | None = call
        self._loop = loop

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.begin(self._loop)

    def __del__(self) -> None:
        if self._call is not None:
            self._call.lose(self._loop)


class _Running:
    """The calls that have begun on a loop, until it is closed.

    A closed loop says nothing to those who wait for its tasks. It drops its timers, though; so one
    that never ends is all that holds a sentinel.
    """

    # Seconds; the loop looks at its timers at least once a day by itself.
    _NEVER = 1e9

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.calls: set[_AsyncCall] = set()
        self.thread = threading.get_ident()
        self._loop = weakref.ref(loop)
        loop.call_later(self._NEVER, _Sentinel(id(loop)))

    def is_held_by(self, thread: int, loop: asyncio.AbstractEventLoop | None) -> bool:
        """Whether the calls stand still while ``thread``, on which ``loop`` runs, is blocked."""
        own = self._loop()
        if own is None or own is loop:
            return own is not None
        return self.thread == thread and not own.is_running()


class VisitedLoop:
    """What pyo3-async-runtimes needs of a loop; what it gives to be called runs inside of a visit.

    The exit of the interpreter waits for visits. A thread that it found elsewhere with frames of
    Rust's on its stack, as below the loop's own code that a result brings about, would end the
    process.
    """

    __slots__ = ("_loop",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def create_future(self) -> asyncio.Future[Any]:
        """A future of the loop."""
        return self._loop.create_future()

    def call_soon_threadsafe(
        self,
        function: Callable[..., object],
        *args: object,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """Has the loop call a function, from any thread."""
        visit = _aikit.call_as_visitor
        return self._loop.call_soon_threadsafe(visit, function, args, context=context)


class _Sentinel:
    """Gone with the loop that holds it."""

    __slots__ = ("_loop_id",)

    def __init__(self, loop_id: int) -> None:
        self._loop_id = loop_id

    def __call__(self) -> None:
        """Is never called."""

    def __del__(self) -> None:
        running = _begun.pop(self._loop_id, None)
        for call in () if running is None else [*running.calls]:
            call.reply.lose()


# Entered again where the collector ends a loop while it is held.
_lock = threading.RLock()
_own_loops: list[asyncio.AbstractEventLoop] = []
# Loops whose thread waits for Rust, and how many waits nest there.
_blocked: dict[asyncio.AbstractEventLoop, int] = {}
# Calls that their loop has not begun yet.
_waiting: dict[asyncio.AbstractEventLoop, set[_AsyncCall]] = {}
# Calls that have begun and not ended, by the identity of their loop.
_begun: dict[int, _Running] = {}
_threads: Threads | None = None


def _free_loop() -> asyncio.AbstractEventLoop:
    """Returns the first of aikit's own loops that is not blocked; the lock is held.

    There is one, unless an async function on it calls a sync function of aikit.
    """
    for loop in _own_loops:
        if loop not in _blocked:
            return loop
    import asyncio  # noqa: PLC0415  # needed with the first async function only

    loop = asyncio.new_event_loop()
    name = f"aikit-loop-{len(_own_loops) + 1}"
    threading.Thread(target=loop.run_forever, name=name, daemon=True).start()
    _own_loops.append(loop)
    return loop


class _BlockingTask:
    """A task that waits for Rust without letting its loop go on."""

    __slots__ = ("_asked", "_loop", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task = sys.modules["asyncio"].current_task(loop)
        self._asked = self._requests()

    def check(self) -> None:
        """Raises `CancelledError` if the task was cancelled since it began to wait."""
        if self._requests() > self._asked:
            raise sys.modules["asyncio"].CancelledError

    def unblock(self) -> None:
        """Says that the wait is over."""
        with _lock:
            count = _blocked.pop(self._loop) - 1
            if count > 0:
                _blocked[self._loop] = count

    def _requests(self) -> int:
        # Python 3.10 cannot say; there a Ctrl-C raises at once instead.
        cancelling = getattr(self._task, "cancelling", None)
        return 0 if cancelling is None else int(cancelling())


def block_loop() -> _BlockingTask | None:
    """Says that this thread waits for Rust; its loop's waiting calls go to another loop."""
    loop = running_loop()
    if loop is None:
        return None
    task = _BlockingTask(loop)
    with _lock:
        _blocked[loop] = _blocked.get(loop, 0) + 1
        moved = _waiting.pop(loop, set())
    for call in moved:
        call.start()
    return task


def begun_here() -> list[object]:
    """Returns the runs of the async functions that cannot go on while this thread is blocked.

    They have begun on the loop that runs here, or on one that has stopped and only ran here.
    """
    loop, here = running_loop(), threading.get_ident()
    scopes: list[object] = []
    for running in list(_begun.values()):
        if running.is_held_by(here, loop):
            scopes.extend(call.scope for call in list(running.calls))
    return scopes


# Called by Rust ----------------------------------------------------------------------------------


def start_sync(  # noqa: PLR0913, PLR0917  # the border with Rust is flat
    function: Callable[..., object],
    args: tuple[object, ...],
    variables: contextvars.Context | None,
    event_loop: asyncio.AbstractEventLoop | None,
    scope: object,
    reply: _aikit.Reply,
) -> _SyncCall:
    """Calls ``function`` on a thread of its own; ``reply`` gets its answer."""
    global _threads  # noqa: PLW0603  # one pool a process
    with _lock:
        if _threads is None:
            from ._threads import Threads  # noqa: PLC0415  # needed with the first call only

            _threads = Threads()
        threads = _threads
    call = _SyncCall(function, args, _copy(variables), event_loop, scope, reply)
    threads.put(call)
    return call


def start_async(  # noqa: PLR0913, PLR0917  # the border with Rust is flat
    function: Callable[..., Coroutine[object, object, object]],
    args: tuple[object, ...],
    variables: contextvars.Context | None,
    event_loop: asyncio.AbstractEventLoop | None,
    scope: object,
    reply: _aikit.Reply,
) -> _AsyncCall:
    """Runs the coroutine of ``function`` on a loop; ``reply`` gets its answer."""
    call = _AsyncCall(function, args, _copy(variables), event_loop, scope, reply)
    call.start()
    return call


def _copy(variables: contextvars.Context | None) -> contextvars.Context:
    # A copy for each call: two calls of one run may run at the same time.
    return contextvars.Context() if variables is None else variables.copy()


def _after_fork() -> None:
    global _threads, _lock  # noqa: PLW0603  # the parent's threads do not exist here
    _threads = None
    _lock = threading.RLock()
    _own_loops.clear()
    _blocked.clear()
    _waiting.clear()
    _begun.clear()


atexit.register(_aikit.close_interpreter)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

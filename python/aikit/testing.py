"""Models and cassettes for tests: no key, the same answers every time."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from . import _aikit
from ._tools import listed
from .errors import LimitExceededError
from .middleware import Arguments
from .models import Model
from .procedures import Procedure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from .telemetry import Instrument, SpanStart


class ScriptedModel(Model):
    """Gives the answers of a list, one a request.

    Args:
        answers: Texts, or mappings with ``text``, ``tool_calls`` (``name`` and ``arguments``
            each) and ``expect``, a piece that the last message must contain.
        name: Its name; the full name is ``scripted:NAME``.
    """

    def __init__(self, answers: Sequence[str | Mapping[str, Any]], *, name: str = "test") -> None:
        super().__init__(f"scripted:{name}", answers=listed("answers", answers))


class FunctionModel(Model):
    """Asks a function for each answer.

    Args:
        function: Gets ``{"messages": …, "tools": …}`` and returns a text or a mapping with
            ``text`` and ``tool_calls``; sync or async.
        name: Its name; the full name is ``function:NAME``.
    """

    def __init__(self, function: Callable[[dict[str, Any]], object], *, name: str = "test") -> None:
        self._native = _aikit.Model.from_function(name, function)


class ProcedureDouble:
    """Stands in for a procedure in tests: scripted answers, recorded calls.

    Everything around the function (middleware, time limit, tracking) is real.

    Args:
        name: Its name.
        answers: One answer for each call; an exception is raised.

    Attributes:
        procedure: What to use in place of the real one; the double can be called itself as well.
        calls: `Arguments` of every call so far.
    """

    def __init__(self, name: str, answers: Sequence[object]) -> None:
        self.calls: list[Arguments] = []
        self._answers = listed("answers", answers)
        self.procedure: Procedure[Any] = Procedure(self._answer, name=name, schema=False)

    @property
    def remaining(self) -> int:
        """How many answers are left."""
        return max(0, len(self._answers) - len(self.calls))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401, D102  # as a function
        return self.procedure(*args, **kwargs)

    def _answer(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as a function
        number = len(self.calls)
        self.calls.append(Arguments(*args, **kwargs))
        if number >= len(self._answers):
            raise LimitExceededError(
                f"the double `{self.procedure.name}` has no answer for call {number + 1}",
                hint="give it one answer for each call",
            )
        answer = self._answers[number]
        if isinstance(answer, BaseException):
            raise answer
        return answer


class Cassette:
    """A cassette while it is in, and what it did.

    Attributes:
        path: The file.
        mode: ``record`` or ``replay``; with ``auto``, what it came to.
        entries: Answers in it, once it is out.
        unused: Answers of a replay that nobody asked for, once it is out.
        late: Calls that ended while the file was written and are not in it, once it is out.
    """

    def __init__(self, path: str | os.PathLike[str], mode: str, *, strict: bool = True) -> None:
        self.path = os.fspath(path)
        self.mode = mode
        self.entries = 0
        self.unused = 0
        self.late = 0
        self._strict = strict
        self._number = 0

    def __enter__(self) -> Cassette:  # noqa: PYI034  # Python 3.10 has no `Self`
        self._number, self.mode = _aikit.insert_cassette(self.path, self.mode, self._strict)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # The block may have taken it out by itself, and another one may be in.
        if self.is_in:
            self.eject(keep=kind is None)

    @property
    def is_in(self) -> bool:
        """Whether it is in."""
        return bool(_aikit.holds_cassette(self._number))

    def eject(self, *, keep: bool = True, path: str | os.PathLike[str] | None = None) -> None:
        """Takes the cassette out.

        A recording that cannot be written stays in, also at the end of its block: eject it again
        when there is room, or with another ``path``, or with ``keep=False`` to forget it.

        Args:
            keep: Whether a recording is written; else the file stays as it was.
            path: The file to write instead of the one that was begun with.

        Raises:
            StorageIOError: If it cannot be written.
            LimitExceededError: If it had no room for some calls; what it holds is written, and it
                is out.
            InvalidArgsError: If it is out already, if ``path`` is another file than a cassette, or
                if nothing is to be written to it.
        """
        report = _aikit.eject_cassette(self._number, keep, path)
        self.path = report["path"]
        self.entries, self.unused = report["entries"], report["unused"]
        self.late = report["late"]

    def __repr__(self) -> str:
        return f"Cassette({self.path!r}, mode={self.mode!r})"


def record(path: str | os.PathLike[str]) -> Cassette:
    """Records what models and tools answer in the block of ``with``.

    Calls of models, embeddings, calls of tools with permissions and of ``ask_user`` are made and
    recorded, refusals and time limits of tools as well; what was typed unseen is not. The clock
    of aikit stands still, as it will when it is replayed; Python's own does not. The file is
    written at the end of the block, whole; after an exception it stays as it was. Keys and what
    looks like one are not in it. One cassette can be in at a time; it holds 100,000 calls and
    1 GiB, and a call for which there is no room is a ``LimitExceededError``, at the end where it
    was made already.

    Args:
        path: The file, of JSON lines. It is tried at the beginning of the block.

    Raises:
        ConflictError: If another cassette is in.
        InvalidArgsError: If another file than a cassette is there.
        DeniedError: If it is in ``.git`` or ``.aikit``, or in a folder that refuses it.
        StorageIOError: If it cannot be written; see ``Cassette.eject``.
    """
    return Cassette(path, "record")


def replay(path: str | os.PathLike[str], *, strict: bool = True) -> Cassette:
    """Answers models and tools in the block of ``with`` from a cassette; no key is needed.

    Answered from the file are models, embeddings of providers, tools with permissions and
    ``ask_user``. Everything else runs as ever: the program itself, its own tools, tools that only
    compute, ``Model.check`` and pages that an index reads by their address; ``no_network`` keeps
    aikit from going out for these.

    Args:
        path: The file that ``record`` wrote.
        strict: Whether a call that was not recorded is an error; else it is made for real.

    Raises:
        NotFoundError: If there is no such file.
        VersionMismatchError: If a newer version wrote it.
        CorruptError: If it is damaged.
        ConflictError: If another cassette is in.
        CassetteMissError: In the block, with the first difference to the nearest recorded call.
    """
    return Cassette(path, "replay", strict=strict)


def auto(path: str | os.PathLike[str], *, strict: bool = True) -> Cassette:
    """Is ``replay`` when the file is there, else ``record``."""
    return Cassette(path, "auto", strict=strict)


@contextmanager
def no_network() -> Iterator[None]:
    """Lets no model and no tool of aikit reach the network in the block of ``with``.

    What tries is refused with ``DeniedError``, the machine's own addresses included. It may be
    nested. No program is started, as it could go out by itself. Sockets that Python opens by
    itself are not its concern.
    """
    _aikit.close_network(True)
    try:
        yield
    finally:
        _aikit.close_network(False)


class RecordedSpan:
    """A span that ``RecordingTelemetry`` was told of.

    Attributes:
        name: Its last name.
        kind: ``internal``, ``client`` or ``server``.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_span_id: The span around it, or None.
        start_time: Seconds since 1970-01-01 UTC.
        end_time: The same, or None while it runs.
        attributes: What it carries.
        errors: What was noted on it.
    """

    def __init__(self, start: SpanStart) -> None:
        self.name = start.name
        self.kind = start.kind
        self.trace_id = start.trace_id
        self.span_id = start.span_id
        self.parent_span_id = start.parent_span_id
        self.start_time = start.start_time
        self.end_time: float | None = None
        self.attributes = dict(start.attributes)
        self.errors: list[Exception] = []

    def set_name(self, name: str) -> None:
        """Gives it another name."""
        self.name = name

    def set_attribute(self, key: str, value: Any) -> None:  # noqa: ANN401  # any data
        """Sets an attribute."""
        self.attributes[key] = value

    def record_error(self, error: Exception) -> None:
        """Notes an error."""
        self.errors.append(error)

    def end(self, end_time: float) -> None:
        """Ends it."""
        self.end_time = end_time

    def __repr__(self) -> str:
        return f"RecordedSpan({self.name!r}, parent={self.parent_span_id!r})"


class RecordingTelemetry:
    """A provider that keeps what it is told; set it with ``aikit.telemetry.set_provider``.

    Attributes:
        spans: In the order of their beginnings.
        measured: Names, values and attributes of counters and histograms.
        errors: Trace ids and errors outside spans.
        ended: Ids of the traces that were ended.
    """

    def __init__(self) -> None:
        self.spans: list[RecordedSpan] = []
        self.measured: list[tuple[str, float, dict[str, Any]]] = []
        self.errors: list[tuple[str, Exception]] = []
        self.ended: list[str] = []

    def start_span(self, start: SpanStart) -> RecordedSpan:
        """Keeps a span."""
        span = RecordedSpan(start)
        self.spans.append(span)
        return span

    def end_trace(self, trace_id: str) -> None:
        """Keeps the id of a trace that was ended."""
        self.ended.append(trace_id)

    def record_error(self, trace_id: str, error: Exception) -> None:
        """Keeps an error outside spans."""
        self.errors.append((trace_id, error))

    def counter(self, instrument: Instrument) -> _Measured:
        """Keeps what is added."""
        return _Measured(self, instrument.name)

    def histogram(self, instrument: Instrument) -> _Measured:
        """Keeps what is noted."""
        return _Measured(self, instrument.name)


class _Measured:
    def __init__(self, recorder: RecordingTelemetry, name: str) -> None:
        self._recorder = recorder
        self._name = name

    def add(self, amount: float, attributes: Mapping[str, Any]) -> None:
        self._recorder.measured.append((self._name, amount, dict(attributes)))

    record = add

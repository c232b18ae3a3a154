"""Telemetry: spans, counters and histograms, and who records them.

Every call of aikit is a span by itself. Nothing is recorded, and nothing leaves the process,
until a provider is set, here or by ``[telemetry]`` of the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import Self

from . import _aikit, _callbacks
from . import _given as given
from .errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType


@dataclass(frozen=True)
class SpanStart:
    """What a provider is told when a span begins.

    Attributes:
        name: Its name, such as ``chat gpt-4o``.
        kind: ``internal``, ``client`` (a request to another program) or ``server``.
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        parent_span_id: The span around it; None for the first of a trace.
        start_time: Seconds since 1970-01-01 UTC.
        attributes: What it carries from its beginning.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_span_id: str | None
    start_time: float
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Instrument:
    """What is measured.

    Attributes:
        name: Such as ``gen_ai.client.token.usage``.
        unit: As in UCUM, such as ``s``; may be empty.
        description: May be empty.
    """

    name: str
    unit: str
    description: str


class SpanRecorder(Protocol):
    """A provider's side of one span. Its methods are called from any thread."""

    def set_name(self, name: str) -> None:
        """The span has another name."""

    def set_attribute(self, key: str, value: Any) -> None:  # noqa: ANN401  # any data
        """Sets an attribute; the last value stays."""

    def record_error(self, error: Exception) -> None:
        """The span has failed."""

    def end(self, end_time: float) -> None:
        """The span is over: seconds since 1970-01-01 UTC."""


class CounterRecorder(Protocol):
    """A provider's side of a sum."""

    def add(self, amount: float, attributes: Mapping[str, Any]) -> None:
        """Adds an amount."""


class HistogramRecorder(Protocol):
    """A provider's side of a distribution."""

    def record(self, value: float, attributes: Mapping[str, Any]) -> None:
        """Notes one value."""


class TelemetryProvider(Protocol):
    """What records spans and measurements.

    Its methods are called inside the calls of aikit, from any thread, so they must be quick. What
    they raise is logged and harms no call. ``start_trace``, ``end_trace`` and ``flush`` may be
    left out.
    """

    def start_span(self, start: SpanStart) -> SpanRecorder:
        """A span begins."""

    def record_error(self, trace_id: str, error: Exception) -> None:
        """An error outside any span."""

    def counter(self, instrument: Instrument) -> CounterRecorder:
        """The sum that the instrument describes."""

    def histogram(self, instrument: Instrument) -> HistogramRecorder:
        """The distribution that the instrument describes."""


class _Adapter:
    """A provider in the form that the core calls."""

    def __init__(self, provider: TelemetryProvider) -> None:
        self._provider = provider

    def start_span(self, start: dict[str, Any]) -> SpanRecorder:
        return self._provider.start_span(SpanStart(**start))

    def start_trace(self, start: dict[str, Any]) -> SpanRecorder:
        begin = getattr(self._provider, "start_trace", self._provider.start_span)
        recorder: SpanRecorder = begin(SpanStart(**start))
        return recorder

    def end_trace(self, trace_id: str) -> None:
        end = getattr(self._provider, "end_trace", None)
        if end is not None:
            end(trace_id)

    def record_error(self, trace_id: str, error: Exception) -> None:
        self._provider.record_error(trace_id, error)

    def add(self, of: tuple[str, str, str], amount: float, attributes: dict[str, Any]) -> None:
        self._provider.counter(Instrument(*of)).add(amount, attributes)

    def record(self, of: tuple[str, str, str], value: float, attributes: dict[str, Any]) -> None:
        self._provider.histogram(Instrument(*of)).record(value, attributes)

    def flush(self, seconds: float) -> None:
        flush = getattr(self._provider, "flush", None)
        if flush is not None:
            flush(seconds)


class OtlpProvider:
    """Sends OTLP, http/protobuf, to a receiver: an OpenTelemetry collector, or what speaks it.

    Args:
        endpoint: Address of the receiver, without ``/v1/traces``.
        headers: Headers of each request, such as a key; their values are hidden in logs.
        service_name: What the program is called.
        resource: What else is told of the program.
        timeout: Longest time for one request, in seconds.
    """

    def __init__(
        self,
        endpoint: str = "http://localhost:4318",
        *,
        headers: Mapping[str, str] | None = None,
        service_name: str = "aikit",
        resource: Mapping[str, str] | None = None,
        timeout: float = 10.0,
    ) -> None:
        self.endpoint = given.text("endpoint", endpoint).rstrip("/")
        self._headers = _texts("headers", headers)
        named = {"service.name": given.text("service_name", service_name)}
        self._resource = named | _texts("resource", resource)
        self._timeout = given.number("timeout", timeout)

    def __repr__(self) -> str:
        return f"OtlpProvider({self._resource['service.name']!r})"

    def _set(self, *, capture_content: bool) -> None:
        _aikit.set_otlp_provider(
            (f"{self.endpoint}/v1/traces", f"{self.endpoint}/v1/metrics"),
            (list(self._headers.items()), list(self._resource.items())),
            self._timeout,
            capture_content,
        )


def set_provider(
    provider: TelemetryProvider | OtlpProvider, *, capture_content: bool = False
) -> None:
    """Records with a provider from now on, in the whole process, in place of the one before.

    Args:
        provider: An ``OtlpProvider``, or any object with the methods of ``TelemetryProvider``.
        capture_content: Whether spans carry what was said to models and tools, and their answers.

    Raises:
        InvalidArgsError: If the object lacks a method, or is a class.
        ConfigError: If the address of an ``OtlpProvider`` is none.
    """
    capture = given.flag("capture_content", capture_content)
    if isinstance(provider, type):
        raise InvalidArgsError(
            f"the provider `{provider.__name__}` is a class",
            hint=f"give an object of it: `{provider.__name__}()`",
        )
    if isinstance(provider, OtlpProvider):
        provider._set(capture_content=capture)  # noqa: SLF001  # our own
        return
    for method in ("start_span", "record_error", "counter", "histogram"):
        if not callable(getattr(provider, method, None)):
            raise InvalidArgsError(
                f"the provider `{type(provider).__name__}` has no method `{method}`",
                hint="give it the methods of `aikit.telemetry.TelemetryProvider`",
            )
    _aikit.set_telemetry_provider(_Adapter(provider), capture)


def reset_provider() -> None:
    """Records nothing from now on."""
    _aikit.reset_telemetry_provider()


def flush(seconds: float = 5.0) -> None:
    """Hands over what the provider still keeps; waits at most this long."""
    _aikit.flush_telemetry(given.number("seconds", seconds))


def start_trace(name: str = "trace") -> str:
    """Begins a trace: what has no other parent stands below it until ``end_trace``.

    Returns:
        The trace id, 32 hexadecimal digits.
    """
    trace_id = _aikit.start_trace(given.text("name", name))
    _callbacks.open_trace.set(trace_id)
    return trace_id


def end_trace() -> None:
    """Ends the trace that ``start_trace`` began in the same Context."""
    _aikit.end_trace()
    _callbacks.open_trace.set(None)


def start_span(name: str, attributes: Mapping[str, Any] | None = None) -> Span:
    """Begins a span below the call that runs. It has no children: what has some is a procedure.

    Args:
        name: Its name.
        attributes: What it carries.

    Returns:
        The span, which ``with`` ends; an exception that leaves the block is noted on it.
    """
    carried = given.optional_mapping("attributes", attributes) or {}
    return Span(_aikit.TelemetrySpan(given.text("name", name), carried))


def record_error(error: BaseException) -> None:
    """Notes an exception on the span of what runs."""
    _exception(error)
    _aikit.record_telemetry_error(error)


def traceparent() -> str | None:
    """Returns the header that tells another program where in the trace it is called.

    None while nobody records and no caller named its own place, and outside of every call: there no
    span runs, also between ``start_trace`` and ``end_trace``. Ask inside of the call that the other
    program is called from.
    """
    return _aikit.traceparent()


def counter(name: str, *, unit: str = "", description: str = "") -> Counter:
    """Gives a sum by its name.

    Args:
        name: Up to 255 letters, digits, ``_``, ``.``, ``-`` and ``/``, beginning with a letter.
        unit: In the spelling of UCUM, such as ``s`` or ``{token}``; up to 63 characters.
        description: What it means.

    Raises:
        InvalidArgsError: If one of them does not fit.
    """
    return Counter(_checked(Instrument(name, unit, description)))


def histogram(name: str, *, unit: str = "", description: str = "") -> Histogram:
    """Gives a distribution by its name; the arguments are those of ``counter``.

    Raises:
        InvalidArgsError: If one of them does not fit.
    """
    return Histogram(_checked(Instrument(name, unit, description)))


class Span:
    """A span that runs; dropping it ends it.

    Attributes:
        trace_id: 32 hexadecimal digits; empty while nobody records.
        span_id: 16 hexadecimal digits; empty while nobody records.
    """

    def __init__(self, native: _aikit.TelemetrySpan) -> None:
        self._native = native
        self.trace_id, self.span_id = native.identity()

    def set_attribute(self, key: str, value: Any) -> None:  # noqa: ANN401  # any data
        """Sets what belongs to it; the last value stays."""
        self._native.set_attribute(given.text("key", key), value)

    def record_error(self, error: BaseException) -> None:
        """Notes an exception: the span has failed."""
        _exception(error)
        self._native.record_error(error)

    def finish(self) -> None:
        """Ends it; the first end counts."""
        self._native.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.record_error(error)
        self.finish()


class Counter:
    """A sum that only grows."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument

    @property
    def name(self) -> str:
        """Its name."""
        return self._instrument.name

    def add(self, amount: float, attributes: Mapping[str, Any] | None = None) -> None:
        """Adds an amount, 0 or more.

        Raises:
            InvalidArgsError: If the amount is negative or not finite.
        """
        carried = given.optional_mapping("attributes", attributes) or {}
        sum_of = _named(self._instrument)
        _aikit.add_to_counter(sum_of, given.number("amount", amount), carried)


class Histogram:
    """A distribution of values."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument

    @property
    def name(self) -> str:
        """Its name."""
        return self._instrument.name

    def record(self, value: float, attributes: Mapping[str, Any] | None = None) -> None:
        """Notes one value.

        Raises:
            InvalidArgsError: If the value is not finite.
        """
        carried = given.optional_mapping("attributes", attributes) or {}
        values_of = _named(self._instrument)
        _aikit.record_in_histogram(values_of, given.number("value", value), carried)


def _texts(name: str, value: Mapping[str, str] | None) -> dict[str, str]:
    texts = given.optional_mapping(name, value) or {}
    return {key: given.text(f"{name}.{key}", it) for key, it in texts.items()}


def _exception(error: object) -> None:
    if not isinstance(error, BaseException):
        given.refuse("error", error, "exception", "give what `except … as error` gives")


def _checked(instrument: Instrument) -> Instrument:
    for name in ("name", "unit", "description"):
        given.text(name, getattr(instrument, name))
    _aikit.check_instrument(_named(instrument))
    return instrument


def _named(instrument: Instrument) -> tuple[str, str, str]:
    return (instrument.name, instrument.unit, instrument.description)

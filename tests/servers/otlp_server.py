"""A receiver of OTLP, http/protobuf, on the loopback address: decodes what it gets.

The messages are decoded by OpenTelemetry's own package, so that what is sent is what others read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from servers.loopback import Exchange, LoopbackServer, Request

if TYPE_CHECKING:
    from collections.abc import Iterable

# Kinds of spans by their numbers.
KINDS = {1: "internal", 2: "server", 3: "client"}


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as it came in; identities are hexadecimal, an empty parent is none."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    start: int
    end: int
    is_error: bool
    message: str


@dataclass
class Received:
    """What a receiver was sent."""

    resource: dict[str, Any] = field(default_factory=dict)
    spans: list[ReceivedSpan] = field(default_factory=list)
    # Name of the metric to its last message.
    metrics: dict[str, Any] = field(default_factory=dict)


class OtlpServer(LoopbackServer):
    """Receives until it is closed.

    Args:
        statuses: Status codes of the first answers; 200 afterwards.
    """

    def __init__(self, statuses: Iterable[int] = ()) -> None:
        super().__init__()
        self._statuses = list(statuses)
        self.received = Received()

    def answer(self, request: Request, exchange: Exchange) -> None:
        """Decodes one request."""
        if self._statuses:
            exchange.send(self._statuses.pop(0), b"", "text/plain")
            return
        if request.path.endswith("/v1/traces"):
            self._take_spans(request.body)
        elif request.path.endswith("/v1/metrics"):
            self._take_metrics(request.body)
        exchange.send(200, b"", "application/x-protobuf")

    def span(self, name: str) -> ReceivedSpan:
        """The one span of this name."""
        found = [it for it in self.received.spans if it.name == name]
        assert len(found) == 1, (name, [it.name for it in self.received.spans])
        return found[0]

    def tree(self) -> list[str]:
        """Names of the spans, each below its parent and indented, children by their beginnings."""
        known = {it.span_id for it in self.received.spans}
        roots = [it for it in self.received.spans if it.parent_id not in known]
        return [line for root in roots for line in self._below(root, 0)]

    def _below(self, span: ReceivedSpan, depth: int) -> list[str]:
        children = [it for it in self.received.spans if it.parent_id == span.span_id]
        children.sort(key=lambda it: it.start)
        lines = [line for child in children for line in self._below(child, depth + 1)]
        return ["  " * depth + span.name, *lines]

    def _take_spans(self, body: bytes) -> None:
        message = ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            self.received.resource = attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                assert scope.scope.name == "aikit"
                self.received.spans += map(_span, scope.spans)

    def _take_metrics(self, body: bytes) -> None:
        message = ExportMetricsServiceRequest.FromString(body)
        for resource in message.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.received.metrics[metric.name] = metric


def _span(span: Any) -> ReceivedSpan:  # noqa: ANN401  # a message of protobuf
    return ReceivedSpan(
        name=span.name,
        kind=KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=attributes(span.attributes),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        is_error=span.status.code == 2,  # STATUS_CODE_ERROR
        message=span.status.message,
    )


def attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    """Attributes as plain data."""
    return {it.key: _plain(it.value) for it in pairs}


def _plain(value: Any) -> Any:  # noqa: ANN401  # a message of protobuf, and what it holds
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(it) for it in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return None if kind is None else getattr(value, kind)

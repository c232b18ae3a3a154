"""Telemetry: what providers are told, and what a real receiver of OTLP gets."""

from __future__ import annotations

import json
import logging
import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace as opentelemetry
from opentelemetry.sdk.trace import TracerProvider

import aikit
from aikit import errors, telemetry
from aikit.errors import InvalidArgsError
from aikit.telemetry import OtlpProvider
from aikit.testing import RecordingTelemetry, ScriptedModel, no_network
from servers.http_server import HttpServer
from servers.openai_server import OpenAIServer
from servers.otlp_server import OtlpServer, attributes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUESTION = "how many words are in this confidential sentence"


@pytest.fixture(autouse=True)
def _nobody_records() -> Iterator[None]:
    yield
    telemetry.reset_provider()


@pytest.fixture
def recorder() -> RecordingTelemetry:
    made = RecordingTelemetry()
    telemetry.set_provider(made)
    return made


@aikit.tool
def count_words(text: str) -> int:
    """Counts words.

    Args:
        text: What to count in.
    """
    return len(text.split())


def run_agent(server: OpenAIServer, **options: Any) -> aikit.AgentRun:  # noqa: ANN401
    model = aikit.OpenAI(server.base_url, "test-key").model("rules")
    agent = aikit.Agent(model, name="counter", instructions="be brief", tools=[count_words])
    return agent.run(QUESTION, **options)


def sent(receiver: OtlpServer, *, capture_content: bool = False) -> None:
    """Runs an agent whose spans go to the receiver."""
    provider = OtlpProvider(f"http://127.0.0.1:{receiver.port}", service_name="tests")
    telemetry.set_provider(provider, capture_content=capture_content)
    with OpenAIServer(api_key="test-key") as server:
        run_agent(server)
    telemetry.flush()


def test_a_real_receiver_gets_the_span_tree_of_an_agent_run() -> None:
    with OtlpServer() as receiver:
        sent(receiver)
        assert receiver.tree() == [
            "invoke_agent counter",
            "  agent step",
            "    chat rules",
            "    execute_tool count_words",
            "  agent step",
            "    chat rules",
        ]
        steps = [it for it in receiver.received.spans if it.name == "agent step"]
        numbers = [it.attributes["aikit.agent.step"] for it in steps]
        assert numbers == [1, 2]
        assert {it.attributes["gen_ai.agent.name"] for it in steps} == {"counter"}
        spans = receiver.received.spans
        assert len({it.trace_id for it in spans}) == 1
        assert all(it.start <= it.end and not it.is_error for it in spans)
        assert receiver.received.resource["service.name"] == "tests"
        assert receiver.received.resource["telemetry.sdk.name"] == "aikit"
        requests = [it for it in receiver.requests if it.path == "/v1/traces"]
        assert {it.headers["content-type"] for it in requests} == {"application/x-protobuf"}


def test_the_names_are_those_of_the_genai_conventions() -> None:
    with OtlpServer() as receiver:
        sent(receiver)
        agent = receiver.span("invoke_agent counter")
        assert agent.kind == "internal"
        expected = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "counter",
            "gen_ai.provider.name": "openai-compatible",
            "gen_ai.request.model": "rules",
        }
        assert expected == {name: agent.attributes.get(name) for name in expected}
        chats = [it for it in receiver.received.spans if it.name == "chat rules"]
        for chat, reason in zip(chats, ("tool_call", "stop"), strict=True):
            assert chat.kind == "client"
            expected = {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai-compatible",
                "gen_ai.request.model": "rules",
                "gen_ai.response.model": "rules",
            }
            assert expected == {name: chat.attributes.get(name) for name in expected}
            assert chat.attributes["gen_ai.response.finish_reasons"] == [reason]
        for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
            of_chats = sum(it.attributes[name] for it in chats)
            assert agent.attributes[name] == of_chats > 0
        tool = receiver.span("execute_tool count_words")
        expected = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "count_words",
            "gen_ai.tool.type": "function",
            "gen_ai.tool.description": "Counts words.",
        }
        assert expected == {name: tool.attributes.get(name) for name in expected}
        assert tool.attributes["gen_ai.tool.call.id"]
        every = {name for it in receiver.received.spans for name in it.attributes}
        assert "gen_ai.system" not in every


def test_the_metrics_are_those_of_the_genai_conventions() -> None:
    with OtlpServer() as receiver:
        sent(receiver)
        metrics = receiver.received.metrics
        tokens = metrics["gen_ai.client.token.usage"]
        assert tokens.unit == "{token}"
        kinds = {}
        for point in tokens.histogram.data_points:
            carried = attributes(point.attributes)
            assert carried["gen_ai.provider.name"] == "openai-compatible"
            kinds[carried["gen_ai.token.type"]] = point
        assert set(kinds) == {"input", "output"}
        assert kinds["input"].count == 2
        assert kinds["input"].explicit_bounds[:3] == [1, 4, 16]
        duration = metrics["gen_ai.client.operation.duration"]
        assert duration.unit == "s"
        assert sum(it.count for it in duration.histogram.data_points) == 2


def test_the_time_until_the_first_piece_is_measured() -> None:
    with OtlpServer() as receiver, OpenAIServer(api_key="test-key") as server:
        telemetry.set_provider(OtlpProvider(f"http://127.0.0.1:{receiver.port}"))
        model = aikit.OpenAI(server.base_url, "test-key").model("echo")
        list(model.stream("hello"))
        telemetry.flush()
        name = "gen_ai.client.operation.time_to_first_chunk"
        assert receiver.received.metrics[name].histogram.data_points[0].count == 1
        assert receiver.span("chat echo").attributes["gen_ai.response.time_to_first_chunk"] > 0


def content_of(receiver: OtlpServer) -> str:
    return json.dumps([it.attributes for it in receiver.received.spans])


def test_content_is_absent_by_default() -> None:
    with OtlpServer() as receiver:
        sent(receiver)
        assert "confidential" not in content_of(receiver)
        assert "be brief" not in content_of(receiver)
        raw = b"".join(it.body for it in receiver.requests)
        assert b"confidential" not in raw


def test_content_is_there_when_somebody_asks_for_it() -> None:
    with OtlpServer() as receiver:
        sent(receiver, capture_content=True)
        first, last = [it for it in receiver.received.spans if it.name == "chat rules"]
        asked = json.loads(first.attributes["gen_ai.input.messages"])
        assert asked == [{"role": "user", "parts": [{"type": "text", "content": QUESTION}]}]
        instructions = json.loads(first.attributes["gen_ai.system_instructions"])
        assert instructions == [{"type": "text", "content": "be brief"}]
        answered = json.loads(first.attributes["gen_ai.output.messages"])[0]
        assert answered["finish_reason"] == "tool_call"
        assert answered["parts"][0]["type"] == "tool_call"
        told = json.loads(last.attributes["gen_ai.input.messages"])[-1]
        assert told["parts"][0]["type"] == "tool_call_response"
        tool = receiver.span("execute_tool count_words").attributes
        assert json.loads(tool["gen_ai.tool.call.arguments"]) == {"text": QUESTION}
        assert json.loads(tool["gen_ai.tool.call.result"]) == 8


def test_a_secret_is_hidden_in_content_too() -> None:
    with OtlpServer() as receiver:
        provider = OtlpProvider(
            f"http://127.0.0.1:{receiver.port}", headers={"authorization": "Bearer s3cr3t-value"}
        )
        telemetry.set_provider(provider, capture_content=True)
        ScriptedModel(["Bearer s3cr3t-value"]).complete("sk-abcdefghijklmnopqrstuvwx")
        telemetry.flush()
        assert receiver.requests[0].headers["authorization"] == "Bearer s3cr3t-value"
        assert "s3cr3t-value" not in content_of(receiver)
        assert "abcdefghijklmnop" not in content_of(receiver)
        assert "***" in content_of(receiver)


def test_a_failure_has_its_kind_and_without_content_no_message() -> None:
    with OtlpServer() as receiver:
        telemetry.set_provider(OtlpProvider(f"http://127.0.0.1:{receiver.port}"))
        with pytest.raises(errors.AikitError):
            aikit.tools.calculate(expression="confidential +")
        telemetry.flush()
        span = receiver.span("execute_tool calculate")
        assert span.is_error
        assert span.attributes["error.type"]
        assert "confidential" not in span.message


def test_nothing_is_sent_to_nobody_and_a_receiver_that_is_gone_harms_no_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with OtlpServer() as receiver:
        address = f"http://127.0.0.1:{receiver.port}"
    telemetry.set_provider(OtlpProvider(address, timeout=0.5))
    with caplog.at_level(logging.WARNING, logger="aikit"):
        assert aikit.tools.calculate(expression="6 * 7").value == "42"
        telemetry.flush()
    assert "telemetry is not taken by its receiver" in caplog.text


def test_a_receiver_that_is_busy_is_asked_again_and_one_that_refuses_is_not() -> None:
    with OtlpServer(statuses=[503]) as receiver:
        telemetry.set_provider(OtlpProvider(f"http://127.0.0.1:{receiver.port}"))
        aikit.tools.calculate(expression="1 + 1")
        telemetry.flush()
        assert receiver.tree() == ["execute_tool calculate"]
    with OtlpServer(statuses=[400]) as receiver:
        telemetry.set_provider(OtlpProvider(f"http://127.0.0.1:{receiver.port}"))
        aikit.tools.calculate(expression="1 + 1")
        telemetry.flush()
        assert receiver.tree() == []
        assert len(receiver.requests) == 1


def test_a_class_is_no_provider() -> None:
    for provider in (RecordingTelemetry, OtlpProvider):
        name = provider.__name__
        given: Any = provider
        with pytest.raises(InvalidArgsError, match=f"`{name}` is a class") as failed:
            telemetry.set_provider(given)
        assert f"`{name}()`" in (failed.value.hint or "")
        with aikit.track("block"):
            assert telemetry.traceparent() is None


@pytest.mark.usefixtures("recorder")
def test_there_is_a_header_inside_of_calls_only() -> None:
    trace_id = telemetry.start_trace("work")
    try:
        with aikit.track("block"):
            assert trace_id in (telemetry.traceparent() or "")
    finally:
        telemetry.end_trace()
    assert telemetry.traceparent() is None


def test_a_closed_network_is_closed_for_telemetry_too() -> None:
    with OtlpServer() as receiver:
        telemetry.set_provider(OtlpProvider(f"http://127.0.0.1:{receiver.port}"))
        with no_network():
            aikit.tools.calculate(expression="1 + 1")
            telemetry.flush()
        assert receiver.requests == []


def test_parents_are_right_across_python_functions_and_threads(
    recorder: RecordingTelemetry,
) -> None:
    @aikit.tool
    def outer(number: int) -> str:
        """Calls another tool.

        Args:
            number: Which one it is.
        """
        return str(aikit.tools.calculate(expression=f"{number} + 0").value)

    @aikit.tool
    async def waiting(number: int) -> str:
        """Calls another tool without blocking.

        Args:
            number: Which one it is.
        """
        return str((await aikit.tools.ainvoke("calculate", {"expression": f"{number} + 0"})).value)

    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda it: [outer.invoke({"number": it}), waiting.invoke({"number": it})], range(20)
            )
        )
    spans = {it.span_id: it for it in recorder.spans}
    inner = [it for it in recorder.spans if it.name == "execute_tool calculate"]
    assert len(inner) == 40
    parents = [spans[it.parent_span_id or ""] for it in inner]
    assert {it.name for it in parents} == {"execute_tool outer", "execute_tool waiting"}
    assert len({it.span_id for it in parents}) == 40
    assert all(a.trace_id == b.trace_id for a, b in zip(inner, parents, strict=True))
    assert len({it.trace_id for it in recorder.spans}) == 40


def test_the_current_span_of_opentelemetry_is_the_parent(recorder: RecordingTelemetry) -> None:
    tracer = TracerProvider().get_tracer("tests")
    with tracer.start_as_current_span("request") as span:
        aikit.tools.calculate(expression="1 + 1")
    place = span.get_span_context()
    recorded = recorder.spans[0]
    assert recorded.trace_id == f"{place.trace_id:032x}"
    assert recorded.parent_span_id == f"{place.span_id:016x}"
    assert not opentelemetry.get_current_span().get_span_context().is_valid
    aikit.tools.calculate(expression="1 + 1")
    assert recorder.spans[1].parent_span_id is None


def test_servers_are_told_where_in_the_trace_they_are_called(
    recorder: RecordingTelemetry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OpenAIServer(api_key="test-key") as server, HttpServer() as pages:
        run_agent(server)
        chats = [it for it in recorder.spans if it.name == "chat rules"]
        told = [it.headers["traceparent"] for it in server.requests]
        assert told == [f"00-{it.trace_id}-{it.span_id}-01" for it in chats]
        monkeypatch.setenv("AIKIT_SECURITY__HOSTS", "127.0.0.1")
        monkeypatch.chdir(tmp_path)
        url = f"http://127.0.0.1:{pages.port}/"
        aikit.tools.request_http(url=url)
        span = recorder.spans[-1]
        assert pages.requests[0].headers["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
        telemetry.reset_provider()
        aikit.tools.request_http(url=url)
        assert "traceparent" not in pages.requests[1].headers


def test_spans_counters_and_histograms_of_a_program(recorder: RecordingTelemetry) -> None:
    trace_id = telemetry.start_trace("nightly")
    with pytest.raises(ZeroDivisionError), telemetry.start_span("load", {"rows": 3}) as span:
        span.set_attribute("rows", 1 / (span.trace_id == "none"))
    span.set_attribute("rows", "too late")
    telemetry.counter("orders", unit="{order}").add(2, {"kind": "book"})
    telemetry.histogram("wait", unit="s", description="how long").record(0.25)
    telemetry.record_error(RuntimeError("noted"))
    telemetry.end_trace()
    trace, load = recorder.spans
    noted = trace.errors[0]
    assert isinstance(noted, errors.AikitError)
    assert (trace.name, trace.trace_id, noted.kind) == ("nightly", trace_id, "script")
    assert noted.message == "RuntimeError: noted"
    assert (load.parent_span_id, load.attributes["rows"]) == (trace.span_id, 3)
    assert "ZeroDivisionError" in str(load.errors[0])
    assert all(it.end_time is not None and it.end_time >= it.start_time for it in recorder.spans)
    assert recorder.measured == [
        ("orders", 2.0, {"kind": "book"}),
        ("wait", 0.25, {}),
    ]
    with pytest.raises(errors.InvalidArgsError, match="grows"):
        telemetry.counter("orders").add(-1)


def test_without_a_provider_everything_is_there_and_does_nothing() -> None:
    assert telemetry.traceparent() is None
    with telemetry.start_span("nobody") as span:
        span.set_attribute("a", 1)
    assert (span.trace_id, span.span_id) == ("", "")
    telemetry.counter("a").add(1)
    telemetry.histogram("b").record(1)
    telemetry.record_error(ValueError("x"))
    assert len(telemetry.start_trace()) == 32
    telemetry.end_trace()
    telemetry.flush(0.1)


def test_a_provider_that_raises_harms_no_call(caplog: pytest.LogCaptureFixture) -> None:
    class Raising(RecordingTelemetry):
        def start_span(self, start: telemetry.SpanStart) -> Any:  # noqa: ANN401
            raise RuntimeError(f"no room for {start.name}")

    telemetry.set_provider(Raising())
    with caplog.at_level(logging.WARNING, logger="aikit"):
        assert aikit.tools.calculate(expression="6 * 7").value == "42"
    assert "no room for execute_tool calculate" in caplog.text


@pytest.mark.parametrize(
    ("address", "headers", "named"),
    [
        ("http://", {}, "no http URL"),
        ("http:///v1", {}, "no http URL"),
        ("http://127.0.0.1:1", {"a\nb": "x"}, r"`a\\nb` has no valid name"),
        ("http://127.0.0.1:1", {"": "x"}, "`` has no valid name"),
        ("http://127.0.0.1:1", {"api-key": "secret\r\nx: y"}, "`api-key` has a line end"),
        ("http://127.0.0.1:1", {"api-key": "secret\n"}, "`api-key` has a line end"),
    ],
)
def test_an_address_without_a_host_and_headers_with_line_ends_are_refused(
    address: str, headers: dict[str, str], named: str
) -> None:
    with pytest.raises(errors.ConfigError, match=named) as raised:
        telemetry.set_provider(OtlpProvider(address, headers=headers))
    assert raised.value.hint
    assert "secret" not in str(raised.value)


def test_an_object_that_is_no_provider_is_refused() -> None:
    with pytest.raises(errors.InvalidArgsError, match="start_span"):
        telemetry.set_provider(object())  # type: ignore[arg-type]
    with pytest.raises(errors.ConfigError, match="no http URL"):
        telemetry.set_provider(OtlpProvider("localhost"))


@pytest.mark.parametrize(
    "options",
    [
        {"name": ""},
        {"name": "1st"},
        {"name": "two words"},
        {"name": "x" * 256},
        {"name": "a", "unit": "s" * 64},
        {"name": "a", "unit": "µs"},
        {"name": "a", "description": "x" * 1_024},
    ],
)
def test_an_instrument_that_no_provider_takes_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(InvalidArgsError):
        telemetry.counter(**options)
    with pytest.raises(InvalidArgsError):
        telemetry.histogram(**options)


def test_what_is_no_number_is_not_measured() -> None:
    counter, histogram = telemetry.counter("orders"), telemetry.histogram("wait", unit="s")
    for wrong in (math.nan, math.inf, -math.inf, -1.0):
        with pytest.raises(InvalidArgsError):
            counter.add(wrong)
    for wrong in (math.nan, math.inf, -math.inf):
        with pytest.raises(InvalidArgsError):
            histogram.record(wrong)
    histogram.record(-1.0)

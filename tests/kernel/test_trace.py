"""One request traced end to end: cell → agent → model call and tool, in spans and in the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kernel.conversation import Conversation
from servers.openai_server import OpenAIServer
from servers.otlp_server import OtlpServer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

CELL = """
local agent = Agent{
  name = "counter",
  model = Model("openai-compatible:rules"),
  tools = {"count_words"},
}
Log.info("asking", {attempt = 1})
agent:run("how many words are here").output
"""


def test_a_cell_is_traced_with_its_message_and_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.jsonl"
    with OtlpServer() as receiver, OpenAIServer(api_key="test-key") as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        monkeypatch.setenv("OPENAI_COMPATIBLE_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_COMPATIBLE_API_KEY", "test-key")
        monkeypatch.setenv("AIKIT_LOGGING__FORMAT", "json")
        monkeypatch.setenv("AIKIT_LOGGING__LEVEL", "debug")
        monkeypatch.setenv("AIKIT_LOGGING__FILE", str(log))
        kernel = Conversation(folder=tmp_path)
        try:
            heard = kernel.execute(CELL)
            other = kernel.execute("Tool.calculate{expression = '6 * 7'}")
            assert heard.content["status"] == other.content["status"] == "ok", heard
            kernel.client.shutdown()
            assert kernel.ends_within(10)
        finally:
            kernel.close()
        assert receiver.tree() == [
            "cell",
            "  invoke_agent counter",
            "    agent step",
            "      chat rules",
            "      execute_tool count_words",
            "    agent step",
            "      chat rules",
            "cell",
            "  execute_tool calculate",
        ]
        parent = heard.reply["parent_header"]
        trace_id = receiver.span("invoke_agent counter").trace_id
        spans = [it for it in receiver.received.spans if it.trace_id == trace_id]
        assert len(spans) == 7
        for span in spans:
            assert span.attributes["jupyter.message.id"] == parent["msg_id"]
            assert span.attributes["session.id"] == parent["session"]
        told = {it.headers["traceparent"].split("-")[1] for it in server.requests}
        assert told == {trace_id}
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    inside = [it for it in lines if it.get("trace_id") == trace_id]
    said = {it["message"] for it in inside}
    assert {"asking", "an agent has answered", "ended"} <= said
    for line in inside:
        assert line["message_id"] == parent["msg_id"]
        assert line["session_id"] == parent["session"]
        assert line["span_id"] in {it.span_id for it in spans}
    (asking,) = [it for it in inside if it["message"] == "asking"]
    assert (asking["attempt"], asking["procedure"], asking["target"]) == (1, "cell", "aikit.script")

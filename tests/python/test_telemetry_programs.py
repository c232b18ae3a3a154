"""Telemetry of whole programs: what turns it on, what their exit and their children send."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from servers.otlp_server import OtlpServer

if TYPE_CHECKING:
    from pathlib import Path

RUN = "import sys\nfrom aikit.__main__ import main\nsys.argv = ['aikit', 'run', '']\nsys.argv"
CAPTURE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


def python(program: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def test_the_standard_variables_turn_it_on_and_the_exit_sends_the_rest(tmp_path: Path) -> None:
    program = "import aikit; aikit.tools.calculate(expression='1 + 1')"
    with OtlpServer() as receiver:
        python(program, tmp_path)
        assert receiver.requests == []
        endpoint = f"http://127.0.0.1:{receiver.port}"
        variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b",
            "OTEL_SERVICE_NAME": "nightly",
            CAPTURE: "true",
        }
        python(program, tmp_path, **variables)
        tool = receiver.span("execute_tool calculate")
        assert "1 + 1" in tool.attributes["gen_ai.tool.call.arguments"]
        assert receiver.received.resource["service.name"] == "nightly"
        assert receiver.requests[0].headers["x-key"] == "a b"


def test_the_file_turns_it_on_for_a_receiver_on_this_machine(tmp_path: Path) -> None:
    with OtlpServer() as receiver:
        text = f"[telemetry]\nendpoint = 'http://127.0.0.1:{receiver.port}'\nservice_name = 'x'\n"
        (tmp_path / "aikit.toml").write_text(text)
        python("import aikit; aikit.tools.calculate(expression='1 + 1')", tmp_path)
        assert receiver.tree() == ["execute_tool calculate"]
        assert receiver.received.resource["service.name"] == "x"


def test_an_exit_waits_for_no_receiver_that_hangs(tmp_path: Path) -> None:
    release = threading.Event()

    class Hanging(OtlpServer):
        def answer(self, *_: object) -> None:
            release.wait(60)

    with Hanging() as receiver:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}"}
        program = "import aikit\nfor _ in range(3): aikit.tools.calculate(expression='1 + 1')"
        done = python(program, tmp_path, **variables)
        release.set()
    # What is lost with the process is said, and how much it is.
    assert done.stderr.count("has not taken all spans yet") == 1
    assert "waiting=3" in done.stderr


def test_an_exit_that_has_sent_everything_says_nothing(tmp_path: Path) -> None:
    with OtlpServer() as receiver:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}"}
        program = "import aikit; aikit.tools.calculate(expression='1 + 1')"
        assert not python(program, tmp_path, **variables).stderr
        assert receiver.tree() == ["execute_tool calculate"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_sends_its_own_spans_and_not_its_parents(tmp_path: Path) -> None:
    program = """
import os, aikit
aikit.tools.calculate(expression='1 + 1')
child = os.fork()
if child == 0:
    aikit.tools.count_words(text='a b')
    aikit.telemetry.flush()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    with OtlpServer() as receiver:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}"}
        python(program, tmp_path, **variables)
        assert sorted(receiver.tree()) == ["execute_tool calculate", "execute_tool count_words"]


def test_parents_are_right_across_lua(tmp_path: Path) -> None:
    script = tmp_path / "script.lua"
    script.write_text(
        "local function one(n) sleep(0.001) return Tool.calculate{expression = n .. ' + 0'} end\n"
        "local tasks = {}\n"
        "for n = 1, 10 do tasks[n] = async(one, n) end\n"
        "for n = 1, 10 do tasks[n]:await() end\n"
        "local span = Telemetry.start_span('mine', {a = 1}) span:finish()\n"
    )
    with OtlpServer() as receiver:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{receiver.port}"}
        python(f"{RUN}[2] = {str(script)!r}\nmain()", tmp_path, **variables)
        tools = [it for it in receiver.received.spans if it.name == "execute_tool calculate"]
        assert len(tools) == 10
        mine = receiver.span("mine")
        assert {it.parent_id for it in tools} == {mine.parent_id}
        assert mine.attributes["a"] == 1


TELLS = """
local trace = Telemetry.start_trace('nightly')
Procedure.track('load', function()
  local span = Telemetry.start_span('read', {rows = 3})
  assert(span.trace_id == trace)
  span:set_attribute('rows', 4)
  span:record_error('the file is empty')
  Telemetry.record_error(select(2, pcall(error, {kind = 'timeout', message = 'too late'})))
  span:finish()
  print(Telemetry.traceparent(), trace, span.span_id)
end)
Telemetry.end_trace()
local orders = Telemetry.counter('orders', {unit = '{order}', description = 'what was bought'})
orders:add(1)
orders:add(0.5, {kind = 'book'})
Telemetry.histogram('wait', {unit = 's'}):record(0.25, {place = 'x'})
"""

RECORDS = """
import json, sys
from aikit import telemetry
from aikit.__main__ import main
from aikit.testing import RecordingTelemetry

recorder = RecordingTelemetry()
told = []
recorder.counter, counter = lambda it: (told.append(it), counter(it))[1], recorder.counter
recorder.histogram, histogram = lambda it: (told.append(it), histogram(it))[1], recorder.histogram
telemetry.set_provider(recorder)
assert main(["run", sys.argv[1]]) == 0
telemetry.reset_provider()
names = {it.span_id: it.name for it in recorder.spans}
print(json.dumps({
    "spans": {
        it.name: {
            "parent": names.get(it.parent_span_id),
            "id": it.span_id,
            "trace": it.trace_id,
            "rows": it.attributes.get("rows"),
            "errors": [[error.kind, error.message] for error in it.errors],
            "ended": it.end_time is not None,
        }
        for it in recorder.spans
    },
    "measured": recorder.measured,
    "instruments": [[it.name, it.unit, it.description] for it in told],
    "ended": recorder.ended,
}))
"""


def test_a_script_tells_a_provider_of_traces_spans_errors_and_measurements(tmp_path: Path) -> None:
    (tmp_path / "script.lua").write_text(TELLS)
    (tmp_path / "records.py").write_text(RECORDS)
    ran = subprocess.run(
        [sys.executable, "records.py", "script.lua"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said, recorded = ran.stdout.splitlines()
    told = json.loads(recorded)
    header, trace, span_id = said.split("\t")
    spans = told["spans"]
    assert {"nightly", "load", "read"} <= spans.keys()
    assert {spans[it]["trace"] for it in ("nightly", "load", "read")} == {trace}
    assert all(it["ended"] for it in spans.values())
    assert (spans["load"]["parent"], spans["read"]["parent"]) == ("cell", "load")
    assert header == f"00-{trace}-{spans['load']['id']}-01"
    assert spans["read"]["id"] == span_id
    assert spans["read"]["rows"] == 4
    assert spans["read"]["errors"] == [["script", "the file is empty"]]
    assert spans["load"]["errors"] == [["timeout", "too late"]]
    assert told["ended"] == [trace]
    assert told["measured"] == [
        ["orders", 1, {}],
        ["orders", 0.5, {"kind": "book"}],
        ["wait", 0.25, {"place": "x"}],
    ]
    assert {tuple(it) for it in told["instruments"]} == {
        ("orders", "{order}", "what was bought"),
        ("wait", "s", ""),
    }

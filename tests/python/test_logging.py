"""Logging: records of the core in Python's logging and in a file, with the fields of their call."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import aikit
from aikit.testing import ScriptedModel

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RUN = "import sys\nfrom aikit.__main__ import main\nsys.argv = ['aikit', 'run', '']\nsys.argv"
AGENT = "an agent has answered"


def run_agent() -> None:
    aikit.Agent(ScriptedModel(["done"]), name="brief").run("anything")


def records(caplog: pytest.LogCaptureFixture, logger: str = "aikit") -> list[logging.LogRecord]:
    return [it for it in caplog.records if it.name.startswith(logger)]


def test_a_record_carries_the_fields_of_its_call_as_attributes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="aikit"):
        run_agent()
    (record,) = [it for it in records(caplog) if it.getMessage().startswith(AGENT)]
    told: Any = record
    assert (told.name, told.levelname) == ("aikit.components.agents.run", "INFO")
    assert (told.agent, told.requests, told.procedure) == ("brief", 1, "agent brief")
    assert len(told.request_id) == len(told.trace_id) == 32
    assert told.procedure_id
    assert told.session_id is None
    assert "requests=1" in told.getMessage()
    assert told.pathname.endswith("run.rs")


def test_pyo3_log_is_the_other_way_to_pythons_logging(tmp_path: Path) -> None:
    program = (
        "import logging, aikit\nfrom aikit.testing import ScriptedModel\n"
        "logging.basicConfig(level=logging.INFO, format='%(name)s %(levelname)s %(message)s')\n"
        "aikit.Agent(ScriptedModel(['done']), name='brief').run('anything')\n"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "AIKIT_LOGGING__PYTHON": "pyo3-log"},
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [it for it in done.stderr.splitlines() if AGENT in it]
    assert line.startswith("aikit.components.agents.run INFO " + AGENT)
    assert "requests=1" in line
    assert 'agent="brief"' in line


def test_the_level_of_the_logger_decides(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="aikit"):
        run_agent()
        assert records(caplog) == []
    with caplog.at_level(logging.DEBUG, logger="aikit"):
        run_agent()
    procedures = {it.procedure for it in records(caplog) if it.getMessage().startswith("ended")}  # type: ignore[attr-defined]
    assert procedures == {"agent brief", "agent step", "chat scripted:test"}


def python(program: str, folder: Path, **variables: str) -> str:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stderr


AGENT_PROGRAM = (
    "import aikit\n"
    "from aikit.testing import ScriptedModel\n"
    "aikit.Agent(ScriptedModel(['done']), name='brief').run('anything')\n"
)


def test_json_lines_go_to_a_file_on_request(tmp_path: Path) -> None:
    variables = {
        "AIKIT_LOGGING__FORMAT": "json",
        "AIKIT_LOGGING__LEVEL": "debug",
        "AIKIT_LOGGING__FILE": "log.jsonl",
    }
    assert python(AGENT_PROGRAM, tmp_path, **variables) == ""
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    (agent,) = [it for it in lines if it["message"] == AGENT]
    assert (agent["level"], agent["agent"], agent["requests"]) == ("info", "brief", 1)
    inside = [it for it in lines if it.get("trace_id") == agent["trace_id"]]
    assert {"agent brief", "agent step", "chat scripted:test"} == {it["procedure"] for it in inside}
    assert all(it["time"].endswith("Z") and it["target"].startswith("aikit.") for it in lines)


def test_without_a_file_lines_go_to_the_error_stream(tmp_path: Path) -> None:
    said = python(AGENT_PROGRAM, tmp_path, AIKIT_LOGGING__LEVEL="info")
    assert f"info  aikit.components.agents.run: {AGENT}" in said
    assert python(AGENT_PROGRAM, tmp_path) == ""


def test_a_wrong_setting_names_its_key(tmp_path: Path) -> None:
    program = (
        "import aikit\n"
        "try:\n    aikit.tools.list()\n"
        "except aikit.errors.ConfigError as error:\n    import sys; sys.stderr.write(str(error))\n"
    )
    said = python(program, tmp_path, AIKIT_LOGGING__LEVEL="loud")
    assert "logging.level" in said
    assert "`loud`" in said


def test_a_key_never_appears_in_a_record(tmp_path: Path) -> None:
    program = (
        "import aikit\n"
        "model = aikit.Model('openai:any')\n"
        "try:\n    aikit.tools.calculate(expression='hidden-key-value +')\n"
        "except aikit.AikitError:\n    pass\n"
    )
    lua = tmp_path / "script.lua"
    lua.write_text(
        "Log.error('with hidden-key-value', {token = 'abc', deep = {'hidden-key-value'}})"
    )
    runs = f"{RUN}[2] = {str(lua)!r}\nmain()"
    variables = {
        "OPENAI_API_KEY": "hidden-key-value",
        "AIKIT_LOGGING__FORMAT": "json",
        "AIKIT_LOGGING__LEVEL": "trace",
    }
    for each in (program, runs):
        said = python(each, tmp_path, **variables)
        assert "hidden-key-value" not in said
    assert '"token":"***"' in said
    assert "***" in said


def test_records_of_a_lua_script_carry_metadata_of_the_context_they_are_written_in(
    tmp_path: Path,
) -> None:
    lua = tmp_path / "script.lua"
    lua.write_text(
        "local early = Log.get()\n"
        "local common = {app = 'x'}\n"
        "local named = Log.compose_context_fields{{'turn', 'request_id'}, common}\n"
        "Log.configure{context_fields = named}\n"
        "Log.configure{context_fields = {'topic'}}\n"
        "Log.info('outside')\n"
        "local metadata = {turn = 7, topic = {'bees'}, request_id = 'forged', other = 1}\n"
        "Context.fork({metadata = metadata}, function()\n"
        "  Log.for_component('loader'):info('inside')\n"
        "  Log.info('own', {turn = 8})\n"
        "  early:info('early')\n"
        "end)\n"
        "Log.configure{replace = true}\n"
        "Context.fork({metadata = metadata}, function() Log.info('after') end)\n"
    )
    runs = f"{RUN}[2] = {str(lua)!r}\nmain()"
    variables = {"AIKIT_LOGGING__FORMAT": "json", "AIKIT_LOGGING__LEVEL": "info"}
    said = [json.loads(it) for it in python(runs, tmp_path, **variables).splitlines()]
    ours = {it["message"]: it for it in said if "component" in it}
    assert list(ours) == ["outside", "inside", "own", "early", "after"]
    assert len({it["request_id"] for it in ours.values()}) == 1
    assert ours["outside"]["request_id"] != "forged"
    assert (ours["inside"]["turn"], ours["inside"]["topic"]) == (7, ["bees"])
    assert (ours["outside"]["app"], ours["inside"]["app"]) == ("x", "x")
    assert ours["own"]["turn"] == 8
    for plain in ("outside", "early", "after"):
        assert ours[plain].keys().isdisjoint({"turn", "topic", "other"})


def test_records_of_a_lua_script_carry_its_fields(tmp_path: Path) -> None:
    lua = tmp_path / "script.lua"
    lua.write_text(
        "Log.info('plain', {rows = 3})\n"
        "local log = Log.for_component('loader'):child{step = 1}\n"
        "log:warn('odd', {step = 2})\n"
        "Log.fatal('gone')\n"
        "Log.set_level('error')\n"
        "Log.info('not written')\n"
        "log:info('not written either')\n"
        "Log.create{level = 'debug'}:debug('own level')\n"
        "Log.configure{replace = true, context_fields = {experiment = 'a'}}\n"
        "Log.info('configured')\n"
    )
    runs = f"{RUN}[2] = {str(lua)!r}\nmain()"
    variables = {"AIKIT_LOGGING__FORMAT": "json", "AIKIT_LOGGING__LEVEL": "debug"}
    said = [json.loads(it) for it in python(runs, tmp_path, **variables).splitlines()]
    ours = [it for it in said if "component" in it]
    assert [(it["level"], it["target"], it["message"]) for it in ours] == [
        ("info", "aikit.script", "plain"),
        ("warn", "aikit.loader", "odd"),
        ("fatal", "aikit.script", "gone"),
        ("debug", "aikit.script", "own level"),
        ("info", "aikit.script", "configured"),
    ]
    assert (ours[0]["rows"], ours[1]["step"], ours[4]["experiment"]) == (3, 2, "a")
    assert len({it["request_id"] for it in ours}) == 1


FORGED = "a\n2026-01-01T00:00:00.000000Z error aikit.security: forged x"


def script(code: str, folder: Path, **variables: str) -> list[str]:
    (folder / "script.lua").write_text(code)
    runs = f"{RUN}[2] = 'script.lua'\nmain()"
    said = python(runs, folder, AIKIT_LOGGING__FILE="log", **variables)
    assert said == ""
    return (folder / "log").read_text().splitlines()


def test_a_script_does_not_change_the_format_that_its_host_has_set(tmp_path: Path) -> None:
    hello = f"Log.info('hello', {{[{json.dumps(FORGED)}] = 1}})"
    asks = "Log.configure{{format = '{}'}} ".format
    written = script(asks("text") + hello, tmp_path, AIKIT_LOGGING__FORMAT="json")
    (mine,) = [it for it in map(json.loads, written) if it["message"] == "hello"]
    assert mine[FORGED] == 1
    (tmp_path / "log").unlink()
    written = script(asks("json") + hello, tmp_path, AIKIT_LOGGING__FORMAT="text")
    (line,) = [it for it in written if "hello" in it]
    assert f" {json.dumps(FORGED)}=1" in line
    assert "forged" not in "".join(it for it in written if it != line)


def test_the_format_of_a_script_counts_where_its_host_has_set_none(tmp_path: Path) -> None:
    code = (
        "Log.info('before')\n"
        "Log.configure{format = 'json', context_fields = {part = 'a'}}\n"
        "Log.info('inside', {rows = 3})\n"
        "Log.for_component('loader'):info('inside too')\n"
        "Log.configure{replace = true}\n"
        "Log.info('after')\n"
    )
    written = script(code, tmp_path, AIKIT_LOGGING__LEVEL="info")
    before, inside, too, after = [it for it in written if "aikit.script" in it or "loader" in it]
    assert " info  aikit.script: before " in before
    assert " info  aikit.script: after " in after
    record = json.loads(inside)
    assert (record["message"], record["rows"], record["part"]) == ("inside", 3, "a")
    assert json.loads(too)["target"] == "aikit.loader"


def test_records_stand_in_order_with_the_programs_own_when_the_call_returns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    own = logging.getLogger("aikit.of.the.program")

    @aikit.tool
    def noting() -> int:
        """Calls aikit between two records of its own."""
        own.info("before")
        words = aikit.tools.count_words(text="a b").words
        own.info("after")
        return words

    with caplog.at_level(logging.DEBUG, "aikit"):
        for _ in range(50):
            caplog.clear()
            assert noting.invoke({}) == 2
            told = [
                it.getMessage().split()[0] if it.name == own.name else vars(it)["procedure"]
                for it in caplog.records
                if it.name == own.name or it.getMessage().startswith("ended")
            ]
            assert told == ["before", "tool:count_words", "after", "tool:noting"]


def test_a_script_does_not_forge_whose_its_records_are(tmp_path: Path) -> None:
    code = (
        "Log.configure{context_fields = {tenant_id = 'other', 'request_id', 'turn'}}\n"
        "local metadata = {request_id = 'forged', turn = 7}\n"
        "Context.fork({metadata = metadata}, function()\n"
        "  Log.info('mine', {user_id = 'root', trace_id = 'forged', session_id = 's', rows = 1})\n"
        "end)\n"
        "Log.get():child{procedure_id = 'forged'}:info('mine')\n"
    )
    written = script(code, tmp_path, AIKIT_LOGGING__FORMAT="json")
    first, second = [it for it in map(json.loads, written) if it["message"] == "mine"]
    for record in (first, second):
        assert "tenant_id" not in record
        assert record["aikit_tenant_id"] == "other"
        assert "forged" not in (record["request_id"], record["trace_id"])
    assert (first["rows"], first["turn"], first["aikit_request_id"]) == (1, 7, "forged")
    assert (first["aikit_user_id"], first["aikit_trace_id"]) == ("root", "forged")
    assert (first["aikit_session_id"], "session_id" in first) == ("s", False)
    assert second["aikit_procedure_id"] == "forged"
    assert second.get("procedure_id") != "forged"


def test_asking_for_fields_again_and_again_ends_no_process(tmp_path: Path) -> None:
    code = (
        "for i = 1, 200000 do Log.configure{context_fields = {'a'}} end\n"
        "Context.fork({metadata = {a = 'b'}}, function() Log.info('again') end)\n"
        "Log.configure{replace = true}\n"
        "Log.info('after')\n"
    )
    written = script(code, tmp_path, AIKIT_LOGGING__FORMAT="json")
    (again,) = [it for it in map(json.loads, written) if it["message"] == "again"]
    assert again["a"] == "b"


FAILING = """
import logging, aikit
from aikit import _lost_records

class Failing(logging.Handler):
    def emit(self, record):
        aikit.tools.count_words(text="a b")
        raise ValueError("the disk of the handler is full")

logging.getLogger("aikit").setLevel(logging.DEBUG)
logging.getLogger("aikit").addHandler(Failing())

def use():
    assert aikit.tools.count_words(text="a b").words == 2
"""


def test_what_a_handler_raises_is_told_once_a_minute(tmp_path: Path) -> None:
    said = python(f"{FAILING}\nfor _ in range(3):\n    use()", tmp_path)
    assert said.count("--- Logging error ---") == 1
    assert said.count("ValueError: the disk of the handler is full") == 1
    assert "in emit" in said
    assert "record of `aikit." in said

    # The next minute it is told again, with what was lost meanwhile.
    later = "use(); use()\nnow = _lost_records.time.monotonic()\n"
    later += "_lost_records.time.monotonic = lambda: now + 61\nuse()"
    said = python(FAILING + later, tmp_path)
    assert said.count("--- Logging error ---") == 2
    assert "records of aikit were lost since" in said


def test_what_a_handler_raises_is_told_on_pyo3_logs_way_too(tmp_path: Path) -> None:
    said = python(f"{FAILING}\nuse()", tmp_path, AIKIT_LOGGING__PYTHON="pyo3-log")
    assert said.count("ValueError: the disk of the handler is full") == 1


def test_the_switch_of_logging_holds_for_it(tmp_path: Path) -> None:
    said = python(f"{FAILING}\nlogging.raiseExceptions = False\nuse()", tmp_path)
    assert said == ""


def test_an_error_stream_that_logs_is_told_it_once(tmp_path: Path) -> None:
    stream = """
import sys
own, written = sys.stderr, []

class ToLog:
    def write(self, text):
        written.append(text)
        aikit.tools.count_words(text=text)
        logging.getLogger("aikit").error(text)
        raise OSError("no room")
    def flush(self): pass

sys.stderr = ToLog()
use(); use()
own.write(f"{len(written)} {written[0]}")
sys.stderr = own
"""
    said = python(FAILING + stream, tmp_path)
    assert said.startswith("1 --- Logging error ---")

"""Every row of the script API has a name in Python, or a reason why Python needs none."""

from __future__ import annotations

import functools
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

import aikit
from aikit import _aikit

ASYNCIO = "asyncio has it"
BUILT_IN = "Python itself has it"
NOTEBOOK = "IPython.display has it"
LOGGING = "! the logging module has it, under the loggers `aikit.*`"

# A dotted name below `aikit`, or why there is none.
PYTHON: dict[str, str] = {
    "Context.add_metric": "contexts.Context.add_metric",
    "Context.add_usage": "contexts.Context.add_usage",
    "Context.check": "contexts.Context.check",
    "Context.child": "contexts.Context.child",
    "Context.clear": "graph.ProcedureGraph.clear",
    "Context.count": "! `len(context.graph)`",
    "Context.create": "contexts.Context.create",
    "Context.emit": "contexts.Context.emit",
    "Context.execution_info": "! a property of a `Context`",
    "Context.find_node": "graph.ProcedureGraph.get",
    "Context.fork": "contexts.Context.fork",
    "Context.get": "contexts.Context.get",
    "Context.get_metric": "contexts.Context.get_metric",
    "Context.has_ancestor_named": "contexts.Context.has_ancestor_named",
    "Context.is_context": "contexts.Context.is_context",
    "Context.is_standalone": "! a property of a `Context`",
    "Context.is_within": "contexts.Context.is_within",
    "Context.metrics": "! a property of a `Context`",
    "Context.node": "! a property of a `Context`",
    "Context.nodes": "graph.ProcedureGraph.all",
    "Context.origin": "! a property of a `Context`",
    "Context.origin_name": "! a property of a `Context`",
    "Context.root": "! a property of `context.graph`",
    "Context.run": "contexts.Context.run",
    "Context.set_metric": "contexts.Context.set_metric",
    "Context.try_get": "contexts.Context.try_get",
    "Context.usage": "! a property of a `Context`",
    "Context:add_metric": "contexts.Context.add_metric",
    "Context:add_usage": "contexts.Context.add_usage",
    "Context:cancel": "contexts.Context.cancel",
    "Context:check": "contexts.Context.check",
    "Context:child": "contexts.Context.child",
    "Context:clear": "graph.ProcedureGraph.clear",
    "Context:count": "! `len(context.graph)`",
    "Context:emit": "contexts.Context.emit",
    "Context:execution_info": "! a property of a `Context`",
    "Context:find_node": "graph.ProcedureGraph.get",
    "Context:fork": "contexts.Context.fork",
    "Context:get_metric": "contexts.Context.get_metric",
    "Context:has_ancestor_named": "contexts.Context.has_ancestor_named",
    "Context:is_standalone": "! a property of a `Context`",
    "Context:is_within": "contexts.Context.is_within",
    "Context:metrics": "! a property of a `Context`",
    "Context:node": "! a property of a `Context`",
    "Context:nodes": "graph.ProcedureGraph.all",
    "Context:origin": "! a property of a `Context`",
    "Context:origin_name": "! a property of a `Context`",
    "Context:root": "! a property of `context.graph`",
    "Context:run": "contexts.Context.run",
    "Context:set_metric": "contexts.Context.set_metric",
    "Context:usage": "! a property of a `Context`",
    "Handle:cancel": "Handle.cancel",
    "Handle:events": "! a property of a `Handle`",
    "Handle:on": "handles.Events.on",
    "Handle:result": "Handle.result",
    "Node:add_metric": "graph.ProcedureNode.add_metric",
    "Node:children": "! a property of a `ProcedureNode`",
    "Node:get_metric": "graph.ProcedureNode.get_metric",
    "Node:has_ancestor": "graph.ProcedureNode.has_ancestor",
    "Node:merge_metrics": "graph.ProcedureNode.merge_metrics",
    "Node:metrics": "! a property of a `ProcedureNode`",
    "Node:parent": "! a property of a `ProcedureNode`",
    "Node:set_metric": "graph.ProcedureNode.set_metric",
    "Procedure.create": "Procedure",
    "Procedure.double": "testing.ProcedureDouble",
    "Procedure.factory": "procedure_factory",
    "Procedure.guard": "guard",
    "Procedure.is_procedure": "! isinstance tells it",
    "Procedure.pipe": "pipe",
    "Procedure.pipeline": "pipeline",
    "Procedure.track": "track",
    "Procedure:pipe": "Procedure.pipe",
    "Procedure:run": "Procedure.run",
    "Procedure:start": "Procedure.start",
    "Procedure:stream": "Procedure.stream",
    "Procedure:use": "Procedure.use",
    "Procedure:with_context": "Procedure.with_context",
    "Procedure:with_metadata": "Procedure.with_metadata",
    "Procedure:with_timeout": "Procedure.with_timeout",
    "ProcedureStream:close": "generators.SyncStream.close",
    "Agent": "Agent",
    "Agent:as_tool": "Agent.as_tool",
    "Agent:run": "Agent.run",
    "Agent:stream": "Agent.stream",
    "Artifact.delete": "Artifacts.delete",
    "Artifact.get": "Artifacts.get",
    "Artifact.list": "Artifacts.list",
    "Artifact.put": "Artifacts.put",
    "Channel": "Channel",
    "Channel.publish": "! `Channel(name).publish`",
    "Channel.remove": "Channel.remove",
    "Channel.session": "Channel.session",
    "Channel.subscribe": "! `Channel(name).subscribe`",
    "Channel.try_get": "Channel.try_get",
    "Channel.wait_for_response": "! `Channel(name).wait_for_response`",
    "Channel:destroy": "Channel.destroy",
    "Channel:events": "Channel.events",
    "Channel:publish": "Channel.publish",
    "Channel:receive": "Channel.receive",
    "Channel:request": "Channel.request",
    "Channel:respond": "Channel.respond",
    "Channel:subscribe": "Channel.subscribe",
    "Channel:subscriber_count": "Channel.subscriber_count",
    "Channel:wait_for_response": "Channel.wait_for_response",
    "Event.publish": "events.publish",
    "Event.receive": "events.receive",
    "Event.replay": "events.replay",
    "Event.subscribe": "events.subscribe",
    "Hook.enable": "hooks.enable",
    "Hook.list": "hooks.list",
    "Hook.modify": "hooks.Modify",
    "Hook.points": "hooks.points",
    "Hook.register": "hooks.register",
    "Hook.replace": "hooks.Replace",
    "Hook.retry": "hooks.Retry",
    "Hook.skip": "hooks.Skip",
    "Hook.stop": "hooks.Stop",
    "Hook.unregister": "hooks.unregister",
    "Hook.use": "hooks.use",
    "Hook:unregister": "hooks.Registration.unregister",
    "JSON.parse": "! the json module has it",
    "JSON.stringify": "! the json module has it",
    **{
        f"Log{of}{name}": LOGGING
        for of in ".:"
        for name in (
            *("trace", "debug", "info", "warn", "error", "fatal"),
            *("child", "for_component", "set_level", "is_level_enabled"),
        )
    },
    "Log.configure": LOGGING,
    "Log.create": LOGGING,
    "Log.get": LOGGING,
    "Counter:add": "telemetry.Counter.add",
    "Histogram:record": "telemetry.Histogram.record",
    "Span:finish": "telemetry.Span.finish",
    "Span:record_error": "telemetry.Span.record_error",
    "Span:set_attribute": "telemetry.Span.set_attribute",
    "Telemetry.counter": "telemetry.counter",
    "Telemetry.end_trace": "telemetry.end_trace",
    "Telemetry.histogram": "telemetry.histogram",
    "Telemetry.record_error": "telemetry.record_error",
    "Telemetry.start_span": "telemetry.start_span",
    "Telemetry.start_trace": "telemetry.start_trace",
    "Model": "Model",
    "Model.check": "Model.check",
    "Model.list": "Model.list",
    "Model:complete": "Model.complete",
    "Model:embed": "Model.embed",
    "Model:stream": "Model.stream",
    "RAG.open": "RAG",
    "RAG:as_tool": "RAG.as_tool",
    "RAG:ask": "RAG.ask",
    "RAG:delete": "RAG.delete",
    "RAG:evaluate": "RAG.evaluate",
    "RAG:ingest": "RAG.ingest",
    "RAG:search": "RAG.search",
    "RAG:stats": "RAG.stats",
    "Replay.auto": "testing.auto",
    "Replay.record": "testing.record",
    "Replay.replay": "testing.replay",
    "Replay.stop": "testing.Cassette.eject",
    "Session.create": "Session.create",
    "Session.current": "Session.current",
    "Session.delete": "Session.delete",
    "Session.list": "Session.list",
    "Session.open": "Session",
    "Session.resume": "Session.resume",
    "Session:append": "Session.append",
    "Session:checkpoint": "Session.checkpoint",
    "Session:checkpoints": "Session.checkpoints",
    "Session:complete": "Session.complete",
    "Session:info": "Session.info",
    "Session:messages": "Session.messages",
    "Session:restore": "Session.restore",
    "Session:state": "! a property, `session.state`",
    "State.compare_and_set": "State.compare_and_set",
    "State.delete": "State.delete",
    "State.get": "State.get",
    "State.keys": "State.keys",
    "State.scope": "State",
    "State.set": "State.set",
    "State.update": "State.aupdate",
    "State:compare_and_set": "State.compare_and_set",
    "State:delete": "State.delete",
    "State:get": "State.get",
    "State:keys": "State.keys",
    "State:set": "State.set",
    "State:update": "State.aupdate",
    "Stream.is_async_iterable": "streams.is_async_iterable",
    "Stream.map": "streams.map",
    "Stream.merge": "streams.merge",
    "Stream.tap": "streams.tap",
    "Subscription:events": "subscriptions.Subscription.events",
    "Subscription:receive": "subscriptions.Subscription.receive",
    "Subscription:stats": "subscriptions.Subscription.stats",
    "Subscription:stop": "subscriptions.Subscription.stop",
    "Tool.create": "tool",
    "Tool.get": "tools.get",
    "Tool.invoke": "tools.invoke",
    "Tool.list": "tools.list",
    "Tool:invoke": "Tool.__call__",
    "VectorIndex": "VectorIndex",
    "VectorIndex:add": "VectorIndex.add",
    "VectorIndex:delete": "VectorIndex.delete",
    "VectorIndex:search": "VectorIndex.search",
    "async": f"! {ASYNCIO}",
    "await": f"! {ASYNCIO}",
    "clear_output": f"! {NOTEBOOK}",
    "display": f"! {NOTEBOOK}",
    "display.html": f"! {NOTEBOOK}",
    "display.json": f"! {NOTEBOOK}",
    "display.latex": f"! {NOTEBOOK}",
    "display.markdown": f"! {NOTEBOOK}",
    "display.png": f"! {NOTEBOOK}",
    "display.svg": f"! {NOTEBOOK}",
    "display.table": f"! {NOTEBOOK}",
    "exit": f"! {BUILT_IN}",
    "gather": f"! {ASYNCIO}",
    "getpass": f"! {BUILT_IN}",
    "help": f"! {BUILT_IN}",
    "input": f"! {BUILT_IN}",
    "progress": "! packages such as tqdm have it",
    "quit": f"! {BUILT_IN}",
    "race": f"! {ASYNCIO}",
    "sleep": f"! {ASYNCIO}",
    "timeout": f"! {ASYNCIO}",
    "update_display": f"! {NOTEBOOK}",
}


# Options and parameters of Lua that Python writes otherwise, and why.
OTHERWISE = {
    "Agent.options": "keyword arguments",
    "Agent:run.options": "keyword arguments",
    "Agent:stream.options": "keyword arguments",
    "Artifact.delete.options": "keyword arguments",
    "Artifact.delete.scope": "of `Artifacts(scope)`",
    "Artifact.get.options": "keyword arguments",
    "Artifact.get.scope": "of `Artifacts(scope)`",
    "Artifact.list.options": "keyword arguments",
    "Artifact.list.scope": "of `Artifacts(scope)`",
    "Artifact.put.options": "keyword arguments",
    "Artifact.put.scope": "of `Artifacts(scope)`",
    "Channel:events.options": "keyword arguments",
    "Channel:publish.options": "keyword arguments",
    "Channel:receive.options": "keyword arguments",
    "Channel:request.options": "keyword arguments",
    "Channel:subscribe.options": "keyword arguments",
    "Channel:wait_for_response.options": "keyword arguments",
    "Event.receive.options": "keyword arguments",
    "Event.replay.options": "keyword arguments",
    "Event.subscribe.options": "keyword arguments",
    "Hook.register.options": "keyword arguments",
    "Hook.retry.options": "keyword arguments",
    "Hook.use.options": "keyword arguments",
    "Model.answers": "keyword arguments of one provider, `**options`",
    "Model.api": "keyword arguments of one provider, `**options`",
    "Model.api_version": "keyword arguments of one provider, `**options`",
    "Model.params": "keyword arguments of one provider, `**options`",
    "Model:complete.messages": "`prompt` is a text or a conversation",
    "Model:complete.request": "keyword arguments",
    "Model:stream.messages": "`prompt` is a text or a conversation",
    "Model:stream.request": "keyword arguments",
    "RAG.open.options": "keyword arguments",
    "RAG.open.place": "the first argument, also a path",
    "RAG:ask.options": "keyword arguments",
    "RAG:evaluate.options": "keyword arguments",
    "RAG:ingest.options": "keyword arguments",
    "RAG:search.options": "keyword arguments",
    "Session.create.options": "keyword arguments",
    "Session.list.filter": "keyword arguments",
    "Session.open.options": "keyword arguments",
    "State.scope.options": "keyword arguments",
    "Replay.auto.fn": "the block of `with`",
    "Replay.auto.options": "keyword arguments",
    "Replay.record.fn": "the block of `with`",
    "Replay.replay.fn": "the block of `with`",
    "Replay.replay.options": "keyword arguments",
    "Replay.stop.options": "keyword arguments",
    "Subscription:events.options": "keyword arguments",
    "Subscription:receive.options": "keyword arguments",
    "Telemetry.counter.options": "keyword arguments",
    "Telemetry.histogram.options": "keyword arguments",
    "Tool.create.fn": "the decorated function",
    "Tool.create.options": "keyword arguments",
    "Tool.create.parameters": "type hints and the docstring give the schema",
    "Tool.create.schema": "type hints and the docstring give the schema",
    "VectorIndex.options": "keyword arguments",
    "VectorIndex:search.options": "keyword arguments",
    "VectorIndex:search.vector": "one vector or a matrix, `queries`",
}


def rows() -> list[dict[str, Any]]:
    found = []
    for module in _aikit.api_modules():
        found += [it for it in [module["call"]] if it] + module["functions"]
        for class_ in module["classes"]:
            found += [it for it in [class_["constructor"]] if it] + class_["methods"]
    return found


@pytest.mark.parametrize("name", sorted({it["name"] for it in rows()} | set(PYTHON)))
def test_each_row_has_a_python_name_or_a_reason(name: str) -> None:
    assert name in {it["name"] for it in rows()}, "the table has no such row any more"
    assert name in PYTHON, "give the row its Python name, or say why it has none"
    if not PYTHON[name].startswith("! "):
        assert callable(python_of({"name": name}))


def python_of(row: dict[str, Any]) -> Any:  # noqa: ANN401  # a function or a class
    first, *rest = PYTHON[row["name"]].split(".")
    start = getattr(aikit, first, None) or importlib.import_module(f"aikit.{first}")
    return functools.reduce(getattr, rest, start)


def test_an_option_has_the_same_name_in_lua_and_python() -> None:
    differing = set()
    for row in rows():
        if not PYTHON[row["name"]].startswith("! "):
            named = inspect.signature(python_of(row)).parameters
            written = [it["name"] for it in row["params"] + row["options"]]
            differing |= {f"{row['name']}.{it}" for it in written if it not in named}
    assert differing == set(OTHERWISE)


def test_the_reference_names_every_row_and_every_tool() -> None:
    reference = Path(__file__).parents[2] / "docs" / "reference"
    lua = (reference / "lua.md").read_text(encoding="utf-8")
    assert [it["name"] for it in rows() if it["usage"] not in lua] == []
    tools = (reference / "tools.md").read_text(encoding="utf-8")
    assert [it.name for it in aikit.tools.list() if f"## {it.name}" not in tools] == []

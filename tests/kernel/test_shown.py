"""What cells show of charts and of executions: media types, identities, what stays out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel.conversation import Conversation, Heard

VEGA_LITE = "application/vnd.vegalite.v5+json"
AGENT = (
    "agent = Agent{name = 'counter', tools = {'calculate'}, model = Model('scripted:demo',"
    " {answers = {{tool_calls = {{name = 'calculate', arguments = {expression = '6*7'}}}},"
    " 'It is <42>.'}})}\n"
)


def displays(heard: Heard) -> list[dict[str, Any]]:
    kinds = ("display_data", "update_display_data", "execute_result")
    return [it for it in heard.broadcasts if it["msg_type"] in kinds]


def test_a_chart_is_displayed_once_by_three_media_types(kernel: Conversation) -> None:
    heard = kernel.execute("plot{data = {1, 3, 2}, title = 'T', metadata = {a = {b = 1}}}")
    [shown] = displays(heard)
    assert shown["msg_type"] == "display_data"
    data = shown["content"]["data"]
    assert set(data) == {VEGA_LITE, "image/svg+xml", "text/plain"}
    # An object of JSON, and no text.
    assert [it["y"] for it in data[VEGA_LITE]["data"]["values"]] == [1, 3, 2]
    assert data["image/svg+xml"].startswith("<svg ")
    assert data["text/plain"].startswith("T\n")
    assert shown["content"]["metadata"] == {"a": {"b": 1}}
    # In the middle of a cell it is displayed as well.
    assert len(displays(kernel.execute("for i = 1, 3 do plot{data = {i}} end"))) == 3


def test_an_update_replaces_what_has_that_identity(kernel: Conversation) -> None:
    heard = kernel.execute("chart = plot{data = {1}, kind = 'bar', display_id = 'c'}")
    assert displays(heard)[0]["content"]["transient"] == {"display_id": "c"}
    heard = kernel.execute("chart:update{data = {4, 5}}")
    [shown] = displays(heard)
    assert shown["msg_type"] == "update_display_data"
    assert shown["content"]["transient"] == {"display_id": "c"}
    described = shown["content"]["data"][VEGA_LITE]
    assert described["mark"]["type"] == "bar"
    assert [it["sum"] for it in described["data"]["values"]] == [4, 5]
    # A chart that cannot be drawn changes nothing.
    heard = kernel.execute("chart:update{kind = 'pie'}")
    assert (heard.content["ename"], displays(heard)) == ("invalid_args", [])


def test_a_run_of_an_agent_shows_answer_and_tree(kernel: Conversation) -> None:
    heard = kernel.execute(AGENT + "run = agent:run('How much?')\nrun")
    data = heard.first("execute_result")["data"]
    assert set(data) == {"text/html", "text/plain"}
    lines = data["text/plain"].splitlines()
    assert lines[0] == "It is <42>."
    assert lines[2].startswith("✓ agent counter")
    assert "It is &lt;42&gt;." in data["text/html"]
    # It still is data.
    heard = kernel.execute("run.output, run.usage.requests, #run.steps")
    assert heard.first("execute_result")["data"]["text/plain"] == '("It is <42>.", 2, 2)'


def test_graphs_nodes_and_handles_show_their_tree(kernel: Conversation) -> None:
    kernel.execute(AGENT + "agent:run('How much?')")
    start = "handle = Procedure.create{name = 'p', function() return 1 end}:start()\n"
    cells = {
        "Context.recent()[1]": "✓ cell",
        "Context.graph()": "▸ cell",
        start + "handle:result()\nhandle": "✓",
    }
    for code, begin in cells.items():
        heard = kernel.execute(code)
        assert heard.content["status"] == "ok", heard.content
        data = heard.first("execute_result")["data"]
        assert set(data) == {"text/html", "text/plain"}, code
        assert begin in data["text/plain"]
        assert "<script" not in data["text/html"]

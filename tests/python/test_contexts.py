"""Contexts: identities, metadata, deadlines, cancellation, metrics, who called whom."""

from __future__ import annotations

import asyncio
import contextvars
import math
import threading
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context
from aikit.errors import (
    CancelledError,
    DeadlineError,
    DeniedError,
    InvalidArgsError,
    LimitExceededError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def test_outside_of_a_context_there_is_none() -> None:
    assert Context.try_get() is None
    with pytest.raises(NotFoundError) as failed:
        Context.get()
    assert "Context.create" in str(failed.value.hint)


def test_a_context_has_what_it_was_made_with() -> None:
    with Context.create(
        user="ada", tenant_id="acme", roles=["read", "write"], metadata={"a": 1}, trace_id=TRACE
    ) as ctx:
        assert Context.get() == ctx
        assert ctx.user.to_dict() == {"id": "ada", "tenant_id": "acme", "roles": ["read", "write"]}
        assert (ctx.metadata, ctx.trace_id, ctx.tick, ctx.remaining) == (
            {"a": 1},
            TRACE,
            None,
            None,
        )
        child = ctx.child(metadata={"b": 2}, roles=["read", "admin"], timeout=60, tick=3)
        assert child.metadata == {"a": 1, "b": 2}
        assert child.user.roles == ["read"]
        assert child.request_id == ctx.request_id
        assert child.tick == 3
        remaining = child.child(timeout=600).remaining
        assert remaining is not None
        assert remaining <= 60
    assert Context.try_get() is None
    assert Context.is_context(ctx)
    assert not Context.is_context("ctx")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"trace_id": "x"}, "trace_id"),
        ({"trace_id": "0" * 32}, "trace_id"),
        ({"request_id": ""}, "request_id"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"roles": "admin"}, "roles"),
    ],
)
def test_what_others_could_not_read_is_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidArgsError, match=named) as failed:
        Context.create(**options)  # type: ignore[arg-type]
    assert failed.value.hint


def test_a_call_cannot_become_another_users() -> None:
    @aikit.procedure
    def sneaky() -> None:
        Context.create(user="root")

    with Context.create(user="ada"), pytest.raises(DeniedError, match="root"):
        sneaky()
    with pytest.raises(TypeError):
        Context.create().child(user="root")  # type: ignore[call-arg]


def test_each_is_a_request_of_its_own_and_its_children_belong_to_it() -> None:
    subscription = aikit.events.subscribe("identity.seen")
    contexts = [Context.create(user="ada"), Context.create(user="bob")]
    with contexts[0]:
        contexts.append(Context.create())
    for ctx in contexts:
        ctx.run(lambda: aikit.events.publish("identity.seen"))
        child = ctx.child(metadata={"a": 1})
        assert (child.request_id, child.trace_id) == (ctx.request_id, ctx.trace_id)
    events = list(subscription.events(timeout=0))
    assert [it.request_id for it in events] == [it.request_id for it in contexts]
    assert [it.trace_id for it in events] == [it.trace_id for it in contexts]
    assert len({it.request_id for it in events}) == len({it.trace_id for it in events}) == 3
    given = Context.create(request_id="r", trace_id="a" * 32)
    assert (given.request_id, given.trace_id) == ("r", "a" * 32)


def test_nor_can_it_in_a_graph_of_its_own_or_in_a_function_that_it_subscribed() -> None:
    failed: list[BaseException] = []

    def become(**options: Any) -> None:  # noqa: ANN401  # of a Context
        try:
            Context.create(**options)
        except DeniedError as error:
            failed.append(error)

    @aikit.procedure
    def sneaky() -> None:
        aikit.events.subscribe("sneaky.event", lambda _: become(tenant_id="other"))
        with Context.create():
            become(user="root", tenant_id="other", roles=["admin"])
            assert Context.create(user="ada", roles=["admin", "reader"]).user.roles == ["reader"]

    with Context.create(user="ada", roles=["reader"]):
        sneaky()
        aikit.events.publish("sneaky.event")
        assert aikit.events.flush(timeout=30) == 0
    assert len(failed) == 2
    # Outside of every call the program decides.
    with Context.create(user="ada"), Context.create(user="root") as ctx:
        assert ctx.user.id == "root"


def test_it_flows_into_tasks_and_copied_threads_and_not_elsewhere() -> None:
    async def topic() -> object:
        await asyncio.sleep(0)
        return Context.get().metadata["topic"]

    async def forked(name: str) -> object:
        return await Context.get().fork(topic, metadata={"topic": name})

    async def main() -> list[object]:
        async with Context.create(metadata={"topic": "bees"}):
            seen = await asyncio.gather(topic(), forked("a"), forked("b"), topic())
            return list(seen)

    assert asyncio.run(main()) == ["bees", "a", "b", "bees"]

    seen: list[object] = []
    with Context.create(metadata={"topic": "bees"}) as ctx:
        variables = contextvars.copy_context()
        look = lambda: seen.append(Context.get().metadata["topic"])  # noqa: E731
        blind = lambda: seen.append(Context.try_get())  # noqa: E731
        for work in (lambda: variables.run(look), blind):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        assert ctx.run(lambda: Context.get() == ctx)
    assert seen == ["bees", None]


def test_tools_and_functions_that_are_called_back_belong_to_it() -> None:
    @aikit.tool
    def look() -> str:
        """Looks."""
        return str(Context.get().metadata["topic"])

    @aikit.tool
    async def alook() -> str:
        """Looks."""
        await asyncio.sleep(0)
        return str(Context.get().metadata["topic"])

    with Context.create(metadata={"topic": "bees"}) as ctx:
        assert [look.invoke({}), alook.invoke({})] == ["bees", "bees"]
        aikit.tools.calculate(expression="1 + 1")
    names = [node.name for node in ctx.graph]
    assert names == ["tool:look", "tool:alook", "tool:calculate"]


def test_cancelling_goes_down_and_says_why() -> None:
    with Context.create() as ctx:
        child = ctx.child()
        child.cancel("not wanted")
        ctx.check()
        with pytest.raises(CancelledError, match="not wanted"):
            child.check()
        ctx.cancel()
        with pytest.raises(CancelledError, match="cancelled by the program"):
            aikit.tools.calculate(expression="1 + 1")
    assert ctx.is_cancelled
    with Context.create(timeout=0) as late, pytest.raises(DeadlineError):
        late.check()


def test_a_chain_of_children_has_an_end() -> None:
    first = last = Context.create()

    def descend() -> None:
        nonlocal last
        while True:
            last = last.child()

    with pytest.raises(LimitExceededError, match="10000"):
        descend()
    first.cancel("enough")
    with pytest.raises(CancelledError, match="enough"):
        last.check()


def test_metrics_go_up_and_nest() -> None:
    with Context.create() as ctx, aikit.track("outer") as outer:
        Context.get().add_metric("pages.read", 2)
        with aikit.track("inner") as inner:
            here = Context.get()
            here.add_metric("pages.read", 1)
            here.set_metric("latency_ms", 250)
            here.add_usage(input_tokens=100, output_tokens=50, cost_usd=0.5)
            info = here.execution_info
            assert info is not None
            assert (info.name, info.origin_name, info.depth) == ("inner", "outer", 1)
            assert (info.pid, info.parent_pid, info.root_pid) == (inner.pid, outer.pid, outer.pid)
            assert here.is_within("outer")
            assert here.has_ancestor_named("outer")
            assert not here.has_ancestor_named("inner")
            assert not here.is_standalone
            assert here.origin == outer
            assert here.origin_name == "outer"
            assert info.execution_id == here.execution_id
        assert (inner.status, inner.parent, outer.children) == ("completed", outer, [inner])
        assert inner.has_ancestor(lambda node: node.name == "outer")
        assert outer.get_metric("pages.read") == 3
        assert Context.get().metrics["pages"] == {"read": 3}
        assert Context.get().usage.to_dict() == {
            "input_tokens": 100,
            "output_tokens": 50,
            "requests": 0,
            "cost_usd": 0.5,
        }
        outer.merge_metrics({"x": 1})
        assert (outer.get_metric("x"), outer.get_metric("none")) == (1, 0)
    assert ctx.graph.root == outer
    assert ctx.graph.get(inner.pid) == inner
    assert ctx.graph.has_ancestor_named(inner.pid, "outer")
    assert (ctx.graph.parent(inner.pid), ctx.graph.parent(outer.pid)) == (outer, None)
    assert (ctx.graph.children(outer.pid), ctx.graph.children(inner.pid)) == ([inner], [])
    assert ctx.graph.has_ancestor(inner.pid, lambda node: node == outer)
    assert not ctx.graph.has_ancestor(outer.pid, lambda node: True)  # noqa: ARG005  # it has none
    assert ctx.graph.parent("none") is None
    assert ctx.graph.children("none") == []
    assert not ctx.graph.has_ancestor("none", bool)
    assert len(ctx.graph) == 2
    assert outer.completed is not None
    assert outer.started <= outer.completed
    ctx.graph.clear()
    assert ctx.graph.all() == []


def test_forks_of_one_procedure_count_for_themselves_and_for_it() -> None:
    @aikit.procedure
    def calls() -> None:
        Context.get().add_metric("pages", 10)

    async def forked(pages: int) -> tuple[float, float]:
        here = Context.get()
        here.add_metric("pages", pages)
        here.set_metric("latency_ms", pages)
        await asyncio.sleep(0)
        calls()
        return here.get_metric("pages"), here.get_metric("latency_ms")

    async def main() -> None:
        with Context.create(), aikit.track("outer") as outer:
            here = Context.get()
            counted = await asyncio.gather(*(here.fork(forked, it) for it in (1, 2)))
            assert counted == [(11, 1), (12, 2)]
            assert outer.get_metric("pages") == 23
            assert here.get_metric("pages") == 23
            assert outer.get_metric("latency_ms") == 0

    asyncio.run(main())


def test_a_block_that_fails_is_a_failed_node() -> None:
    with Context.create() as ctx:
        with pytest.raises(ZeroDivisionError), aikit.track("bad"):
            _ = 1 / 0
        ctx.cancel("enough")
        with pytest.raises(CancelledError, match="enough"), aikit.track("late"):
            pass
    (node,) = ctx.graph.all()
    assert node.status == "failed"
    assert "ZeroDivisionError" in str(node.error)


def test_too_deep_a_nesting_is_refused() -> None:
    @aikit.procedure
    def again(depth: int) -> int:
        return int(again(depth + 1))

    with pytest.raises(LimitExceededError, match="again"):
        again(0)


def test_an_event_is_seen_by_the_handle_around_it() -> None:
    @aikit.procedure
    def work() -> None:
        Context.get().emit("app:saved", {"name": "a"})
        Context.get().emit("app.moved", source="mover")

    handle = work.start()
    handle.result()
    events = [(event.kind, event.data, event.source) for event in handle.events[1:-1]]
    assert events == [("app.saved", {"name": "a"}, "work"), ("app.moved", None, "mover")]


def test_one_context_is_entered_by_many_at_once() -> None:
    ctx = Context.create(metadata={"topic": "bees"})

    async def topic() -> object:
        await asyncio.sleep(0)
        return Context.get().metadata["topic"]

    @aikit.procedure
    async def look() -> object:
        return await topic()

    async def entered() -> object:
        async with ctx:
            return await topic()

    async def main() -> list[object]:
        works = [
            ctx.run(topic),
            ctx.run(topic),
            ctx.run(look),
            ctx.fork(look),
            entered(),
            entered(),
        ]
        seen = await asyncio.gather(*works)
        assert Context.try_get() is None
        return list(seen)

    assert asyncio.run(main()) == ["bees"] * 6

    inside = threading.Barrier(2)
    seen: list[object] = []

    def enter() -> None:
        with ctx:
            inside.wait(30)
            seen.append(Context.get().metadata["topic"])
            inside.wait(30)

    threads = [threading.Thread(target=enter) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["bees", "bees"]


def test_a_block_that_another_task_leaves_ends_well() -> None:
    async def fixture() -> AsyncIterator[Context]:
        with Context.create() as ctx, aikit.track("block"):
            yield ctx

    async def main() -> Context:
        generator = fixture()
        ctx = await generator.__anext__()

        async def finish() -> None:
            with pytest.raises(StopAsyncIteration):
                await generator.__anext__()

        await asyncio.create_task(finish())
        return ctx

    ctx = asyncio.run(main())
    assert [(node.name, node.status) for node in ctx.graph] == [("block", "completed")]


def test_a_name_of_very_many_parts_is_no_way_to_crash() -> None:
    with Context.create() as ctx:
        with pytest.raises(InvalidArgsError):
            ctx.add_metric("a." * 300_000 + "end", 1)
        ctx.add_metric("a." * 120 + "end", 1)
        assert list(ctx.metrics) == ["a"]


@pytest.mark.parametrize(
    ("name", "amount"),
    [("", 1.0), ("a\nb", 1.0), ("x" * 256, 1.0), ("a", math.nan), ("a", math.inf)],
)
def test_what_counts_nothing_is_refused(name: str, amount: float) -> None:
    with Context.create(), aikit.track("counting") as node:
        context = aikit.Context.get()
        for count in (context.add_metric, context.set_metric, node.add_metric, node.set_metric):
            with pytest.raises(InvalidArgsError):
                count(name, amount)
        with pytest.raises(InvalidArgsError):
            node.merge_metrics({name: amount})
        # All or nothing: what comes before it does not count either.
        with pytest.raises(InvalidArgsError):
            node.merge_metrics({"good": 1.0, name: amount})
        assert node.get_metric("good") == 0
        with pytest.raises(InvalidArgsError, match="only grows"):
            context.add_usage(input_tokens=-1)
        assert context.metrics == {}


def test_the_names_of_metrics_are_bounded_and_the_rest_is_counted() -> None:
    with Context.create(), aikit.track("counting") as node:
        for index in range(1_010):
            node.add_metric(f"n{index}", 1)
        assert node.get_metric("metrics.left_out") == 10
        assert node.get_metric("n999") == 1


def test_steps_are_numbered_from_one() -> None:
    with pytest.raises(InvalidArgsError, match="`tick` is `0`"):
        Context.create(tick=0)
    with Context.create(tick=1) as ctx, pytest.raises(InvalidArgsError):
        ctx.child(tick=0)


def test_the_trace_of_a_caller_elsewhere_goes_on() -> None:
    trace_id, span_id = "ab" * 16, "cd" * 8
    header = f"00-{trace_id}-{span_id}-01"
    context = Context.create(traceparent=header)
    assert (context.trace_id, context.metadata["traceparent"]) == (trace_id, header)
    assert Context.create().child(traceparent=header).trace_id == trace_id
    named: aikit.Procedure[str] = aikit.Procedure(lambda: Context.get().trace_id, name="named")
    assert named.with_context(traceparent=header)() == trace_id
    for wrong in ({"traceparent": "00-x"}, {"traceparent": header, "trace_id": "ef" * 16}):
        with pytest.raises(InvalidArgsError, match="traceparent") as failed:
            Context.create(**wrong)  # type: ignore[arg-type]
        assert failed.value.hint


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"timeout": "soon"}, TypeError, "^`timeout`: "),
        ({"request_id": 5}, TypeError, "^`request_id`: "),
        ({"trace_id": b"x"}, TypeError, "^`trace_id`: "),
        ({"traceparent": 5}, TypeError, "^`traceparent`: "),
        ({"roles": [5]}, TypeError, "^`roles`: "),
        ({"tick": "one"}, TypeError, "^`tick`: "),
        ({"tick": -1}, InvalidArgsError, "^`tick` is `-1`"),
        ({"metadata": {"a": object()}}, Exception, "^(?!failed to extract)"),
    ],
)
def test_a_wrong_option_is_named_and_not_what_reads_it(
    options: dict[str, object], error: type[Exception], named: str
) -> None:
    with pytest.raises(error, match=named):
        Context.create(**options)  # type: ignore[arg-type]
    with pytest.raises(error, match=named):
        Context.create().child(**options)  # type: ignore[arg-type]
    made: aikit.Procedure[None] = aikit.Procedure(lambda: None, name="made")
    with pytest.raises(error, match=named.replace("^`", r"^`(context\.)?")):
        made.with_context(**options)


def test_a_wrong_option_of_a_procedure_is_named() -> None:
    with pytest.raises(TypeError, match=r"^`timeout`: "):
        aikit.Procedure(lambda: None, name="made", timeout="soon")  # type: ignore[arg-type]


def test_a_context_says_whether_a_model_has_chosen() -> None:
    callers: list[str] = []

    @aikit.tool
    def where() -> str:
        """Says who called it."""
        callers.append(Context.get().caller)
        return "here"

    call = {"name": "where", "arguments": {}}
    model = aikit.testing.ScriptedModel([{"tool_calls": [call]}, "done"])
    with Context.create() as ctx:
        where.invoke({})
        aikit.Agent(model, tools=[where]).run("go")
    assert (ctx.caller, callers) == ("user", ["user", "agent"])

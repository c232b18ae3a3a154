"""Wrong values in every call of the core: the error says what was wrong, and nothing of within."""

# ruff: noqa: ANN401, ARG001, ARG005  # what is called has one signature, whatever it needs of it

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Channel, Context, Procedure, events, hooks, streams, telemetry
from aikit.errors import AikitError, DeadlineError, InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Callable


class Strange:
    """Has a text that is long, and no other use."""

    def __repr__(self) -> str:
        return "Strange" * 100


class Unshown:
    """Cannot even be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


WRONG: list[Any] = [
    None,
    True,
    5,
    -1,
    10**400,
    -1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    "no\nname",
    "\ud800",
    b"x",
    (),
    [1],
    [b"x"],
    {"a": Strange()},
    {1: 2},
    Strange(),
    Unshown(),
    object,
    lambda: None,
]

# What stands in messages of Python, of Rust and of what reads values for it.
WITHIN = [
    "argument '",
    "object is not",
    "object cannot",
    "failed to extract",
    "cannot be interpreted",
    "can't be converted",
    "cannot be cast",
    "must be real number",
    "not iterable",
    "has no attribute",
    "invalid type",
    "expected struct",
    "struct ",
    "f64",
    "u64",
    "i64",
    "usize",
    "codec can't",
    "PyAny",
    "panicked",
]


def _function(*args: Any) -> None:
    """Does nothing."""


async def _exhaust(items: Any) -> None:
    async for _ in items:
        pass


def _map(source: Any, fn: Any) -> None:
    asyncio.run(_exhaust(streams.map(source, fn)))


def _tap(source: Any, fn: Any) -> None:
    asyncio.run(_exhaust(streams.tap(source, fn)))


def _merge(sources: Any) -> None:
    asyncio.run(_exhaust(streams.merge(sources)))


def _registered(**options: Any) -> None:
    with hooks.register(**options):
        pass


def _hooked(point: Any, **options: Any) -> None:
    hooks.hook(point, **options)(_function)
    for it in hooks.list():
        hooks.unregister(it.name)


def _used(**options: Any) -> None:
    with hooks.use(**options):
        pass


def _answered(answer: Callable[..., Any], **fields: Any) -> None:
    with hooks.register("tool.before", lambda _: answer(**fields), required=True):
        aikit.tools.count_words(text="a")


def _tracked(name: Any) -> None:
    with aikit.track(name):
        pass


def _wrapped(name: Any, value: Any) -> None:
    Procedure(_function, schema=False).use(lambda args, envelope, following: following(value))()


def _on(kind: Any, listener: Any) -> None:
    handle: aikit.Handle[None] = Procedure(_function, schema=False).start()
    handle.events.on(kind, listener).close()


def _span(name: Any, attributes: Any) -> None:
    with telemetry.start_span(name, attributes):
        pass


async def _awaited(value: Any) -> Any:
    return await value


def _async(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **options: asyncio.run(_awaited(call(**options)))


# Seen as types do not see it.
ANY: Any = aikit
PROCEDURE: Procedure[None] = Procedure(_function, name="made", schema=False)
OPTIONS: dict[str, Any] = {
    "metadata": {},
    "request_id": "r",
    "trace_id": "ab" * 16,
    "traceparent": None,
    "timeout": 1.0,
    "roles": ["a"],
    "tick": 1,
}


def calls(ctx: Context, channel: Channel) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    node = ctx.graph.all()[0]
    subscription = events.subscribe("a.*")
    handle = PROCEDURE.start()
    span = telemetry.start_span("span")
    counter, histogram = telemetry.counter("a"), telemetry.histogram("b")
    timed = {"timeout": 0.0}
    queue = {"fn": _function, "capacity": 1, "drop": "oldest"}
    content = {"id": "1", "metadata": {}, "target": {}}
    registering = {"name": "h", "priority": 0, "timeout_s": 1.0, "required": False}
    return {
        "Context.create": (Context.create, {"user": "u", "tenant_id": "t", **OPTIONS}),
        "child": (ctx.child, OPTIONS),
        "fork": (ctx.fork, {"function": _function}),
        "run": (ctx.run, {"function": _function}),
        "emit": (ctx.emit, {"kind": "a.b", "data": 1, "source": "s"}),
        "cancel": (Context.create().cancel, {"reason": "r"}),
        "add_usage": (
            ctx.add_usage,
            {"input_tokens": 1, "output_tokens": 1, "requests": 1, "cost_usd": 1.0},
        ),
        **{
            f"{name} of {type(it).__name__}": (getattr(it, name), {"name": "a", value: 1.0})
            for it in (ctx, node)
            for name, value in (("add_metric", "amount"), ("set_metric", "value"))
        },
        "get_metric": (ctx.get_metric, {"name": "a"}),
        "merge_metrics": (node.merge_metrics, {"metrics": {"a": 1.0}}),
        "merge_metrics value": (lambda value: node.merge_metrics({"a": value}), {"value": 1.0}),
        "has_ancestor": (node.has_ancestor, {"predicate": lambda _: True}),
        "is_within": (ctx.is_within, {"name": "a"}),
        "has_ancestor_named": (ctx.has_ancestor_named, {"name": "a"}),
        "graph.get": (ctx.graph.get, {"pid": "1"}),
        "graph.has_ancestor_named": (ctx.graph.has_ancestor_named, {"pid": "1", "name": "a"}),
        "Procedure": (
            Procedure,
            {
                "function": _function,
                "name": "p",
                "schema": None,
                "middleware": (),
                "timeout": 1.0,
                "metadata": {},
                "boundary": "auto",
            },
        ),
        "procedure": (
            lambda **options: aikit.procedure(**options)(_function),
            {"name": "p", "schema": None, "middleware": (), "timeout": 1.0, "metadata": {}},
        ),
        "procedure_factory": (
            lambda it: aikit.procedure_factory(it),  # noqa: PLW0108  # by position
            {"it": _function},
        ),
        "use": (
            lambda it: PROCEDURE.use(it),  # noqa: PLW0108  # by position
            {"it": _function},
        ),
        "next": (lambda value: _wrapped("a", value), {"value": None}),
        "with_timeout": (PROCEDURE.with_timeout, {"seconds": 1}),
        "with_metadata": (PROCEDURE.with_metadata, {"metadata": {}}),
        "with_context": (PROCEDURE.with_context, OPTIONS),
        "pipe": (
            lambda it: PROCEDURE.pipe(it),  # noqa: PLW0108  # by position
            {"it": PROCEDURE},
        ),
        "pipeline": (
            lambda it: aikit.pipeline(it),  # noqa: PLW0108  # by position
            {"it": _function},
        ),
        "guard": (aikit.guard, {"allows": _function, "name": "g"}),
        "track": (_tracked, {"name": "t"}),
        "handle.cancel": (handle.cancel, {"reason": "r"}),
        "handle.events.on": (_on, {"kind": "*", "listener": _function}),
        "tools.invoke": (aikit.tools.invoke, {"name": "count_words", "args": {"text": "a"}}),
        "tools.ainvoke": (
            _async(aikit.tools.ainvoke),
            {"name": "count_words", "args": {"text": "a"}},
        ),
        "Channel": (Channel, {"name": "a"}),
        "Channel.try_get": (Channel.try_get, {"name": "a"}),
        "Channel.remove": (Channel.remove, {"name": "none"}),
        "channel.publish": (channel.publish, {"event": "a", "payload": 1, **content}),
        "channel.subscribe": (lambda **it: channel.subscribe(**it).stop(), queue),
        "channel.receive": (channel.receive, timed),
        "channel.areceive": (_async(channel.areceive), timed),
        "channel.events": (channel.events, timed),
        "channel.request": (channel.request, {"payload": 1, **content, **timed}),
        "channel.respond": (channel.respond, {"request": "1", "payload": 1}),
        "channel.wait_for_response": (channel.wait_for_response, {"id": "2", **timed}),
        "channel.await_for_response": (
            _async(channel.await_for_response),
            {"id": "2", **timed},
        ),
        "events.publish": (events.publish, {"kind": "a.b", "data": 1}),
        "events.subscribe": (
            lambda **it: events.subscribe(**it).stop(),
            {"pattern": "a.*", **queue},
        ),
        "events.receive": (events.receive, {"pattern": "a", **timed}),
        "events.areceive": (_async(events.areceive), {"pattern": "a", **timed}),
        "events.replay": (events.replay, {"after": 0, "pattern": "**", "limit": 1}),
        "subscription.receive": (subscription.receive, timed),
        "subscription.areceive": (_async(subscription.areceive), timed),
        "subscription.events": (subscription.events, timed),
        "hooks.register": (_registered, {"point": "tool.before", "fn": _function, **registering}),
        "hooks.hook": (_hooked, {"point": "tool.before", **registering}),
        "hooks.unregister": (hooks.unregister, {"name": "none"}),
        "hooks.enable": (hooks.enable, {"name": "none"}),
        "hooks.use cache": (
            _used,
            {"built_in": "cache", "on": "tool", "ttl_s": 1.0, "entries_max": 1, "bytes_max": 1},
        ),
        "hooks.use rate_limit": (
            _used,
            {"built_in": "rate_limit", "calls": 1, "per_s": 1.0, "burst": 1, "wait": True},
        ),
        "hooks.use cost_limit": (
            _used,
            {"built_in": "cost_limit", "usd": 1.0, "tokens": 1, "prices": {}},
        ),
        "hooks.use approval": (
            _used,
            {"built_in": "approval", "names": "a", "callers": "all", "approve": _function},
        ),
        "Modify": (lambda args: _answered(hooks.Modify, args=args), {"args": {"text": "a"}}),
        "Replace": (lambda value: _answered(hooks.Replace, value=value), {"value": {}}),
        "Stop": (hooks.Stop, {"reason": "r", "kind": "denied"}),
        "Retry": (hooks.Retry, {"delay_s": 0.0, "max": 1}),
        "streams.map": (_map, {"source": [], "fn": _function}),
        "streams.tap": (_tap, {"source": [], "fn": _function}),
        "streams.merge": (_merge, {"sources": [[1]]}),
        "OtlpProvider": (
            telemetry.OtlpProvider,
            {"endpoint": "http://127.0.0.1:9", "headers": {}, "service_name": "a", "resource": {}},
        ),
        "set_provider": (telemetry.set_provider, {"provider": object()}),
        "telemetry.flush": (telemetry.flush, {"seconds": 0.0}),
        "start_span": (_span, {"name": "a", "attributes": {}}),
        "span.set_attribute": (span.set_attribute, {"key": "k", "value": 1}),
        "span.record_error": (span.record_error, {"error": ValueError()}),
        "record_error": (telemetry.record_error, {"error": ValueError()}),
        "counter": (telemetry.counter, {"name": "a", "unit": "s", "description": "d"}),
        "histogram": (telemetry.histogram, {"name": "a", "unit": "s", "description": "d"}),
        "counter.add": (counter.add, {"amount": 1.0, "attributes": {}}),
        "histogram.record": (histogram.record, {"value": 1.0, "attributes": {}}),
    }


def test_no_message_of_a_wrong_call_names_what_is_within() -> None:
    # What waits is ended by the Context; what would be recorded is not.
    with Context.create(timeout=120) as ctx:
        with aikit.track("sweep"):
            pass
        channel = Channel("sweep")
        refused = 0
        problems: list[str] = []
        for name, (call, right) in calls(ctx, channel).items():
            for parameter in right:
                for value in WRONG:
                    problem = _problem(call, {**right, parameter: value})
                    refused += problem is not None
                    if problem:
                        problems.append(f"{name}({parameter}={_shown(value)}): {problem}")
    assert not problems, "\n".join(problems)
    assert refused > 1000, refused


def _problem(call: Callable[..., Any], options: dict[str, Any]) -> str | None:
    """What is wrong with the error of a call; empty when nothing is, None when there is none."""
    try:
        with Context.create(timeout=0.05):
            call(**options)
    except DeadlineError:
        return ""
    except AikitError as error:
        text = str(error)
        found = [word for word in WITHIN if word in text]
        if found:
            return f"{found}: {text!r}"
        if not error.hint:
            return f"no hint: {text!r}"
        return f"too long: {text[:200]!r}" if len(text) > 1000 else ""
    except Exception as error:  # noqa: BLE001  # it is told below
        return f"{type(error).__name__}: {error}"
    return None


def _shown(value: object) -> str:
    with contextlib.suppress(RuntimeError):
        return f"{value!r:.30}"
    return "?"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ANY.procedure(schema="x"), "`schema`: `'x'` is no JSON Schema"),
        (lambda: ANY.procedure(metadata=5), "`metadata`: `5` is no mapping"),
        (lambda: ANY.procedure(middleware=5), "`middleware`: `5` is no list of middleware"),
        (lambda: ANY.procedure(middleware="abc"), "`middleware`: `'abc'` is no list of"),
        (lambda: ANY.procedure(nme="x"), "`nme` is no option of `procedure`"),
        (lambda: ANY.tools.invoke("count_words", 5), "`args`: `5` is no mapping"),
        (lambda: ANY.Context.create(metadata=[1]), "`metadata`: `[1]` is no mapping"),
        (lambda: ANY.Context.create(timeout=10**400), "`timeout` is "),
        (lambda: ANY.events.receive("a", timeout="1"), "`timeout`: `'1'` is no number of seconds"),
        (lambda: ANY.Channel(5), "`name`: `5` is no text"),
        (lambda: ANY.Channel(b"a"), "`name`: `b'a'` is no text"),
        (lambda: ANY.Context.create().add_metric("a", "x"), "`amount`: `'x'` is no number"),
    ],
)
def test_a_wrong_call_is_answered_with_the_parameter_the_value_and_the_rule(
    call: Callable[[], Any], says: str
) -> None:
    def decorated() -> None:
        # A decorator says it where it decorates, at the latest.
        call()(_function)

    with pytest.raises(InvalidArgsError) as caught:
        decorated()
    assert caught.value.message.startswith(says)
    assert caught.value.hint


def test_what_is_of_a_wrong_type_is_a_type_error_to_python_as_well() -> None:
    with pytest.raises(TypeError):
        Channel(5)  # type: ignore[arg-type]


def test_a_lambda_has_one_name_as_a_hook() -> None:
    def fails() -> None:
        aikit.tools.count_words(text="a")

    lambdas: list[Callable[..., Any]] = [lambda _: 1 / 0, Procedure(lambda _: 1 / 0, schema=False)]
    for function in lambdas:
        for register in (hooks.register, _decorated):
            register("tool.before", function, required=True)
            (info,) = hooks.list()
            with pytest.raises(
                AikitError, match="the Python function `anonymous` raised"
            ) as caught:
                fails()
            assert info.name in caught.value.message
            assert "lambda" not in f"{caught.value} {info}"
            assert hooks.unregister(info.name) == 1


def test_a_lambda_has_that_name_elsewhere_too(caplog: pytest.LogCaptureFixture) -> None:
    with events.subscribe("lambda.test", lambda _: 1 / 0), caplog.at_level(logging.WARNING):
        events.publish("lambda.test")
        assert events.flush() == 0
    assert "the Python function `anonymous` raised ZeroDivisionError" in caplog.text
    state = aikit.State()
    with pytest.raises(AikitError, match="the Python function `anonymous` returned what is not"):
        state.update("key", lambda _: object())

    async def grow(_: object) -> object:
        return object()

    for function, name in ((grow, "grow"), (functools.partial(grow), "partial")):
        with pytest.raises(AikitError, match=f"the Python function `{name}` returned what is not"):
            state.update("key", function)


def _decorated(point: str, function: Callable[..., Any], **options: Any) -> None:
    hooks.hook(point, **options)(function)

"""Procedures of Python functions: calls, middleware, schemas, limits, generators, handles."""

# ruff: noqa: ANN401, ARG001, ARG005  # middleware has one signature, whatever it needs of it

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context, Procedure
from aikit.errors import (
    CancelledError,
    DeadlineError,
    DeniedError,
    InvalidArgsError,
    LimitExceededError,
)
from aikit.middleware import Arguments, Envelope
from aikit.testing import ProcedureDouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence

# An end that comes later than this has not been brought about by what the test did.
LATE_S = 30.0


@aikit.procedure
def add(left: int, right: int = 1) -> int:
    """Adds."""
    return left + right


@aikit.procedure(name="aadd")
async def aadd(left: int, right: int = 1) -> int:
    await asyncio.sleep(0)
    return left + right


def double(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
    return following((args[0] * 2,))


def nodes(ctx: Context) -> list[tuple[str, str]]:
    return [(node.name, node.status) for node in ctx.graph]


def test_a_procedure_is_called_like_its_function() -> None:
    assert add(1, right=2) == 3
    assert add.run(1) == 2
    assert asyncio.run(add.arun(1)) == 2
    assert getattr(add, "__name__", None) == "add"
    assert add.__doc__ == "Adds."
    assert asyncio.run(_awaited(aadd(1, right=2))) == 3
    assert aadd.run(1) == 2
    assert repr(aadd) == "Procedure('aadd')"


async def _awaited(value: Any) -> Any:  # any awaitable
    return await value


def test_each_call_is_a_node_below_its_caller() -> None:
    @aikit.procedure
    def outer() -> list[str]:
        add(1)
        return [node.name for node in Context.get().graph]

    with Context.create() as ctx:
        assert outer() == ["outer", "add"]
        asyncio.run(_awaited(aadd(1)))
        with pytest.raises(InvalidArgsError, match="schema"):
            add(1, 2, schema=3)
    assert nodes(ctx)[:3] == [("outer", "completed"), ("add", "completed"), ("aadd", "completed")]


def test_methods_are_procedures_too() -> None:
    class Shop:
        def __init__(self, price: int) -> None:
            self.price = price

        @aikit.procedure(name="shop.total")
        def total(self, count: int) -> int:
            return self.price * count

        @aikit.procedure
        async def atotal(self, count: int) -> int:
            return self.price * count

        @staticmethod
        @aikit.procedure
        def tax(amount: int) -> int:
            return amount // 5

    shop = Shop(3)
    assert shop.total(2) == 6
    assert shop.total.use(double)(2) == 12
    assert asyncio.run(_awaited(shop.atotal(2))) == 6
    assert shop.tax(10) == 2
    assert Shop.total.name == "shop.total"
    with pytest.raises(InvalidArgsError, match="count"):
        shop.total("two")


def test_type_hints_are_the_schema_and_objects_pass_untouched() -> None:
    thing = object()

    @aikit.procedure
    def keeps(value: object, numbers: list[int], lock: threading.Lock, untyped) -> object:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return value, lock, untyped

    lock = threading.Lock()
    assert keeps(thing, [1], lock, thing) == (thing, lock, thing)
    with pytest.raises(InvalidArgsError, match=r"`keeps`: field `numbers/0`") as failed:
        keeps(thing, ["one"], lock, thing)
    assert failed.value.hint
    with pytest.raises(InvalidArgsError, match="untyped"):
        keeps(thing, [1], lock)
    schema = {"type": "object", "properties": {"left": {"minimum": 0}}}
    with pytest.raises(InvalidArgsError, match="left"):
        Procedure(lambda left: left, name="own", schema=schema)(-1)
    assert Procedure(lambda left: left, schema=False)(-1) == -1
    with pytest.raises(InvalidArgsError, match="schema"):
        Procedure(lambda left: left, schema={"type": "strange"})


def test_hints_that_data_cannot_tell_admit_everything() -> None:
    @aikit.procedure
    def takes(
        numbers: set[int],
        by_number: dict[int, str],
        things: list,  # type: ignore[type-arg]
        rows: Sequence[int],
    ) -> int:
        return len(numbers) + len(by_number) + len(things) + len(rows)

    assert takes({1}, {1: "a"}, [threading.Lock()], range(3)) == 6


def test_middleware_changes_arguments_result_and_errors() -> None:
    seen: list[object] = []

    def look(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
        seen.extend([envelope.operation_name, envelope.source_type, envelope.metadata])
        assert envelope.pid == envelope.context.node.pid  # type: ignore[union-attr]
        return following() + 100

    looked = add.with_metadata(topic="sums").use(look, double)
    assert looked(5) == 111
    assert add(5) == 6
    assert seen == ["add", "procedure", {"topic": "sums"}]
    assert add.use(lambda *_: "instead")(1) == "instead"

    def catch(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
        try:
            return following()
        except ZeroDivisionError as error:
            return f"caught {error}"

    def fail(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
        raise ZeroDivisionError("on purpose")

    assert add.use(catch, fail)(1) == "caught on purpose"
    with pytest.raises(InvalidArgsError, match="next"):
        add.use(lambda args, envelope, following: following(5))(1)
    with pytest.raises(InvalidArgsError, match="middleware"):
        add.use(5)


def test_middleware_of_async_functions_is_sync_or_async() -> None:
    async def slow(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
        await asyncio.sleep(0)
        return await following(Arguments(args[0], right=10))

    assert asyncio.run(_awaited(aadd.use(slow)(1))) == 11
    assert asyncio.run(_awaited(aadd.use(double, slow)(1))) == 12
    assert aadd.use(slow, double).run(2) == 14
    assert add.use(double).start(2).result() == 5


def test_a_middleware_that_raises_harms_its_own_call_only() -> None:
    def fail(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
        raise RuntimeError("broken")

    broken = add.use(fail)
    with Context.create() as ctx:
        with pytest.raises(RuntimeError, match="broken"):
            broken(1)
        assert add(1) == 2
    assert nodes(ctx) == [("add", "failed"), ("add", "completed")]


def test_guards_pipelines_factories_and_pipes() -> None:
    small = add.use(aikit.guard(lambda args, envelope: args[0] < 10, name="small"))
    assert small(5) == 6
    with pytest.raises(DeniedError, match=r"`small`.*`add`"):
        small(50)

    async def never(args: Arguments, envelope: Envelope) -> bool:
        return False

    with pytest.raises(DeniedError, match="never"):
        aadd.use(aikit.guard(never)).run(1)
    bundle = aikit.pipeline(double).use(double)
    assert add.use(bundle)(1) == 5
    factory = aikit.procedure_factory(double, is_hook=True)
    seen: list[str] = []

    @factory(name="made")  # type: ignore[untyped-decorator]
    def made(value: int) -> int:
        return value

    def look(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
        seen.append(envelope.source_type)
        return following()

    assert made.use(look)(5) == 10
    assert seen == ["hook"]
    assert aikit.pipe(add, add, made)(1) == 6
    assert aikit.pipe(add) is add
    assert add.pipe(add).name == "add | add"
    assert asyncio.run(_awaited(aikit.pipe(add, aadd, add)(1))) == 4
    for bad in [(), (add, print)]:
        with pytest.raises(InvalidArgsError):
            aikit.pipe(*bad)  # type: ignore[arg-type]


def test_a_time_limit_ends_waiting_and_blocking_and_is_named() -> None:
    release = threading.Event()

    @aikit.procedure(timeout=0.05)
    def blocks() -> None:
        release.wait(LATE_S)

    @aikit.procedure(timeout=0.05)
    async def waits() -> None:
        await asyncio.sleep(LATE_S)

    began = time.monotonic()
    with pytest.raises(DeadlineError, match="`blocks` took longer than 50ms"):
        blocks()
    with pytest.raises(DeadlineError, match="`waits` took longer than 50ms"):
        asyncio.run(_awaited(waits()))
    with pytest.raises(DeadlineError, match="`waits`"):
        waits.run()
    assert time.monotonic() - began < LATE_S
    release.set()
    assert add.with_timeout(0)(1) == 2
    assert add.with_timeout(LATE_S)(1) == 2
    with Context.create(timeout=0.05), pytest.raises(DeadlineError):
        Procedure(lambda: release.wait() and threading.Event().wait(LATE_S), name="late")()


def test_a_cancelled_context_ends_a_coroutine_and_a_sync_wait() -> None:
    async def main() -> None:
        entered = asyncio.Event()
        ended: list[str] = []

        @aikit.procedure
        async def waits() -> None:
            entered.set()
            try:
                await asyncio.sleep(LATE_S)
            except asyncio.CancelledError:
                ended.append("cleanly")
                raise

        async with Context.create() as ctx:
            task = asyncio.ensure_future(_awaited(waits()))
            await entered.wait()
            ctx.cancel("enough")
            with pytest.raises(CancelledError, match="enough"):
                await task
        assert ended == ["cleanly"]
        assert not task.cancelled()

        # Whoever awaits can still cancel, and then it is an asyncio one.
        task = asyncio.ensure_future(_awaited(waits()))
        entered.clear()
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    called: list[int] = []
    with Context.create() as ctx:
        ctx.cancel("enough")
        with pytest.raises(CancelledError, match="enough"):
            Procedure(lambda: called.append(1), name="never")()
    assert called == []


def test_generators_keep_their_context_their_items_and_what_they_return() -> None:
    @aikit.procedure
    def count(limit: int) -> Generator[tuple[int, str], None, str]:
        for number in range(limit):
            yield number, Context.get().node.name  # type: ignore[union-attr]
        return "done"

    with Context.create() as ctx:
        stream = count(3)
        assert list(stream) == [(0, "count"), (1, "count"), (2, "count")]
        assert stream.returned == "done"
        assert count.run(2) == "done"
        with count.stream(100) as early:
            assert next(early)[0] == 0
        with pytest.raises(StopIteration):
            next(early)
        dropped = count(100)
        next(dropped)
        del dropped
        with pytest.raises(InvalidArgsError, match="limit"):
            next(count("many"))
        assert Context.get() == ctx
    assert [status for _, status in nodes(ctx)] == [
        "completed",
        "completed",
        "cancelled",
        "cancelled",
        "failed",
    ]
    with pytest.raises(InvalidArgsError, match="generator"):
        add.stream(1)


def test_async_generators_do_the_same() -> None:
    @aikit.procedure
    async def count(limit: int) -> AsyncIterator[int]:
        for number in range(limit):
            await asyncio.sleep(0)
            assert Context.get().is_within("count")
            yield number

    async def main() -> Context:
        async with Context.create() as ctx:
            assert [number async for number in count(3)] == [0, 1, 2]
            async with count.stream(100) as early:
                assert await early.__anext__() == 0
            ctx.cancel("enough")
            with pytest.raises(CancelledError, match="enough"):
                async for _ in count(3):
                    pass
        return ctx

    ctx = asyncio.run(main())
    assert [status for _, status in nodes(ctx)] == ["completed", "cancelled"]
    assert count.run(3) is None


def test_a_handle_tells_its_events_also_to_those_who_come_late() -> None:
    @aikit.procedure
    def count(limit: int) -> Generator[dict[str, int], None, str]:
        for number in range(limit):
            yield {"number": number}
        return "done"

    handle = count.start(2)
    assert handle.result() == "done"
    assert (handle.status, handle.is_finished, len(handle.trace_id)) == ("completed", True, 32)
    kinds = ["procedure.start", "stream.chunk", "stream.chunk", "procedure.end"]
    assert [event.kind for event in handle] == kinds
    heard: list[object] = []
    listening = handle.events.on("stream:chunk", lambda event: heard.append(event.data["value"]))
    listening.join(LATE_S)
    assert heard == [{"number": 0}, {"number": 1}]
    start, end = handle.events[0].data, handle.events[-1].data
    assert start["execution_id"] == end["execution_id"]
    assert (start["name"], start["pid"]) == ("count", end["pid"])
    assert end["duration_us"] >= 0

    async def listen() -> list[str]:
        started = aadd.start(1)
        assert await started == 2
        return [event.kind async for event in started.events]

    assert asyncio.run(listen()) == ["procedure.start", "procedure.end"]


def test_a_listener_that_raises_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: reported.append(args.exc_value))
    handle = add.start(1)
    heard: list[str] = []

    def listen(event: aikit.Event) -> None:
        heard.append(event.kind)
        raise RuntimeError("broken")

    handle.events.on("*", listen).join(LATE_S)
    assert handle.result() == 2
    assert heard == ["procedure.start", "procedure.end"]
    assert [str(error) for error in reported] == ["broken", "broken"]


def test_a_handle_cancels() -> None:
    release = threading.Event()
    blocks: Procedure[bool] = Procedure(lambda: release.wait(LATE_S), name="blocks")
    handle = blocks.with_handle()
    handle.cancel("enough")
    with pytest.raises(CancelledError, match="enough"):
        handle.result()
    assert handle.status == "cancelled"
    release.set()


def test_boundaries_say_where_an_execution_begins() -> None:
    def ids() -> tuple[str | None, str | None]:
        ctx = Context.get()
        return ctx.execution_id, ctx.origin_name

    with aikit.track("around"):
        around = Context.get().execution_id
        seen = {
            boundary: Procedure(ids, name="inner", boundary=boundary)()
            for boundary in ("auto", "never", "child", "always")
        }
    assert seen["auto"] == seen["never"] == (around, "around")
    assert seen["child"][0] != around
    assert seen["child"][1] == "around"
    assert seen["always"][1] == "inner"
    with pytest.raises(InvalidArgsError, match="often"):
        Procedure(ids, boundary="often")


def test_a_procedure_brings_its_own_context() -> None:
    def look() -> object:
        return Context.get().metadata.get("a"), Context.get().tick

    looks: Procedure[object] = Procedure(look)
    own = looks.with_context(metadata={"a": 1}, tick=4)
    assert own() == (1, 4)
    assert Procedure(look)() == (None, None)
    with pytest.raises(InvalidArgsError, match="user"):
        Procedure(look).with_context(user="root")


def test_a_double_answers_by_its_script() -> None:
    fetch = ProcedureDouble("fetch", [1, ValueError("no way")])
    assert fetch("a", deep=True) == 1
    with pytest.raises(ValueError, match="no way"):
        fetch.procedure("b")
    with pytest.raises(LimitExceededError, match=r"`fetch` has no answer for call 3"):
        fetch()
    assert fetch.calls == [Arguments("a", deep=True), Arguments("b"), Arguments()]
    assert fetch.remaining == 0


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(InvalidArgsError, match="5"):
        Procedure(5)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgsError, match="timeout"):
        Procedure(print, timeout=-1)


def test_a_guard_waits_for_an_answer_that_must_be_awaited() -> None:
    async def no(args: Arguments, envelope: Envelope) -> bool:
        return False

    hidden = aikit.guard(lambda args, envelope: no(args, envelope), name="hidden")  # noqa: PLW0108
    wrapped = aikit.guard(Procedure(no, schema=False), name="wrapped")
    for guarded in (hidden, wrapped):
        with pytest.raises(DeniedError):
            asyncio.run(_awaited(aadd.use(guarded)(1)))


def test_an_async_procedure_is_a_coroutine_function_to_asyncio() -> None:
    async def main() -> list[int]:
        task = asyncio.create_task(aadd(1))
        return [await task, *await asyncio.gather(aadd(2), aadd(3))]

    assert asyncio.run(main()) == [2, 3, 4]
    assert asyncio.run(aadd(4)) == 5


def test_a_method_is_called_from_its_class_as_well() -> None:
    class Shop:
        @aikit.procedure
        def total(self, count: int) -> int:
            return 3 * count

    assert Shop.total(Shop(), 2) == 6
    with pytest.raises(InvalidArgsError, match="count"):
        Shop.total(Shop(), "two")


def test_middleware_that_cancels_keeps_the_function_from_being_called() -> None:
    called: list[int] = []

    def cancel(args: Arguments, envelope: Envelope, following: Callable[..., Any]) -> Any:
        envelope.context.cancel("enough")
        return following()

    with Context.create(), pytest.raises(CancelledError, match="enough"):
        Procedure(lambda: called.append(1), name="never").use(cancel)()
    assert called == []


def test_a_generator_that_is_left_cleans_up_in_its_context_and_is_ended() -> None:
    seen: list[object] = []

    @aikit.procedure
    def count() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            seen.append(Context.get().is_within("count"))
            raise RuntimeError("while it is closed")

    with Context.create() as ctx:
        stream = count()
        next(stream)
        with pytest.raises(RuntimeError, match="while it is closed"):
            stream.close()
    assert seen == [True]
    assert nodes(ctx) == [("count", "cancelled")]


def test_a_deadline_leaves_the_task_as_it_was() -> None:
    @aikit.procedure
    async def waits() -> None:
        await asyncio.sleep(LATE_S)

    @aikit.procedure
    async def around() -> None:
        await waits()

    @aikit.procedure(timeout=0.05)
    async def limited() -> None:
        await around()

    @aikit.procedure(timeout=0.05)
    async def blocks() -> str:
        await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251  # past its limit, without letting the loop go on
        return "ok"

    @aikit.procedure(timeout=0.05)
    async def stubborn() -> str:
        try:
            await asyncio.sleep(LATE_S)
        except asyncio.CancelledError:
            return "caught"
        return "late"

    async def main() -> None:
        task = asyncio.current_task()
        for _ in range(3):
            with pytest.raises(DeadlineError, match="limited"):
                await limited()
            assert await blocks() == "ok"
            assert await stubborn() == "caught"
            # Nothing of it is left for what comes next.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert task is not None
            assert getattr(task, "cancelling", int)() == 0

    asyncio.run(main())


def test_a_generator_stays_in_the_block_it_has_begun() -> None:
    def names() -> list[str]:
        node = Context.get().node
        return [] if node is None else [node.name]

    @aikit.procedure
    def sync() -> Iterator[list[str]]:
        with aikit.track("inside"):
            yield names()
            yield names()
        yield names()

    @aikit.procedure
    async def async_() -> AsyncIterator[list[str]]:
        with aikit.track("inside"), Context.get().child():
            yield names()
            await asyncio.sleep(0)
            yield names()
        yield names()

    async def collect() -> list[list[str]]:
        seen = []
        async for item in async_():
            assert names() == ["around"]
            seen.append(item)
        return seen

    expected = [["inside"], ["inside"]]
    with Context.create(), aikit.track("around"):
        seen = []
        for item in sync():
            assert names() == ["around"]
            seen.append(item)
        assert seen == [*expected, ["sync"]]
        assert asyncio.run(collect()) == [*expected, ["async_"]]
        assert names() == ["around"]

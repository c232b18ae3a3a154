"""Procedures of Python functions: calls, middleware, schemas, limits, generators, handles."""

# ruff: noqa: ANN401, ARG001, ARG005  # middleware has one signature, whatever it needs of it

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Context, Procedure
from aikit.errors import (
    DeadlineError,
    DeniedError,
    InvalidArgsError,
    LimitExceededError,
)
from aikit.middleware import Arguments, Envelope
from aikit.testing import ProcedureDouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    with pytest.raises(aikit.GuardError, match=r"`small`.*`add`"):
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


def test_a_block_has_a_boundary_and_a_time_limit() -> None:
    def ids() -> tuple[str | None, str | None]:
        ctx = Context.get()
        return ctx.execution_id, ctx.origin_name

    seen = {}
    with aikit.track("around"):
        around = Context.get().execution_id
        for boundary in ("auto", "never", "child", "always"):
            with aikit.track("inner", boundary=boundary):
                seen[boundary] = ids()
    assert seen["auto"] == seen["never"] == (around, "around")
    assert seen["child"][0] != around
    assert (seen["child"][1], seen["always"][1]) == ("around", "inner")
    with pytest.raises(InvalidArgsError, match="often"):
        aikit.track("inner", boundary="often")

    async def waits(seconds: float | None) -> float | None:
        async with aikit.track("slow", timeout=seconds):
            if seconds:
                await asyncio.sleep(LATE_S)
            return Context.get().remaining

    with Context.create() as ctx:
        with pytest.raises(DeadlineError, match="`slow` took longer than 20ms"):
            asyncio.run(waits(0.02))
        assert asyncio.run(waits(0)) is None
        assert asyncio.run(waits(None)) is None
        with aikit.track("step", timeout=LATE_S):
            remaining = Context.get().remaining
            assert remaining is not None
            assert 0 < remaining <= LATE_S
    statuses = [node.status for node in ctx.graph]
    assert statuses == ["cancelled", "completed", "completed", "completed"]
    with pytest.raises(InvalidArgsError, match="timeout"), aikit.track("slow", timeout=-1):
        pass


def test_what_a_guard_denies_is_a_guard_error_also_beside_the_caller() -> None:
    guarded = add.use(aikit.guard(lambda args, envelope: False, name="none"))
    calls: list[Callable[[], object]] = [
        lambda: guarded(1),
        lambda: guarded.start(1).result(),
    ]
    for call in calls:
        with pytest.raises(aikit.GuardError, match="`none`") as caught:
            call()
        assert (caught.value.kind, caught.value.hint is None) == ("denied", False)
        assert isinstance(caught.value, (DeniedError, PermissionError))


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


class Hidden:
    """Middleware that turns out to be async when it is called."""

    def __call__(self, *given: Any) -> Any:
        return self._wrap(given[-1])

    async def _wrap(self, following: Any) -> Any:
        return await following()


def _yields() -> Iterator[int]:
    yield 1


@pytest.mark.filterwarnings("error")
def test_middleware_that_turns_out_to_be_async_is_refused() -> None:
    calls: list[Callable[[], Any]] = [
        lambda: add.use(Hidden())(1),
        lambda: add.use(Hidden()).run(1),
        lambda: add.use(Hidden()).with_timeout(30)(1),
        lambda: add.use(Hidden()).start(1).result(),
        lambda: next(Procedure(_yields).use(Hidden())()),
        lambda: Procedure(_yields).use(Hidden()).run(),
    ]
    for call in calls:
        with pytest.raises(InvalidArgsError, match="is async, but `") as caught:
            call()
        assert "`async def`" in (caught.value.hint or "")
        gc.collect()
    assert asyncio.run(_awaited(aadd.use(Hidden())(1))) == 2


@pytest.mark.filterwarnings("error")
def test_a_guard_that_turns_out_to_be_async_lets_no_sync_function_be_called() -> None:
    called: list[int] = []

    async def no(args: Arguments, envelope: Envelope) -> bool:
        return True

    guarded = aikit.guard(lambda args, envelope: no(args, envelope), name="hidden")  # noqa: PLW0108
    with pytest.raises(InvalidArgsError, match="the guard `hidden` around `append` is async"):
        Procedure(called.append, schema=False).use(guarded)(1)
    gc.collect()
    assert called == []


def test_an_async_guard_is_named_where_it_is_refused() -> None:
    async def is_admin(args: Arguments, envelope: Envelope) -> bool:
        return True

    for name in ("admins only", None):
        guarded = aikit.guard(is_admin, name=name)
        said = f"the guard `{name or 'is_admin'}` is async, but the function `add` is not"
        with pytest.raises(InvalidArgsError, match=said) as failed:
            add.use(guarded)
        assert "write the guard with `def`" in (failed.value.hint or "")


def test_procedures_and_tools_have_weak_references() -> None:
    class Cart:
        @aikit.procedure
        def total(self) -> int:
            return 5

    cart = Cart()
    made: list[Any] = [
        add,
        aadd,
        cart.total,
        Cart.total,
        aikit.tool(add),
        aikit.tools.get("calculate"),
    ]
    for it in made:
        assert weakref.ref(it)() is it
    assert weakref.WeakKeyDictionary({add: 1})[add] == 1
    assert cart.total() == 5


def test_a_sync_function_may_give_a_coroutine_through_sync_middleware() -> None:
    async def later() -> int:
        return 5

    gives: Procedure[Any] = Procedure(lambda: later(), name="gives").use(  # noqa: PLW0108
        lambda args, envelope, following: following()
    )
    assert asyncio.run(_awaited(gives())) == 5


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (lambda following: following((7, 8), z=4), "(7, 8), z=4"),
        (lambda following: following(2, z=4), "2, z=4"),
        (lambda following: following(1, 2), "1, 2"),
        (lambda following: following(5), "5"),
        (lambda following: following(left=1), "left=1"),
        (lambda following: following("ab"), "'ab'"),
    ],
)
def test_next_says_what_it_takes(call: Callable[[Any], Any], shown: str) -> None:
    wrapped = add.use(lambda args, envelope, following: call(following))
    with pytest.raises(InvalidArgsError) as caught:
        wrapped(1, 2)
    assert caught.value.message == f"`next` was given `{shown}`"
    assert "`Arguments`" in (caught.value.hint or "")


def test_next_takes_arguments_by_position_and_by_name() -> None:
    ways: list[Callable[[Any], Any]] = [
        lambda following: following(),
        lambda following: following(None),
        lambda following: following(args=(1,)),
        lambda following: following([1]),
        lambda following: following(Arguments(1, right=2)),
    ]
    for way in ways:
        wrapped = add.use(lambda args, envelope, following, way=way: way(following))
        assert wrapped(1, right=2) == 3

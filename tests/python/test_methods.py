"""Procedures on classes, and copies of procedures."""

# ruff: noqa: ANN401, ARG001  # middleware has one signature, whatever it needs of it

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import pickle
import sys
from typing import TYPE_CHECKING, Any

import pytest

import aikit
from aikit import Procedure
from aikit.errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


def through(args: Any, envelope: Any, following: Callable[..., Any]) -> Any:
    return following()


def double(args: Any, envelope: Any, following: Callable[..., Any]) -> Any:
    return following((args[0] * 2,))


async def athrough(args: Any, envelope: Any, following: Callable[..., Any]) -> Any:
    return await following()


class Shop:
    """Sells things."""

    rate = 5

    def __init__(self, price: int = 3) -> None:
        self.price = price

    @aikit.procedure
    def total(self, count: int) -> int:
        return self.price * count

    @aikit.procedure
    @classmethod
    def of(cls, price: int) -> Shop:
        return cls(price)

    @aikit.procedure(name="shop.tax")
    @staticmethod
    def tax(amount: int) -> int:
        return amount // Shop.rate

    @aikit.procedure
    @classmethod
    async def later(cls, price: int) -> Shop:
        await asyncio.sleep(0)
        return cls(price)

    @property
    @aikit.procedure
    def doubled(self) -> int:
        return self.price * 2


class Discounter(Shop):
    """Sells cheap things."""


@aikit.procedure
def add(left: int, right: int = 1) -> int:
    return left + right


def plain(number: int) -> int:
    return number


renamed: Procedure[int] = Procedure(plain, name="renamed")
limited = add.with_timeout(30).use(through)


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
    assert asyncio.run(shop.atotal(2)) == 6
    assert shop.tax(10) == 2
    assert Shop.total.name == "shop.total"
    with pytest.raises(InvalidArgsError, match="count"):
        shop.total("two")


def test_a_method_is_called_from_its_class_as_well() -> None:
    class Shop:
        @aikit.procedure
        def total(self, count: int) -> int:
            return 3 * count

    assert Shop.total(Shop(), 2) == 6
    with pytest.raises(InvalidArgsError, match="count"):
        Shop.total(Shop(), "two")


def test_class_methods_and_static_methods_are_procedures() -> None:
    for shop in (Discounter, Discounter()):
        made = shop.of(4)
        assert (type(made), made.price) == (Discounter, 4)
        assert shop.of.run(5).price == 5
        assert shop.of.use(through).with_timeout(30)(6).price == 6
        assert asyncio.run(shop.later(7)).price == 7
        assert shop.tax(10) == shop.tax.run(10) == 2
        assert (shop.of.name, shop.tax.name) == ("of", "shop.tax")
        with pytest.raises(InvalidArgsError, match="price"):
            shop.of("cheap")
        with pytest.raises(InvalidArgsError, match="amount"):
            shop.tax("ten")
    assert Shop().doubled == 6


def test_a_property_is_put_outside() -> None:
    with pytest.raises(InvalidArgsError, match="property") as refused:
        aikit.procedure(property(lambda _: 1))  # type: ignore[call-overload]
    assert "@property" in str(refused.value.hint)


def test_a_copy_of_a_procedure_is_the_procedure() -> None:
    assert copy.copy(add) is copy.deepcopy(add) is add
    assert copy.deepcopy({"call": limited})["call"] is limited
    shop = Shop(3)
    copied = copy.deepcopy(shop.total)
    shop.price = 100
    assert copied(2) == 6
    assert copy.deepcopy(Shop.of)(9).price == 9


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_procedure_is_pickled_by_its_name(protocol: int) -> None:
    def again(procedure: Procedure[Any]) -> Any:
        return pickle.loads(pickle.dumps(procedure, protocol))  # noqa: S301  # made here

    assert again(add) is add
    assert again(renamed).name == "renamed"
    assert again(renamed)(4) == 4
    assert again(limited)(2) == 3
    assert again(limited).name == "add"
    assert again(Shop.total) is Shop.total
    assert again(Shop(4).total)(2) == 8
    assert again(Shop(4).total.with_timeout(30))(2) == 8
    assert again(Discounter.of)(4).price == 4
    assert again(Shop.tax) is Shop.tax

    @aikit.procedure
    def hidden() -> None:
        """Stands in a function."""

    with pytest.raises(pickle.PicklingError, match="`hidden`"):
        again(hidden)


def test_async_middleware_is_refused_around_what_is_not_async() -> None:
    called: list[int] = []

    def sync(number: int) -> None:
        called.append(number)

    def generator(number: int) -> Iterator[int]:
        yield number

    hidden: Procedure[Any] = Procedure(athrough, schema=False)
    for function in (sync, generator):
        for middleware in (athrough, hidden, aikit.guard(athrough), aikit.pipeline(athrough)):
            for make in (_used, _given, _from_factory):
                with pytest.raises(InvalidArgsError, match="async") as refused:
                    make(function, middleware)(1)
                assert function.__name__ in str(refused.value)
    assert called == []


def _used(function: Any, middleware: Any) -> Procedure[Any]:
    return Procedure(function).use(middleware)


def _given(function: Any, middleware: Any) -> Procedure[Any]:
    return Procedure(function, middleware=[middleware])


def _from_factory(function: Any, middleware: Any) -> Any:
    return aikit.procedure_factory(middleware)(function)


def test_a_generator_is_no_part_of_a_pipe() -> None:
    @aikit.procedure
    def numbers() -> Iterator[int]:
        yield 1

    @aikit.procedure
    async def anumbers() -> Any:
        yield 1

    for generator in (numbers, anumbers):
        for parts in ((generator, add), (add, generator), (add, generator, add)):
            with pytest.raises(InvalidArgsError, match=r"`a?numbers` is a generator") as refused:
                aikit.pipe(*parts)
            assert "streams.map" in str(refused.value.hint)
        with pytest.raises(InvalidArgsError, match="generator"):
            add.pipe(generator)


async def _coroutine() -> None:
    pass


async def _async_generator() -> AsyncIterator[int]:
    yield 1


def _generator() -> Iterator[int]:
    yield 1


KINDS: list[Callable[[Any], bool]] = [
    inspect.iscoroutinefunction if sys.version_info >= (3, 14) else asyncio.iscoroutinefunction,
    inspect.iscoroutinefunction,
    inspect.isasyncgenfunction,
    inspect.isgeneratorfunction,
]


@pytest.mark.parametrize("function", [_coroutine, _async_generator, _generator, plain])
def test_a_procedure_is_of_the_kind_of_its_function(function: Callable[..., Any]) -> None:
    class Holder:
        method = aikit.procedure(function)

    made: list[Any] = [
        Procedure(function),
        Procedure(function).use(through) if function is plain else Procedure(function),
        Procedure(functools.partial(function)),
        Procedure(Procedure(function)),
        Holder().method,
        copy.copy(Procedure(function)),
    ]
    for it in made:
        assert [is_kind(it) for is_kind in KINDS] == [is_kind(function) for is_kind in KINDS]
        assert not inspect.isfunction(it)
        assert inspect.signature(Procedure(function)) == inspect.signature(function)


def test_what_has_no_code_of_its_own_is_a_procedure_all_the_same() -> None:
    class Calls:
        def __call__(self) -> int:
            return 1

    assert Procedure(Calls())() == 1
    assert Procedure(len, schema=False)("abc") == 3
    assert not inspect.iscoroutinefunction(Procedure(Calls()))

    class Waits:
        async def __call__(self) -> int:
            return 2

    assert asyncio.run(Procedure(Waits()).arun()) == 2
    assert KINDS[0](Procedure(Waits()))


def test_methods_are_equal_as_those_of_python_are() -> None:
    shop, other = Shop(), Shop()
    assert shop.total == shop.total
    assert hash(shop.total) == hash(shop.total)
    assert {shop.total: 1}[shop.total] == 1
    assert shop.total != other.total
    assert shop.total != Shop.total
    assert shop.total != shop.total.use(through)
    assert shop.total not in {Shop.total, add, 5}
    # The object itself is not asked: it may have no hash, and be equal to others.
    assert Shop.of == Shop.of
    assert Shop.of != Discounter.of

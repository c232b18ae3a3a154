"""What callers give: looked at where it comes in, so that an error says what to give instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from .errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Longest value that an error shows, in characters.
_SHOWN_CHARS_MAX = 60


class InvalidTypeError(InvalidArgsError, TypeError):
    """A value of another type than is wanted; to Python it is a TypeError as well."""


def text(name: str, value: Any) -> str:  # noqa: ANN401  # what is given
    """Returns a text."""
    if not isinstance(value, str):
        refuse(name, value, "text", "give a `str`")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidArgsError(
                f"`{name}` has the half of a character, `{value[error.start]!a}`",
                hint="decode the text with the encoding it was written in",
            ) from None
    return value


def optional_text(name: str, value: Any) -> str | None:  # noqa: ANN401  # what is given
    """Returns a text, or None."""
    return None if value is None else text(name, value)


def number(
    name: str,
    value: Any,  # noqa: ANN401  # what is given
    rule: tuple[str, str] = ("number", "give a number"),
) -> float:
    """Returns a number; ``rule`` says what else is refused as, and the hint."""
    kind = type(value)
    if kind is float:
        return value  # type: ignore[no-any-return]  # it is one
    if not hasattr(kind, "__float__") and not hasattr(kind, "__index__"):
        refuse(name, value, *rule)
    try:
        return float(value)
    except OverflowError:
        raise InvalidArgsError(
            f"`{name}` is {shown(value)}, which is too large", hint="give a smaller number"
        ) from None


def seconds(name: str, value: Any) -> float | None:  # noqa: ANN401  # what is given
    """Returns a number of seconds, or None."""
    if value is None:
        return None
    rule = ("number of seconds", "give a number of seconds from 0 on, or None")
    return number(name, value, rule)


def whole(name: str, value: Any) -> int:  # noqa: ANN401  # what is given
    """Returns a whole number."""
    if not hasattr(type(value), "__index__"):
        refuse(name, value, "whole number", "give an `int`")
    return int(value)


def count(name: str, value: Any) -> int:  # noqa: ANN401  # what is given
    """Returns a whole number that is not negative."""
    number_of = whole(name, value)
    if number_of < 0:
        raise InvalidArgsError(f"`{name}` is {shown(value)}", hint="give a whole number from 0 on")
    return number_of


def mapping(name: str, value: Any) -> dict[str, Any]:  # noqa: ANN401  # what is given
    """Returns a mapping of names to values, as a `dict`."""
    if not isinstance(value, Mapping) and not hasattr(type(value), "keys"):
        refuse(name, value, "mapping", 'give a mapping such as `{"a": 1}`')
    given: dict[str, Any] = dict(value)
    for key in given:
        if not isinstance(key, str):
            refuse(name, value, "mapping of names to values", f"give a `str` for {shown(key)}")
    return given


def optional_mapping(name: str, value: Any) -> dict[str, Any] | None:  # noqa: ANN401  # given
    """Returns a mapping of names to values, or None."""
    return None if value is None else mapping(name, value)


def texts(name: str, value: Any) -> list[str]:  # noqa: ANN401  # what is given
    """Returns several texts."""
    if isinstance(value, str):
        raise InvalidTypeError(
            f"`{name}`: the text {shown(value)} is no list", hint=f"give a list: `[{value!r:.40}]`"
        )
    if not isinstance(value, Iterable) or isinstance(value, (bytes, bytearray)):
        refuse(name, value, "list of texts", 'give a list such as `["a"]`')
    return [text(name, it) for it in value]


def function(name: str, value: Any) -> Callable[..., Any]:  # noqa: ANN401  # what is given
    """Returns what can be called."""
    if not callable(value):
        raise InvalidTypeError(
            f"`{name}`: {shown(value)} cannot be called", hint="pass a function, not its result"
        )
    return value  # type: ignore[no-any-return]  # it can be called


def optional_function(name: str, value: Any) -> Callable[..., Any] | None:  # noqa: ANN401  # given
    """Returns what can be called, or None."""
    return None if value is None else function(name, value)


def flag(name: str, value: Any) -> bool:  # noqa: ANN401  # what is given
    """Returns a truth value."""
    if not isinstance(value, bool):
        refuse(name, value, "truth value", "give True or False")
    return value


def one_of(name: str, value: Any, words: Sequence[str]) -> str:  # noqa: ANN401  # what is given
    """Returns one of some words."""
    known = ", ".join(f"`{it}`" for it in words)
    if not isinstance(value, str):
        refuse(name, value, "text", f"give one of {known}")
    if value not in words:
        raise InvalidArgsError(f"`{name}` is `{value:.60}`", hint=f"give one of {known}")
    return value


def refuse(name: str, value: Any, wanted: str, hint: str) -> NoReturn:  # noqa: ANN401  # given
    """Raises the error of what is no ``wanted``."""
    raise InvalidTypeError(f"`{name}`: {shown(value)} is no {wanted}", hint=hint)


def shown(value: Any) -> str:  # noqa: ANN401  # what is given
    """Returns a value as an error shows it."""
    try:
        written = repr(value)
    except Exception:  # noqa: BLE001  # that is not what is wrong here
        written = object.__repr__(value)
    if len(written) > _SHOWN_CHARS_MAX:
        written = f"{written[:_SHOWN_CHARS_MAX]}…"
    return f"`{written}`"

"""Parameters of notebooks for papermill: written in Lua, and read from the cell `parameters`.

papermill loads this module when it is imported itself (see `_papermill_entry.py`); nothing is to be
called. Importing it needs papermill.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple

from papermill.models import Parameter
from papermill.translators import Translator, papermill_translators

from .errors import InvalidArgsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

KERNEL = "aikit"
LANGUAGE = "lua"

# What Lua and the 64-bit integers of its values hold.
INTEGER_LEAST, INTEGER_MOST = -(1 << 63), (1 << 63) - 1
# Deepest nesting that the parser of Lua takes.
DEPTH_MAX = 100
# Longest integer that an error shows.
BITS_SHOWN_MAX = 256
# Names that are words of Lua.
WORDS = frozenset(
    {
        *("and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if"),
        *("in", "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"),
    }
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class LuaTranslator(Translator):  # type: ignore[misc]  # papermill has no types
    """Writes values as Lua expressions; a global for each parameter."""

    @classmethod
    def translate(cls, val: object) -> str:
        """Returns a Lua expression with that value.

        Raises:
            InvalidArgsError: If Lua has no such value: an integer below -2^63 or above 2^63 - 1, an
                object.
        """
        return _written("a parameter", val)

    @classmethod
    def codify(cls, parameters: Mapping[str, object], comment: str = "Parameters") -> str:
        """Returns the cell that assigns the parameters; an error names the one it is about.

        Raises:
            InvalidArgsError: If Lua has no such value, or no variable of that name.
        """
        lines = [cls.comment(comment)]
        lines += [
            cls.assign(name, _written(f"the parameter `{name}`", value))
            for name, value in parameters.items()
        ]
        return "\n".join(lines) + "\n"

    @classmethod
    def comment(cls, cmt_str: str) -> str:
        """Returns a comment of one line."""
        return "-- " + " ".join(cmt_str.split())

    @classmethod
    def assign(cls, name: str, str_val: str) -> str:
        """Returns an assignment to a global.

        Raises:
            InvalidArgsError: If Lua has no variable of that name.
        """
        if not NAME.fullmatch(name) or name in WORDS:
            raise InvalidArgsError(
                f"the parameter `{name}` is no name of a variable in Lua",
                hint="use letters, digits and `_`, and no word of Lua such as `end`",
            )
        return f"{name} = {str_val}"

    @classmethod
    def inspect(cls, parameters_cell: Mapping[str, Any]) -> list[Parameter]:
        """Returns the parameters that a cell assigns at its top level.

        The type is that of the value as it stands there, a comment behind it is the help.
        """
        found = _assignments(parameters_cell["source"])
        return [
            Parameter(
                name=it.name,
                inferred_type_name=_type_of(it.value),
                default=it.value,
                help=it.comment,
            )
            for it in found
        ]


# By the name of the kernel, and by the language for a kernel of another name.
papermill_translators.register(KERNEL, LuaTranslator)
papermill_translators.register(LANGUAGE, LuaTranslator)


# Values -------------------------------------------------------------------------------------------


class _RefusedError(Exception):
    """Says what is wrong with a value, for whoever knows which parameter it is of."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


def _written(subject: str, value: object) -> str:
    try:
        return _expression(value, 0)
    except _RefusedError as error:
        raise InvalidArgsError(f"{subject} {error.problem}", hint=error.hint) from None


def _expression(value: object, depth: int) -> str:  # noqa: PLR0911  # one for each type
    if depth > DEPTH_MAX:
        raise _RefusedError(
            f"is nested more than {DEPTH_MAX} deep", hint="hand over the path of a file"
        )
    match value:
        case None:
            return "nil"
        case bool():
            return "true" if value else "false"
        case int():
            return _integer(value)
        case float():
            return _float(value)
        case str():
            return _string(value)
        case dict():
            return _table(value, depth)
        case list() | tuple():
            # `nil` would end the list.
            items = ("JSON.null" if it is None else _expression(it, depth + 1) for it in value)
            return "{" + ", ".join(items) + "}"
    raise _RefusedError(
        f"has a value of type {type(value).__name__}, which Lua does not have",
        hint="give None, booleans, numbers, texts, lists and dicts of these",
    )


def _integer(value: int) -> str:
    if not INTEGER_LEAST <= value <= INTEGER_MOST:
        bits = value.bit_length()
        is_short = bits <= BITS_SHOWN_MAX
        # Python refuses to write more than some thousand digits.
        shown = f"the number {int(value)}" if is_short else f"a number of {bits} bits"
        raise _RefusedError(
            f"has {shown}, and Lua's integers go from -2^63 to 2^63 - 1",
            hint="hand it over as a text" + (", or as a float" if is_short else ""),
        )
    # The least one is no literal of Lua: its digits alone would be a float.
    return "math.mininteger" if value == INTEGER_LEAST else str(int(value))


def _float(value: float) -> str:
    if math.isnan(value):
        return "(0/0)"
    if math.isinf(value):
        return "math.huge" if value > 0 else "-math.huge"
    return repr(float(value))


def _string(value: str) -> str:
    def escaped(character: str) -> str:
        known = ESCAPES.get(character)
        # Three digits, so that a digit behind them does not count.
        return known or f"\\{ord(character):03}"

    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise _RefusedError(
            f"has the half of a character, {value[error.start]!a}",
            hint="decode the text with the encoding it was written in",
        ) from None
    return '"' + re.sub(r'[\x00-\x1f\x7f"\\]', lambda it: escaped(it[0]), value) + '"'


def _table(value: Mapping[object, object], depth: int) -> str:
    members = []
    for key, item in value.items():
        match key:
            case str() if NAME.fullmatch(key) and key not in WORDS:
                name = key
            case str() | bool() | int() | float():
                name = f"[{_expression(key, depth + 1)}]"
            case _:
                raise _RefusedError(
                    f"has the key `{key!r}`, which is no text",
                    hint="give dicts whose keys are texts",
                )
        # What is nil is not there.
        if item is not None:
            members.append(f"{name} = {_expression(item, depth + 1)}")
    return "{" + ", ".join(members) + "}"


# Cells --------------------------------------------------------------------------------------------


class _Assignment(NamedTuple):
    name: str
    value: str
    comment: str


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


# Long strings and comments first: their brackets are no operators, and without an end they go on to
# that of the cell. Whatever is none of these is one character.
_TOKEN = re.compile(
    r"""
      (?P<comment>--(?:\[(?P<level>=*)\[.*?(?:\](?P=level)\]|\Z)|[^\n]*))
    | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'
        |\[(?P<equals>=*)\[.*?(?:\](?P=equals)\]|\Z))
    | (?P<number>0[xX][0-9a-fA-F.]+(?:[pP][+-]?[0-9]+)?
        |(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<space>\s+)
    | (?P<other>==|~=|<=|>=|//|::|<<|>>|\.\.\.?|.)
    """,
    re.VERBOSE | re.DOTALL,
)
# Words and signs that open and close what is no statement of the top level.
_OPENS = frozenset({"function", "do", "then", "repeat", "(", "[", "{"})
_CLOSES = frozenset({"end", "elseif", "until", ")", "]", "}"})
# After these an expression goes on.
_OPERATORS = frozenset(
    {
        *("+", "-", "*", "/", "//", "%", "^", "#", "&", "~", "|", "<<", ">>", "..", "and", "or"),
        *("==", "~=", "<=", ">=", "<", ">", "=", "(", "{", "[", ",", "not"),
    }
)
# With these one goes on that was whole.
_CONTINUES = (_OPERATORS - {"#", "not", "="}) | {".", ":"}


def _tokens(source: str) -> list[_Token]:
    return [
        _Token(match.lastgroup or "", match[0], match.start(), match.end())
        for match in _TOKEN.finditer(source)
        if match.lastgroup != "space"
    ]


def _assignments(source: str) -> Iterator[_Assignment]:
    """The assignments of names at the top level, in their order."""
    tokens = _tokens(source)
    starts = [it.start for it in tokens]
    code = [it for it in tokens if it.kind != "comment"]
    depth, position = 0, 0
    while position < len(code):
        token = code[position]
        depth += (token.text in _OPENS) - (token.text in _CLOSES)
        is_first = position == 0 or not _goes_on(code[position - 1], token)
        targets, start = _targets(code, position) if depth == 0 and is_first else ([], 0)
        if targets and start < len(code):
            values, position = _values(code, start)
            end = code[position - 1].end
            behind = _comment_behind(source, tokens, starts, end)
            last_line = source.rfind("\n", code[start].start, end)
            # Of a call that gives several values only Lua could tell the others.
            for name, (first, last) in zip(targets, values, strict=False):
                comment = _comment_behind(source, tokens, starts, last.end)
                if last.end > last_line:
                    comment = comment or behind
                if name:
                    yield _Assignment(name, source[first.start : last.end], comment)
        else:
            position += 1


def _targets(code: list[_Token], position: int) -> tuple[list[str], int]:
    """The names that a statement assigns, and where its values begin; none where it is another.

    What it assigns and is no name, such as `t.field`, has an empty one.
    """
    targets = []
    while (end := _end_of_target(code, position)) > position:
        is_name = end == position + 1 or code[position + 1].text == "<"
        targets.append(code[position].text if is_name else "")
        sign = code[end].text if end < len(code) else ""
        position = end + 1
        if sign == "=":
            return targets, position
        if sign != ",":
            break
    return [], position


def _end_of_target(code: list[_Token], start: int) -> int:
    """Where a target of an assignment ends, a name or `f(x).y[1]`; its start where it is none."""
    if not _is_name(code, start):
        return start
    end = start + 1
    # `<const>` and `<close>`.
    if [it.text for it in code[end : end + 3 : 2]] == ["<", ">"]:
        return end + 3
    while end < len(code):
        if code[end].text in (".", ":"):
            if not _is_name(code, end + 1):
                return start
            end += 2
        elif code[end].kind == "string":
            end += 1
        elif code[end].text in ("(", "[", "{"):
            end = _end_of_bracket(code, end)
        else:
            break
    return end


def _is_name(code: list[_Token], position: int) -> bool:
    return (
        position < len(code) and code[position].kind == "name" and code[position].text not in WORDS
    )


def _end_of_bracket(code: list[_Token], position: int) -> int:
    depth = 0
    while position < len(code):
        depth += (code[position].text in _OPENS) - (code[position].text in _CLOSES)
        position += 1
        if depth == 0:
            break
    return position


def _values(code: list[_Token], start: int) -> tuple[list[tuple[_Token, _Token]], int]:
    """The first and the last token of each value of a list, and where it ends."""
    values = []
    while start < len(code):
        end = _end_of_expression(code, start)
        if end == start:  # no Lua: a sign where a value belongs
            break
        values.append((code[start], code[end - 1]))
        if end == len(code) or code[end].text != ",":
            return values, end
        start = end + 1
    return values, start


def _goes_on(before: _Token, token: _Token) -> bool:
    """Whether a token belongs to the expression or statement of the one before it."""
    if before.text == "for":
        return True
    if before.kind != "string" and before.text in (_OPERATORS | {".", ":"}):
        return True
    # No statement begins with a text: it is what the function before it is called with.
    return token.kind == "string" or token.text in _CONTINUES


def _end_of_expression(code: list[_Token], start: int) -> int:
    depth, position = 0, start
    while position < len(code):
        token = code[position]
        if (
            depth == 0
            and position > start
            and token.text != ","
            and not _goes_on(code[position - 1], token)
        ):
            break
        if depth == 0 and token.text in (";", ","):
            break
        if token.kind != "string":
            depth += (token.text in _OPENS) - (token.text in _CLOSES)
        position += 1
    return position


def _comment_behind(source: str, tokens: list[_Token], starts: list[int], end: int) -> str:
    """The comment in the line where a value ends; `starts` has those of the tokens."""
    position = bisect_left(starts, end)
    while position < len(tokens) and tokens[position].text in (";", ","):
        position += 1
    following = tokens[position] if position < len(tokens) else None
    if following is None or following.kind != "comment" or "\n" in source[end : following.start]:
        return ""
    return following.text.removeprefix("--").strip("-[]= \n")


def _type_of(value: str) -> str:
    """The type of a literal; `None` for an expression, which only Lua could tell."""
    tokens = [it for it in _tokens(value) if it.kind != "comment"]
    if tokens and tokens[0].text == "-":
        tokens = tokens[1:]
    if not tokens:
        return "None"
    first = tokens[0]
    if first.text == "{" and value.rstrip().endswith("}"):
        return "table"
    if len(tokens) > 1:
        return "None"
    words = {"true": "boolean", "false": "boolean", "nil": "nil"}
    kinds = {"string": "string", "number": "number"}
    return words.get(first.text) or kinds.get(first.kind) or "None"

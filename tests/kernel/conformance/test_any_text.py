"""Whatever text a cell is, its requests are answered, and the next one is."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from kernel.conformance import wire
from kernel.conformance.marks import ipykernel_fails

if TYPE_CHECKING:
    from kernel.conformance.client import Client
    from kernel.conformance.languages import Language

# Nothing that is a name or begins a command, so that nothing is called.
ALPHABET = "()[]{}<>\"'.,:;=+-*/#@|&^~\\ \t\r\n0123456789😀𨭎äé\u0301\u2028\ufeff\x00\x1b"
COUNT = 40

TEXTS = {
    "a null": 'x = "a\x00b"',
    "an escape": "\x1b[31m",
    "a mark of byte order": "\ufeffx = 1",
    "an end of line of Windows": "x = 1\r\ny = 2\r\n",
    "a separator of lines": "x = '\u2028'",
    "half a text": 'x = "',
    "deep parentheses": "(" * 1000,
    "deep brackets": "[" * 1000 + "]" * 1000,
    "one long line": "x = 1" + " + 1" * 1_000,
    "a name of every plane": "𨭎𨭎 = 1",
    "a thousand lines": "\n" * 1000 + "x = 1",
}
KINDS = ["execute_request", "complete_request", "inspect_request", "is_complete_request"]


def content(code: str, cursor: int) -> dict[str, Any]:
    """What requests of all kinds ask for; fields of others are ignored."""
    return {
        "code": code,
        "cursor_pos": cursor,
        "detail_level": 0,
        "silent": False,
        "store_history": False,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": False,
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", TEXTS)
def test_any_text_is_answered(client: Client, language: Language, name: str, kind: str) -> None:
    """Upon completion of the execution request, the kernel *always* sends a reply. Source code is
    one or more lines; a context may be up to an entire multiline cell.
    """
    code = TEXTS[name]
    found = client.ask(kind, content(code, len(code)))
    assert isinstance(found.content["status"], str)
    assert client.execute(language.value).shown == language.value_shown


def half_a_code_point(client: Client, kind: str) -> None:
    code = '"\ud83d"'
    assert isinstance(client.ask(kind, content(code, len(code))).content["status"], str)


@ipykernel_fails("the reply is missing, and what it broadcasts is no UTF-8")
def test_a_cell_with_half_a_code_point_is_answered(client: Client) -> None:
    """The kernel *always* sends a reply. JavaScript cuts strings between the halves of a code
    point, and JSON can write that: the grammar allows lone surrogates in escapes.
    """
    half_a_code_point(client, "execute_request")


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_context_with_half_a_code_point_is_answered(client: Client, kind: str) -> None:
    """As above."""
    half_a_code_point(client, kind)


def random_texts(client: Client, language: Language, kind: str) -> None:
    chance = random.Random(kind)  # noqa: S311
    for _ in range(COUNT):
        code = "".join(chance.choices(ALPHABET, k=chance.randint(0, 40)))
        told = client.ask(kind, content(code, chance.randint(0, len(code)))).content
        assert isinstance(told["status"], str), code
        if kind == "complete_request" and told["status"] == "ok":
            assert 0 <= told["cursor_start"] <= told["cursor_end"] <= len(code), code
    assert client.execute(language.value).shown == language.value_shown


@pytest.mark.parametrize("kind", [it for it in KINDS if it != "complete_request"])
def test_random_texts_are_answered(client: Client, language: Language, kind: str) -> None:
    """Upon completion of the execution request, the kernel *always* sends a reply. The cursor
    position within 'code' is anywhere in it.
    """
    random_texts(client, language, kind)


@ipykernel_fails("behind some characters a complete_request gets no reply", always=False)
def test_random_texts_are_completed(client: Client, language: Language) -> None:
    """status should be 'ok' unless an exception was raised during the request, in which case it
    should be 'error'.
    """
    random_texts(client, language, "complete_request")


@pytest.mark.parametrize("kind", ["complete_request", "inspect_request"])
@pytest.mark.parametrize("cursor", [-1, 100, 2**31, 2**63])
def test_a_cursor_outside_the_code_harms_nobody(
    client: Client, language: Language, kind: str, cursor: int
) -> None:
    """The cursor position within 'code'; the request succeeds or fails due to an error."""
    client.send(kind, content("print", cursor))
    assert client.execute(language.value).shown == language.value_shown


@pytest.mark.parametrize("kind", KINDS)
def test_content_of_other_types_harms_nobody(client: Client, language: Language, kind: str) -> None:
    """Both sides should allow unexpected message types: what is no request is none."""
    wrong: list[object] = [None, 1, 1.5, True, [], {}, "x"]
    for name in content("", 0):
        for value in wrong:
            raw = {**content("1", 1), name: value}
            client.send_frames(
                wire.frames(
                    client.connection.key,
                    (client.header(kind), {}, {}, json.dumps(raw).encode()),
                )
            )
    found = client.execute(language.value)
    assert found.shown == language.value_shown

"""Completion, introspection and completeness of code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kernel.conformance.client import Client
    from kernel.conformance.languages import Language

NAME = "conformance_name"


def completed(client: Client, code: str, cursor: int | None = None) -> dict[str, Any]:
    """What could stand at the cursor; the end of the code if not given."""
    cursor = len(code) if cursor is None else cursor
    return client.ask("complete_request", {"code": code, "cursor_pos": cursor}).content


def inspected(
    client: Client, code: str, cursor: int | None = None, **options: int
) -> dict[str, Any]:
    """What stands at the cursor."""
    cursor = len(code) if cursor is None else cursor
    content = {"code": code, "cursor_pos": cursor, "detail_level": 0, **options}
    return client.ask("inspect_request", content).content


def test_completion_has_its_fields(client: Client) -> None:
    """status, matches: list, cursor_start: int, cursor_end: int, metadata: dict."""
    client.execute(f"{NAME} = 1")
    content = completed(client, "conformance_na")
    assert content["status"] == "ok"
    assert NAME in content["matches"]
    assert all(isinstance(it, str) for it in content["matches"])
    assert (content["cursor_start"], content["cursor_end"]) == (0, 14)
    assert isinstance(content["metadata"], dict)


CONTEXTS = {
    "at the beginning": ("", "conformance_na", ""),
    "behind other code": ("x = 1 + ", "conformance_na", ""),
    "in a later line": ("x = 1\n\ny = ", "conformance_na", ""),
    "before other code": ("x = ", "conformance_na", " + 1\nz = 2"),
    "behind a text of every plane": ('x = "ä€😀𨭎" y = ', "conformance_na", ""),
    "between texts of every plane": ("x = '😀😀'\ny = ", "conformance_na", " z = '😀'"),
}


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_match_stands_in_place_of_the_range(client: Client, name: str) -> None:
    """The range of text that should be replaced by the above matches when a completion is accepted.
    cursor_pos must be the actual encoding-independent offset in unicode codepoints.
    """
    before, begun, after = CONTEXTS[name]
    client.execute(f"{NAME} = 1")
    code = before + begun + after
    content = completed(client, code, len(before + begun))
    start, end = content["cursor_start"], content["cursor_end"]
    results = [code[:start] + it + code[end:] for it in content["matches"]]
    assert before + NAME + after in results


def test_the_end_of_the_range_is_the_cursor(client: Client) -> None:
    """Typically cursor_end is the same as cursor_pos in the request."""
    client.execute(f"{NAME} = 1")
    assert completed(client, "conformance_na", 8)["cursor_end"] == 8


def test_nothing_to_complete_is_no_error(client: Client) -> None:
    """status should be 'ok' unless an exception was raised during the request."""
    content = completed(client, "no_such_name_as_this")
    assert content["status"] == "ok"
    assert content["matches"] == []
    assert 0 <= content["cursor_start"] <= content["cursor_end"] <= 20


@pytest.mark.parametrize(("code", "cursor"), [("", 0), ("\n\n", 1), ("conf", 0)])
def test_a_cursor_may_be_anywhere(client: Client, code: str, cursor: int) -> None:
    """The cursor position within 'code' (in unicode characters)."""
    content = completed(client, code, cursor)
    assert content["status"] == "ok"
    assert 0 <= content["cursor_start"] <= content["cursor_end"] <= len(code)


def test_completion_runs_no_code(client: Client) -> None:
    """Code is context for completion; execute_request executes it."""
    client.execute("ran = 0")
    before = client.execute("x = 1").count
    completed(client, "ran = ran + 1\ny = conformance_na")
    assert client.execute("ran").shown == "0"
    assert client.execute("x = 1").count == before + 2


def test_a_thing_is_found(client: Client) -> None:
    """found should be true if an object was found; the reply is a mime-bundle."""
    content = inspected(client, "print")
    assert content["status"] == "ok"
    assert content["found"] is True
    assert content["data"]["text/plain"]
    assert isinstance(content["metadata"], dict)


def test_a_thing_that_is_not_there_is_not_found(client: Client) -> None:
    """found: false otherwise; data can be empty if nothing is found."""
    content = inspected(client, "no_such_name")
    assert content["status"] == "ok"
    assert content["found"] is False
    assert isinstance(content["data"], dict)
    assert isinstance(content["metadata"], dict)


@pytest.mark.parametrize("cursor", [1, 3, 5])
def test_a_thing_is_found_at_every_place_of_its_name(client: Client, cursor: int) -> None:
    """The cursor position within 'code' where inspection is requested."""
    assert inspected(client, "print", cursor)["found"] is True


def test_a_thing_is_found_behind_texts_of_every_plane(client: Client) -> None:
    """cursor_pos must be the actual encoding-independent offset in unicode codepoints."""
    code = "x = '😀😀😀😀😀😀' y = print"
    assert inspected(client, code)["found"] is True
    # Two code points before its end, which would be behind it in UTF-16.
    assert inspected(client, code, len(code) - 2)["found"] is True


def test_a_thing_of_the_user_is_found(client: Client, language: Language) -> None:
    """It is up to the kernel to decide what information should be displayed about the context."""
    client.execute(language.function)
    content = inspected(client, "conformance_double")
    assert content["found"] is True
    assert content["data"]["text/plain"]


@pytest.mark.parametrize("level", [0, 1])
def test_both_levels_of_detail_are_answered(client: Client, language: Language, level: int) -> None:
    """detail_level: the default (0) is equivalent to typing 'x?' at the prompt, 1 is equivalent to
    'x??'.
    """
    client.execute(language.function)
    content = inspected(client, "conformance_double", detail_level=level)
    assert (content["status"], content["found"]) == ("ok", True)


def test_inspection_runs_no_code(client: Client) -> None:
    """Code is context for introspection."""
    client.execute("ran = 0")
    inspected(client, "ran = ran + 1\nprint")
    assert client.execute("ran").shown == "0"


@pytest.mark.parametrize("code", ["", "\n", "'"])
def test_nothing_to_inspect_is_no_error(client: Client, code: str) -> None:
    """status: 'ok' if the request succeeded."""
    content = inspected(client, code)
    assert (content["status"], content["found"]) == ("ok", False)


@pytest.mark.parametrize("code", ["", "1 + 1", "x = '😀'", "print('a')\nprint('b')"])
def test_code_that_is_whole_is_complete(client: Client, code: str) -> None:
    """*complete* code is ready to be executed. If status is not 'incomplete', the field indent does
    not exist.
    """
    assert client.ask("is_complete_request", {"code": code}).content == {"status": "complete"}


@pytest.mark.parametrize("more", ["", "\n"])
def test_code_that_is_begun_is_incomplete(client: Client, language: Language, more: str) -> None:
    """*incomplete* code should prompt for another line; indent should contain the characters to use
    to indent the next line.
    """
    code = language.unfinished + more
    content = client.ask("is_complete_request", {"code": code}).content
    assert content["status"] == "incomplete"
    assert isinstance(content["indent"], str)
    assert not content["indent"].strip()


def test_code_that_is_wrong_is_invalid(client: Client, language: Language) -> None:
    """*invalid* code will typically be sent for execution, so that the user sees the error
    soonest.
    """
    content = client.ask("is_complete_request", {"code": language.wrong}).content
    assert content == {"status": "invalid"}


def test_asking_for_completeness_runs_no_code(client: Client) -> None:
    """The console must decide whether to immediately execute the current code."""
    client.execute("ran = 0")
    client.ask("is_complete_request", {"code": "ran = ran + 1"})
    assert client.execute("ran").shown == "0"

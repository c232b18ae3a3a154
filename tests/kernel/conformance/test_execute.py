"""Cells: their replies, counts, values and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from kernel.conformance.marks import ipykernel_fails

if TYPE_CHECKING:
    from kernel.conformance.client import Client, Exchange
    from kernel.conformance.languages import Language

ERROR_FIELDS = {"ename", "evalue", "traceback"}


def fields_of(content: dict[str, object]) -> dict[str, object]:
    return {name: content[name] for name in ERROR_FIELDS}


def is_error(content: dict[str, object]) -> bool:
    """Whether it has what an error has, each of its type."""
    traceback = content["traceback"]
    assert isinstance(traceback, list)
    assert all(isinstance(it, str) for it in traceback)
    return isinstance(content["ename"], str) and isinstance(content["evalue"], str)


def test_a_cell_is_answered_ok(client: Client, language: Language) -> None:
    """When status is 'ok': payload is optional, user_expressions: results for the
    user_expressions; execution_count is there regardless of the status.
    """
    content = client.execute(language.prints("a")).content
    assert content["status"] == "ok"
    assert isinstance(content["execution_count"], int)
    assert content["user_expressions"] == {}
    assert content.get("payload", []) == []


def test_a_cell_is_broadcast_before_it_runs(client: Client, language: Language) -> None:
    """To let all frontends know what code is being executed at any given time, these messages
    contain a re-broadcast of the `code` portion of an execute_request, along with the
    execution_count.
    """
    code = "\n\n" + language.prints("ä 😀 𨭎") + "  \n\n"
    found = client.execute(code)
    assert found.outline[:3] == ["busy", "execute_input", "stdout: ä 😀 𨭎\n"]
    assert found.one("execute_input").content == {"code": code, "execution_count": found.count}


def test_a_value_is_a_result_behind_what_was_printed(client: Client, language: Language) -> None:
    """Results of an execution are published as an `execute_result`. A plain text representation
    should always be provided in the `text/plain` mime-type.
    """
    found = client.execute(f"{language.prints('a')}\n{language.value}")
    assert found.outline == ["busy", "execute_input", "stdout: a\n", "execute_result", "idle"]
    assert found.shown == language.value_shown
    content = found.one("execute_result").content
    assert content["execution_count"] == found.count
    assert isinstance(content["metadata"], dict)


def test_a_cell_without_a_value_has_no_result(client: Client) -> None:
    """The object being displayed is that passed to the display hook, i.e. the result."""
    assert client.execute("x = 1").outline == ["busy", "execute_input", "idle"]


def test_variables_live_from_cell_to_cell(client: Client) -> None:
    """This message type is used to ask the kernel to execute code in a namespace reserved to the
    user's variables.
    """
    client.execute("a = 20\nb = 22")
    assert client.execute("a + b").shown == "42"


def test_the_count_goes_up_by_one(client: Client, language: Language) -> None:
    """The global kernel counter increases by one with each request that stores history."""
    first = client.execute(language.value).count
    assert [client.execute("x = 1").count for _ in range(3)] == [first + 1, first + 2, first + 3]


def test_a_cell_that_fails_counts(client: Client, language: Language) -> None:
    """A counter of all execution requests that are made with `store_history=True`."""
    first = client.execute(language.value).count
    assert client.execute(language.error).count == first + 1
    assert client.execute(language.value).count == first + 2


def test_a_cell_that_is_not_stored_does_not_count(client: Client, language: Language) -> None:
    """If the request did not store history, this will be the current value of the counter."""
    before = client.execute("x = 1").count
    found = client.execute(f"{language.prints('a')}\n{language.value}", store_history=False)
    assert found.outline == ["busy", "execute_input", "stdout: a\n", "execute_result", "idle"]
    assert client.execute("x = 1").count == before + 1


def test_a_cell_that_is_not_stored_tells_the_current_count(
    client: Client, language: Language
) -> None:
    """If the request did not store history, this will be the current value of the counter in the
    kernel.
    """
    before = client.execute("x = 1").count
    assert client.execute(language.value, store_history=False).count == before
    assert client.execute("x = 1", silent=True).count == before


def test_a_silent_cell_has_no_input_and_no_result(client: Client, language: Language) -> None:
    """silent=True will not have an execute_result; the code is executed as quietly as possible."""
    found = client.execute(language.value, silent=True)
    assert found.content["status"] == "ok"
    assert found.outline == ["busy", "idle"]


@ipykernel_fails("it broadcasts what a silent cell prints and displays")
def test_a_silent_cell_broadcasts_no_output(client: Client, language: Language) -> None:
    """silent=True will not broadcast output on the IOPUB channel."""
    code = f"{language.prints('a')}\n{language.warns('b')}\n{language.display}"
    assert client.execute(code, silent=True).outline == ["busy", "idle"]


def test_a_silent_cell_runs(client: Client) -> None:
    """The kernel executes this code as quietly as possible."""
    client.execute("quiet = 1")
    client.execute("quiet = quiet + 1", silent=True)
    assert client.execute("quiet").shown == "2"


def test_a_silent_cell_does_not_count(client: Client, language: Language) -> None:
    """silent=True forces store_history to be False."""
    before = client.execute("x = 1").count
    client.execute(language.value, silent=True, store_history=True)
    assert client.execute("x = 1").count == before + 1


def test_a_silent_cell_that_fails_is_answered_with_the_error(
    client: Client, language: Language
) -> None:
    """Upon completion of the execution request, the kernel *always* sends a reply."""
    found = client.execute(language.error, silent=True)
    assert found.content["status"] == "error"
    assert is_error(found.content)


def test_an_empty_silent_cell_tells_the_count(client: Client) -> None:
    """In order to obtain the current execution counter for the purposes of displaying input
    prompts, frontends may make an execution request with an empty code string and `silent=True`.
    """
    before = client.execute("x = 1").count
    found = client.execute("", silent=True)
    assert found.content["status"] == "ok"
    assert found.count in {before, before + 1}
    assert client.execute("x = 1").count == before + 1


@pytest.mark.parametrize("code", ["", "  \n\n"], ids=["empty", "blank"])
def test_an_empty_cell_is_answered(client: Client, code: str) -> None:
    """Upon completion of the execution request, the kernel *always* sends a reply."""
    found = client.execute(code)
    assert found.content["status"] == "ok"
    assert [it for it in found.outline if it != "execute_input"] == ["busy", "idle"]


def test_input_result_and_reply_tell_one_count(client: Client, language: Language) -> None:
    """The value of this counter will be returned as the `execution_count` field of all
    `execute_reply` and `execute_input` messages.
    """
    found = client.execute(language.value)
    told = [found.one(it).content["execution_count"] for it in ("execute_input", "execute_result")]
    assert told == [found.count, found.count]


UNCOUNTED: dict[str, dict[str, Any]] = {
    "empty": {"code": ""},
    "blank": {"code": "  \n\n"},
    "not stored": {"code": "x = 1", "store_history": False},
}


@ipykernel_fails("execute_input tells the number of the next cell")
@pytest.mark.parametrize("name", UNCOUNTED)
def test_input_and_reply_of_a_cell_that_does_not_count_tell_one_count(
    client: Client, name: str
) -> None:
    """As above; if the request did not store history, this will be the current value of the
    counter.
    """
    client.execute("x = 1")
    found = client.execute(**UNCOUNTED[name])
    inputs = [it.content["execution_count"] for it in found.all("execute_input")]
    assert set(inputs) <= {found.count}


def test_what_a_request_leaves_out_has_its_default(client: Client, language: Language) -> None:
    """silent: the default is False. store_history: the default is True if silent is False."""
    before = client.execute("x = 1").count
    found = client.ask("execute_request", {"code": language.value})
    assert found.shown == language.value_shown
    assert found.count == before + 1


def test_an_error_has_its_fields(client: Client, language: Language) -> None:
    """'ename': exception name, 'evalue': exception value, 'traceback': traceback frames as
    strings.
    """
    content = client.execute(language.error).content
    assert content["status"] == "error"
    assert is_error(content)
    assert "on purpose" in content["evalue"]
    assert content["ename"]
    assert content["traceback"]


@ipykernel_fails("it sends user_expressions and payload with an error")
def test_an_error_has_nothing_of_a_success(client: Client, language: Language) -> None:
    """When status is 'error', the usual content of a successful reply should be omitted."""
    content = client.execute(language.error, user_expressions={"a": language.value}).content
    assert not {"user_expressions", "payload"} & set(content)


def test_the_broadcast_of_an_error_is_that_of_the_reply(client: Client, language: Language) -> None:
    """Similar content to the execute_reply messages for the 'error' case, except the 'status' and
    'execution_count' fields are omitted.
    """
    found = client.execute(language.error)
    broadcast = found.one("error").content
    assert fields_of(broadcast) == fields_of(found.content)
    assert not {"status", "execution_count"} & set(broadcast)


def test_an_error_comes_behind_what_was_printed(client: Client, language: Language) -> None:
    """The outputs associated with a given execution shall arrive between the busy and idle status
    messages.
    """
    found = client.execute(f"{language.prints('before')}\n{language.error}")
    assert found.outline == ["busy", "execute_input", "stdout: before\n", "error", "idle"]


def test_an_error_keeps_what_was_done_before_it(client: Client, language: Language) -> None:
    """Code is executed in a namespace reserved to the user's variables, line by line."""
    client.execute(f"kept = 7\n{language.error}")
    assert client.execute("kept").shown == "7"


def test_a_syntax_error_is_an_error(client: Client, language: Language) -> None:
    """The kernel always sends a reply, with a status code indicating what happened."""
    found = client.execute(f"{language.prints('never')}\n{language.wrong}")
    assert found.content["status"] == "error"
    assert found.outline == ["busy", "execute_input", "error", "idle"]
    assert fields_of(found.one("error").content) == fields_of(found.content)


def test_errors_of_a_user_may_hold_any_text(client: Client, language: Language) -> None:
    """'evalue': exception value, as a string."""
    found = client.execute(language.error.replace("on purpose", "ä 😀 {0} %s"))
    assert "ä 😀 {0} %s" in found.content["evalue"]


def answers(client: Client, expressions: dict[str, str], **options: object) -> dict[str, object]:
    found: Exchange = client.execute("x = 1", user_expressions=expressions, **options)
    assert found.content["status"] == "ok"
    told: dict[str, object] = found.content["user_expressions"]
    return told


def test_expressions_are_answered_by_their_names(client: Client, language: Language) -> None:
    """A dict mapping names to expressions to be evaluated in the user's dict. The rich display-data
    representation of each will be evaluated after execution.
    """
    told = answers(client, {"a": language.value, "ä b": "x"})
    values = {name: it["data"]["text/plain"] for name, it in told.items()}  # type: ignore[index]
    assert values == {"a": language.value_shown, "ä b": "1"}
    assert all(it["status"] == "ok" for it in told.values())  # type: ignore[index]
    assert all(it["metadata"] == {} for it in told.values())  # type: ignore[index]


def test_an_expression_that_fails_is_an_error_of_its_own(
    client: Client, language: Language
) -> None:
    """Any error in evaluating any expression in `user_expressions` will result in only that key
    containing a standard error message.
    """
    told = answers(client, {"good": language.value, "bad": "no_such_thing()", "wrong": "("})
    assert {name: it["status"] for name, it in told.items()} == {  # type: ignore[index]
        "good": "ok",
        "bad": "error",
        "wrong": "error",
    }
    for name in ("bad", "wrong"):
        assert is_error(told[name])  # type: ignore[arg-type]


def test_expressions_are_evaluated_for_a_silent_cell_too(
    client: Client, language: Language
) -> None:
    """`user_expressions` can be used to retrieve what a prompt shows."""
    told = answers(client, {"a": language.value}, silent=True)
    assert told["a"]["data"]["text/plain"] == language.value_shown  # type: ignore[index]


def test_expressions_do_not_count_and_are_not_broadcast(client: Client, language: Language) -> None:
    """The counter is of execution requests; expressions are evaluated behind one."""
    found = client.execute("x = 1", user_expressions={"a": language.value})
    assert found.outline == ["busy", "execute_input", "idle"]
    assert client.execute("x = 1").count == found.count + 1


def test_a_long_cell_runs(client: Client, language: Language) -> None:
    """`code`: a single string (possibly multiline) to be executed, one or more lines."""
    code = f"long = {language.quote('x' * 1_000_000)}\n" + "y = 1\n" * 1000
    found = client.execute(code)
    assert found.one("execute_input").content["code"] == code
    assert client.execute(language.length("long")).shown == "1000000"


def test_a_request_without_code_does_not_end_the_kernel(client: Client, language: Language) -> None:
    """Upon completion of the execution request, the kernel always sends a reply."""
    for content in ({}, {"code": 1}, {"code": None}):
        client.send("execute_request", {**content, "stop_on_error": False})
    assert client.execute(language.value).shown == language.value_shown

"""Earlier cells, of this session and of one before it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from kernel.conformance.marks import ipykernel_fails

if TYPE_CHECKING:
    from kernel.conformance.client import Client
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Start

Entry = tuple[int, int, Any]


def asked(client: Client, access: str, **options: Any) -> list[Entry]:  # noqa: ANN401
    """The entries of a history."""
    content = {"hist_access_type": access, "raw": True, "output": False, **options}
    told = client.ask("history_request", content).content
    assert told["status"] == "ok"
    assert all(len(it) == 3 for it in told["history"])
    return [(session, line, entry) for session, line, entry in told["history"]]


def unique() -> str:
    """A name that no other test has."""
    return f"h{uuid.uuid4().hex}"


def run(client: Client, count: int = 3) -> tuple[str, list[str]]:
    """Runs cells that hold one name, which is given with them."""
    name = unique()
    codes = [f"{name} = {number}" for number in range(count)]
    for it in codes:
        client.execute(it)
    return name, codes


def test_the_tail_is_the_last_cells_in_their_order(client: Client) -> None:
    """If hist_access_type is 'tail' or 'search', get the last n cells."""
    _, codes = run(client)
    assert [it[2] for it in asked(client, "tail", n=2)] == codes[1:]


def test_an_entry_has_a_session_a_line_and_an_input(client: Client) -> None:
    """A list of 3 tuples: (session, line_number, input)."""
    before = client.execute("x = 1").count
    run(client)
    entries = asked(client, "tail", n=3)
    assert [it[1] for it in entries] == [before + 1, before + 2, before + 3]
    assert {type(it[0]) for it in entries} == {int}
    assert len({it[0] for it in entries}) == 1


def test_more_than_there_is_is_all_there_is(client: Client) -> None:
    """Get the last n cells."""
    _, codes = run(client)
    entries = [it[2] for it in asked(client, "tail", n=100_000)]
    assert entries[-3:] == codes


def test_a_cell_keeps_its_text(client: Client, language: Language) -> None:
    """raw: If True, return the raw input history."""
    code = language.prints("ä 😀") + "\n\n" + "x = 1"
    client.execute(code)
    assert asked(client, "tail", n=1)[0][2] == code


def test_a_cell_that_is_not_stored_is_not_there(client: Client) -> None:
    """store_history: if True, signals the kernel to populate history; silent forces it to be
    False.
    """
    _, codes = run(client)
    client.execute("hidden = 1", store_history=False)
    client.execute("hidden = 2", silent=True)
    assert [it[2] for it in asked(client, "tail", n=3)] == codes


def test_a_cell_that_failed_is_there(client: Client, language: Language) -> None:
    """The kernel has all the actual execution history stored in a single location."""
    client.execute(language.error)
    assert asked(client, "tail", n=1)[0][2] == language.error


@ipykernel_fails("the outputs of a tail are None")
def test_an_output_stands_beside_its_input(client: Client, language: Language) -> None:
    """(session, line_number, (input, output)), depending on whether output was False or True."""
    client.execute(language.value)
    entry = asked(client, "tail", n=1, output=True)[0][2]
    assert entry == [language.value, language.value_shown]


def test_a_range_is_of_one_session(client: Client) -> None:
    """If hist_access_type is 'range', get a range of input cells; start and stop are line (cell)
    numbers within that session.
    """
    _, codes = run(client, 5)
    session, last, _ = asked(client, "tail", n=1)[0]
    found = asked(client, "range", session=session, start=last - 3, stop=last)
    assert [it[2] for it in found][:3] == codes[1:4]
    assert [it[1] for it in found][:3] == [last - 3, last - 2, last - 1]


@ipykernel_fails("in a range, the own session has the number 0")
def test_a_range_names_its_session(client: Client) -> None:
    """(session, line_number, input): session is a number counting up each time the kernel
    starts.
    """
    run(client)
    session, last, _ = asked(client, "tail", n=1)[0]
    found = asked(client, "range", session=session, start=last - 1, stop=last)
    assert found[0][:2] == (session, last - 1)


def test_a_range_may_have_outputs(client: Client, language: Language) -> None:
    """output: If True, also return output history in the resulting dict."""
    client.execute(language.value)
    client.execute("x = 1")
    session, last, _ = asked(client, "tail", n=1)[0]
    found = asked(client, "range", session=session, start=last - 1, stop=last, output=True)
    assert found[0][1:] == (last - 1, [language.value, language.value_shown])


def test_a_search_finds_what_matches_a_pattern(client: Client) -> None:
    """Get cells matching the specified glob pattern (with * and ? as wildcards)."""
    name, codes = run(client)
    assert [it[2] for it in asked(client, "search", pattern=f"{name}*", n=9)] == codes
    assert [it[2] for it in asked(client, "search", pattern=f"{name} = ?", n=9)] == codes
    assert [it[2] for it in asked(client, "search", pattern=f"*{name} = 1", n=9)] == codes[1:2]
    assert asked(client, "search", pattern=f"{name}", n=9) == []


def test_a_search_gives_the_last_n(client: Client) -> None:
    """If hist_access_type is 'tail' or 'search', get the last n cells."""
    name, codes = run(client, 5)
    assert [it[2] for it in asked(client, "search", pattern=f"{name}*", n=2)] == codes[3:]


def test_a_search_may_leave_out_what_is_there_twice(client: Client) -> None:
    """If unique is true, do not include duplicated history. Default is false."""
    name = unique()
    for number in (1, 2, 1):
        client.execute(f"{name} = {number}")
    every = asked(client, "search", pattern=f"{name}*", n=9)
    assert [it[2][-1] for it in every] == ["1", "2", "1"]
    once = asked(client, "search", pattern=f"{name}*", n=9, unique=True)
    assert sorted(it[2][-1] for it in once) == ["1", "2"]


def test_sessions_are_counted(start: Start) -> None:
    """session is a number counting up each time the kernel starts; you can give a positive session
    number, or a negative number to count back from the current session.
    """
    first = start()
    name, codes = run(first.connect())
    first.end()
    second = start(beside=first).connect()
    found = asked(second, "search", pattern=f"{name}*", n=9)
    assert [it[2] for it in found] == codes
    second.execute("x = 1")
    own = asked(second, "tail", n=1)[0][0]
    earlier = found[0][0]
    assert own == earlier + 1
    for session in (earlier, -1):
        lines = asked(second, "range", session=session, start=1, stop=4)
        assert [it[2] for it in lines] == codes

"""What a cell displays, replaces and clears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.conformance.languages import PNG

if TYPE_CHECKING:
    from kernel.conformance.client import Client
    from kernel.conformance.languages import Language


def test_a_display_has_data_and_metadata(client: Client, language: Language) -> None:
    """The data dict contains key/value pairs, where the keys are MIME types and the values are the
    raw data of the representation in that format.
    """
    content = client.execute(language.display).one("display_data").content
    assert content["data"]["text/html"] == "<b>shown</b>"
    assert content["data"]["text/plain"] == "shown"
    assert isinstance(content["metadata"], dict)
    assert isinstance(content.get("transient", {}), dict)


def test_json_is_not_serialized_twice(client: Client, language: Language) -> None:
    """`application/json` data should be unpacked JSON data, not double-serialized as a JSON
    string.
    """
    data = client.execute(language.display_json).one("display_data").content["data"]
    assert data["application/json"] == {"a": [1]}


def test_an_image_is_base64(client: Client, language: Language) -> None:
    """Each representation should be a JSON'able data structure: bytes are base64, as in the
    notebook format.
    """
    data = client.execute(language.display_png).one("display_data").content["data"]
    assert data["image/png"].strip() == PNG


def test_a_named_display_has_its_name(client: Client, language: Language) -> None:
    """Displays can now be named with a `display_id` within the `transient` field."""
    content = client.execute(language.display_named).one("display_data").content
    assert content["transient"] == {"display_id": "one"}


def test_a_named_display_is_updated(client: Client, language: Language) -> None:
    """This message has the same format as display_data messages and must contain a `transient`
    field with a `display_id`.
    """
    found = client.execute(f"{language.display_named}\n{language.update_named}")
    assert found.outline[2:-1] == ["display_data", "update_display_data"]
    content = found.one("update_display_data").content
    assert content["transient"] == {"display_id": "one"}
    assert "second" in content["data"]["text/plain"]
    assert isinstance(content["metadata"], dict)


def test_a_display_is_updated_from_a_later_cell(client: Client, language: Language) -> None:
    """When a `display_id` is specified for a display, it can be updated later."""
    client.execute(language.display_named)
    found = client.execute(language.update_named)
    assert found.outline == ["busy", "execute_input", "update_display_data", "idle"]
    update = found.one("update_display_data")
    assert update.content["transient"]["display_id"] == "one"
    assert update.parent_header == found.request.header


def test_a_display_can_be_updated_many_times(client: Client, language: Language) -> None:
    """As above, in their order and none left out."""
    code = "\n".join([language.display_named, *[language.update_named] * 20])
    found = client.execute(code)
    assert found.outline[2:-1] == ["display_data", *["update_display_data"] * 20]


def test_an_output_is_cleared_at_once(client: Client, language: Language) -> None:
    """This message type is used to clear the output that is visible on the frontend."""
    content = client.execute(language.clear).one("clear_output").content
    assert content == {"wait": False}


def test_an_output_is_cleared_with_the_next_one(client: Client, language: Language) -> None:
    """wait: Wait to clear the output until new output is available."""
    content = client.execute(language.clear_later).one("clear_output").content
    assert content == {"wait": True}


def test_an_output_is_cleared_in_its_turn(client: Client, language: Language) -> None:
    """Clears the existing output immediately before the new output is displayed."""
    code = [language.prints("a"), language.clear_later, language.prints("b"), language.display]
    # What some front ends do to a terminal on the way is no message of the protocol.
    found = client.execute("\n".join(code))
    kinds = [it.kind for it in found.broadcasts[2:-1]]
    assert kinds == ["stream", "clear_output", "stream", "display_data"]


def test_a_display_before_an_error_is_kept(client: Client, language: Language) -> None:
    """The outputs associated with a given execution shall arrive between busy and idle."""
    found = client.execute(f"{language.display}\n{language.error}")
    assert found.outline == ["busy", "execute_input", "display_data", "error", "idle"]

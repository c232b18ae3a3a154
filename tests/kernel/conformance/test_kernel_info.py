"""Who the kernel says that it is, on shell and on control."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from kernel.conformance.marks import ipykernel_fails
from kernel.conformance.process import kernelspec

if TYPE_CHECKING:
    from kernel.conformance.client import Client
    from kernel.conformance.languages import Language


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_kernel_info_has_its_fields(client: Client, channel: str) -> None:
    """status, protocol_version, implementation, implementation_version, language_info, banner."""
    content = client.ask("kernel_info_request", channel=channel).content
    assert content["status"] == "ok"
    for name in ("protocol_version", "implementation", "implementation_version", "banner"):
        assert isinstance(content[name], str), name
        assert content[name], name
    assert isinstance(content["language_info"], dict)


def test_both_channels_tell_the_same(client: Client) -> None:
    """This is the same kernel info message as that received on the Shell channel (new in 5.5)."""
    told = [client.ask("kernel_info_request", channel=it).content for it in ("shell", "control")]
    # A banner is for people, and may have something else for them each time.
    without = [{name: it[name] for name in it if name != "banner"} for it in told]
    assert without[0] == without[1]
    assert len(without[0]) > 4


def test_the_protocol_version_is_major_and_minor(client: Client) -> None:
    """The first integer indicates major version, the second integer indicates minor version."""
    told = client.ask("kernel_info_request").content["protocol_version"]
    assert re.fullmatch(r"5\.\d+(\.\d+)?", told)


@ipykernel_fails("it says 5.3, and has what came with 5.5")
def test_the_protocol_version_is_the_one_of_what_it_has(client: Client) -> None:
    """Changed in 5.5: `supported_features` added, the IOPub PUB socket is replaced with an XPUB
    socket to enable the `iopub_welcome` message.
    """
    content = client.ask("kernel_info_request").content
    has_welcome = any(it.kind == "iopub_welcome" for it in client.heard)
    assert has_welcome == ("supported_features" in content)
    told = tuple(int(it) for it in content["protocol_version"].split(".")[:2])
    assert (told >= (5, 5)) == has_welcome


def test_the_language_has_a_name_a_version_a_type_and_an_extension(
    client: Client, language: Language
) -> None:
    """Extension including the dot, e.g. '.py'; mimetype for script files in this language."""
    told = client.ask("kernel_info_request").content["language_info"]
    assert told["name"] == language.name
    assert re.match(r"\d+\.\d+", told["version"])
    assert re.fullmatch(r"[a-z]+/[-+.a-z]+", told["mimetype"])
    assert told["file_extension"] == language.file_extension


def test_lexer_and_mode_have_their_types(client: Client) -> None:
    """'pygments_lexer': str, 'codemirror_mode': str or dict, only needed if it differs from the
    'name' field.
    """
    told = client.ask("kernel_info_request").content["language_info"]
    assert isinstance(told.get("pygments_lexer", ""), str)
    assert isinstance(told.get("codemirror_mode", ""), str | dict)
    assert isinstance(told.get("nbconvert_exporter", ""), str)


def test_the_language_is_the_one_of_the_kernelspec(client: Client, language: Language) -> None:
    """language: The name of the language of the kernel."""
    told = client.ask("kernel_info_request").content["language_info"]["name"]
    assert kernelspec(language.kernel)["language"] == told


def test_features_are_a_list_of_names(client: Client) -> None:
    """'supported_features': [str], a list of optional features such as 'debugger' and 'kernel
    subshells'.
    """
    features = client.ask("kernel_info_request").content["supported_features"]
    assert isinstance(features, list)
    assert all(isinstance(it, str) for it in features)
    assert len(set(features)) == len(features)


def test_the_two_ways_to_tell_of_a_debugger_agree(client: Client) -> None:
    """'debugger': deprecated as replaced by 'supported_features'=['debugger']."""
    content = client.ask("kernel_info_request").content
    has_debugger = "debugger" in content["supported_features"]
    assert content.get("debugger", has_debugger) == has_debugger


def test_help_links_are_texts_with_addresses(client: Client) -> None:
    """Optional: A list of dictionaries, each with keys 'text' and 'url'."""
    links = client.ask("kernel_info_request").content.get("help_links", [])
    assert isinstance(links, list)
    assert all(set(it) == {"text", "url"} and it["url"].startswith("http") for it in links)


def test_control_tells_while_a_cell_runs(client: Client, language: Language) -> None:
    """Clients are encouraged to send it on the control channel as it will always be able to handle
    it, while the shell channel may be stopped (JEP 80).
    """
    running = client.start(language.until_stop)
    client.wait_for_text(running, "running")
    assert client.ask("kernel_info_request", channel="control").content["status"] == "ok"
    client.ask("interrupt_request", channel="control")
    assert client.complete(running).content["status"] == "error"

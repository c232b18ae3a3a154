"""Artifacts from Python: texts, data, bytes and files, kept once and shown by their media type."""

from __future__ import annotations

import base64
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from aikit import Artifacts, errors

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n\x00"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "mime"),
    [
        ("report.md", "# Done", "text/markdown"),
        ("text", "é", "text/plain"),
        ("data", {"n": [1, 2.5, None]}, "application/json"),
        ("number", 42, "application/json"),
        ("picture", PNG, "image/png"),
        ("bytes", b"\x00\xff", "application/octet-stream"),
    ],
)
def test_contents_come_back_as_they_were(name: str, value: object, mime: str) -> None:
    artifacts = Artifacts()
    info = artifacts.put(name, value, tags=["t"], metadata={"by": "ada"})
    assert (info.mime, info.version, info.tags, info.metadata) == (mime, 1, ["t"], {"by": "ada"})
    found = artifacts.get(name)
    assert (found.value, found.hash) == (value, info.hash)
    assert found.to_dict()["value"] == value


def test_a_notebook_shows_an_artifact_by_its_media_type() -> None:
    artifacts = Artifacts()
    artifacts.put("picture", PNG)
    shown = artifacts.get("picture")._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]) == PNG
    assert "picture" in shown["text/plain"]
    artifacts.put("data", {"n": 1})
    assert artifacts.get("data")._repr_mimebundle_()["application/json"] == {"n": 1}
    assert "<table>" in artifacts.list()._repr_html_()


def test_files_pass_the_path_guard(tmp_path: Path) -> None:
    artifacts = Artifacts()
    (tmp_path / "large.bin").write_bytes(bytes(9 << 20))
    assert artifacts.put("large", file=tmp_path / "large.bin").size_bytes == 9 << 20
    assert artifacts.get("large").value == bytes(9 << 20)
    with pytest.raises(errors.DeniedError):
        artifacts.put("x", file="/etc/hostname")
    with pytest.raises(errors.NotFoundError):
        artifacts.put("x", file="none")


def test_versions_lists_and_deletion() -> None:
    artifacts = Artifacts("custom:mine")
    artifacts.put("a/1", "x", tags=["t"])
    assert artifacts.put("a/1", "y").version == 2
    artifacts.put("b", "x")
    assert [it.name for it in artifacts.list()] == ["a/1", "b"]
    assert [it.name for it in artifacts.list(prefix="a/")] == ["a/1"]
    assert artifacts.list(tag="t") == []
    assert artifacts.delete("b")
    assert not artifacts.delete("b")
    assert Artifacts().list() == []
    again = pickle.loads(pickle.dumps(artifacts))  # noqa: S301  # our own
    assert again.get("a/1").value == "y"


def test_what_is_no_content_is_refused() -> None:
    artifacts = Artifacts()
    refused: list[tuple[Any, dict[str, Any]]] = [
        (None, {}),
        ("x", {"file": "y"}),
        ("x", {"mime": "no type"}),
        ([float("nan")], {}),
        ([b"x"], {}),
    ]
    for value, options in refused:
        with pytest.raises(errors.InvalidArgsError) as caught:
            artifacts.put("x", value, **options)
        assert caught.value.hint
    with pytest.raises(errors.LimitExceededError):
        artifacts.put("x", bytes(65 << 20))
    with pytest.raises(errors.NotFoundError, match="none"):
        artifacts.get("none")


async def test_every_call_has_its_async_form() -> None:
    artifacts = Artifacts()
    assert (await artifacts.aput("a", "x")).version == 1
    assert (await artifacts.aget("a")).value == "x"
    assert len(await artifacts.alist()) == 1
    assert await artifacts.adelete("a")

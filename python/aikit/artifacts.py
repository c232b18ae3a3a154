"""Artifacts: stored outputs with a name, a media type and metadata."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

from . import _aikit
from .records import Record, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class ArtifactInfo(Record):
    """What is known about an artifact.

    Attributes:
        name: Its name.
        hash: BLAKE3 of the content, in hexadecimal digits; equal contents have equal ones.
        version: How often something was put under this name.
        size_bytes: Size of the content.
        mime: Media type.
        tags: Words to find it by.
        metadata: What the caller knows about it.
        created_s: When it was put, in seconds since 1970 UTC.
    """

    name: str
    hash: str
    version: int
    size_bytes: int
    mime: str
    tags: list[str]
    metadata: dict[str, Any]
    created_s: float


class Artifact(ArtifactInfo):
    """An artifact with its content; a notebook shows it by its media type.

    Attributes:
        value: The content: a str, data of JSON, or bytes, as its media type says.
    """

    value: Any

    def __init__(self, fields: Mapping[str, Any], bundle: Mapping[str, Any]) -> None:
        super().__init__(fields)
        object.__setattr__(self, "_bundle", bundle)

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        bundle: Mapping[str, Any] = self.__dict__["_bundle"]
        return {
            mime: base64.b64encode(it).decode() if isinstance(it, bytes) else it
            for mime, it in bundle.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain data."""
        return {name: it for name, it in super().to_dict().items() if name != "_bundle"}


class ArtifactList(list[ArtifactInfo]):
    """Artifacts, by their names; a table in notebooks."""

    def _repr_html_(self) -> str:
        return table(self, ["name", "mime", "size_bytes", "version", "tags"])


class Artifacts:
    """The artifacts of one scope, kept in the store of the project.

    Args:
        scope: Whose they are, as for ``State``.
        url: Where they are kept, as for ``State``.
    """

    def __init__(self, scope: str = "global", *, url: str | None = None) -> None:
        self._native = _aikit.Artifacts(scope, url)
        self._url = url
        self.scope = scope

    def put(  # noqa: PLR0913  # keyword arguments, as everywhere
        self,
        name: str,
        value: Any = None,  # noqa: ANN401  # any content
        *,
        file: str | os.PathLike[str] | None = None,
        mime: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> ArtifactInfo:
        """Stores a content under a name, in place of what was there.

        Args:
            name: Its name, up to 500 bytes.
            value: A str, bytes, or data that JSON can hold, up to 64 MiB.
            file: Path of a file whose content is stored, in place of a value.
            mime: Media type; it follows from the content and the name when it is None.
            tags: Words to find it by.
            metadata: What is known about it.

        Raises:
            LimitExceededError: If the content is too large.
        """
        options = _plain(file, mime, tags, metadata)
        return ArtifactInfo(self._native.put(name, value, options))

    async def aput(  # noqa: PLR0913  # as `put`
        self,
        name: str,
        value: Any = None,  # noqa: ANN401  # any content
        *,
        file: str | os.PathLike[str] | None = None,
        mime: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> ArtifactInfo:
        """Is ``put`` for async code."""
        options = _plain(file, mime, tags, metadata)
        return ArtifactInfo(await self._native.aput(name, value, options))

    def get(self, name: str) -> Artifact:
        """Returns an artifact with its content.

        Raises:
            NotFoundError: If there is none of that name.
        """
        found = self._native.get(name)
        return Artifact(found["artifact"], found["bundle"])

    async def aget(self, name: str) -> Artifact:
        """Is ``get`` for async code."""
        found = await self._native.aget(name)
        return Artifact(found["artifact"], found["bundle"])

    def list(self, *, tag: str | None = None, prefix: str = "") -> ArtifactList:
        """Returns the artifacts with a tag, whose names begin with a prefix."""
        return ArtifactList(map(ArtifactInfo, self._native.list(tag, prefix)))

    async def alist(self, *, tag: str | None = None, prefix: str = "") -> ArtifactList:
        """Is ``list`` for async code."""
        return ArtifactList(map(ArtifactInfo, await self._native.alist(tag, prefix)))

    def delete(self, name: str) -> bool:
        """Deletes an artifact and returns whether there was one."""
        return self._native.delete(name)

    async def adelete(self, name: str) -> bool:
        """Is ``delete`` for async code."""
        deleted: bool = await self._native.adelete(name)
        return deleted

    def __reduce__(self) -> tuple[Any, ...]:
        if self._url == "memory:":
            raise TypeError("Artifacts in memory cannot be pickled: give them a file")
        return (_open, (self.scope, self._url))

    def __repr__(self) -> str:
        return f"Artifacts({self.scope!r})"


def _open(scope: str, url: str | None) -> Artifacts:
    return Artifacts(scope, url=url)


def _plain(
    file: str | os.PathLike[str] | None,
    mime: str | None,
    tags: Sequence[str],
    metadata: Mapping[str, Any] | None,
) -> dict[str, Any]:
    return {
        "file": None if file is None else os.fspath(file),
        "mime": mime,
        "tags": list(tags),
        "metadata": dict(metadata or {}),
    }

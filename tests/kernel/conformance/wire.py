"""A message as frames, written from the specification: signed, framed, and read again strictly.

Nothing here is taken from `jupyter_client`: two programs that share their framing share its faults.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Dict = dict[str, Any]

DELIMITER = b"<IDS|MSG>"
PARTS = ("header", "parent_header", "metadata", "content")


class ViolationError(AssertionError):
    """Something that the protocol does not allow."""


@dataclass(frozen=True)
class Message:
    """A message that was read."""

    # What stands before the delimiter: the way back, or the topic of a broadcast.
    identities: tuple[bytes, ...]
    header: Dict
    parent_header: Dict
    metadata: Dict
    content: Dict
    buffers: tuple[bytes, ...] = ()
    signature: bytes = b""
    # The channel on which it came.
    channel: str = field(default="", compare=False)

    @property
    def kind(self) -> str:
        return str(self.header.get("msg_type"))

    @property
    def parent_id(self) -> str | None:
        found: str | None = self.parent_header.get("msg_id")
        return found

    @property
    def state(self) -> str | None:
        """What a status message tells."""
        found: str | None = self.content.get("execution_state") if self.kind == "status" else None
        return found

    def __str__(self) -> str:
        told = json.dumps(self.content, ensure_ascii=False)
        return f"{self.channel} {self.kind} of {self.parent_id}: {told[:300]}"


def sign(key: str, parts: Sequence[bytes]) -> bytes:
    """The signature of four serialized dictionaries; empty without a key."""
    if not key:
        return b""
    digest = hmac.new(key.encode(), digestmod=hashlib.sha256)
    for part in parts:
        digest.update(part)
    return digest.hexdigest().encode()


def frames(
    key: str,
    parts: Sequence[Mapping[str, Any] | bytes],
    *,
    identities: Sequence[bytes] = (),
    buffers: Sequence[bytes] = (),
) -> list[bytes]:
    """A signed message; a part that is given as bytes is sent as it is."""
    raw = [it if isinstance(it, bytes) else json.dumps(it).encode() for it in parts]
    return [*identities, DELIMITER, sign(key, raw), *raw, *buffers]


def read(received: Sequence[bytes], key: str, channel: str = "") -> Message:
    """Reads a message, or says what is wrong with it."""
    if DELIMITER not in received:
        raise ViolationError(f"no delimiter in {list(received)}")
    at = list(received).index(DELIMITER)
    rest = received[at + 1 :]
    if len(rest) < 1 + len(PARTS):
        raise ViolationError(f"only {len(rest)} frames behind the delimiter")
    signature, raw = rest[0], rest[1 : 1 + len(PARTS)]
    if not hmac.compare_digest(signature, sign(key, raw)):
        raise ViolationError(f"the signature {signature!r} is wrong for {list(raw)}")
    return Message(
        tuple(received[:at]),
        **{name: _read_part(name, part) for name, part in zip(PARTS, raw, strict=True)},
        buffers=tuple(rest[1 + len(PARTS) :]),
        signature=signature,
        channel=channel,
    )


def _read_part(name: str, raw: bytes) -> Dict:
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ViolationError(f"the {name} is no JSON in UTF-8: {raw[:200]!r}") from error
    if not isinstance(value, dict):
        raise ViolationError(f"the {name} is no dictionary: {raw[:200]!r}")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ViolationError(f"`{constant}` is no JSON")

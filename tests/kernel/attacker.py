"""A program that sends junk to every port of a kernel, and counts it.

Its argument is one JSON object: `fields` of a connection file (its key is not used), `seed` and
`count`. Standard output is one JSON object: how many `inputs` and `connections` there were.

An input is one byte string sent whole to a port: a row of random bytes, a conversation with bytes
changed or cut, or, behind a good handshake, one message, command or frame head. A connection is
left when the kernel has closed it, which it does when it has read all of it or thinks it broken;
so nothing counts that the kernel could not have read.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
# Who may connect to which port.
PEERS = {
    "shell": b"DEALER",
    "control": b"DEALER",
    "stdin": b"DEALER",
    "iopub": b"SUB",
    "hb": b"REQ",
}
# How many connections wait to be closed by the kernel.
OPEN_MAX = 24
# Messages behind one handshake.
ROW_MAX = 12
# One connection in so many sends much of a frame that never ends.
BULK_EVERY = 5_001
BULK_BYTES = 4 << 20
# A kernel that leaves a connection open that long is stuck.
TIMEOUT_S = 60.0


def frame(body: bytes, flags: int = 0) -> bytes:
    """A frame with a true length."""
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | 2]) + struct.pack(">Q", len(body)) + body


def message(parts: list[bytes]) -> bytes:
    """A message of these frames."""
    return b"".join(frame(it, it is not parts[-1]) for it in parts)


def handshake(kind: bytes) -> bytes:
    """What a good peer begins with."""
    ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    return GREETING + frame(ready, 4)


def forged(dice: random.Random) -> list[bytes]:
    """A message that would do harm if its signature were looked over."""
    header = {
        "msg_id": f"{dice.getrandbits(64):x}",
        "session": "attacker",
        "username": "",
        "date": "2026-11-27T00:00:00Z",
        "msg_type": dice.choice(["execute_request", "shutdown_request", "comm_open"]),
        "version": "5.5",
    }
    content = {"code": "harm = true", "restart": False, "comm_id": "x", "target_name": "x"}
    signature = f"{dice.getrandbits(256):064x}"
    parts = [signature, json.dumps(header), "{}", "{}", json.dumps(content)]
    return [b"<IDS|MSG>", *(it.encode() for it in parts)]


def rude_message(dice: random.Random) -> bytes:
    """One message or command that keeps to the framing and to nothing else."""
    match dice.randrange(6):
        case 0:
            return message(forged(dice))
        case 1:
            return message(forged(dice)[: dice.randint(1, 5)])
        case 2:
            return message([dice.randbytes(dice.randrange(40)) for _ in range(dice.randint(1, 9))])
        case 3:
            return frame(b"\x04PING" + dice.randbytes(dice.randrange(20)), 4)
        case 4:
            return frame(bytes([dice.randrange(1, 20)]) + dice.randbytes(20), 4)
        case _:
            return frame(bytes([dice.randrange(2)]) + dice.randbytes(dice.randrange(20)))


def broken_head(dice: random.Random) -> bytes:
    """The head of a frame that announces far too much, or makes no sense."""
    length = dice.choice([1 << 27, 1 << 31, 1 << 45, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
    flags = dice.choice([2, 3, 6, 7, dice.randrange(256)])
    return bytes([flags]) + struct.pack(">Q", length) + dice.randbytes(dice.randrange(40))


def inputs(dice: random.Random, channel: str, *, is_bulk: bool) -> list[bytes]:
    """What one connection sends; each is one input."""
    good = handshake(PEERS[channel])
    if is_bulk:
        return [good + bytes([2]) + struct.pack(">Q", 60_000_000) + bytes(BULK_BYTES)]
    match dice.randrange(4):
        case 0:
            return [dice.randbytes(dice.randint(1, 300))]
        case 1:
            whole = bytearray(good + rude_message(dice) + broken_head(dice))
            for _ in range(dice.randint(1, 4)):
                whole[dice.randrange(len(whole))] = dice.randrange(256)
            return [bytes(whole[: dice.randint(1, len(whole))])]
        case 2:
            return [good + broken_head(dice)]
        case _:
            row = [rude_message(dice) for _ in range(dice.randint(1, ROW_MAX))]
            # The handshake is not counted by itself.
            row[0] = good + row[0]
            return [*row, broken_head(dice)]


def connect(fields: dict[str, Any], channel: str) -> socket.socket:
    """A connection to a port."""
    if fields["transport"] == "tcp":
        connection = socket.create_connection((fields["ip"], fields[f"{channel}_port"]), TIMEOUT_S)
    else:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(TIMEOUT_S)
        connection.connect(f"{fields['ip']}-{fields[f'{channel}_port']}")
    return connection


def send(connection: socket.socket, sent: list[bytes]) -> int:
    """Sends inputs and says that nothing follows; returns how many went out."""
    try:
        connection.sendall(b"".join(sent))
        connection.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        return 0  # closed in the middle: nobody knows what was read
    except OSError:
        pass  # closed behind the last byte
    return len(sent)


def await_end(connection: socket.socket) -> None:
    """Reads answers until the kernel closes the connection."""
    with connection:
        try:
            while connection.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass


def attack(fields: dict[str, Any], dice: random.Random, count: int) -> Iterator[tuple[int, int]]:
    """Sends at least `count` inputs; yields how many inputs and connections there were so far."""
    done = connections = 0
    waiting: deque[socket.socket] = deque()
    while done < count:
        channel = CHANNELS[connections % len(CHANNELS)]
        sent = inputs(dice, channel, is_bulk=connections % BULK_EVERY == 0)
        connection = connect(fields, channel)
        connections += 1
        done += send(connection, sent)
        waiting.append(connection)
        if len(waiting) > OPEN_MAX:
            await_end(waiting.popleft())
        yield done, connections
    for connection in waiting:
        await_end(connection)


def main() -> None:
    """Attacks as the argument says."""
    asked = json.loads(sys.argv[1])
    dice = random.Random(asked["seed"])  # noqa: S311  # no secret
    done = connections = 0
    for done, connections in attack(asked["fields"], dice, asked["count"]):  # noqa: B007
        pass
    print(json.dumps({"inputs": done, "connections": connections}))  # noqa: T201


if __name__ == "__main__":
    main()

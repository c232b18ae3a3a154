"""Many kernels one after the other, and much junk into one: nothing hangs, leaks or dies."""

from __future__ import annotations

import os
import random
import socket
from typing import TYPE_CHECKING

import psutil
import pytest

from kernel.conversation import Conversation
from kernel.test_robustness import GREETING, SOCKETS, frames, is_unharmed, session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow
IS_SOAK = bool(os.environ.get("AIKIT_SOAK"))
LIVES, LIVES_IN_CI = 200, 10
ATTACKS, ATTACKS_IN_CI = 20_000, 500
SEED = 20261126
# Far above any end: a kernel that needs longer hangs.
END_S = 10.0
# What an attacked kernel may keep beside what it had; one message of a client may be 64 MiB.
GROWTH_MIB_MAX = 32.0


def test_every_life_of_a_kernel_ends_well(report_cycles: Callable[[int, int], None]) -> None:
    count = LIVES if IS_SOAK else LIVES_IN_CI
    passed = 0
    try:
        for index in range(count):
            conversation = Conversation("tcp" if index % 2 == 0 else "ipc")
            try:
                live(conversation)
                conversation.client.shutdown()
                assert conversation.ends_within(END_S), f"life {index} does not end"
            finally:
                conversation.close()
            passed += 1
    finally:
        report_cycles(passed, count)


def live(conversation: Conversation) -> None:
    """A cell, an interrupt of a tight loop, an error, a cell that still knows the first one."""
    conversation.execute("kept = 6")
    msg_id = conversation.start("while true do end")
    conversation.control("interrupt_request")
    assert conversation.hear(msg_id).content["ename"] == "KeyboardInterrupt"
    assert conversation.execute("error('x')").content["ename"] == "script"
    heard = conversation.execute("kept * 7")
    assert heard.first("execute_result")["data"]["text/plain"] == "42"


def attacks(dice: random.Random) -> Iterator[bytes]:
    """Without end: forged conversations with bytes changed and cut, and nothing but noise."""
    sender = session("another key")
    kinds = [b"DEALER", b"SUB", b"REQ"]
    while True:
        kind = dice.choice(kinds)
        ready = b"\x05READY\x0bSocket-Type\0\0\0" + bytes([len(kind)]) + kind
        parts = frames(sender, "harm = true")
        message = b"".join(
            bytes([part is not parts[-1], min(len(part), 255)]) + part[:255] for part in parts
        )
        whole = bytearray(GREETING + bytes([4, len(ready)]) + ready + message)
        for _ in range(dice.randint(1, 4)):
            whole[dice.randrange(len(whole))] = dice.randrange(256)
        yield bytes(whole[: dice.randint(1, len(whole))])
        yield dice.randbytes(dice.randint(1, 300))


def test_no_junk_ends_a_kernel_or_makes_it_grow(
    mortal: Conversation, report_cycles: Callable[[int, int], None]
) -> None:
    count = ATTACKS if IS_SOAK else ATTACKS_IN_CI
    fields = mortal.connection()
    dice = random.Random(SEED)  # noqa: S311  # no secret
    before = psutil.Process(mortal.pid).memory_info().rss
    passed = 0
    try:
        for attack in attacks(dice):
            name = dice.choice(SOCKETS)
            if fields["transport"] == "tcp":
                connection = socket.create_connection((fields["ip"], fields[name]))
            else:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(f"{fields['ip']}-{fields[name]}")
            with connection:
                connection.sendall(attack)
            passed += 1
            if passed % 500 == 0:
                assert is_unharmed(mortal)
            if passed == count:
                break
    finally:
        report_cycles(passed, count)
    assert mortal.execute("harm").outline == ["busy", "execute_input", "idle"]
    grown = (psutil.Process(mortal.pid).memory_info().rss - before) / 2**20
    assert grown <= GROWTH_MIB_MAX

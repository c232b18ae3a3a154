"""Clients that do not read, many at once, and far more than anybody sends: nobody else suffers."""

from __future__ import annotations

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import zmq

from kernel.attacker import GREETING
from kernel.raw_client import RawClient, StartedKernel
from kernel.resources import MemoryWatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel.raw_client import Message

IS_SOAK = bool(os.environ.get("TEST_SOAK"))
READY_SUB = b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"
SUBSCRIBE_ALL = b"\x00\x01\x01"

# Of the stuck subscriber's life, and what the other one gets meanwhile.
STUCK_S = 60.0 if IS_SOAK else 2.0
SHOWN = 200_000 if IS_SOAK else 20_000
# Beside each number, so that what is shown is many times what may wait for one who is stuck.
PADDING_BYTES = 500 if IS_SOAK else 10_000
# 64 MiB may wait for subscribers that are stuck before they are disconnected (they share what
# waits), 8 MiB for one that reads; the rest is the allocator's and the cell's own.
STUCK_GROWTH_MIB_MAX = 128.0

CLIENTS = 8
CELLS_EACH = 500 if IS_SOAK else 50
QUEUED = 1_000
LARGE_BYTES = 50_000_000
# Of cells that large, the last one is kept to show its lines in tracebacks.
LARGE_KEPT_MIB_MAX = 64.0
# Of many large cells, 64 MiB are kept as history and 16 MiB to show their lines, or the last one.
# So large that the allocator gives back each by itself.
SOURCES = 6
SOURCE_BYTES = 40_000_000
SOURCES_KEPT_MIB_MAX = 112.0


@pytest.fixture(params=["tcp", "ipc"])
def started(request: pytest.FixtureRequest) -> Iterator[StartedKernel]:
    """A kernel of its own, over each transport."""
    with StartedKernel(transport=request.param) as kernel:
        yield kernel


@pytest.fixture
def client(started: StartedKernel) -> Iterator[RawClient]:
    """A client of it that has been answered."""
    with started.client() as client:
        client.ready()
        yield client


def connect(client: RawClient, channel: str) -> socket.socket:
    """A bare connection to a port of the kernel."""
    if client.fields["transport"] == "tcp":
        return socket.create_connection((client.fields["ip"], client.fields[f"{channel}_port"]))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(client.address(channel).removeprefix("ipc://"))
    return connection


def shows(code: str, client: RawClient) -> Iterator[str]:
    """The texts that a cell displays, one after the other as they come."""
    msg_id = client.execute(code)
    while True:
        message = client.receive("iopub")
        if message.parent_id != msg_id:
            continue
        if message.state == "idle":
            break
        if message.kind == "display_data":
            yield message.content["data"]["text/plain"]
    assert client.reply(msg_id).content["status"] == "ok"


@pytest.mark.slow
def test_a_subscriber_that_never_reads_costs_nobody_a_message_and_bounded_memory(
    started: StartedKernel, client: RawClient
) -> None:
    padding = "x" * PADDING_BYTES
    code = (
        f"local padding = ('x'):rep({PADDING_BYTES})\n"
        f"for number = 1, {SHOWN} do display({{['text/plain'] = number .. padding}}) end"
    )
    with (
        zmq.Context() as context,
        context.socket(zmq.SUB) as of_libzmq,
        MemoryWatch(started.pid) as memory,
    ):
        stuck = connect(client, "iopub")
        stuck.sendall(GREETING + READY_SUB + SUBSCRIBE_ALL)
        # One that would connect anew if it saw that it was disconnected.
        of_libzmq.linger = 0
        of_libzmq.rcvhwm = 1
        of_libzmq.subscribe(b"")
        of_libzmq.connect(client.address("iopub"))
        began = time.monotonic()
        rounds = 0
        while rounds == 0 or time.monotonic() < began + STUCK_S:
            expected = 0
            for text in shows(code, client):
                expected += 1
                assert text == f"{expected}{padding}"
            assert expected == SHOWN
            rounds += 1
        stuck.close()
    assert rounds * SHOWN * PADDING_BYTES > 1.3 * 2**26, "too little to fill what may wait"
    assert memory.grown_mib <= STUCK_GROWTH_MIB_MAX


def test_eight_clients_get_their_own_replies_and_all_broadcasts_in_one_order(
    started: StartedKernel, client: RawClient
) -> None:
    client.run("cells = 0")
    clients = [started.client() for _ in range(CLIENTS)]
    begin = threading.Barrier(CLIENTS)

    def work(number: int) -> tuple[list[str], list[tuple[str, str, str]]]:
        mine = clients[number]
        mine.ready()
        begin.wait()
        sent = [
            mine.execute(f"cells = cells + 1 print('client {number} cell {cell}')")
            for cell in range(CELLS_EACH)
        ]
        for msg_id in sent:
            reply = mine.receive("shell")
            assert (reply.parent_id, reply.content["status"]) == (msg_id, "ok")
        heard = []
        idle = 0
        while idle < CLIENTS * CELLS_EACH:
            message = mine.receive("iopub")
            if message.parent["msg_type"] == "execute_request":
                heard.append(
                    (
                        message.parent_id,
                        message.kind,
                        message.state + message.content.get("text", ""),
                    )
                )
                idle += message.state == "idle"
        return sent, heard

    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            results = list(pool.map(work, range(CLIENTS)))
    finally:
        for it in clients:
            it.close()
    heard = results[0][1]
    for _, others in results[1:]:
        assert others == heard
    for number, (sent, _) in enumerate(results):
        mine = [it for it in heard if it[0] in set(sent)]
        assert mine == [
            line
            for cell, msg_id in enumerate(sent)
            for line in (
                (msg_id, "status", "busy"),
                (msg_id, "execute_input", ""),
                (msg_id, "stream", f"client {number} cell {cell}\n"),
                (msg_id, "status", "idle"),
            )
        ]
    reply, heard_last = client.run("cells")
    assert reply.content["status"] == "ok"
    shown = next(it for it in heard_last if it.kind == "execute_result")
    assert shown.content["data"]["text/plain"] == str(CLIENTS * CELLS_EACH)


def test_a_thousand_cells_sent_at_once_are_answered_in_their_order(
    started: StartedKernel, client: RawClient
) -> None:
    assert started.pid
    sent = [client.execute(f"print({number}) {number}") for number in range(1, QUEUED + 1)]
    for number, msg_id in enumerate(sent, 1):
        reply = client.receive("shell")
        assert reply.parent_id == msg_id
        assert (reply.content["status"], reply.content["execution_count"]) == ("ok", number)
    for number, msg_id in enumerate(sent, 1):
        heard: list[Message] = [client.receive("iopub") for _ in range(5)]
        assert {it.parent_id for it in heard} == {msg_id}
        busy, asked, printed, result, idle = heard
        assert (busy.state, idle.state) == ("busy", "idle")
        assert asked.content["execution_count"] == number
        assert printed.content["text"] == f"{number}\n"
        assert result.content["data"]["text/plain"] == str(number)


@pytest.mark.slow
@pytest.mark.parametrize("started", ["tcp"], indirect=True)
def test_fifty_megabytes_come_in_and_go_out_whole(
    started: StartedKernel, client: RawClient
) -> None:
    memory = MemoryWatch(started.pid)
    text = "abcdefghij" * (LARGE_BYTES // 10)
    # As a cell and as what a client sends beside a message; as a stream and as one display.
    reply, _ = client.run(f"text = '{text}'", store_history=False)
    assert reply.content["status"] == "ok"
    _, heard = client.run("#text")
    assert heard[2].content["data"]["text/plain"] == str(LARGE_BYTES)
    client.send(
        "comm_msg", {"comm_id": "of nobody", "data": {}}, buffers=[text.encode(), b"\0" * 1000]
    )
    assert client.run("1")[0].content["status"] == "ok"
    _, heard = client.run("print(text)")
    assert "".join(it.content["text"] for it in heard if it.kind == "stream") == text + "\n"
    _, heard = client.run("display({['text/plain'] = text})")
    assert [it.content["data"]["text/plain"] for it in heard if it.kind == "display_data"] == [text]
    client.run("text = nil collectgarbage()")
    assert (memory.now() - memory.before) / 2**20 <= LARGE_KEPT_MIB_MAX


@pytest.mark.slow
@pytest.mark.parametrize("started", ["tcp"], indirect=True)
def test_what_is_kept_of_large_cells_is_bounded(started: StartedKernel, client: RawClient) -> None:
    memory = MemoryWatch(started.pid)
    for number in range(SOURCES):
        reply, _ = client.run(f"-- {'x' * SOURCE_BYTES}\nprint({number})")
        assert reply.content["status"] == "ok"
    kept_mib = (memory.now() - memory.before) / 2**20
    assert kept_mib <= SOURCES_KEPT_MIB_MAX

"""The end of a kernel, and its restart."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from kernel.conversation import TIMEOUT_S, Conversation

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("restart", [False, True])
def test_a_shutdown_is_answered_and_broadcast(mortal: Conversation, restart: bool) -> None:  # noqa: FBT001
    reply = mortal.control("shutdown_request", {"restart": restart})
    assert reply["content"] == {"status": "ok", "restart": restart}
    heard = mortal.broadcasts(reply["parent_header"]["msg_id"])
    assert [it["msg_type"] for it in heard] == ["status", "shutdown_reply", "status"]
    assert mortal.ends_within(5)


def test_a_shutdown_ends_a_cell_that_runs(mortal: Conversation) -> None:
    mortal.start("while true do end")
    mortal.control("shutdown_request", {"restart": False})
    assert mortal.ends_within(5)


def test_a_shutdown_gives_functions_what_was_published_last(tmp_path: Path) -> None:
    code = """
    Event.subscribe("last.*", function(event) sleep(0.005) State.set("n" .. event.data, 1) end)
    for number = 1, 20 do Event.publish("last.it", number) end
    """
    kept = "local keys = State.keys() return #keys"
    conversation = Conversation(folder=tmp_path)
    try:
        conversation.execute(code)
        conversation.control("shutdown_request", {"restart": False})
        assert conversation.ends_within(5)
    finally:
        conversation.close()
    conversation = Conversation(folder=tmp_path)
    try:
        heard = conversation.execute(kept)
        assert heard.first("execute_result")["data"]["text/plain"] == "20"
    finally:
        conversation.close()


def test_a_shutdown_ends_in_time_whatever_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as collector:
        # It takes connections and never answers.
        host, port = collector.getsockname()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{host}:{port}")
        conversation = Conversation(folder=tmp_path)
        try:
            # Longer than the kernel may take to end, by far: nobody waits for it.
            stuck = "Event.subscribe('stuck', function() sleep(3600) end) Event.publish('stuck')"
            assert conversation.execute(stuck).content["status"] == "ok"
            database = tmp_path / ".aikit" / "aikit.db"
            with contextlib.closing(sqlite3.connect(database, timeout=TIMEOUT_S)) as store:
                store.execute("BEGIN EXCLUSIVE")
                conversation.start("while true do pcall(function() while true do end end) end")
                conversation.control("shutdown_request", {"restart": False})
                assert conversation.ends_within(5)
        finally:
            conversation.close()


def test_a_restart_begins_anew_on_the_same_sockets(mortal: Conversation) -> None:
    mortal.execute("a = 1")
    mortal.manager.restart_kernel()
    mortal.client.wait_for_ready(timeout=TIMEOUT_S)
    heard = mortal.execute("a == nil")
    assert heard.content["execution_count"] == 1
    assert heard.first("execute_result")["data"]["text/plain"] == "true"


def test_a_kernel_ends_with_its_parent(tmp_path: Path) -> None:
    path = tmp_path / "kernel.json"
    fields = {
        "transport": "ipc",
        "ip": str(tmp_path / "k"),
        "key": "key",
        "signature_scheme": "hmac-sha256",
        "shell_port": 1,
        "iopub_port": 2,
        "stdin_port": 3,
        "control_port": 4,
        "hb_port": 5,
    }
    path.write_text(json.dumps(fields))
    command = [sys.executable, "-m", "aikit", "kernel", "-f", str(path)]
    # The parent tells its number as jupyter_client does, waits for the socket, and dies.
    parent = (
        "import os, pathlib, subprocess, sys, time\n"
        "os.environ['JPY_PARENT_PID'] = str(os.getpid())\n"
        f"kernel = subprocess.Popen({command!r})\n"
        f"while not pathlib.Path({str(tmp_path / 'k-5')!r}).exists():\n"
        "    assert kernel.poll() is None\n"
        "    time.sleep(0.01)\n"
        "print(kernel.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    run = [sys.executable, "-c", parent]
    told = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True, timeout=TIMEOUT_S)  # noqa: S603
    with contextlib.suppress(psutil.NoSuchProcess):  # it was faster than we
        psutil.Process(int(told.stdout)).wait(timeout=10)
    assert not (tmp_path / "k-5").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", "JSON"),
        ('{"ip": "127.0.0.1", "key": "k"}', "`shell_port`"),
        ('{"ip": "127.0.0.1", "key": ""}', "`key`"),
        ('{"ip": "127.0.0.1", "key": "k", "transport": "udp"}', "`transport`"),
    ],
)
def test_a_wrong_connection_file_is_a_clear_error(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "kernel.json"
    path.write_text(text)
    run = [sys.executable, "-m", "aikit", "kernel", "-f", str(path)]
    ended = subprocess.run(run, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)  # noqa: S603
    assert ended.returncode != 0
    assert reason in ended.stderr
    assert "kernel.json" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_kernel_with_a_wrong_configuration_says_so_in_each_cell(tmp_path: Path) -> None:
    (tmp_path / "aikit.toml").write_text('[models]\ndefalt = "x"\n')
    conversation = Conversation(folder=tmp_path)
    try:
        for _ in range(2):
            heard = conversation.execute("print(1)")
            assert heard.content["status"] == "error"
            shown = "\n".join(heard.content["traceback"])
            assert "defalt" in shown
            assert "did you mean `default`?" in shown
            assert "restart the kernel" in shown
        # Corrected, it runs after a restart.
        (tmp_path / "aikit.toml").write_text("")
        conversation.manager.restart_kernel()
        conversation.client.wait_for_ready(timeout=TIMEOUT_S)
        assert conversation.execute("print(1)").content["status"] == "ok"
    finally:
        conversation.close()

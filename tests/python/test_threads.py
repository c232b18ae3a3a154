"""Threads that use aikit at the same time."""

from __future__ import annotations

import subprocess
import sys

FIRST_USE = """
import sys, threading
sys.setswitchinterval(1e-6)
import aikit
together = threading.Barrier(8)
answers = []
def use() -> None:
    together.wait()
    answers.append(aikit.tools.count_words(text="a b").words)
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(answers)
"""


def test_the_first_use_may_come_from_many_threads_at_once() -> None:
    for _ in range(3):
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-c", FIRST_USE],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.strip() == str([2] * 8)

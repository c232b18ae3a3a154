"""Runs the command `aikit` in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

AIKIT = [sys.executable, "-m", "aikit"]


def run(*arguments: str, folder: Path, text: str = "") -> tuple[int, str, str]:
    done = subprocess.run(  # noqa: S603
        [*AIKIT, *arguments],
        cwd=folder,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr

"""Asks whoever runs the program: in its terminal, or in the notebook it runs in."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from .errors import InvalidArgsError, UnavailableError

# How often a question is asked again after an answer that is none of the choices.
_ATTEMPTS_MAX = 5


def ask(question: dict[str, Any]) -> str:
    """Returns the answer to a question of aikit.

    Raises:
        UnavailableError: If nobody can be asked: standard input is no terminal.
        InvalidArgsError: If the answer is none of the choices again and again.
    """
    if not _is_interactive():
        raise UnavailableError(
            "nobody can be asked: standard input is not a terminal",
            hint="run the program in a terminal or a notebook",
        )
    choices: list[str] = question["choices"]
    prompt: str = question["prompt"].rstrip() + " "
    if choices:
        prompt += f"[{'/'.join(choices)}] "
    read = getpass.getpass if question["secret"] else input
    for _ in range(_ATTEMPTS_MAX):
        answer = read(prompt)
        if not choices:
            return answer
        if meant := _meant(answer.strip().lower(), choices):
            return meant
    raise InvalidArgsError(
        "the answer is none of the choices", hint=f"answer with one of {', '.join(choices)}"
    )


def _meant(answer: str, choices: list[str]) -> str | None:
    """Returns the choice that is written, or the only one that begins so."""
    written = [it for it in choices if it.lower() == answer]
    begun = [it for it in choices if answer and it.lower().startswith(answer)]
    if written:
        return written[0]
    return begun[0] if len(begun) == 1 else None


def _is_interactive() -> bool:
    """Tells whether a person answers ``input()``."""
    if "ipykernel" in sys.modules and "IPython" in sys.modules:
        shell = sys.modules["IPython"].get_ipython()
        if getattr(shell, "kernel", None) is not None:
            return True
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()

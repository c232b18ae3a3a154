"""Says that a log handler has failed, so that records are lost."""

from __future__ import annotations

import logging
import sys
import time
import traceback

# Seconds between two messages: a handler that fails does so with every record.
_PAUSE_S = 60.0

_told_at: float | None = None
_untold = 0


def tell(error: BaseException, logger: str, text: str) -> None:
    """Writes to the error stream what a handler or a filter raised, at most once a minute.

    As `logging.Handler.handleError` does, which handlers call for what they fail at themselves, it
    says nothing where ``logging.raiseExceptions`` is off.

    Args:
        error: What was raised.
        logger: Name of the logger whose record was lost.
        text: What the record says.
    """
    global _told_at, _untold  # noqa: PLW0603  # of the process, as its error stream
    if not logging.raiseExceptions or sys.stderr is None:
        return
    now = time.monotonic()
    if _told_at is not None and now - _told_at < _PAUSE_S:
        _untold += 1
        return
    _told_at, untold, _untold = now, _untold, 0
    lines = ["--- Logging error ---\n", *traceback.format_exception(error)]
    if untold:
        lines.append(f"{untold} records of aikit were lost since the last message like this\n")
    lines.append(f"a handler failed at the record of `{logger}`: {text}\n")
    sys.stderr.write("".join(lines))

"""A progress bar: in a terminal or a notebook, nothing elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

CELLS = 30


class Bar:
    """Draws how far some work is while the `with` block runs.

    Args:
        label: What is being done.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._display: Any = None
        ipython = sys.modules.get("IPython")
        shell = None if ipython is None else ipython.get_ipython()
        self._is_notebook = shell is not None and hasattr(shell, "kernel")
        self._is_terminal = not self._is_notebook and sys.stderr.isatty()

    def update(self, done: int, total: int) -> None:
        """Draws the bar anew.

        Args:
            done: Parts that are done.
            total: Parts in all.
        """
        if self._is_notebook:
            self._show(f"<progress value='{done}' max='{total}'></progress> {done} of {total}")
        elif self._is_terminal:
            filled = CELLS * done // max(total, 1)
            bar = "█" * filled + "·" * (CELLS - filled)
            sys.stderr.write(f"\r{self._label} {bar} {done}/{total}")
            sys.stderr.flush()

    def _show(self, text: str) -> None:
        display = sys.modules["IPython"].display
        html = display.HTML(f"{self._label} {text}")
        if self._display is None:
            self._display = display.display(html, display_id=True)
        else:
            self._display.update(html)

    def __enter__(self) -> Bar:  # noqa: PYI034  # Python 3.10 has no `Self`
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_terminal:
            sys.stderr.write("\n")

"""Counters of an execution or a Context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _given as given

if TYPE_CHECKING:
    from . import _aikit

# What Python says of a wrong type. These functions are called often, so what is right is not looked
# at twice.
_WRONG = (TypeError, OverflowError, UnicodeEncodeError)


class Metrics:
    """What has counters: names with numbers, where dots in names make dicts in dicts."""

    __slots__ = ()

    _native: _aikit.Context | _aikit.ProcedureNode

    @property
    def metrics(self) -> dict[str, Any]:
        """Counters of the execution, its finished children included."""
        metrics: dict[str, Any] = self._native.metrics
        return metrics

    def add_metric(self, name: str, amount: float) -> None:
        """Adds ``amount`` to the metric ``name``.

        Raises:
            InvalidArgsError: If the name is empty, longer than 255 bytes or has control characters;
                if the amount is not finite, or negative for one of ``usage.*``.
        """
        try:
            self._native.add_metric(name, amount)
        except _WRONG:
            given.text("name", name)
            given.number("amount", amount)
            raise

    def set_metric(self, name: str, value: float) -> None:
        """Replaces the metric ``name``.

        Raises:
            InvalidArgsError: As of ``add_metric``.
        """
        try:
            self._native.set_metric(name, value)
        except _WRONG:
            given.text("name", name)
            given.number("value", value)
            raise

    def get_metric(self, name: str) -> float:
        """Returns the metric ``name``; 0 when nothing was added to it."""
        try:
            return self._native.get_metric(name)
        except _WRONG:
            given.text("name", name)
            raise

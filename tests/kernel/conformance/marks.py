"""How a test says that ipykernel fails it."""

from __future__ import annotations

import pytest

FAILS = "ipykernel_fails"


def ipykernel_fails(reason: str) -> pytest.MarkDecorator:
    """Marks a check that ipykernel fails; `reason` says what it does instead."""
    mark: pytest.MarkDecorator = getattr(pytest.mark, FAILS)(reason)
    return mark

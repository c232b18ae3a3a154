"""Kernels for the conversations: one a module and transport, and new ones to be ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=["tcp", "ipc"])
def kernel(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A kernel that outlives the test, over each transport."""
    conversation = Conversation(request.param)
    yield conversation
    conversation.close()


@pytest.fixture(params=["tcp", "ipc"])
def mortal(request: pytest.FixtureRequest) -> Iterator[Conversation]:
    """A kernel that the test may end, over each transport."""
    conversation = Conversation(request.param)
    yield conversation
    conversation.close()

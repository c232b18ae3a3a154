"""The pytest plugin: the fixture ``cassette``, and ``--aikit-record`` to record anew.

pytest finds it by itself where aikit is installed. Nothing of aikit is imported before a test asks
for the fixture.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from .testing import Cassette

# Folder of the cassettes, beside the file of the test.
FOLDER = "cassettes"

_FAILED: pytest.StashKey[bool] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option."""
    parser.getgroup("aikit").addoption(
        "--aikit-record",
        action="store_true",
        help="record the cassettes of aikit anew instead of replaying them",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes that a test failed, so that what it recorded is not kept."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """Replays the cassette of the test; records it when there is none yet.

    The file is ``cassettes/MODULE/TEST.cassette`` beside the test. A test that fails keeps
    nothing that it recorded.
    """
    from .testing import Cassette  # noqa: PLC0415  # only tests that use it pay for it

    name = re.sub(r"[^\w.\-\[\]]+", "_", request.node.name)
    path = Path(request.node.path)
    file = path.parent / FOLDER / path.stem / f"{name}.cassette"
    mode = "record" if request.config.getoption("--aikit-record") else "auto"
    playing = Cassette(file, mode)
    playing.__enter__()
    yield playing
    playing.eject(keep=not request.node.stash.get(_FAILED, False))

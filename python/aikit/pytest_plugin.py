"""The pytest plugin: the fixture ``cassette``, and ``--aikit-record`` to record anew.

pytest finds it by itself where aikit is installed. Nothing of aikit is imported before a test asks
for the fixture.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from .testing import Cassette

# Folder of the cassettes, beside the file of the test.
FOLDER = "cassettes"

# Longest readable part of a file name, in characters; file systems allow 255 bytes.
NAME_CHARACTERS_MAX = 80

_PASSED: pytest.StashKey[bool] = pytest.StashKey()
_USES: pytest.StashKey[bool] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option."""
    parser.getgroup("aikit").addoption(
        "--aikit-record",
        action="store_true",
        help="record the cassettes of aikit anew instead of replaying them",
    )


# Outermost: what other plugins make of the outcome, such as an expected failure, is seen.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes that a test passed: what another one recorded, or an interrupted one, is not kept."""
    report = yield
    if report.when != "teardown":
        item.stash[_PASSED] = report.when == "call" and report.passed
    error = call.excinfo.value if call.excinfo else None
    if item.stash.get(_USES, False) and getattr(error, "kind", "") == "cassette_miss":
        report.sections.append(("aikit", "`pytest --aikit-record` records the cassette again"))
    return report


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """Replays the cassette of the test; records it when there is none yet.

    The file is ``cassettes/MODULE/TEST-HASH.cassette`` beside the test, where ``TEST`` has the
    class and the parameters of the test as well, and the hash tells apart what reads the same. A
    test that does not pass keeps nothing that it recorded.
    """
    from .errors import AikitError  # noqa: PLC0415  # only tests that use it pay for it
    from .testing import Cassette  # noqa: PLC0415

    path = Path(request.node.path)
    file = path.parent / FOLDER / path.stem / file_name(request.node.nodeid)
    mode = "record" if request.config.getoption("--aikit-record") else "auto"
    playing = Cassette(file, mode)
    request.node.stash[_USES] = True
    playing.__enter__()
    yield playing
    if not playing.is_in:
        return
    try:
        playing.eject(keep=request.node.stash.get(_PASSED, False))
    except AikitError as error:
        if not playing.is_in:
            pytest.fail(str(error), pytrace=False)
        # The next test has a cassette of its own, so this one does not stay in.
        saved = Path(tempfile.mkdtemp(prefix="aikit-")) / file.name
        playing.eject(path=saved)
        pytest.fail(f"{error}\nthe recording was saved as `{saved}`: move it", pytrace=False)


def file_name(nodeid: str) -> str:
    """The name of the cassette of a test.

    Args:
        nodeid: Identity of the test. The path before its first ``::`` depends on the folder that
            pytest was started for, so it does not count.
    """
    test = nodeid.partition("::")[2] or nodeid
    readable = re.sub(r"[^A-Za-z0-9_.\-\[\]]+", "_", test.replace("::", "."))[:NAME_CHARACTERS_MAX]
    digest = hashlib.sha256(test.encode(errors="surrogateescape")).hexdigest()
    return f"{readable}-{digest[:8]}.cassette"

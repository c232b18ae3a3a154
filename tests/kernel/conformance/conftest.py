"""One kernel for all tests, for each kernel of the suite; what was found is counted at the end."""

from __future__ import annotations

import re
from collections import Counter
from importlib.metadata import version
from typing import TYPE_CHECKING

import pytest

from kernel.conformance.languages import LANGUAGES
from kernel.conformance.marks import FAILS
from kernel.conformance.subject import SUBJECTS, Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel.conformance.client import Client
    from kernel.conformance.languages import Language
    from kernel.conformance.subject import Connect, Start

# The version of which the marks tell what it fails.
IPYKERNEL = "7.4."
FOLDER = "kernel/conformance/test_"
OUTCOMES = {"passed": "pass", "xfailed": "fail as expected", "skipped": "left out"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where ipykernel is known to fail, it has to fail: a check that it passes is no failure.

    Another version of ipykernel than the one that the marks speak of is no matter of ours.
    """
    is_known = version("ipykernel").startswith(IPYKERNEL)
    for item in items:
        spec = getattr(item, "callspec", None)
        if spec is None or spec.params.get("named") != "python3":
            continue
        known = item.get_closest_marker(FAILS)
        if known or not is_known:
            reason = known.args[0] if known else "the marks are not of this version"
            strict = bool(known and known.kwargs["always"] and is_known)
            item.add_marker(pytest.mark.xfail(reason=reason, strict=strict, raises=AssertionError))


@pytest.fixture(scope="session", params=list(SUBJECTS))
def named(request: pytest.FixtureRequest) -> str:
    """What the tests call the kernel."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def subject(named: str) -> Iterator[Subject]:
    """A kernel that outlives the test."""
    started = Subject(*SUBJECTS[named])
    yield started
    started.stop()


@pytest.fixture
def start(named: str) -> Iterator[Start]:
    """Starts kernels that the test may end."""
    kernel, usual = SUBJECTS[named]
    started: list[Subject] = []

    def make(
        *,
        transport: str | None = None,
        key: str | None = None,
        beside: Subject | None = None,
    ) -> Subject:
        started.append(Subject(kernel, transport or usual, key=key, beside=beside))
        return started[-1]

    yield make
    for it in started:
        it.stop()


@pytest.fixture
def language(named: str) -> Language:
    """The cells of the kernel's language."""
    return LANGUAGES[SUBJECTS[named][0]]


@pytest.fixture
def connect(subject: Subject) -> Iterator[Connect]:
    """Makes clients of the kernel, which is asked afterwards whether it still answers."""
    yield subject.connect
    subject.disconnect()
    subject.recover()


@pytest.fixture
def client(connect: Connect) -> Client:
    """A client of the kernel."""
    return connect()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints how many checks each kernel passed."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in SUBJECTS}
    for outcome, reports in terminalreporter.stats.items():
        for report in reports:
            named = re.search(r"\[(aikit-tcp|aikit-ipc|python3)\b", getattr(report, "nodeid", ""))
            if named and FOLDER in report.nodeid and outcome:
                counts[named[1]][outcome] += 1
    for name, counted in counts.items():
        if counted:
            told = ", ".join(f"{n} {OUTCOMES.get(it, it)}" for it, n in counted.most_common())
            terminalreporter.write_line(f"conformance of {name}: {told}")

"""A JupyterLab of its own and a browser that looks at it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from lab.notebook import Lab, Page

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

# Far more than a start takes; whoever waits that long has failed.
START_S = 120.0

# Read at once: the tests hide all variables of that prefix.
SCREENSHOTS = os.environ.get("TEST_SCREENSHOTS")
IS_REQUIRED = os.environ.get("TEST_REQUIRE_CHROMIUM") == "1"

# No request leaves the machine: not to look for updates, nor to say that it was started.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _chromium() -> str:
    names = ["chromium", "chromium-browser", "google-chrome"]
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        message = "there is no Chromium here: install the package `chromium`"
        (pytest.fail if IS_REQUIRED else pytest.skip)(message)
    return found


# Not for the whole session: while it is open, this thread has a running event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    path = _chromium()
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, headless=True, args=CHROMIUM_FLAGS
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A server of JupyterLab on the loopback address, over a folder of its own."""
    folder = tmp_path_factory.mktemp("lab")
    home = tmp_path_factory.mktemp("lab-home")
    token = secrets.token_hex(16)
    # Where the server says on which port it listens.
    runtime = home / "runtime"
    environment = os.environ | {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    # Nothing asks whether to look for news while a test looks at the page.
    notification = home / "settings" / "@jupyterlab" / "apputils-extension"
    notification.mkdir(parents=True)
    (notification / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    options = [
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        "--port=0",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={folder}",
    ]
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "jupyterlab", *options],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Lab(_url(server, runtime, home / "server.log"), token, folder)
        finally:
            server.terminate()
            server.wait(START_S)


def _url(server: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    """Where the server listens, once it does."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            text = file.read_text()
            if text.rstrip().endswith("}"):  # whole
                return str(json.loads(text)["url"])
        time.sleep(0.05)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: `TEST_SCREENSHOTS`, or a temporary folder."""
    folder = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page(
    browser: Browser, lab: Lab, pictures: Path, request: pytest.FixtureRequest
) -> Iterator[Page]:
    """A window of JupyterLab; its picture at the end is kept."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    page = Page(context.new_page(), lab, pictures)
    yield page
    page.picture(f"{request.node.name}-end")
    page.close()
    context.close()

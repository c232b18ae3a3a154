"""A notebook in JupyterLab, used as a person does: by keys and by what is to be seen."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import nbformat
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator
    from playwright.sync_api import Page as BrowserPage

# Milliseconds; far more than any step takes.
TIMEOUT_MS = 60_000
expect.set_options(timeout=TIMEOUT_MS)
KERNEL = {"name": "aikit", "display_name": "Aikit", "language": "lua"}


@dataclass(frozen=True)
class Lab:
    """Where the server is, and the folder it shows."""

    url: str
    token: str
    folder: Path


class Page:
    """A window of JupyterLab with one notebook."""

    def __init__(self, browser_page: BrowserPage, lab: Lab, pictures: Path) -> None:
        self.browser_page = browser_page
        self.lab = lab
        self.pictures = pictures
        browser_page.set_default_timeout(TIMEOUT_MS)

    def close(self) -> None:
        """Ends the notebook's kernel with its window."""
        request = self.browser_page.request
        headers = {"Authorization": f"token {self.lab.token}"}
        for session in request.get(f"{self.lab.url}api/sessions", headers=headers).json():
            request.delete(f"{self.lab.url}api/sessions/{session['id']}", headers=headers)

    def picture(self, name: str) -> None:
        """Keeps what is to be seen."""
        safe = re.sub(r"[^\w-]+", "-", name)
        self.browser_page.screenshot(path=str(self.pictures / f"{safe}.png"))

    def open_cells(self, name: str, *codes: str) -> None:
        """Writes a notebook with these cells and opens it."""
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": KERNEL})
        notebook.cells = [nbformat.v4.new_code_cell(code) for code in codes]
        nbformat.write(notebook, self.lab.folder / name)
        self.open(name)

    def open(self, name: str) -> None:
        """Opens a notebook of the folder and waits for its kernel."""
        page = self.browser_page
        page.goto(f"{self.lab.url}lab/tree/{quote(name)}?token={self.lab.token}&reset")
        # The language comes with the kernel's answer, when everything is drawn.
        page.wait_for_selector('.jp-Notebook .cm-content[data-language="lua"]')
        self.wait_for_idle()

    def wait_for_idle(self) -> None:
        """Waits until the kernel has nothing to do."""
        self.browser_page.wait_for_selector('.jp-NotebookPanel [data-status="idle"]')

    def cell(self, position: int) -> Locator:
        """The cell at a position, from 0."""
        return self.browser_page.locator(".jp-Notebook .jp-CodeCell").nth(position)

    def output(self, position: int) -> Locator:
        """What a cell shows."""
        return self.cell(position).locator(".jp-OutputArea").first

    def run(self, position: int) -> None:
        """Runs a cell by Shift-Enter."""
        self.edit(position)
        self.browser_page.keyboard.press("Shift+Enter")

    def edit(self, position: int) -> None:
        """Puts the cursor at the end of a cell."""
        content = self.cell(position).locator(".cm-content")
        content.click()
        expect(content).to_be_focused()
        self.browser_page.keyboard.press("Control+End")

    def run_all(self) -> None:
        """Runs all cells from the menu, and waits for the last."""
        page = self.browser_page
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        count = page.locator(".jp-Notebook .jp-CodeCell").count()
        for position in range(count):
            self.wait_for_end(position)

    def wait_for_end(self, position: int) -> None:
        """Waits until a cell has run: its prompt shows a number."""
        prompt = self.cell(position).locator(".jp-InputPrompt")
        prompt.get_by_text(re.compile(r"\[\d+\]:")).wait_for()

    def save(self, name: str) -> dict[str, Any]:
        """Saves the notebook by Control-S and reads it back."""
        page = self.browser_page
        file = self.lab.folder / name
        with page.expect_response(lambda it: it.request.method == "PUT"):
            page.keyboard.press("Control+s")
        document: dict[str, Any] = json.loads(file.read_text())
        return document

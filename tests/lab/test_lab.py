"""Aikit in JupyterLab, as a person sees it: a real server and a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import run_quickstart
from playwright.sync_api import expect

if TYPE_CHECKING:
    from lab.notebook import Page

pytestmark = pytest.mark.slow


def test_a_cell_runs_and_shows_its_value(page: Page) -> None:
    page.open_cells("first.ipynb", "print('hello from Lua')\n6 * 7", "")
    page.run(0)
    expect(page.output(0)).to_contain_text("hello from Lua")
    expect(page.output(0)).to_contain_text("42")
    expect(page.cell(0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    # Lua is highlighted: its keywords and strings have colours of their own.
    assert page.cell(0).locator(".cm-line span").count() > 0


def test_tab_completes_names_and_options(page: Page) -> None:
    page.open_cells("complete.ipynb", "Tool.cal", "Tool.calculate{ex")
    for position, expected in [(0, "Tool.calculate"), (1, "Tool.calculate{expression")]:
        page.edit(position)
        page.browser_page.keyboard.press("Tab")
        expect(page.browser_page.locator(".jp-Completer")).to_be_visible()
        page.browser_page.keyboard.press("Enter")
        expect(page.cell(position).locator(".cm-content")).to_contain_text(expected)


def test_tab_offers_a_list(page: Page) -> None:
    page.open_cells("offer.ipynb", "display.")
    page.edit(0)
    page.browser_page.keyboard.press("Tab")
    completer = page.browser_page.locator(".jp-Completer")
    expect(completer).to_be_visible()
    expect(completer).to_contain_text("markdown")
    page.picture("completer")


def test_shift_tab_shows_what_a_function_is(page: Page) -> None:
    page.open_cells("inspect.ipynb", "Tool.calculate")
    page.edit(0)
    page.browser_page.keyboard.press("Shift+Tab")
    tooltip = page.browser_page.locator(".jp-Tooltip")
    expect(tooltip).to_contain_text("expression")
    page.picture("tooltip")


def test_stop_ends_a_tight_loop_and_keeps_the_state(page: Page) -> None:
    page.open_cells("stop.ipynb", "kept = 5\nwhile true do end", "kept")
    page.run(0)
    page.browser_page.wait_for_selector('.jp-NotebookPanel [data-status="busy"]')
    page.browser_page.locator('[data-command="notebook:interrupt-kernel"]').first.click()
    expect(page.output(0)).to_contain_text("KeyboardInterrupt")
    page.run(1)
    expect(page.output(1)).to_contain_text("5")


def test_restart_begins_anew(page: Page) -> None:
    page.open_cells("restart.ipynb", "kept = 5", "kept == nil")
    page.run(0)
    page.wait_for_end(0)
    page.browser_page.locator('[data-command="notebook:restart-kernel"]').first.click()
    page.browser_page.locator(".jp-Dialog .jp-mod-accept").click()
    page.wait_for_idle()
    page.run(1)
    expect(page.output(1)).to_contain_text("true")


def test_questions_are_asked_and_passwords_are_hidden(page: Page) -> None:
    code = "name = input('Your name: ')\nkey = getpass('Your key: ')\nprint(name, #key)"
    page.open_cells("input.ipynb", code)
    page.run(0)
    field = page.output(0).locator(".jp-Stdin-input")
    expect(field).to_be_visible()
    expect(page.output(0).locator(".jp-Stdin-prompt")).to_contain_text("Your name:")
    field.fill("Ada")
    field.press("Enter")
    hidden = page.output(0).locator('.jp-Stdin-input[type="password"]')
    expect(hidden).to_be_visible()
    page.picture("password")
    hidden.fill("secret")
    hidden.press("Enter")
    expect(page.output(0)).to_contain_text(re.compile(r"Ada\s+6"))
    assert "secret" not in page.output(0).inner_text()


def test_a_failed_cell_stops_those_behind_it(page: Page) -> None:
    page.open_cells("stop-on-error.ipynb", "error('no further')", "print('never')")
    page.browser_page.get_by_role("menuitem", name="Run", exact=True).click()
    page.browser_page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_end(0)
    expect(page.output(0)).to_contain_text("no further")
    page.wait_for_idle()
    assert "never" not in page.output(1).inner_text()


def test_displays_are_drawn_replaced_and_cleared(page: Page) -> None:
    page.open_cells(
        "display.ipynb",
        "display.markdown('# Title\\n**bold**')\n"
        "display.latex('$e^{i\\\\pi} = -1$')\n"
        'display.svg(\'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">'
        '<circle cx="20" cy="20" r="15" fill="teal"/></svg>\')\n'
        "display.table({{name = 'a', size = 1}, {name = 'b', size = 2}})",
        "handle = display('waiting', {display_id = 'state'})",
        "handle:update({['text/html'] = '<b>done</b>'})",
        "print('gone')\nclear_output()\nprint('stays')",
        "for index, name in progress({'a', 'b', 'c'}, {label = 'Files'}) do sleep(0.05) end",
    )
    page.run_all()
    first = page.output(0)
    expect(first.locator("h1")).to_contain_text("Title")
    expect(first.locator("svg, img").first).to_be_visible()
    expect(first.locator("table td").first).to_have_text("a")
    # The second cell replaced what the first one showed.
    expect(page.output(1).locator("b")).to_have_text("done")
    expect(page.output(3)).to_have_text(re.compile("^\\s*stays\\s*$"))
    bar = page.output(4)
    expect(bar.locator("progress")).to_have_count(1)
    expect(bar).to_contain_text("3/3")
    page.picture("displays")


def test_a_long_output_leaves_the_page_usable(page: Page) -> None:
    page.open_cells("long.ipynb", "for line = 1, 100000 do print(line) end", "'after'")
    page.run(0)
    page.run(1)
    expect(page.output(1)).to_contain_text("after")
    assert page.browser_page.evaluate("1 + 1") == 2


def test_the_quickstart_runs_from_the_menu(page: Page) -> None:
    run_quickstart.prepare_folder(page.lab.folder)
    notebook = run_quickstart.NOTEBOOK
    (page.lab.folder / notebook.name).write_bytes(notebook.read_bytes())
    page.open(notebook.name)
    page.run_all()
    saved = page.save(notebook.name)
    cells = [it for it in saved["cells"] if it["cell_type"] == "code"]
    kinds = {output["output_type"] for cell in cells for output in cell["outputs"]}
    assert "error" not in kinds
    assert all(cell["execution_count"] for cell in cells)
    answers = next(cell for cell in cells if cell["id"] == "agent")["outputs"]
    assert "6 * 7 is 42" in "".join(answers[-1]["text"])
    for position in range(len(cells)):
        page.cell(position).scroll_into_view_if_needed()
        page.picture(f"quickstart-{position:02}")

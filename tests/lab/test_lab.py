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
    page.edit(1)
    page.browser_page.keyboard.type(" .. 'wards'")
    page.run(1)
    expect(page.output(1)).to_contain_text("afterwards")


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


# How many pixels of a canvas have a colour; axes and letters have none.
INK = """
canvas => {
  const {width, height} = canvas;
  const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  let count = 0;
  for (let at = 0; at < pixels.length; at += 4) {
    const parts = [pixels[at], pixels[at + 1], pixels[at + 2]];
    if (Math.max(...parts) - Math.min(...parts) > 24) count += 1;
  }
  return count;
}
"""


def test_charts_are_drawn_by_the_front_end_and_as_pictures(page: Page) -> None:
    kinds = {
        "line": "data = {{day = 'mon', price = 3, shop = 'a'},"
        " {day = 'tue', price = 5, shop = 'a'}, {day = 'mon', price = 4, shop = 'b'},"
        " {day = 'tue', price = 2, shop = 'b'}},"
        " x = 'day', y = 'price', color = 'shop', title = 'Prices <b>'",
        "bar": "data = {{f = 'fig', n = 3}, {f = 'kiwi', n = 6}}, x = 'f', y = 'n'",
        "scatter": "data = {{1, 2}, {2, 1}, {3, 5}}",
        "area": "data = {1, 4, 2, 5}",
        "histogram": "data = {1, 1, 2, 3, 3, 3}",
        "heatmap": "data = {{1, 2, 3}, {4, 5, 6}}",
    }
    size = "width = 500, height = 220"
    page.open_cells(
        "plot.ipynb",
        *(f"plot{{kind = '{kind}', {given}, {size}}}" for kind, given in kinds.items()),
        *(
            f"chart = plot{{kind = '{kind}', {given}, {size}}}\n"
            "clear_output()\ndisplay.svg(chart:svg())"
            for kind, given in kinds.items()
        ),
    )
    page.run_all()
    for position, kind in enumerate(kinds):
        canvas = page.output(position).locator(".vega-embed canvas")
        canvas.scroll_into_view_if_needed()
        expect(canvas).to_be_visible()
        assert canvas.evaluate(INK) > 10, kind
        page.picture(f"plot-{kind}")
        image = page.output(position + len(kinds)).locator("img, svg").first
        image.scroll_into_view_if_needed()
        expect(image).to_be_visible()
        assert image.evaluate("it => it.naturalWidth ?? it.clientWidth") == 500, kind
        page.picture(f"plot-{kind}-svg")


def test_a_chart_is_replaced_in_its_place(page: Page) -> None:
    page.open_cells(
        "update-plot.ipynb",
        "chart = plot{kind = 'bar', data = {1, 2}, title = 'before'}",
        "chart:update{title = 'after', data = {3, 1, 2}}\nchart:vega_lite().title",
    )
    page.run(0)
    drawn = page.output(0).locator(".vega-embed canvas")
    expect(drawn).to_be_visible()
    before = drawn.evaluate(INK)
    page.run(1)
    expect(page.output(1)).to_contain_text("after")
    # Three bars in place of two, in the output of the first cell.
    expect(page.output(1).locator("canvas")).to_have_count(0)
    page.browser_page.wait_for_function(
        f"before => {{ const it = document.querySelector('.vega-embed canvas');"
        f" return it && ({INK})(it) !== before; }}",
        arg=before,
    )


def test_the_tree_of_a_run_can_be_folded(page: Page) -> None:
    page.open_cells(
        "tree.ipynb",
        "agent = Agent{name = 'counter', tools = {'calculate'}, model = Model('scripted:demo',"
        " {answers = {{tool_calls = {{name = 'calculate', arguments = {expression = '6*'}}}},"
        " {tool_calls = {{name = 'calculate', arguments = {expression = '6*7'}}}},"
        " 'It is <42>.'}})}\n"
        "agent:run('How much?')",
        "Context.recent()[1]",
        "display.svg(Context.recent()[1]:svg())",
    )
    page.run_all()
    shown = page.output(0)
    expect(shown).to_contain_text("It is <42>.")
    tool = shown.get_by_text("tool:calculate").first
    expect(tool).to_be_visible()
    page.picture("tree")
    shown.locator("summary").first.click()
    expect(tool).to_be_hidden()
    expect(page.output(1)).to_contain_text("agent counter")
    expect(page.output(2).locator("img, svg").first).to_be_visible()
    page.picture("tree-svg")


def test_a_bar_moves_while_the_cell_runs(page: Page) -> None:
    page.open_cells(
        "progress.ipynb",
        "for step in progress(10, {label = 'Steps'}) do\n"
        "  sleep(0.1)\n  if step == 6 then input('go? ') end\nend",
    )
    page.run(0)
    bar = page.output(0).locator("progress")
    field = page.output(0).locator(".jp-Stdin-input")
    expect(field).to_be_visible()
    expect(bar).to_be_visible()
    # It is a part of what the cell shows while it still runs.
    expect(page.output(0)).to_contain_text("/10")
    assert 0 < float(bar.get_attribute("value") or 2) < 0.6
    page.picture("progress-running")
    field.press("Enter")
    expect(page.output(0)).to_contain_text("100% 10/10")
    expect(bar).to_have_count(1)
    assert bar.get_attribute("value") == "1.0000"
    page.picture("progress-over")


def test_a_table_is_aligned_and_says_what_it_leaves_out(page: Page) -> None:
    page.open_cells(
        "table.ipynb",
        "rows = {} for i = 1, 230 do rows[i] = {name = 'row ' .. i, count = i * 1000,"
        " note = ('long '):rep(i == 2 and 100 or 1)} end\nrows",
    )
    page.run(0)
    table = page.output(0).locator("table")
    expect(table).to_be_visible()
    cells = table.locator("tbody tr").first.locator("td")
    alignment = "it => getComputedStyle(it).textAlign"
    assert [cells.nth(at).evaluate(alignment) for at in range(3)] == ["left", "right", "left"]
    heads = table.locator("th")
    assert [heads.nth(at).evaluate(alignment) for at in range(3)] == ["left", "right", "left"]
    expect(page.output(0)).to_contain_text("… 30 more rows")
    page.cell(0).scroll_into_view_if_needed()
    page.picture("table")


# The longest time in which the page did nothing else, in milliseconds.
WATCH = """
() => {
  window.longest = 0;
  let last = performance.now();
  window.watching = setInterval(() => {
    const now = performance.now();
    window.longest = Math.max(window.longest, now - last);
    last = now;
  }, 20);
}
"""
LINES = 100_000
# Far less than a person would take for a frozen page, on a machine that does other things as well.
FROZEN_MS = 5_000


def test_the_page_answers_while_100_000_lines_are_printed(page: Page) -> None:
    page.open_cells("lines.ipynb", f"for line = 1, {LINES} do print('line ' .. line) end", "'next'")
    page.browser_page.evaluate(WATCH)
    page.run(0)
    # A click into another cell counts while lines come in.
    page.edit(1)
    page.wait_for_end(0)
    expect(page.output(0)).to_contain_text(f"line {LINES}")
    assert page.browser_page.evaluate("window.longest") < FROZEN_MS
    page.browser_page.keyboard.press("Shift+Enter")
    expect(page.output(1)).to_contain_text("next")
    page.picture("lines")

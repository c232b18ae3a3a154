"""What a person does on the first day in a notebook works with no setting at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel.conversation import Conversation
from servers.http_server import HttpServer
from servers.openai_server import OpenAIServer

if TYPE_CHECKING:
    from pathlib import Path

CELLS = """
local sum = 0
for price in Tool.read_file{path = "prices.csv"}.text:gmatch(",(%d+)") do sum = sum + price end
print(sum)

local model = Model("openai-compatible:echo", {base_url = BASE_URL, api_key = KEY})
print(model:complete("apples").text)

local page = Tool.read_webpage{url = PAGE}
print(page.title)

Tool.write_file{path = "report/sum.txt", content = "sum: " .. sum}
print(Tool.list_directory{path = "report"}.entries[1].path)
"""


@pytest.mark.parametrize("settings", ["", "[security]\nprofile = 'served'\n"])
def test_files_a_local_model_a_page_and_a_new_file(tmp_path: Path, settings: str) -> None:
    (tmp_path / "prices.csv").write_text("fruit,price\napple,3\npear,4\n")
    if settings:
        (tmp_path / "aikit.toml").write_text(settings)
    with OpenAIServer() as server, HttpServer() as pages:
        names = f"BASE_URL, KEY, PAGE = '{server.base_url}', '{server.api_key}', '{pages.url}/page'"
        kernel = Conversation(folder=tmp_path)
        try:
            heard = kernel.execute(names + CELLS)
        finally:
            kernel.close()
    if settings:
        # The same asks for the addresses of the server where others use the process as well.
        assert heard.content["ename"] == "denied"
        return
    printed = "".join(it["content"]["text"] for it in heard.broadcasts if "text" in it["content"])
    assert printed.splitlines() == ["7", "apples", "A page", "report/sum.txt"], heard.content
    assert (tmp_path / "report" / "sum.txt").read_text() == "sum: 7"

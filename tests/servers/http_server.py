"""An HTTP server for the tests of the HTTP tool, on the loopback address.

| path | answer |
|---|---|
| `/echo` | JSON with method, path, query, headers and body of the request |
| `/json` | a JSON object |
| `/status/N` | status N with a short text |
| `/redirect?to=URL` | status 302 to the URL, which may be on another host |
| `/redirect-loop` | status 302 to itself |
| `/gzip-bomb` | 64 MiB of zeros, compressed to 64 KiB |
| `/big?bytes=N` | N bytes of text |
| `/endless` | text without end, until the client hangs up |
| `/slow?seconds=S` | an answer after S seconds, or when the server closes |
| `/hang-up` | a body that stops before its declared length |
| `/latin-1` | text in ISO 8859-1, declared |
| `/binary` | bytes that are no text |
| `/page` | a page in HTML |
| `/headers` | many headers, one of them set twice |
"""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from servers.loopback import LoopbackServer

if TYPE_CHECKING:
    from servers.loopback import Exchange, Request

BOMB_BYTES = 64 << 20
_BLOCK = b"0123456789abcde\n" * 4096
_BOMB = gzip.compress(bytes(BOMB_BYTES), 9, mtime=0)


_PAGE = """<!doctype html><html lang="en"><head><title>A page</title>
<meta name="description" content="What it says"><script>var a = "<p>no</p>"</script></head>
<body><nav>Menu</nav><main><h1>Heading</h1>
<p>A <a href="other">link</a> and <b>bold</b> text.</p><ul><li>one<li>two</ul></main>
<footer>Foot</footer></body></html>
"""


class HttpServer(LoopbackServer):
    """The server; use it as a context manager."""

    def answer(self, request: Request, exchange: Exchange) -> None:
        """Finds the answer by the first part of the path."""
        _, name, *rest = request.path.split("/")
        query = {key: values[-1] for key, values in parse_qs(request.query).items()}
        match name:
            case "echo":
                exchange.send_json(200, _echo(request))
            case "json":
                exchange.send_json(200, {"name": "aikit", "numbers": [1, 2.5], "none": None})
            case "status":
                status = int(rest[0])
                exchange.send(status, f"status {status}".encode(), "text/plain")
            case "redirect":
                exchange.send(302, b"", "text/plain", {"location": query["to"]})
            case "redirect-loop":
                exchange.send(302, b"", "text/plain", {"location": "/redirect-loop"})
            case "big":
                size = int(query.get("bytes", "1000"))
                body = (_BLOCK * (size // len(_BLOCK) + 1))[:size]
                exchange.send(200, body, "text/plain")
            case "page":
                exchange.send(200, _PAGE.encode(), "text/html; charset=utf-8")
            case "latin-1":
                exchange.send(200, "café".encode("latin-1"), "text/plain; charset=iso-8859-1")
            case "binary":
                exchange.send(200, bytes(range(256)), "application/octet-stream")
            case _:
                self._answer_unkindly(name, query, exchange)

    def _answer_unkindly(self, name: str, query: dict[str, str], exchange: Exchange) -> None:
        """Answers that a careful client must survive."""
        match name:
            case "gzip-bomb":
                headers = {"content-encoding": "gzip"}
                exchange.send(200, _BOMB, "text/plain", headers)
            case "endless":
                exchange.begin_chunks("text/plain")
                while not self.closing.is_set():
                    exchange.send_chunk(_BLOCK)
            case "slow":
                self.closing.wait(float(query.get("seconds", "1")))
                exchange.send(200, b"at last", "text/plain")
            case "hang-up":
                exchange.send_response(200)
                exchange.send_header("content-type", "text/plain")
                exchange.send_header("content-length", "1000")
                exchange.end_headers()
                exchange.wfile.write(b"only this")
                exchange.hang_up()
            case "headers":
                exchange.send_response(200)
                exchange.send_header("content-length", "0")
                for index in range(20):
                    exchange.send_header(f"x-header-{index}", str(index))
                exchange.send_header("set-cookie", "a=1")
                exchange.send_header("set-cookie", "b=2")
                exchange.end_headers()
            case _:
                exchange.send(404, b"no such path", "text/plain")


def _echo(request: Request) -> dict[str, object]:
    body = request.body.decode("utf-8", "replace")
    try:
        decoded = json.loads(body) if body else None
    except ValueError:
        decoded = None
    return {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": dict(request.headers),
        "body": body,
        "json": decoded,
    }

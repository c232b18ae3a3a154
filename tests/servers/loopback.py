"""An HTTP server on the loopback address, in a thread, that remembers what it was asked.

The servers of the tests are built on it. It serves HTTP/1.1 with keep-alive on a free port.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

BODY_BYTES_MAX = 16 << 20


@dataclass(frozen=True)
class Request:
    """A request as it came in."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str] = field(repr=False)  # names in lower case
    body: bytes = field(repr=False)

    def json(self) -> Any:  # noqa: ANN401 - what a client sends has no one type
        """Decodes the body."""
        return json.loads(self.body)


class Exchange(BaseHTTPRequestHandler):
    """One connection: reads requests, records them, lets the server answer."""

    protocol_version = "HTTP/1.1"
    server: _Listener

    def handle_one_request(self) -> None:
        """Serves one request; a client that hangs up ends the connection, nothing else."""
        try:
            super().handle_one_request()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def respond(self) -> None:
        """Reads the body and hands the request to the server."""
        length = min(int(self.headers.get("content-length") or 0), BODY_BYTES_MAX)
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, url.path, url.query, headers, self.rfile.read(length))
        self.server.owner.requests.append(request)
        self.server.owner.answer(request, self)

    do_DELETE = do_GET = do_HEAD = do_PATCH = do_POST = do_PUT = respond  # noqa: N815

    def log_message(self, *_args: object) -> None:
        """Keeps the test output clean; the requests are in `LoopbackServer.requests`."""

    def send(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Sends a whole response.

        Args:
            status: HTTP status code.
            body: Bytes of the body, not sent for HEAD.
            content_type: Its media type.
            headers: Further headers.
        """
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(
        self, status: int, value: object, headers: Mapping[str, str] | None = None
    ) -> None:
        """Sends a JSON response."""
        self.send(status, json.dumps(value).encode(), "application/json", headers)

    def begin_chunks(self, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Starts a response of unknown length; `send_chunk` continues, `end_chunks` ends it."""
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("transfer-encoding", "chunked")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def send_chunk(self, data: bytes) -> None:
        """Sends one chunk at once."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def end_chunks(self) -> None:
        """Ends the response."""
        self.wfile.write(b"0\r\n\r\n")

    def hang_up(self) -> None:
        """Closes the connection in the middle of a response."""
        self.close_connection = True


class _Listener(ThreadingHTTPServer):
    """The socket; its connection threads do not keep the process alive."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, owner: LoopbackServer) -> None:
        self.owner = owner
        super().__init__(("127.0.0.1", 0), Exchange)


class LoopbackServer:
    """A server that runs between `__enter__` and `__exit__`; subclasses write `answer`."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    def answer(self, request: Request, exchange: Exchange) -> None:
        """Answers a request; called in the thread of its connection."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The port it listens on."""
        if self._listener is None:
            raise RuntimeError("the server is not running; use it in a `with` statement")
        return int(self._listener.server_address[1])

    @property
    def url(self) -> str:
        """Address without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._listener = _Listener(self)
        # A short poll interval: the end of the server would wait for it.
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.closing.set()
        if self._listener is not None and self._thread is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._thread.join()

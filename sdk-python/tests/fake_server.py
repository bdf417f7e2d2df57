"""A server on a free loopback port that answers as a test says, once a request's body is complete."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Received:
    method: str
    #: Path and query.
    url: str
    headers: Mapping[str, str]
    body: bytes


class Reply:
    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self._handler = handler

    def start(self, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self._handler.send_response(status)
        for name, value in (headers or {}).items():
            self._handler.send_header(name, value)
        self._handler.end_headers()

    def write(self, text: str) -> None:
        self._handler.wfile.write(text.encode())

    def json(self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        body = json.dumps(value)
        self.start(status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})})
        self.write(body)

    def chunk(self, text: str) -> None:
        """A piece of an answer that was started with Transfer-Encoding: chunked; an empty one is its end."""
        self.write(f"{len(text.encode()):x}\r\n{text}\r\n")

    def cut(self) -> None:
        self._handler.connection.shutdown(socket.SHUT_RDWR)

    def until_left(self) -> None:
        """Waits for the client to close the connection."""
        while self._handler.connection.recv(1024):
            pass


CHUNKED = {"Transfer-Encoding": "chunked"}
Answer = Callable[[Received, Reply], None]


@dataclass
class FakeServer:
    url: str = ""
    received: list[Received] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        return [request.url for request in self.received]


@contextmanager
def serve(answer: Answer) -> Iterator[FakeServer]:
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:
                self.close_connection = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Received(self.command, self.path, headers, body)
            fake.received.append(request)
            answer(request, Reply(self))

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.socket.close()

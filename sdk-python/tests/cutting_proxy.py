"""A way to the server that cuts some connections after so many bytes from the client, or instead of an answer."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit


class CuttingProxy:
    def __init__(self, server_url: str) -> None:
        address = urlsplit(server_url)
        self._target = (address.hostname or "127.0.0.1", address.port or 80)
        self._lock = threading.Lock()
        #: Connections that are still to be cut.
        self.cuts_left = 0
        self._after_bytes = 0
        #: Answers that are still to be lost.
        self.answers_left = 0
        self._answers_to = b""

    def cut(self, connections: int, after_bytes: int) -> None:
        self.cuts_left, self._after_bytes = connections, after_bytes

    def lose_answers(self, to: str, count: int) -> None:
        self._answers_to, self.answers_left = to.encode(), count

    def __enter__(self) -> CuttingProxy:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            state = {"losing": False}
            threading.Thread(target=self._up, args=(client, server, state), daemon=True).start()
            threading.Thread(target=self._down, args=(server, client, state), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, state: dict[str, bool]) -> None:
        passed = 0
        while data := _receive(client):
            with self._lock:
                passed += len(data)
                state["losing"] |= self.answers_left > 0 and self._answers_to in data
                cutting = passed > self._after_bytes and self.cuts_left > 0
                self.cuts_left -= cutting
            if not _send(server, data) or cutting:
                break
        _end(client, server)

    def _down(self, server: socket.socket, client: socket.socket, state: dict[str, bool]) -> None:
        while data := _receive(server):
            with self._lock:
                losing = state["losing"]
                self.answers_left -= losing
            if losing or not _send(client, data):
                break
        _end(client, server)


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def _send(connection: socket.socket, data: bytes) -> bool:
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True


def _end(*connections: socket.socket) -> None:
    for connection in connections:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        connection.close()

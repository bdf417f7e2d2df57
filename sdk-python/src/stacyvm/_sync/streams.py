# Made from _async/streams.py by scripts/make_sync.py.
"""Answers that are read while they arrive."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Iterator, Optional, Type

import httpx

from stacyvm._sync.transport import Transport, body_of, lines_of
from stacyvm._call import Call
from stacyvm._lines import object_of
from stacyvm.exceptions import StacyVMError
from stacyvm.models import ExecExit
from stacyvm.streaming import StreamChunk, chunk_of


class ByteStream:
    """Bytes as they arrive. Close it, or use it in a `with` block, where it isn't read to its end."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._parts = body_of(response, "The connection was lost before the end of the content")

    def __iter__(self) -> ByteStream:
        return self

    def __next__(self) -> bytes:
        return self._parts.__next__()

    def read(self) -> bytes:
        """All that is still to come."""
        return b"".join([part for part in self])

    def close(self) -> None:
        self._response.close()

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


@dataclass
class _Run:
    """Apart from the stream, so that a stream that nobody holds any more goes at once, and ends its command."""

    response: Optional[httpx.Response] = None
    exit: Optional[ExecExit] = None


class ExecStream:
    """Output as it comes. The command starts when the loop over it begins; leaving the loop ends the command."""

    def __init__(self, transport: Transport, call: Call) -> None:
        self._run = _Run()
        self._chunks = _chunks(transport, call, self._run)

    @property
    def exit(self) -> Optional[ExecExit]:
        """How the command ended; None until the loop has come to its end."""
        return self._run.exit

    def __iter__(self) -> ExecStream:
        return self

    def __next__(self) -> StreamChunk:
        return self._chunks.__next__()

    def close(self) -> None:
        """Ends the command where it still runs."""
        if self._run.response is not None:
            self._run.response.close()

    def __enter__(self) -> ExecStream:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def _chunks(transport: Transport, call: Call, run: _Run) -> Iterator[StreamChunk]:
    run.response = transport.open(call)
    exit = ExecExit()
    try:
        for line in lines_of(run.response, "The connection was lost before the command's end was known"):
            value = object_of(line)
            if value is None:
                continue
            if isinstance(value.get("error"), str):
                raise StacyVMError(value["error"], "INTERNAL_ERROR")
            if value.get("stream") == "exit":
                exit = _exit_of(value)
            else:
                yield chunk_of(value)
        run.exit = exit
    finally:
        run.response.close()


def _exit_of(line: "dict[str, object]") -> ExecExit:
    code = line.get("exit_code")
    return ExecExit(
        code if isinstance(code, int) else None, line.get("timed_out") is True, line.get("truncated") is True
    )

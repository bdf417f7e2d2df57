"""Answers that are read while they arrive."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import AsyncIterator, Optional, Type

import httpx

from stacyvm._async.transport import AsyncTransport, body_of, lines_of
from stacyvm._call import Call
from stacyvm._lines import object_of
from stacyvm.exceptions import StacyVMError
from stacyvm.models import ExecExit
from stacyvm.streaming import StreamChunk, chunk_of


class AsyncByteStream:
    """Bytes as they arrive. Close it, or use it in a `with` block, where it isn't read to its end."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._parts = body_of(response, "The connection was lost before the end of the content")

    def __aiter__(self) -> AsyncByteStream:
        return self

    async def __anext__(self) -> bytes:
        return await self._parts.__anext__()

    async def read(self) -> bytes:
        """All that is still to come."""
        return b"".join([part async for part in self])

    async def aclose(self) -> None:
        await self._response.aclose()

    async def __aenter__(self) -> AsyncByteStream:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.aclose()


@dataclass
class _Run:
    """Apart from the stream, so that a stream that nobody holds any more goes at once, and ends its command."""

    response: Optional[httpx.Response] = None
    exit: Optional[ExecExit] = None


class AsyncExecStream:
    """Output as it comes. The command starts when the loop over it begins; leaving the loop ends the command."""

    def __init__(self, transport: AsyncTransport, call: Call) -> None:
        self._run = _Run()
        self._chunks = _chunks(transport, call, self._run)

    @property
    def exit(self) -> Optional[ExecExit]:
        """How the command ended; None until the loop has come to its end."""
        return self._run.exit

    def __aiter__(self) -> AsyncExecStream:
        return self

    async def __anext__(self) -> StreamChunk:
        return await self._chunks.__anext__()

    async def aclose(self) -> None:
        """Ends the command where it still runs."""
        if self._run.response is not None:
            await self._run.response.aclose()

    async def __aenter__(self) -> AsyncExecStream:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.aclose()


async def _chunks(transport: AsyncTransport, call: Call, run: _Run) -> AsyncIterator[StreamChunk]:
    run.response = await transport.open(call)
    exit = ExecExit()
    try:
        async for line in lines_of(run.response, "The connection was lost before the command's end was known"):
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
        await run.response.aclose()


def _exit_of(line: "dict[str, object]") -> ExecExit:
    code = line.get("exit_code")
    return ExecExit(
        code if isinstance(code, int) else None, line.get("timed_out") is True, line.get("truncated") is True
    )

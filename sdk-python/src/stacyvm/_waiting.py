"""What differs between waiting and blocking: each name without its `Async` or `async_` is the blocking one."""

from __future__ import annotations

import asyncio
import time
from typing import Any, AsyncIterator, Awaitable, Dict, Iterator, Optional, TypeVar

T = TypeVar("T")

#: Bytes that are read from a file object at a time.
PIECE_BYTES = 64 * 1024


class DeadlineOver(Exception):
    """A call has taken longer than it may."""


class _Deadline:
    """
    A call's time limit. httpx limits each wait by itself; `timeouts` are those that it looks up before each of them,
    and become what is left.
    """

    def __init__(self, seconds: Optional[float]) -> None:
        self.seconds = seconds
        self._ends_at = None if seconds is None or seconds <= 0 else time.monotonic() + seconds
        self.timeouts: Dict[str, Optional[float]] = {}

    def left(self) -> Optional[float]:
        return None if self._ends_at is None else max(0.001, self._ends_at - time.monotonic())

    @property
    def passed(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def check(self) -> None:
        if self.passed:
            raise DeadlineOver

    def stop(self) -> None:
        """No limit from here on."""
        self._ends_at = None
        self._renew()

    def _renew(self) -> None:
        left = self.left()
        for name in self.timeouts:
            self.timeouts[name] = left


class AsyncDeadline(_Deadline):
    async def run(self, work: Awaitable[T]) -> T:
        try:
            return await asyncio.wait_for(work, self.left())
        except asyncio.TimeoutError as error:
            raise DeadlineOver from error

    @property
    def extensions(self) -> Dict[str, Any]:
        return {}


class Deadline(_Deadline):
    """Blocking: every wait ends with what was left when it began, so an answer that trickles may end late."""

    def run(self, done: T) -> T:
        return done

    @property
    def extensions(self) -> Dict[str, Any]:
        return {"trace": lambda _event, _info: self._renew()}


async def async_sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    time.sleep(seconds)


async def async_pieces(content: Any) -> AsyncIterator[bytes]:
    """The bytes of a file object or an iterable of either kind."""
    if hasattr(content, "__aiter__"):
        async for piece in content:
            yield piece
    else:
        blocking = pieces(content)
        while (piece := await asyncio.to_thread(next, blocking, None)) is not None:
            yield piece


def pieces(content: Any) -> Iterator[bytes]:
    """The bytes of a file object or an iterable."""
    # A file object iterates by lines; what has no place to seek iterates as it comes, as an answer's stream does.
    if hasattr(content, "read") and (hasattr(content, "seek") or not hasattr(content, "__next__")):
        while piece := content.read(PIECE_BYTES):
            yield piece
    else:
        yield from content

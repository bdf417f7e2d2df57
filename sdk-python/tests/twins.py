"""One suite for both clients: the blocking one with the surface of its twin, each of its calls in a thread."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import stacyvm

#: Blocking class to its twin.
TWINS = {
    getattr(stacyvm, name[len("Async") :]): getattr(stacyvm, name)
    for name in stacyvm.__all__
    if name.startswith("Async")
}
_END = object()


def twin_of(value: Any) -> Any:
    """What a blocking client gave, as its twin would have given it."""
    if type(value) in TWINS:
        return InThreads(value)
    if isinstance(value, Iterator):
        return Iterating(value)
    return [twin_of(one) for one in value] if type(value) is list else value


class Iterating:
    def __init__(self, blocking: Any) -> None:
        self._blocking = blocking

    def __aiter__(self) -> Iterating:
        return self

    async def __anext__(self) -> Any:
        item = await asyncio.to_thread(next, self._blocking, _END)
        if item is _END:
            raise StopAsyncIteration
        return item


class InThreads(Iterating):
    def __getattr__(self, name: str) -> Any:
        declared = inspect.getattr_static(TWINS[type(self._blocking)], name, None)
        value = getattr(self._blocking, "close" if name == "aclose" else name)
        if not inspect.isfunction(declared):
            return twin_of(value)
        if not inspect.iscoroutinefunction(declared):
            return lambda *arguments, **options: twin_of(value(*arguments, **options))

        async def call(*arguments: Any, **options: Any) -> Any:
            return twin_of(await asyncio.to_thread(value, *arguments, **options))

        return call

    async def __aenter__(self) -> Any:
        return twin_of(await asyncio.to_thread(self._blocking.__enter__))

    async def __aexit__(self, *error: Any) -> None:
        await asyncio.to_thread(self._blocking.__exit__, *error)

    def __repr__(self) -> str:
        return repr(self._blocking)


def client(kind: str, *arguments: Any, **options: Any) -> Any:
    if kind == "async":
        return stacyvm.AsyncClient(*arguments, **options)
    return InThreads(stacyvm.Client(*arguments, **options))

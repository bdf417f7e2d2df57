"""Output chunks of a streamed command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator

import httpx

from stacyvm._lines import LineSplitter, object_of


@dataclass
class StreamChunk:
    """A piece of a command's output."""

    #: ``stdout`` or ``stderr``.
    stream: str
    data: str


def chunk_of(line: Dict[str, Any]) -> StreamChunk:
    """What an output line holds, with the defaults of lines that say less."""
    stream, data = line.get("stream"), line.get("data")
    return StreamChunk(stream if isinstance(stream, str) else "stdout", data if isinstance(data, str) else "")


def iter_ndjson(response: httpx.Response) -> Iterator[StreamChunk]:
    """Every object line of an answer as one chunk; blank lines, malformed ones and what is no object are skipped."""
    splitter = LineSplitter()
    for part in response.iter_bytes():
        yield from _chunks(splitter.feed(part))
    yield from _chunks(splitter.feed(b"", last=True))


def _chunks(lines: "list[str]") -> Iterator[StreamChunk]:
    for line in lines:
        value = object_of(line)
        if value is not None:
            yield chunk_of(value)

"""Lines, JSON objects and server-sent events out of bytes that are cut anywhere."""

from __future__ import annotations

import codecs
import json
from typing import Any, Dict, List, Optional

#: The longest line that a stream may carry, characters.
MAX_LINE_LENGTH = 32 * 1024 * 1024


class LineSplitter:
    """Lines without their ends; characters may be cut between chunks."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest: List[str] = []
        self._rest_length = 0

    def feed(self, chunk: bytes, last: bool = False) -> List[str]:
        """:raises ValueError: a line is longer than the bound"""
        lines = self._decoder.decode(chunk, last).split("\n")
        if len(lines) > 1:
            lines[0] = "".join(self._rest) + lines[0]
            self._rest, self._rest_length = [], 0
        rest = lines.pop()
        self._rest.append(rest)
        self._rest_length += len(rest)
        if self._rest_length > MAX_LINE_LENGTH:
            raise ValueError(f"a line of the stream is over {MAX_LINE_LENGTH} characters")
        if last and self._rest_length:
            lines.append("".join(self._rest))
        return [line[:-1] if line.endswith("\r") else line for line in lines]


def object_of(line: str) -> Optional[Dict[str, Any]]:
    """The JSON object of a line; None for a blank or malformed one, and for what is no object."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class EventParser:
    """The ``data`` of each server-sent event, its lines joined; comments and other fields are passed over."""

    def __init__(self) -> None:
        self._data: List[str] = []

    def feed(self, line: str) -> Optional[str]:
        if line == "":
            data, self._data = self._data, []
            return "\n".join(data) if data else None
        if line.startswith("data:"):
            self._data.append(line[6:] if line[5:6] == " " else line[5:])
        return None

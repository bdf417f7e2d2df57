"""One request as data: what both clients send."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional
from urllib.parse import quote, urlencode

#: In place of a JSON body that is left out; None would be `null`.
ABSENT: Any = object()


@dataclass(frozen=True)
class Call:
    method: str
    #: Starts after ``/api/v1``; ids in it are escaped by `segment`.
    path: str
    #: A list is given as often as it is long.
    query: Mapping[str, object] = field(default_factory=dict)
    #: Sent as JSON.
    json: Any = ABSENT
    #: Sent as it is.
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Replaces the client's timeout, seconds; 0 for none.
    request_timeout: Optional[float] = None
    #: Named by a not-found error.
    sandbox_id: str = ""
    #: Doing it twice is doing it once, though its method doesn't say so.
    repeatable: bool = False

    @property
    def is_repeatable(self) -> bool:
        return self.repeatable or self.method in ("GET", "HEAD", "DELETE")

    @property
    def url(self) -> str:
        query = urlencode([(name, _word(one)) for name, value in self.query.items() for one in _each(value)])
        return f"/api/v1{self.path}" + (f"?{query}" if query else "")


def _each(value: object) -> List[object]:
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def segment(name: str) -> str:
    """A name as one segment of a path, which it can't leave: dots alone would be read as directories."""
    return name.replace(".", "%2E") if name in (".", "..") else quote(name, safe="")


def given(**values: object) -> Dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def truthy(**values: object) -> Dict[str, Any]:
    """Those that say something: version 0.1 left out empty texts and zeros."""
    return {name: value for name, value in values.items() if value}

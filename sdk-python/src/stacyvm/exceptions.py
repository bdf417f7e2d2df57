"""What the client raises by itself, and how an answer of the server becomes it."""

from __future__ import annotations

import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any, Dict, Mapping, NoReturn, Optional

import httpx


class StacyVMError(Exception):
    """The base of every error that this client raises by itself."""

    #: One of the server's codes, for example ``BAD_REQUEST``.
    code: Optional[str]
    #: HTTP status; None where no answer came.
    status_code: Optional[int]
    #: The finer code of the server's catalogue, for example ``file_not_found``.
    reason: Optional[str]
    #: Under this id the operator finds the cause in the server's log.
    request_id: Optional[str]
    #: What would help.
    remediation: Optional[str]
    #: Facts of the failure; after an exec timeout the partial ``stdout`` and ``stderr``.
    details: Mapping[str, Any]
    #: What the server asked to wait before another try, seconds.
    retry_after: Optional[float]

    def __init__(
        self,
        message: str,
        code: Optional[str] = None,
        *,
        status_code: Optional[int] = None,
        reason: Optional[str] = None,
        request_id: Optional[str] = None,
        remediation: Optional[str] = None,
        details: Optional[Mapping[str, Any]] = None,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status_code = status_code
        self.reason = reason
        self.request_id = request_id
        self.remediation = remediation
        self.details = details or {}
        self.retry_after = retry_after


class SandboxNotFound(StacyVMError):
    """A 404; ``reason`` tells a missing sandbox from a missing file where the server says so."""

    def __init__(self, sandbox_id: str, message: Optional[str] = None, **facts: Any) -> None:
        facts.setdefault("status_code", 404)
        super().__init__(message or f"Sandbox {sandbox_id!r} not found", "NOT_FOUND", **facts)
        self.sandbox_id = sandbox_id


class ProviderError(StacyVMError):
    """A 5xx: the server, or the provider under it, failed."""


class ConnectionError(StacyVMError, httpx.TransportError):
    """
    No answer: the server can't be reached, the connection was lost, or the call took longer than its timeout.
    It is one of httpx's too, because version 0.1 let those through.
    """

    def __init__(self, message: str, code: Optional[str] = "CONNECTION_ERROR", **facts: Any) -> None:
        StacyVMError.__init__(self, message, code, **facts)
        self._request = None


#: What a starting server, or a proxy before one that is away, answers for a while.
PASSING = (429, 502, 503, 504)


def is_passing(error: Exception) -> bool:
    """
    Whether the same may succeed once a server, or the way to it, is back. An answer with a reason is our server's own
    and final, but for those that say: not now.
    """
    if isinstance(error, ConnectionError):
        return True
    return (
        isinstance(error, StacyVMError)
        and error.status_code in PASSING
        and (error.reason is None or error.retry_after is not None)
    )


def retry_after_seconds(value: Optional[str], now: Optional[float] = None) -> Optional[float]:
    """The wait that a Retry-After header asks for, seconds: whole seconds or an HTTP date."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}\s*", value):
        return float(value)
    try:
        at = parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return max(0.0, at - (time.time() if now is None else now))


def _text(value: object) -> Optional[str]:
    return value if isinstance(value, str) and value != "" else None


def _envelope(body: bytes) -> Dict[str, Any]:
    try:
        parsed = json.loads(body)
    except ValueError:
        # A proxy's page, or plain text.
        return {}
    return parsed if isinstance(parsed, dict) else {}


def raise_for(response: httpx.Response, body: bytes, sandbox_id: str = "") -> NoReturn:
    """Raises what an answer that is no success stands for."""
    status = response.status_code
    told = _envelope(body)
    message = _text(told.get("message")) or response.reason_phrase or f"HTTP {status}"
    code = _text(told.get("code"))
    details = told.get("details")
    facts: Dict[str, Any] = {
        "status_code": status,
        "reason": _text(told.get("reason")),
        "request_id": _text(told.get("request_id")) or response.headers.get("x-request-id"),
        "remediation": _text(told.get("remediation")),
        "details": details if isinstance(details, dict) else None,
        "retry_after": retry_after_seconds(response.headers.get("retry-after")),
    }
    if status == 404:
        raise SandboxNotFound(sandbox_id, message, **facts)
    if status == 401:
        raise StacyVMError(message, "UNAUTHORIZED", **facts)
    if status >= 500:
        raise ProviderError(message, code or "PROVIDER_ERROR", **facts)
    raise StacyVMError(message, code, **facts)


def handle_response(response: httpx.Response) -> None:
    """
    Raises what an answer stands for when its status is not 2xx. The answer of a stream has to be read before.

    :raises SandboxNotFound: 404
    :raises ProviderError: 5xx
    :raises StacyVMError: any other status; 401 always has the code ``UNAUTHORIZED``
    """
    if not response.is_success:
        raise_for(response, response.content)

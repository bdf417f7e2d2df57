# Made from _async/transport.py by scripts/make_sync.py.
"""Sends calls: addresses, time limits, retries, and errors of one kind."""

from __future__ import annotations

import json
from typing import Any, Iterator, Optional, Tuple, Union

import httpx

from stacyvm._call import ABSENT, Call
from stacyvm._lines import EventParser, LineSplitter
from stacyvm._retry import Retry
from stacyvm._waiting import Deadline, DeadlineOver, pieces, sleep
from stacyvm.exceptions import ConnectionError, StacyVMError, raise_for, retry_after_seconds


class Transport:
    def __init__(self, http: httpx.Client, timeout: Optional[float], retry: Retry) -> None:
        self.http = http
        #: Seconds; None for no limit.
        self.timeout = timeout
        self.retry = retry

    @classmethod
    def of(cls, http: Union[httpx.Client, Transport]) -> Transport:
        """A transport over the caller's own HTTP client, with that one's time to wait for an answer."""
        return http if isinstance(http, cls) else cls(http, http.timeout.read, Retry())  # type: ignore[union-attr, arg-type]

    @property
    def base_url(self) -> str:
        return str(self.http.base_url).rstrip("/")

    def resolve(self, url: str) -> str:
        """The whole address of one that the server gave, which may be a path on itself."""
        return self.base_url + url if url.startswith("/") else url

    def sleep(self, seconds: float) -> None:
        """The wait before something is tried again."""
        sleep(seconds)

    def json(self, call: Call) -> Any:
        return (self.page(call))[0]

    def page(self, call: Call) -> Tuple[Any, httpx.Headers]:
        """JSON together with the answer's headers."""
        response, body = self._read(call)
        try:
            return json.loads(body), response.headers
        except ValueError as error:
            raise ConnectionError(f"The answer of {self.base_url} is not JSON") from error

    def content(self, call: Call) -> bytes:
        return (self._read(call))[1]

    def done(self, call: Call) -> None:
        # Read, not closed, so that the connection serves the next call.
        self._read(call)

    def open(self, call: Call) -> httpx.Response:
        """
        A successful answer whose body is still to come; who has it closes it. The time limit ends with the answer's
        headers.
        """
        deadline = Deadline(self._limit(call))
        response = self._send(call, deadline)
        if not response.is_success:
            self._refuse(call, response, deadline)
        deadline.stop()
        return response

    def request(self, request: httpx.Request, stream: bool) -> httpx.Response:
        """A request as it is, neither limited nor repeated, whatever is answered."""
        try:
            return self.http.send(request, stream=stream)
        except httpx.RequestError as error:
            raise ConnectionError(f"The connection to {self.base_url} was lost: {error}") from error

    def _limit(self, call: Call) -> Optional[float]:
        return self.timeout if call.request_timeout is None else call.request_timeout

    def _read(self, call: Call) -> Tuple[httpx.Response, bytes]:
        deadline = Deadline(self._limit(call))
        response = self._send(call, deadline)
        if not response.is_success:
            self._refuse(call, response, deadline)
        return response, self._body(call, response, deadline)

    def _refuse(self, call: Call, response: httpx.Response, deadline: Deadline) -> None:
        try:
            body = self._body(call, response, deadline)
        except ConnectionError:
            # The status says enough.
            body = b""
        raise_for(response, body, call.sandbox_id)

    def _body(self, call: Call, response: httpx.Response, deadline: Deadline) -> bytes:
        try:
            return deadline.run(self._collect(response, deadline))
        except (httpx.RequestError, DeadlineOver) as error:
            raise self._failure(call, deadline, error, f"The connection to {self.base_url} was lost") from error
        finally:
            response.close()

    def _collect(self, response: httpx.Response, deadline: Deadline) -> bytes:
        parts = []
        for part in response.iter_bytes():
            deadline.check()
            parts.append(part)
        return b"".join(parts)

    def _send(self, call: Call, deadline: Deadline) -> httpx.Response:
        lost = False
        attempt = 1
        while True:
            response: Optional[httpx.Response] = None
            failure: Optional[ConnectionError] = None
            request = self._request(call, deadline)
            try:
                response = deadline.run(self.http.send(request, stream=True))
            except (httpx.RequestError, DeadlineOver) as error:
                failure = self._failure(call, deadline, error, f"Cannot connect to StacyVM server at {self.base_url}")
                failure.__cause__ = error
                if deadline.passed:
                    raise failure from error
            status = None if response is None else response.status_code
            if response is not None and lost and call.method == "DELETE" and status == 404:
                # The try that was lost on the way has deleted it.
                response.close()
                return httpx.Response(200, json={"status": "deleted"}, request=request)
            asked = None if response is None else retry_after_seconds(response.headers.get("retry-after"))
            delay = self.retry.delay(attempt, status, asked) if call.is_repeatable else None
            if delay is None:
                if response is None:
                    raise failure or ConnectionError("No answer")
                return response
            if response is None:
                lost = True
            else:
                response.close()
            left = deadline.left()
            self.sleep(delay if left is None else min(delay, left))
            if deadline.passed:
                raise self._failure(call, deadline, None, "")
            attempt += 1

    def _request(self, call: Call, deadline: Deadline) -> httpx.Request:
        content = call.content
        if isinstance(content, str):
            content = content.encode()
        elif isinstance(content, (bytearray, memoryview)):
            content = bytes(content)
        elif content is not None and not isinstance(content, bytes):
            content = pieces(content)
        body = {"content": content} if call.json is ABSENT else {"json": call.json}
        request = self.http.build_request(
            call.method,
            call.url,
            headers=dict(call.headers),
            timeout=deadline.left(),
            extensions=deadline.extensions,
            **body,
        )
        deadline.timeouts = request.extensions["timeout"]
        return request

    def _failure(
        self, call: Call, deadline: Deadline, cause: Optional[Exception], message: str
    ) -> ConnectionError:
        if deadline.passed or isinstance(cause, (DeadlineOver, httpx.TimeoutException)):
            return ConnectionError(f"Request to {call.path} timed out after {deadline.seconds}s")
        return ConnectionError(f"{message}: {cause}" if str(cause) else message)


def body_of(response: httpx.Response, lost: str) -> Iterator[bytes]:
    """The body as it arrives. Leaving the loop closes the connection."""
    try:
        for part in response.iter_bytes():
            yield part
    except httpx.RequestError as error:
        raise ConnectionError(lost) from error
    finally:
        response.close()


def lines_of(response: httpx.Response, lost: str) -> Iterator[str]:
    """
    The lines of a body, without their ends.

    :raises StacyVMError: a line is longer than a stream may carry
    """
    splitter = LineSplitter()
    try:
        for part in response.iter_bytes():
            for line in splitter.feed(part):
                yield line
        for line in splitter.feed(b"", last=True):
            yield line
    except httpx.RequestError as error:
        raise ConnectionError(lost) from error
    except ValueError as error:
        raise StacyVMError(str(error)) from error
    finally:
        response.close()


def event_data_of(response: httpx.Response) -> Iterator[Any]:
    """The JSON of each server-sent event."""
    parser = EventParser()
    for line in lines_of(response, "The connection was lost"):
        data = parser.feed(line)
        if data is not None:
            yield json.loads(data)

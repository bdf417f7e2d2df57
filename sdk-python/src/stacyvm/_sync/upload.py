# Made from _async/upload.py by scripts/make_sync.py.
"""Large contents in pieces, over lost connections."""

from __future__ import annotations

import io
import math
import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Callable, Dict, Iterator, Optional, Union

from stacyvm._sync.transport import Transport
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm.exceptions import StacyVMError, is_passing

#: Bytes, a local path, or a file object opened for reading bytes that can be positioned.
UploadContent = Union[bytes, bytearray, memoryview, "os.PathLike[str]", BinaryIO]

#: Most bytes of one request: what is lost at most where nothing of a broken one arrived.
PIECE_BYTES = 8 * 1024 * 1024
#: Wait before another try, seconds.
PAUSE = 0.25


@dataclass(frozen=True)
class UploadOptions:
    mode: Optional[str]
    checksum: Union[str, Callable[[], str], None]
    upload_id: Optional[str]
    on_begin: Optional[Callable[[str], None]]
    on_progress: Optional[Callable[[int, int], None]]
    reconnect: float


@contextmanager
def _opened(content: UploadContent) -> Iterator[BinaryIO]:
    if isinstance(content, os.PathLike):
        with open(content, "rb") as file:
            yield file
    elif isinstance(content, (bytes, bytearray, memoryview)):
        yield io.BytesIO(content)
    elif isinstance(content, str):
        raise TypeError("upload takes bytes, a pathlib.Path or an open file: a text could be either")
    else:
        yield content


class Upload:
    """One content on its way: pieces from where the last one ended, then the commit."""

    def __init__(self, transport: Transport, call: Call, path: str, options: UploadOptions) -> None:
        self._transport = transport
        #: Leads to the sandbox's files.
        self._base = call
        self._path = path
        self._options = options
        self._offset = 0
        self._gives_up_at = math.inf
        #: A request of this upload was lost, and may still be at work.
        self._was_lost = options.upload_id is not None

    def send(self, content: UploadContent) -> None:
        with _opened(content) as file:
            start = file.tell()
            size = file.seek(0, os.SEEK_END) - start
            one = self._begin(size)
            try:
                while self._offset < size:
                    self._persist(one, lambda: self._piece(one, file, start))
                    self._progress(size)
                checksum = self._options.checksum
                json = given(checksum=checksum() if callable(checksum) else checksum)
                # Safe to repeat: a commit that succeeded answers the same again.
                commit = self._call("POST", f"{one}/commit", json)
                self._persist(one, lambda: self._transport.json(commit))
            except BaseException as error:
                self._leave(one, error)
                raise

    def _begin(self, size: int) -> str:
        upload = self._earlier() or self._transport.json(
            self._call("POST", "/uploads", given(path=self._path, size=size, mode=self._options.mode))
        )
        self._offset = upload["offset"]
        if self._options.on_begin is not None:
            self._options.on_begin(upload["upload_id"])
        self._progress(size)
        return f"/uploads/{segment(upload['upload_id'])}"

    def _earlier(self) -> Optional[Dict[str, Any]]:
        """The upload that is to go on; None where there is none any more."""
        upload_id = self._options.upload_id
        if upload_id is None:
            return None
        try:
            found: Dict[str, Any] = self._transport.json(self._call("GET", f"/uploads/{segment(upload_id)}"))
        except StacyVMError as error:
            if error.reason == "upload_not_found":
                return None
            raise
        return found

    def _piece(self, one: str, file: BinaryIO, start: int) -> Dict[str, Any]:
        file.seek(start + self._offset)
        call = Call(
            "PATCH",
            self._base.path + one,
            {"offset": self._offset},
            content=file.read(PIECE_BYTES),
            request_timeout=self._base.request_timeout,
            sandbox_id=self._base.sandbox_id,
        )
        answer: Dict[str, Any] = self._transport.json(call)
        return answer

    def _persist(self, one: str, step: Callable[[], Any]) -> None:
        """Runs one step until it succeeds or the time for lost connections is over."""
        before = self._offset
        while True:
            try:
                self._offset = (step()).get("offset", self._offset)
            except StacyVMError as error:
                may_pass = is_passing(error) or (self._was_lost and error.reason == "upload_conflict")
                self._was_lost = True
                now = time.monotonic()
                self._gives_up_at = min(self._gives_up_at, now + self._options.reconnect)
                if not (self._transport.retry.repeats and may_pass) or now >= self._gives_up_at:
                    raise
                self._transport.sleep(PAUSE)
                self._ask(one)
                if self._offset > before:
                    return
            else:
                self._gives_up_at = math.inf
                self._was_lost = False
                return

    def _ask(self, one: str) -> None:
        """What had arrived stays: the server says where to go on."""
        try:
            self._offset = (self._transport.json(self._call("GET", one)))["offset"]
        except StacyVMError:
            pass

    def _leave(self, one: str, error: BaseException) -> None:
        """Bytes that nobody will go on with would stay for a day; where even this fails, they do."""
        may_go_on = isinstance(error, Exception) and is_passing(error)
        if self._options.on_begin is not None and (may_go_on or not isinstance(error, Exception)):
            return
        try:
            self._transport.done(self._call("DELETE", one))
        except StacyVMError:
            pass

    def _progress(self, size: int) -> None:
        if self._options.on_progress is not None:
            self._options.on_progress(self._offset, size)

    def _call(self, method: str, below: str, json: Any = ABSENT) -> Call:
        return Call(
            method,
            self._base.path + below,
            json=json,
            request_timeout=self._base.request_timeout,
            sandbox_id=self._base.sandbox_id,
        )

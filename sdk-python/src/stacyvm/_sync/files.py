# Made from _async/files.py by scripts/make_sync.py.
"""Files of one sandbox, byte for byte."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import (
    Any,
    Iterable,
    Iterator,
    BinaryIO,
    Callable,
    Iterable,
    List,
    Literal,
    Mapping,
    Optional,
    Tuple,
    Union,
)

import httpx

from stacyvm._sync.streams import ByteStream
from stacyvm._sync.transport import Transport, event_data_of
from stacyvm._sync.upload import Upload, UploadContent, UploadOptions
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm.models import FileInfo, FileLink, FileVersion, FolderEvent, UnpackedArchive, of_wire

#: What can be written: text as UTF-8, bytes, or a file object or iterable of bytes, which is sent as it comes.
FileContent = Union[str, bytes, bytearray, memoryview, BinaryIO, Iterable[bytes], Iterable[bytes]]

#: Of a tar.
Compression = Literal["none", "gzip", "zstd"]


@dataclass(frozen=True)
class FileDownload:
    """A content on its way, and which version it is of."""

    #: Changes with the content; None for what the kernel makes up.
    etag: Optional[str]
    #: Of the whole file, bytes; None where nobody knows.
    size_bytes: Optional[int]
    #: Of the stream's first byte: 0 where the server doesn't serve parts of the file.
    offset: int
    stream: ByteStream


class SandboxFiles:
    """Files of one sandbox, byte for byte. Relative paths stand under ``/workspace``."""

    def __init__(self, transport: Transport, sandbox_id: str) -> None:
        self._transport = transport
        self._sandbox_id = sandbox_id

    def read(
        self,
        path: str,
        *,
        range: Optional[Tuple[int, Optional[int]]] = None,
        request_timeout: Optional[float] = None,
    ) -> bytes:
        """
        The whole content, or a part of it.

        :param range: offsets of the first and the last byte; None as the last for the file's end
        """
        return self._transport.content(self._reading(path, range, request_timeout))

    def read_text(
        self,
        path: str,
        *,
        range: Optional[Tuple[int, Optional[int]]] = None,
        request_timeout: Optional[float] = None,
    ) -> str:
        """The content as UTF-8; what is none stands as U+FFFD."""
        return (self.read(path, range=range, request_timeout=request_timeout)).decode("utf-8", "replace")

    def stream(
        self,
        path: str,
        *,
        range: Optional[Tuple[int, Optional[int]]] = None,
        request_timeout: Optional[float] = None,
    ) -> ByteStream:
        """The content as it arrives; the time limit ends with the first byte."""
        return ByteStream(self._transport.open(self._reading(path, range, request_timeout)))

    def version(self, path: str, *, request_timeout: Optional[float] = None) -> FileVersion:
        """Size and version of a file, without its bytes."""
        response = self._transport.open(self._call("HEAD", "", {"path": path}, request_timeout=request_timeout))
        response.close()
        return _version_of(response.headers)

    def download(
        self, path: str, *, offset: int = 0, request_timeout: Optional[float] = None
    ) -> FileDownload:
        """
        The content from an offset on, with the version that it is of: what was read before counts while that is the
        same.
        """
        reading = self._reading(path, None if offset == 0 else (offset, None), request_timeout)
        response = self._transport.open(reading)
        version = _version_of(response.headers)
        begins = re.match(r"bytes (\d{1,15})-", response.headers.get("content-range", ""))
        first = int(begins.group(1)) if begins else 0
        return FileDownload(version.etag, version.size_bytes, first, ByteStream(response))

    def write(
        self,
        path: str,
        content: FileContent,
        *,
        mode: Optional[str] = None,
        request_timeout: Optional[float] = None,
    ) -> None:
        """
        Writes the whole file or nothing of it; parent directories are made.

        :param mode: octal digits, for example ``0755``
        :param request_timeout: seconds; what is sent as it comes has none where absent
        """
        if request_timeout is None and not isinstance(content, (str, bytes, bytearray, memoryview)):
            request_timeout = 0
        query = {"path": path, "mode": mode}
        self._transport.done(
            self._call("PUT", "", query, content=content, kind=_BYTES, request_timeout=request_timeout)
        )

    def upload(
        self,
        path: str,
        content: UploadContent,
        *,
        mode: Optional[str] = None,
        checksum: Union[str, Callable[[], str], None] = None,
        upload_id: Optional[str] = None,
        on_begin: Optional[Callable[[str], None]] = None,
        on_progress: Optional[Callable[[int, int], None]] = None,
        reconnect: float = 60.0,
        request_timeout: Optional[float] = None,
    ) -> None:
        """
        Sends a large content in pieces, and goes on where it was after a lost connection. The file appears whole, or
        not at all.

        :param mode: octal digits, for example ``0755``
        :param checksum: ``sha256:`` and 64 hex digits of the whole content, or what tells them once everything is
            sent; other bytes are then refused
        :param upload_id: of an upload of the same content that was begun before; a new one begins where it is no
            longer there
        :param on_begin: told the id before the first byte. Who takes it wants to go on later: a failure then leaves
            what has arrived
        :param on_progress: told how many bytes have arrived, of how many; first, before any is sent, those of an
            earlier attempt
        :param reconnect: seconds for which a lost connection is tried again
        :param request_timeout: seconds that one piece may take
        """
        options = UploadOptions(mode, checksum, upload_id, on_begin, on_progress, reconnect)
        call = self._call("POST", "", {}, request_timeout=request_timeout)
        Upload(self._transport, call, path, options).send(content)

    def sign(
        self,
        path: str,
        *,
        operation: Literal["read", "write"] = "read",
        expires_in: Optional[str] = None,
        request_timeout: Optional[float] = None,
    ) -> FileLink:
        """
        An address under which anybody reads (GET) or writes (PUT) the file until it expires, is revoked, or the
        sandbox ends.

        :param expires_in: a duration of at most seven days, for example ``15m``; an hour where absent
        """
        json = given(operation=operation, path=path, expires_in=expires_in)
        link = self._transport.json(self._call("POST", "/sign", {}, json, request_timeout=request_timeout))
        return FileLink(self._transport.resolve(link["url"]), _time_of(link["expires_at"]))

    def revoke_links(self, *, request_timeout: Optional[float] = None) -> None:
        """Makes every link that `sign` has made for this sandbox worthless."""
        self._transport.done(self._call("DELETE", "/sign", {}, request_timeout=request_timeout))

    def read_archive(
        self, path: str, *, compression: Optional[Compression] = None, request_timeout: Optional[float] = None
    ) -> ByteStream:
        """A folder, or a file, as a tar stream. What no archive can hold is left out."""
        query = {"path": path, "compression": compression}
        return ByteStream(
            self._transport.open(self._call("GET", "/archive", query, request_timeout=request_timeout))
        )

    def write_archive(
        self,
        path: str,
        archive: FileContent,
        *,
        compression: Optional[Compression] = None,
        request_timeout: float = 0,
    ) -> UnpackedArchive:
        """Unpacks a tar into a folder; each file appears whole or not at all. No time limit unless one is given."""
        query = {"path": path, "compression": compression}
        call = self._call(
            "PUT", "/archive", query, content=archive, kind="application/x-tar", request_timeout=request_timeout
        )
        return of_wire(UnpackedArchive, self._transport.json(call))

    def mkdir(
        self,
        path: str,
        *,
        parents: Optional[bool] = None,
        mode: Optional[str] = None,
        request_timeout: Optional[float] = None,
    ) -> bool:
        """
        Makes a directory; False where it was there already.

        :param parents: makes missing parents too
        :param mode: octal digits, for example ``0755``
        """
        json = given(path=path, parents=parents, mode=mode)
        made = self._transport.json(self._call("POST", "/mkdir", {}, json, request_timeout=request_timeout))
        return bool(made["created"])

    def watch(
        self, path: str, *, recursive: bool = False, request_timeout: Optional[float] = None
    ) -> Iterator[FolderEvent]:
        """
        What changes in a folder: first ``live``, then the changes; ends after ``overflow`` (some were lost) or
        ``gone``. Leaving the loop ends the watch.

        :param recursive: watches the folders below it too
        """
        query = {"path": path, "recursive": True if recursive else None}
        response = self._transport.open(self._call("GET", "/watch", query, request_timeout=request_timeout))
        try:
            for data in event_data_of(response):
                yield of_wire(FolderEvent, data)
        finally:
            response.close()

    def stat(self, path: str, *, request_timeout: Optional[float] = None) -> FileInfo:
        found = self._transport.json(self._call("GET", "/stat", {"path": path}, request_timeout=request_timeout))
        return of_wire(FileInfo, found)

    def list(
        self, path: str = "/", *, depth: Optional[int] = None, request_timeout: Optional[float] = None
    ) -> List[FileInfo]:
        """
        The entries of one directory, and with ``depth`` of those below it.

        :param depth: levels to list; 1 where absent
        """
        query = {"path": path, "depth": depth}
        found = self._transport.json(self._call("GET", "/list", query, request_timeout=request_timeout))
        return [of_wire(FileInfo, one) for one in found]

    def remove(self, path: str, *, recursive: bool = False, request_timeout: Optional[float] = None) -> None:
        """:param recursive: needed for directories"""
        query = {"path": path, "recursive": True if recursive else None}
        self._transport.done(self._call("DELETE", "", query, request_timeout=request_timeout))

    def move(self, old_path: str, new_path: str, *, request_timeout: Optional[float] = None) -> None:
        json = {"old_path": old_path, "new_path": new_path}
        self._transport.done(self._call("POST", "/move", {}, json, request_timeout=request_timeout))

    def chmod(self, path: str, mode: str, *, request_timeout: Optional[float] = None) -> None:
        """:param mode: octal digits, for example ``0755``"""
        json = {"path": path, "mode": mode}
        self._transport.done(self._call("POST", "/chmod", {}, json, request_timeout=request_timeout))

    def glob(self, pattern: str, *, request_timeout: Optional[float] = None) -> List[str]:
        """Paths that match; ``**`` crosses directories."""
        call = self._call("GET", "/glob", {"pattern": pattern}, request_timeout=request_timeout)
        return list_of_str(self._transport.json(call))

    def _reading(self, path: str, range: Optional[Tuple[int, Optional[int]]], request_timeout: Optional[float]) -> Call:
        call = self._call("GET", "", {"path": path}, request_timeout=request_timeout)
        if range is None:
            return call
        first, last = range
        headers = {"Range": f"bytes={first}-{'' if last is None else last}"}
        return Call(
            "GET", call.path, call.query, headers=headers, request_timeout=request_timeout, sandbox_id=call.sandbox_id
        )

    def _call(
        self,
        method: str,
        below: str,
        query: Mapping[str, object],
        json: Any = ABSENT,
        *,
        content: Any = None,
        kind: Optional[str] = None,
        request_timeout: Optional[float],
    ) -> Call:
        path = f"/sandboxes/{segment(self._sandbox_id)}/files{below}"
        headers = {} if kind is None else {"Content-Type": kind}
        return Call(method, path, query, json, content, headers, request_timeout, self._sandbox_id)


_BYTES = "application/octet-stream"


def list_of_str(found: Any) -> List[str]:
    return [str(one) for one in found or []]


def _time_of(text: str) -> datetime:
    # Python 3.9 knows neither Z nor more than six digits of a second.
    return datetime.fromisoformat(
        re.sub(r"(\.\d{1,6})\d*", lambda part: part.group(1).ljust(7, "0"), text).replace("Z", "+00:00")
    )


def _version_of(headers: httpx.Headers) -> FileVersion:
    size = headers["content-range"].rpartition("/")[2] if "content-range" in headers else headers.get("content-length")
    known = size is not None and re.fullmatch(r"\d{1,15}", size)
    return FileVersion(headers.get("etag"), int(size) if known else None)

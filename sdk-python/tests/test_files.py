"""Files against a running server, with real sandboxes."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cutting_proxy import CuttingProxy
from twins import InThreads, client

from stacyvm import FileLink, FileVersion, SandboxNotFound, StacyVMError

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def proxy(server_url: str) -> Iterator[CuttingProxy]:
    with CuttingProxy(server_url) as made:
        yield made


@pytest.fixture(scope="module")
async def distant(
    kind: str, proxy: CuttingProxy, server_url: str, server_options: dict[str, Any], sandbox: Any
) -> AsyncIterator[Any]:
    """The same sandbox, reached through the proxy."""
    async with client(kind, proxy.url, **server_options) as made:
        # The server answers for its own address only.
        made._http.headers["Host"] = server_url.rpartition("/")[2]
        yield await made.get(sandbox.id)


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


async def test_files_come_back_byte_for_byte_whole_or_in_part_under_any_name(sandbox: Any) -> None:
    content = os.urandom(3_000_000)
    path = "/workspace/-a 'b\"\n|%20&🚀.bin"
    await sandbox.files.write(path, content, mode="0600")
    assert await sandbox.files.read(path) == content
    assert await sandbox.files.read(path, range=(5, 8)) == content[5:9]
    assert await sandbox.files.read(path, range=(2_999_990, None)) == content[2_999_990:]
    assert await (await sandbox.files.stream(path)).read() == content
    found = await sandbox.files.stat(path)
    assert (found.path, found.size, found.mode, found.is_dir) == (path, 3_000_000, "0600", False)


async def test_text_bytes_files_and_iterables_are_written(sandbox: Any) -> None:
    contents: list[tuple[Any, bytes]] = [
        ("grüße\n", "grüße\n".encode()),
        (bytearray(b"\0\xff"), b"\0\xff"),
        (io.BytesIO(b"x" * 200_000), b"x" * 200_000),
        ((piece for piece in [b"a", b"b"]), b"ab"),
        ("", b""),
    ]
    for content, expected in contents:
        await sandbox.files.write("kinds", content)
        assert await sandbox.files.read("kinds") == expected
    await sandbox.files.write("kinds", b"\xff")
    assert await sandbox.files.read_text("kinds") == "\ufffd"
    assert await sandbox.read_file("kinds") == "\ufffd"


async def test_what_a_stream_leaves_unread_costs_no_later_call(sandbox: Any) -> None:
    await sandbox.files.write("large", b"y" * 5_000_000)
    for _ in range(20):
        async with await sandbox.files.stream("large") as stream:
            assert await stream.__anext__()
    assert (await sandbox.files.stat("large")).size == 5_000_000


async def test_a_missing_file_raises_before_a_stream_is_handed_out(sandbox: Any) -> None:
    with pytest.raises(SandboxNotFound) as raised:
        await sandbox.files.stream("none")
    assert raised.value.reason == "file_not_found"


async def test_the_older_methods_do_what_they_did(sandbox: Any) -> None:
    await sandbox.write_file("/workspace/d/x.sh", "#!/bin/sh\n", "0755")
    assert await sandbox.read_file("/workspace/d/x.sh") == "#!/bin/sh\n"
    await sandbox.move_file("/workspace/d/x.sh", "/workspace/d/y.sh")
    await sandbox.chmod_file("/workspace/d/y.sh", "0600")
    assert [file["mode"] for file in await sandbox.list_files("/workspace/d")] == ["0600"]
    assert (await sandbox.stat_file("/workspace/d/y.sh"))["size"] == 10
    assert await sandbox.glob_files("/workspace/**/*.sh") == ["/workspace/d/y.sh"]
    with pytest.raises(StacyVMError) as raised:
        await sandbox.delete_file("/workspace/d")
    assert raised.value.status_code == 400
    await sandbox.delete_file("/workspace/d", recursive=True)
    assert await sandbox.files.glob("/workspace/**/*.sh") == []


async def test_an_upload_goes_on_over_lost_connections_and_every_byte_arrives_once(
    distant: Any, proxy: CuttingProxy, tmp_path: Path
) -> None:
    proxy.cut(3, 2_500_000)
    content = os.urandom(20 << 20)
    (tmp_path / "big").write_bytes(content)
    told: list[int] = []
    await distant.files.upload(
        "big",
        tmp_path / "big",
        checksum=sha256(content),
        mode="0750",
        on_progress=lambda sent, _size: told.append(sent),
    )
    assert proxy.cuts_left == 0
    assert told == sorted(told) and (told[0], told[-1]) == (0, len(content))
    assert sha256(await distant.files.read("big")) == sha256(content)
    found = await distant.files.stat("big")
    assert (found.size, found.mode) == (len(content), "0750")


async def test_a_commit_whose_answer_is_lost_is_asked_again(distant: Any, proxy: CuttingProxy) -> None:
    await distant.files.write("committed", "old")
    content = os.urandom(100_000)
    proxy.lose_answers("/commit", 2)
    await distant.files.upload("committed", content, checksum=lambda: sha256(content))
    assert proxy.answers_left == 0
    assert await distant.files.read("committed") == content


async def test_an_upload_that_was_given_up_goes_on_later(distant: Any, proxy: CuttingProxy) -> None:
    content = os.urandom(12 << 20)
    begun: list[str] = []
    proxy.cut(1, 9_000_000)
    with pytest.raises(StacyVMError):
        await distant.files.upload("later", content, on_begin=begun.append, reconnect=0)
    told: list[int] = []
    await distant.files.upload(
        "later", io.BytesIO(content), upload_id=begun[0], on_progress=lambda sent, _size: told.append(sent)
    )
    assert told[0] > 0
    assert await distant.files.read("later") == content


async def test_an_upload_whose_checksum_is_of_something_else_leaves_the_old_content(sandbox: Any) -> None:
    await sandbox.files.write("kept", "old")
    with pytest.raises(StacyVMError) as raised:
        await sandbox.files.upload("kept", b"new", checksum=sha256(b"other"))
    assert raised.value.reason == "checksum_mismatch"
    assert await sandbox.files.read("kept") == b"old"
    await sandbox.files.upload("empty", b"")
    assert (await sandbox.files.stat("empty")).size == 0
    with pytest.raises(TypeError, match=r"pathlib\.Path"):
        await sandbox.files.upload("text", "could be a path")


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
async def test_a_folder_goes_out_and_in_as_an_archive(sandbox: Any, compression: str) -> None:
    assert await sandbox.files.mkdir(f"{compression}/deep/er", parents=True) is True
    assert await sandbox.files.mkdir(compression) is False
    await sandbox.files.write(f"{compression}/deep/er/file", "content")
    archive = await sandbox.files.read_archive(compression, compression=compression)
    # The blocking client takes its own streams.
    content = archive._blocking if isinstance(archive, InThreads) else archive
    unpacked = await sandbox.files.write_archive(f"{compression}-copy", content, compression=compression)
    assert unpacked.bytes == 7
    assert await sandbox.files.read_text(f"{compression}-copy/deep/er/file") == "content"
    listed = await sandbox.files.list(f"/workspace/{compression}-copy", depth=3)
    assert [one.path.split("-copy/")[1] for one in listed] == ["deep", "deep/er", "deep/er/file"]


async def test_a_download_goes_on_from_where_an_earlier_one_stopped_of_the_same_version(sandbox: Any) -> None:
    await sandbox.files.write("parts", "0123456789")
    version = await sandbox.files.version("parts")
    assert version == FileVersion(version.etag, 10) and version.etag
    rest = await sandbox.files.download("parts", offset=4)
    assert (rest.etag, rest.size_bytes, rest.offset) == (version.etag, 10, 4)
    assert await rest.stream.read() == b"456789"
    await sandbox.files.write("parts", "changed")
    assert (await sandbox.files.version("parts")).etag != version.etag


async def test_a_link_reads_or_writes_without_a_key_until_it_is_revoked(sandbox: Any) -> None:
    await sandbox.files.write("shared", "for you")
    link: FileLink = await sandbox.files.sign("shared", expires_in="15m")
    assert link.expires_at.tzinfo is not None
    writing = await sandbox.files.sign("dropped", operation="write")
    async with httpx.AsyncClient() as stranger:
        assert (await stranger.get(link.url)).text == "for you"
        assert (await stranger.put(writing.url, content=b"from you")).is_success
        assert await sandbox.files.read("dropped") == b"from you"
        await sandbox.files.revoke_links()
        assert (await stranger.get(link.url)).status_code == 403


async def test_a_watch_tells_what_changes(sandbox: Any) -> None:
    await sandbox.files.mkdir("watched/below", parents=True)
    seen: list[tuple[str, str | None]] = []
    async for event in sandbox.files.watch("watched", recursive=True):
        seen.append((event.type, event.path))
        if event.type == "live":
            await sandbox.exec("touch below/new && rm -r /workspace/watched", workdir="/workspace/watched")
        if event.type in ("gone", "overflow"):
            break
    assert seen[0] == ("live", None)
    assert ("created", "/workspace/watched/below/new") in seen
    assert seen[-1][0] == "gone"

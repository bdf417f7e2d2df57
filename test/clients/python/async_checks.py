"""The asynchronous client, through its whole surface."""

import asyncio

from checks import check, raises_later


@check("async: health, providers, pool status and quota summary answer")
async def _(scene):
    from stacyvm import AsyncClient, QuotaSummary

    scene.client = AsyncClient(scene.url, api_key=scene.api_key, user_id="alice@example.com")
    assert (await scene.client.health())["status"] == "ok"
    assert scene.provider in [provider["name"] for provider in await scene.client.providers()]
    assert await scene.client.pool_status() == {"enabled": False}
    assert await scene.client.quota_summary() == QuotaSummary(0, 0, 0, 0)


@check("async: admission has exactly the keys that the client knows")
async def _(scene):
    assert (await scene.client.admission(image="alpine:latest", provider=scene.provider)).allowed is True
    assert (await scene.client.admission(ttl="48h")).reason == "max_ttl"


@check("async: a sandbox is spawned, read and listed")
async def _(scene):
    scene.sandbox = await scene.client.spawn(provider=scene.provider, memory_mb=256, ttl="10m", metadata={"a": "b"})
    assert (scene.sandbox.state, scene.sandbox.provider) == ("running", scene.provider)
    assert scene.sandbox.image == "alpine:latest"
    assert repr(scene.sandbox) == f"AsyncSandbox(id='{scene.sandbox.id}', state='running')"
    assert (await scene.client.get(scene.sandbox.id)).state == "running"
    listed = {info.id: info for info in await scene.client.list()}[scene.sandbox.id]
    assert (listed.memory_mb, listed.metadata) == (256, {"a": "b"}), listed
    await scene.sandbox.refresh()


@check("async: a command gives exit code and both outputs")
async def _(scene):
    result = await scene.sandbox.exec("echo $X; echo err >&2; exit 42", env={"X": "hi"}, workdir="/tmp")
    assert (result.exit_code, result.stdout, result.stderr) == (42, "hi\n", "err\n"), result
    argv = await scene.sandbox.exec("echo", args=["$HOME"], mode="argv", timeout="10s")
    assert argv.stdout == "$HOME\n", argv


@check("async: twenty commands at once each get their own answer")
async def _(scene):
    results = await asyncio.gather(*(scene.sandbox.exec(f"sleep 0.1; echo {i}") for i in range(20)))
    assert [result.stdout for result in results] == [f"{i}\n" for i in range(20)]


@check("async: a stream has no line that the client can't read")
async def _(scene):
    chunks = [chunk async for chunk in scene.sandbox.exec_stream("printf a; sleep 0.2; printf b >&2")]
    assert [(chunk.stream, chunk.data) for chunk in chunks if chunk.data] == [("stdout", "a"), ("stderr", "b")], chunks


@check("async: files are written, read, listed, found, moved, changed and deleted")
async def _(scene):
    files = scene.sandbox
    await files.write_file("/workspace/f/a é.txt", "hello world", mode="0640")
    assert await files.read_file("/workspace/f/a é.txt") == "hello world"
    stat = await files.stat_file("/workspace/f/a é.txt")
    assert (stat["size"], stat["mode"]) == (11, "0640"), stat
    assert [entry["path"] for entry in await files.list_files("/workspace/f")] == ["/workspace/f/a é.txt"]
    await files.chmod_file("/workspace/f/a é.txt", "0600")
    await files.move_file("/workspace/f/a é.txt", "/workspace/f/b")
    assert await files.glob_files("/workspace/f/*") == ["/workspace/f/b"]
    await files.delete_file("/workspace/f/b")
    await files.delete_file("/workspace/f", recursive=True)
    assert await files.glob_files("/workspace/f/*") == []


@check("async: what is missing is not found, what is wrong has a code")
async def _(scene):
    from stacyvm import AsyncClient, ConnectionError, SandboxNotFound, StacyVMError

    await raises_later(SandboxNotFound, scene.sandbox.read_file("/workspace/none"))
    await raises_later(SandboxNotFound, scene.client.get("sb-0000000000000000"))
    assert (await raises_later(StacyVMError, scene.client.spawn(ttl="48h"))).code == "RESOURCE_LIMIT"
    assert (await raises_later(StacyVMError, scene.sandbox.exec("sleep 30", timeout="300ms"))).code == "TIMEOUT"
    async with AsyncClient(scene.url) as stranger:
        assert (await raises_later(StacyVMError, stranger.list())).code == "UNAUTHORIZED"
    async with AsyncClient("http://127.0.0.1:1") as nobody:
        await raises_later(ConnectionError, nobody.spawn())


@check("async: extending moves the expiry, and the preview address names the listener")
async def _(scene):
    before = scene.sandbox._info["expires_at"]
    await scene.sandbox.extend_ttl("45m")
    assert scene.sandbox._info["expires_at"] > before
    port = scene.url.rsplit(":", 1)[1]
    assert scene.sandbox.get_preview_url(3000) == f"http://3000-{scene.sandbox.id}.localhost:{port}"


@check("async: a template is spawned")
async def _(scene):
    from stacyvm import Client, Template

    with Client(scene.url, api_key=scene.api_key) as keeper:
        keeper.templates.save(Template("async-template", "alpine:latest", 128, 1, "20m", scene.provider))
        async with await scene.client.spawn_template("async-template") as spawned:
            assert spawned.state == "running"
        keeper.templates.delete("async-template")


@check("async: leaving the block destroys the sandbox, and destroying again is no error")
async def _(scene):
    from stacyvm import SandboxNotFound

    async with await scene.client.spawn(provider=scene.provider) as short:
        assert (await short.exec("true")).exit_code == 0
    await raises_later(SandboxNotFound, short.refresh())
    await scene.sandbox.destroy()
    await scene.sandbox.destroy()
    assert await scene.client.prune() >= 0
    await scene.client.close()
    assert scene.client._http.is_closed

"""The blocking client, through its whole surface."""

import re
import uuid

from checks import check, raises


@check("sync: health, providers and pool status answer as dictionaries")
def _(scene):
    health = scene.client.health()
    assert health["status"] == "ok" and health["version"] and health["uptime"], health
    healthy = {provider["name"]: provider["healthy"] for provider in scene.client.providers()}
    assert healthy[scene.provider] is True, healthy
    assert scene.client.pool_status() == {"enabled": False}


@check("sync: the provider manager lists and tests")
def _(scene):
    from stacyvm.providers import ProviderManager

    manager = ProviderManager(scene.client._http)
    assert scene.provider in [provider["name"] for provider in manager.list()]
    assert manager.test()[scene.provider] is True


@check("sync: the quota summary has exactly the keys that the client knows")
def _(scene):
    from stacyvm import QuotaSummary

    assert scene.client.quota_summary() == QuotaSummary(0, 0, 0, 0)


@check("sync: admission has exactly the keys that the client knows, and says why not")
def _(scene):
    decision = scene.client.admission(
        image="alpine:latest",
        provider=scene.provider,
        memory_mb=64,
        vcpus=1,
        ttl="5m",
        owner_id="alice@example.com",
        metadata={"a": "b"},
    )
    assert decision.allowed is True and decision.reason == "", decision
    refused = scene.client.admission(ttl="48h")
    assert refused.allowed is False and refused.reason == "max_ttl", refused
    assert refused.max_ttl == "24h0m0s", refused


@check("sync: a spawned sandbox runs and carries what was asked for")
def _(scene):
    scene.sandbox = scene.client.spawn(
        image="alpine:latest",
        provider=scene.provider,
        memory_mb=256,
        vcpus=1,
        ttl="10m",
        metadata={"job": "42"},
    )
    assert re.fullmatch(r"sb-[0-9a-f]{16}", scene.sandbox.id), scene.sandbox.id
    assert (scene.sandbox.state, scene.sandbox.provider) == ("running", scene.provider)
    assert scene.sandbox.image == "alpine:latest"
    assert scene.sandbox._info["owner_id"] == "alice@example.com"
    assert repr(scene.sandbox) == f"Sandbox(id='{scene.sandbox.id}', state='running')"


@check("sync: get and list find it")
def _(scene):
    assert scene.client.get(scene.sandbox.id).state == "running"
    listed = {info.id: info for info in scene.client.list()}[scene.sandbox.id]
    assert (listed.memory_mb, listed.vcpus, listed.metadata) == (256, 1, {"job": "42"}), listed
    assert listed.created_at and listed.expires_at


@check("sync: a command gives exit code, both outputs and its duration")
def _(scene):
    result = scene.sandbox.exec("echo $X; echo err >&2; exit 42", env={"X": "hi"})
    assert (result.exit_code, result.stdout, result.stderr) == (42, "hi\n", "err\n"), result
    assert re.search(r"s$", result.duration), result.duration


@check("sync: argv mode passes arguments as they are")
def _(scene):
    awkward = ["$HOME", "it's", "a b", "--", "-n", "line\nbreak", "", "é😀"]
    result = scene.sandbox.exec("printf", args=["%s|", *awkward], mode="argv")
    assert result.stdout == "".join(f"{text}|" for text in awkward), result


@check("sync: shell mode quotes its arguments")
def _(scene):
    assert scene.sandbox.exec("echo", args=["a  b", "$HOME", "it's"]).stdout == "a  b $HOME it's\n"


@check("sync: the working directory is the one given, else /workspace")
def _(scene):
    assert scene.sandbox.exec("pwd", workdir="/tmp").stdout == "/tmp\n"
    assert scene.sandbox.exec("pwd").stdout == "/workspace\n"


@check("sync: a deadline is an error with the code TIMEOUT")
def _(scene):
    from stacyvm import StacyVMError

    assert raises(StacyVMError, scene.sandbox.exec, "sleep 30", timeout="300ms").code == "TIMEOUT"


@check("sync: a stream gives its chunks in order and by stream")
def _(scene):
    chunks = list(
        scene.sandbox.exec_stream(
            'printf "$A"; sleep 0.2; printf b >&2; sleep 0.2; pwd', env={"A": "a"}, workdir="/tmp"
        )
    )
    joined = lambda stream: "".join(chunk.data for chunk in chunks if chunk.stream == stream)
    assert (joined("stdout"), joined("stderr")) == ("a/tmp\n", "b"), chunks
    assert [chunk.stream for chunk in chunks if chunk.data] == ["stdout", "stderr", "stdout"], chunks


@check("sync: a stream takes arguments and the mode")
def _(scene):
    chunks = list(scene.sandbox.exec_stream("echo", args=["$HOME"], mode="argv"))
    assert "".join(chunk.data for chunk in chunks) == "$HOME\n", chunks


@check("sync: a large stream arrives whole")
def _(scene):
    chunks = scene.sandbox.exec_stream("head -c 3000000 /dev/zero | tr '\\0' x")
    assert sum(len(chunk.data) for chunk in chunks) == 3_000_000


@check("sync: files are written, read, listed, found, moved, changed and deleted")
def _(scene):
    files = scene.sandbox
    files.write_file("/workspace/f/a.txt", "hello world")
    files.write_file("/workspace/f/b.txt", "#!/bin/sh\necho ran\n", mode="0755")
    assert files.read_file("/workspace/f/a.txt") == "hello world"
    stat = files.stat_file("/workspace/f/a.txt")
    assert (stat["path"], stat["size"], stat["is_dir"]) == ("/workspace/f/a.txt", 11, False), stat
    assert sorted(entry["path"] for entry in files.list_files("/workspace/f")) == [
        "/workspace/f/a.txt",
        "/workspace/f/b.txt",
    ]
    assert sorted(files.glob_files("/workspace/f/*.txt")) == ["/workspace/f/a.txt", "/workspace/f/b.txt"]
    assert files.exec("/workspace/f/b.txt").stdout == "ran\n"
    files.chmod_file("/workspace/f/b.txt", "0600")
    assert files.stat_file("/workspace/f/b.txt")["mode"] == "0600"
    files.move_file("/workspace/f/a.txt", "/workspace/g/c.txt")
    assert files.read_file("/workspace/g/c.txt") == "hello world"
    files.delete_file("/workspace/g/c.txt")
    files.delete_file("/workspace/f", recursive=True)
    assert files.glob_files("/workspace/f/*") == []


@check("sync: the root can be listed")
def _(scene):
    assert "/workspace" in [entry["path"].rstrip("/") for entry in scene.sandbox.list_files()]


@check("sync: awkward names and unicode come back as they were")
def _(scene):
    for name in ["a b", "-rf", "quote'\"", "pipe|;$(x)", "é😀", "line\nbreak", "per%20cent&x=1#y?z"]:
        path = f"/workspace/{name}"
        scene.sandbox.write_file(path, f"{name} ✓")
        assert scene.sandbox.read_file(path) == f"{name} ✓", name
        scene.sandbox.delete_file(path)


@check("sync: a missing file, a missing sandbox and a missing provider are not found")
def _(scene):
    from stacyvm import SandboxNotFound

    error = raises(SandboxNotFound, scene.sandbox.read_file, "/workspace/none")
    assert error.code == "NOT_FOUND" and "/workspace/none" in str(error), error
    for call in (scene.sandbox.stat_file, scene.sandbox.list_files, scene.sandbox.delete_file):
        raises(SandboxNotFound, call, "/workspace/none")
    raises(SandboxNotFound, scene.client.get, "sb-0000000000000000")
    raises(SandboxNotFound, scene.client.spawn, provider="nope")


@check("sync: bad values and limits are errors with a code")
def _(scene):
    from stacyvm import Client, StacyVMError

    assert raises(StacyVMError, scene.client.spawn, ttl="soon").code == "BAD_REQUEST"
    assert raises(StacyVMError, scene.client.spawn, ttl="48h").code == "RESOURCE_LIMIT"
    with Client(scene.url, api_key=scene.api_key) as nameless:
        assert raises(StacyVMError, nameless.spawn, owner_id="a/b").code == "BAD_REQUEST"
    assert raises(StacyVMError, scene.sandbox.exec, "true", timeout="11m").code == "RESOURCE_LIMIT"
    assert raises(StacyVMError, scene.sandbox.exec, "true", mode="bash").code == "BAD_REQUEST"


@check("sync: a wrong key is UNAUTHORIZED, an absent server is a ConnectionError")
def _(scene):
    from stacyvm import Client, ConnectionError, StacyVMError

    with Client(scene.url, api_key="wrong") as stranger:
        assert raises(StacyVMError, stranger.list).code == "UNAUTHORIZED"
    with Client("http://127.0.0.1:1") as nobody:
        raises(ConnectionError, nobody.spawn)
        raises(ConnectionError, nobody.spawn_template, "any")


@check("sync: extending moves the expiry")
def _(scene):
    before = scene.sandbox._info["expires_at"]
    scene.sandbox.extend_ttl("45m")
    assert scene.sandbox._info["expires_at"] > before
    scene.sandbox.extend_ttl()


@check("sync: the preview address names port, sandbox and listener")
def _(scene):
    port = scene.url.rsplit(":", 1)[1]
    assert scene.sandbox.get_preview_url(3000) == f"http://3000-{scene.sandbox.id}.localhost:{port}"


@check("sync: templates are saved, read, listed, spawned and deleted")
def _(scene):
    from stacyvm import SandboxNotFound, StacyVMError, Template

    name = f"t-{uuid.uuid4().hex[:12]}"
    wanted = Template(name, "alpine:latest", 128, 1, "20m", scene.provider, {"from": "template"})
    scene.client.templates.save(wanted)
    saved = scene.client.templates.get(name)
    assert (saved.name, saved.image, saved.memory_mb) == (name, "alpine:latest", 128), saved
    assert name in [template.name for template in scene.client.templates.list()]
    assert raises(StacyVMError, scene.client.templates.save, wanted).code == "CONFLICT"
    with scene.client.spawn_template(name) as spawned:
        assert (spawned.state, spawned.provider) == ("running", scene.provider)
        spawned.refresh()
        assert spawned._info["memory_mb"] == 128, spawned._info
    with scene.client.spawn(template=name) as spawned:
        assert spawned._info["memory_mb"] == 128, spawned._info
    scene.client.templates.delete(name)
    raises(SandboxNotFound, scene.client.templates.get, name)


@check("sync: leaving the block destroys the sandbox, and destroying again is no error")
def _(scene):
    from stacyvm import SandboxNotFound

    with scene.client.spawn(provider=scene.provider) as short:
        assert short.exec("true").exit_code == 0
    raises(SandboxNotFound, short.refresh)
    short.destroy()
    scene.sandbox.destroy()
    assert scene.sandbox.id not in [info.id for info in scene.client.list()]


@check("sync: prune counts what had expired")
def _(scene):
    assert scene.client.prune() >= 0


@check("sync: a closed client is closed")
def _(scene):
    scene.client.close()
    assert scene.client._http.is_closed

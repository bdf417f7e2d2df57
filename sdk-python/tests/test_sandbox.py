"""Against a running server, with real sandboxes."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from typing import Any

import pytest
from twins import client

from stacyvm import AsyncClient, ConnectionError, ExecBytes, NetworkPolicy, SandboxNotFound, StacyVMError, Template

pytestmark = pytest.mark.anyio


async def test_a_command_runs_by_either_mode_with_input_and_its_exit_is_a_result(sandbox: Any) -> None:
    shell = await sandbox.exec("cat; echo err >&2; exit 3", stdin="it's in")
    assert (shell.exit_code, shell.stdout, shell.stderr) == (3, "it's in", "err\n")
    assert (shell.timed_out, shell.truncated) == (False, False)
    argv = await sandbox.exec("printf", ["%s|", "$HOME", "a\nb", "--x"], "argv")
    assert argv.stdout == "$HOME|a\nb|--x|"


async def test_a_deadline_raises_with_what_the_command_had_said(sandbox: Any) -> None:
    with pytest.raises(StacyVMError) as raised:
        await sandbox.exec("echo early; sleep 30", timeout="1s")
    error = raised.value
    assert (error.code, error.reason, error.status_code) == ("TIMEOUT", "exec_timeout", 408)
    assert error.details["stdout"] == "early\n"
    assert error.request_id and error.remediation


async def test_output_beyond_the_bound_is_cut_and_said_to_be(sandbox: Any) -> None:
    result = await sandbox.exec("head -c 5000 /dev/zero | tr '\\0' x", max_output_bytes=100)
    assert (len(result.stdout), result.truncated) == (100, True)


async def test_a_stream_hands_on_output_in_order_and_ends_with_the_exit(sandbox: Any) -> None:
    stream = sandbox.exec_stream("echo a; echo b >&2; cat; exit 5", stdin="c", user="root")
    seen = {"stdout": "", "stderr": ""}
    async for chunk in stream:
        seen[chunk.stream] += chunk.data
    assert seen == {"stdout": "a\nc", "stderr": "b\n"}
    assert (stream.exit.exit_code, stream.exit.timed_out) == (5, False)


async def test_a_stream_that_is_refused_says_why(sandbox: Any) -> None:
    with pytest.raises(StacyVMError) as raised:
        async for _ in sandbox.exec_stream("true", mode="bash"):
            pass
    assert (raised.value.code, raised.value.status_code) == ("BAD_REQUEST", 400)


async def test_leaving_a_stream_ends_its_command(sandbox: Any) -> None:
    async with sandbox.exec_stream("echo $$; exec sleep 600") as stream:
        pid = (await stream.__anext__()).data.strip()
    assert pid.isdigit()
    while (await sandbox.exec(f"kill -0 {pid}")).exit_code == 0:
        pass


async def test_cancelling_a_task_ends_the_command_that_it_reads(
    server_url: str, server_options: dict[str, Any]
) -> None:
    async with AsyncClient(server_url, **server_options) as made, await made.spawn(ttl="10m") as own:
        pids: asyncio.Queue[str] = asyncio.Queue()

        async def read() -> None:
            async for chunk in own.exec_stream("echo $$; exec sleep 600"):
                pids.put_nowait(chunk.data.strip())

        reading = asyncio.ensure_future(read())
        pid = await pids.get()
        assert (await own.exec(f"kill -0 {pid}")).exit_code == 0
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        while (await own.exec(f"kill -0 {pid}")).exit_code == 0:
            pass


async def test_raw_output_is_every_byte_of_it(sandbox: Any) -> None:
    assert await sandbox.exec("printf '\\377\\000\\200'", output="bytes") == ExecBytes(b"\xff\x00\x80")


async def test_what_a_sandbox_says_of_itself(live: Any, sandbox: Any) -> None:
    assert await sandbox.refresh() is not None
    info = sandbox.info
    assert (info.id, info.state, info.metadata) == (sandbox.id, "running", {"job": "1"})
    assert (sandbox.memory_mb, sandbox.vcpus, sandbox.image) == (info.memory_mb, info.vcpus, "alpine:latest")
    assert info.owner_id == "tester@example.com"
    assert sandbox.get_preview_url(80).startswith(f"http://80-{sandbox.id}.localhost")
    assert isinstance(await sandbox.logs(lines=5), list)
    assert (await sandbox.stats()).supported in (True, False)
    await sandbox.extend_ttl("1h")
    assert datetime.fromisoformat(sandbox.info.expires_at.replace("Z", "+00:00")[:19]) > datetime.fromisoformat(
        info.expires_at.replace("Z", "+00:00")[:19]
    )


async def test_a_sandbox_is_what_the_spawn_said(live: Any, kind: str) -> None:
    spec = {
        "env": {"GREETING": "it's me"},
        "workdir": "/workspace/app",
        "user": "1000",
        "security": "restricted",
        "network_mode": "none",
        "labels": {"app": kind, "tier": "web"},
        "name": f"named-{kind}",
        "disk_mb": 64,
    }
    assert (await live.admission(**spec)).allowed is True
    async with await live.spawn(**spec, ttl="10m") as made:
        assert (await made.exec("echo $GREETING; pwd; id -u")).stdout == "it's me\n/workspace/app\n1000\n"
        info = made.info
        assert (made.name, made.labels, made.security) == (spec["name"], spec["labels"], "restricted")
        assert (info.env_names, info.workdir, info.user) == (["GREETING"], "/workspace/app", "1000")
        assert (info.disk_mb, info.network_mode) == (64, "none")
        await made.refresh()
        assert made.info == info
        assert (await live.get(made.id)).info == info
        found = await live.list(labels={"app": kind, "tier": True}, created_after=datetime(2020, 1, 1), sort="name")
        assert [one.name for one in found] == [spec["name"]]
        assert await live.list(name="other", labels={"app": kind}) == []
        with pytest.raises(StacyVMError) as raised:
            await live.spawn(name=spec["name"])
        assert (raised.value.code, raised.value.details["sandbox_id"]) == ("CONFLICT", made.id)
        assert (await live.spawn(name=spec["name"], if_exists="get")).id == made.id


async def test_one_key_makes_one_sandbox(live: Any, kind: str) -> None:
    key = f"key-{kind}-{os.urandom(8).hex()}"
    first = await live.spawn(ttl="10m", idempotency_key=key)
    assert (await live.spawn(ttl="10m", idempotency_key=key)).id == first.id
    with pytest.raises(StacyVMError) as raised:
        await live.spawn(ttl="11m", idempotency_key=key)
    assert raised.value.reason == "idempotency_key_reused"
    await first.destroy()


async def test_lists_go_page_by_page_and_the_filter_holds(live: Any, sandbox: Any) -> None:
    more = await live.spawn(ttl="10m")
    ids = [info.id async for info in live.list_all(limit=1, state="running", owner="tester@example.com")]
    assert ids == [more.id, sandbox.id]
    page = await live.list(limit=1)
    assert page.next_cursor
    assert (await live.list(limit=1, cursor=page.next_cursor))[0].id == sandbox.id
    assert await live.list(provider="none") == []
    await more.destroy()
    assert more.state == "destroyed"
    with pytest.raises(SandboxNotFound):
        await more.refresh()
    await more.destroy()


async def test_events_tell_of_a_command_while_it_happens(live: Any, sandbox: Any) -> None:
    async def hear() -> str:
        async for event in live.events():
            if event.type == "exec.completed":
                return str(event.sandbox_id)
        return ""

    heard = asyncio.ensure_future(hear())
    # Whether the server has our subscription can only be seen by what it sends.
    while not heard.done():
        await sandbox.exec("true")
    assert await heard == sandbox.id


async def test_quotas_and_templates_are_kept_changed_and_deleted(live: Any, kind: str) -> None:
    owner, name = f"al-{kind}", f"t-{kind}"
    await live.quotas.set(owner, max_sandboxes=3, max_ttl="2h")
    quota = await live.quotas.get(owner)
    assert (quota.owner_id, quota.max_sandboxes, quota.max_ttl) == (owner, 3, "2h0m0s")
    assert owner in [one.owner_id for one in await live.quotas.list()]
    usage = await live.quotas.usage(owner)
    assert (usage.active_sandboxes, usage.quota_configured) == (0, True)
    assert (await live.quota_summary()).total == 1
    await live.quotas.delete(owner)
    await live.templates.save(Template(name, "alpine:latest", 128, ttl="5m", description="small"))
    changed = await live.templates.update(name, memory_mb=256)
    assert (changed.memory_mb, changed.ttl, changed.description) == (256, "5m0s", "small")
    assert (await live.templates.get(name)).memory_mb == 256
    assert name in [one.name for one in await live.templates.list()]
    async with await live.templates.spawn(name, ttl="6m", labels={"a": "b"}, sandbox_name=f"of-{name}") as spawned:
        assert (spawned.memory_mb, spawned.labels, spawned.name) == (256, {"a": "b"}, f"of-{name}")
    async with await live.spawn_template(name) as spawned:
        assert spawned.memory_mb == 256
    await live.templates.delete(name)
    with pytest.raises(SandboxNotFound) as raised:
        await live.templates.get(name)
    assert raised.value.reason == "template_not_found"


async def test_what_a_sandbox_may_reach_is_told_changed_and_logged(live: Any) -> None:
    policy = NetworkPolicy("allowlist", allow=["api.example.com:443"], deny=["203.0.113.0/24"])
    async with await live.spawn(ttl="5m", network=policy) as one:
        assert one.info.network == {
            "mode": "allowlist",
            "allow": ["api.example.com:443"],
            "deny": ["203.0.113.0/24"],
            "inject": [],
        }
        # Refused before a packet leaves.
        await one.exec("nc -w 2 10.9.9.9 80 </dev/null", mode="shell")
        told = [line async for line in one.network.log(limit=5)]
        assert [(line.type, line.decision, line.address, line.port) for line in told] == [
            ("decision", "denied", "10.9.9.9", 80)
        ]
        changed = await one.network.set("public", deny=["*.example.org"])
        assert (changed.mode, changed.allow, changed.deny, changed.cut) == ("public", [], ["*.example.org"], 0)
        found = await one.network.get()
        assert (found.level, found.server["mode"], found.counts["denied"]) == ("transparent", "public", 1)


async def test_named_keys_are_made_used_listed_and_revoked(live: Any, kind: str, server_url: str) -> None:
    made = await live.api_keys.create(f"k-{kind}", role="viewer", tenant_id="acme", ttl="1h")
    assert made.key not in repr(made)
    assert (made.api_key.name, made.api_key.role, made.api_key.tenant_id) == (f"k-{kind}", "viewer", "acme")
    assert made.api_key.id in [one.id for one in await live.api_keys.list()]
    async with client(kind, server_url, api_key=made.key) as viewer:
        state = await viewer.session()
        assert (state["credential_needed"], state["caller"]["role"]) == (True, "viewer")
        assert state["caller"]["tenant_id"] == "acme"
        assert (await live.api_keys.revoke(made.api_key.id)).revoked_at
        with pytest.raises(StacyVMError) as raised:
            await viewer.list()
    assert raised.value.status_code == 401
    with pytest.raises(StacyVMError) as raised:
        await live.api_keys.revoke("key-none")
    assert raised.value.reason == "key_not_found"


async def test_the_rest_of_the_surface_answers(live: Any) -> None:
    assert (await live.health())["status"] == "ok"
    assert [provider["name"] for provider in await live.providers()]
    assert await live.pool_status() == {"enabled": False}
    assert (await live.admission(image="alpine:latest", ttl="5m")).allowed is True
    assert (await live.admission(ttl="48h")).reason == "max_ttl"
    assert await live.prune() >= 0


async def test_a_wrong_key_and_an_absent_server_are_told_apart(kind: str, server_url: str) -> None:
    async with client(kind, server_url, api_key="wrong") as stranger:
        with pytest.raises(StacyVMError) as raised:
            await stranger.list()
    assert (raised.value.code, raised.value.status_code) == ("UNAUTHORIZED", 401)
    async with client(kind, "http://127.0.0.1:9", retry=False) as nobody:
        for call in (nobody.spawn(), nobody.health(), nobody.templates.list()):
            with pytest.raises(ConnectionError, match="Cannot connect to StacyVM server at http://127.0.0.1:9"):
                await call


async def test_what_is_missing_has_the_servers_reason(live: Any, sandbox: Any) -> None:
    with pytest.raises(SandboxNotFound) as raised:
        await live.get("sb-0000000000000000")
    assert (raised.value.reason, raised.value.sandbox_id) == ("sandbox_not_found", "sb-0000000000000000")
    with pytest.raises(SandboxNotFound) as raised:
        await sandbox.read_file("/workspace/missing")
    assert (raised.value.reason, raised.value.sandbox_id) == ("file_not_found", sandbox.id)
    assert str(raised.value) == "no such file or directory: /workspace/missing"

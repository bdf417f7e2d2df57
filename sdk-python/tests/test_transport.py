"""Addresses, time limits, retries and errors, against a server that misbehaves."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from fake_server import CHUNKED, Received, Reply, serve
from twins import client

from stacyvm import ConnectionError, ProviderError, Retry, SandboxNotFound, StacyVMError

pytestmark = pytest.mark.anyio

HEALTH = {"status": "ok", "uptime": "1s"}
SOON = Retry(base_delay=0.001)


async def test_credentials_travel_as_headers_and_an_id_cant_leave_its_place_in_the_path(kind: str) -> None:
    with serve(lambda _request, reply: reply.json({"id": "../quotas?x#y", "supported": True})) as server:
        credentials = {"admin_api_key": "a", "token": "t", "tenant": "acme", "project": "web"}
        async with client(kind, f"{server.url}/", "k", "u@example.com", **credentials) as made:
            sandbox = await made.get("../quotas?x#y")
            await sandbox.stats()
            await made.get("..")
            await made.templates.delete("a/b")
            await sandbox.files.remove("per%20cent&x=1#y?z", recursive=True)
    assert server.urls == [
        "/api/v1/sandboxes/..%2Fquotas%3Fx%23y?view=full",
        "/api/v1/sandboxes/..%2Fquotas%3Fx%23y/stats",
        "/api/v1/sandboxes/%2E%2E?view=full",
        "/api/v1/templates/a%2Fb",
        "/api/v1/sandboxes/..%2Fquotas%3Fx%23y/files?path=per%2520cent%26x%3D1%23y%3Fz&recursive=true",
    ]
    headers = server.received[0].headers
    names = ["x-api-key", "x-admin-api-key", "x-user-id", "authorization", "x-tenant-id", "x-project-id"]
    assert [headers[name] for name in names] == ["k", "a", "u@example.com", "Bearer t", "acme", "web"]


async def test_a_call_says_what_was_given_and_nothing_else(kind: str) -> None:
    with serve(
        lambda _request, reply: reply.json({"id": "sb-1", "exit_code": 0, "stdout": "", "stderr": ""})
    ) as server:
        async with client(kind, server.url) as made:
            sandbox = await made.spawn(memory_mb=0)
            await sandbox.exec("x", [], "", {}, "", "")
            await sandbox.exec("x", ["a"], "argv", {"A": "1"}, "/tmp", "1s", user="root", stdin="", max_output_bytes=9)
    assert [json.loads(request.body) for request in server.received] == [
        {"image": "alpine:latest"},
        {"command": "x"},
        {
            "command": "x",
            "args": ["a"],
            "mode": "argv",
            "env": {"A": "1"},
            "workdir": "/tmp",
            "timeout": "1s",
            "user": "root",
            "stdin": "",
            "max_output_bytes": 9,
        },
    ]


async def test_reads_and_deletes_are_repeated_and_a_change_is_sent_once(kind: str) -> None:
    def answer(_request: Received, reply: Reply) -> None:
        reply.json({"code": "UNAVAILABLE", "message": "later"}, 503)

    with serve(answer) as server:
        async with client(kind, server.url, retry=SOON) as made:
            for call, tries in ((made.health(), 3), (made.prune(), 3), (made.spawn(), 1)):
                before = len(server.received)
                with pytest.raises(ProviderError, match="later"):
                    await call
                assert len(server.received) - before == tries
        async with client(kind, server.url, retry=False) as made:
            before = len(server.received)
            with pytest.raises(ProviderError):
                await made.health()
            assert len(server.received) - before == 1


async def test_a_spawn_under_a_key_is_sent_again_with_the_same_key_and_the_same_body(kind: str) -> None:
    def answer(_request: Received, reply: Reply) -> None:
        if len(server.received) % 3:
            reply.cut()
        else:
            reply.json({"id": "sb-1"}, 201)

    with serve(answer) as server:
        async with client(kind, server.url, retry=SOON) as made:
            await made.spawn(name="web", env={"A": "1"}, idempotency_key="once")
            await made.templates.spawn("t", sandbox_name="web", labels={"a": "b"}, idempotency_key="once")
    sent = [(request.headers["idempotency-key"], json.loads(request.body)) for request in server.received]
    first = ("once", {"image": "alpine:latest", "name": "web", "env": {"A": "1"}})
    second = ("once", {"name": "web", "labels": {"a": "b"}})
    assert sent == [first] * 3 + [second] * 3


async def test_a_list_asks_for_what_was_given(kind: str) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=timezone.utc)
    with serve(lambda _request, reply: reply.json([])) as server:
        async with client(kind, server.url) as made:
            how: dict[str, Any] = {"labels": {"a": "b", "c": True}, "name": "n", "sort": "-name"}
            await made.list(**how, created_after=moment, created_before="2027-01-01T00:00:00Z")
            assert [info async for info in made.list_all(**how, created_after=moment)] == []
    assert parse_qsl(urlsplit(server.urls[0]).query) == [
        ("name", "n"),
        ("label", "a=b"),
        ("label", "c"),
        ("created_before", "2027-01-01T00:00:00Z"),
        ("created_after", "1767323045678"),
        ("sort", "-name"),
        ("view", "full"),
    ]
    assert ("created_after", "1767323045678") in parse_qsl(urlsplit(server.urls[1]).query)


async def test_a_lost_connection_is_made_again_and_its_delete_counts(kind: str) -> None:
    def answer(_request: Received, reply: Reply) -> None:
        if len(server.received) == 1:
            reply.cut()
        else:
            reply.json({"code": "NOT_FOUND", "message": "gone"}, 404)

    with serve(answer) as server:
        async with client(kind, server.url, retry=SOON) as made:
            await made.templates.delete("t")
            with pytest.raises(SandboxNotFound, match="gone"):
                await made.templates.delete("t")


async def test_what_retry_after_asks_is_waited_for_unless_it_is_too_long(kind: str) -> None:
    def answer(request: Received, reply: Reply) -> None:
        if request.url.endswith("health") and len(server.received) > 1:
            reply.json(HEALTH)
        else:
            asked = "1" if request.url.endswith("health") else "3600"
            reply.json({"message": "busy"}, 429, {"Retry-After": asked})

    with serve(answer) as server:
        async with client(kind, server.url, retry=SOON) as made:
            began = time.monotonic()
            await made.health()
            assert time.monotonic() - began >= 1
            with pytest.raises(StacyVMError) as raised:
                await made.providers()
    assert (raised.value.status_code, raised.value.retry_after) == (429, 3600)


async def test_a_server_that_doesnt_answer_costs_no_more_than_the_timeout(kind: str) -> None:
    with serve(lambda _request, reply: reply.until_left()) as server:
        async with client(kind, server.url, timeout=0.05) as made:
            with pytest.raises(ConnectionError, match=r"Request to /health timed out after 0\.05s"):
                await made.health()
            with pytest.raises(ConnectionError, match=r"timed out after 0\.02s"):
                await made.health(request_timeout=0.02)


async def test_an_answer_that_trickles_is_ended_too(kind: str) -> None:
    def answer(_request: Received, reply: Reply) -> None:
        reply.start(200, CHUNKED)
        while True:
            reply.chunk(" ")
            time.sleep(0.01)

    with serve(answer) as server:
        async with client(kind, server.url, timeout=0.2) as made:
            with pytest.raises(ConnectionError, match=r"timed out after 0\.2s"):
                await made.health()


async def test_a_commands_own_timeout_stretches_the_calls(kind: str) -> None:
    def answer(request: Received, reply: Reply) -> None:
        time.sleep(0.4)
        reply.json({"id": "sb-1", "exit_code": 0, "stdout": "", "stderr": "", "new": 1})

    with serve(answer) as server:
        async with client(kind, server.url, timeout=0.2) as made:
            sandbox = await made.get("sb-1", request_timeout=5)
            assert (await sandbox.exec("x", timeout="1ms")).exit_code == 0
            with pytest.raises(ConnectionError, match="timed out"):
                await sandbox.exec("x")
            with pytest.raises(ConnectionError, match="timed out"):
                await sandbox.exec("x", timeout="1h", request_timeout=0.1)


async def test_a_stream_outlives_the_timeout_and_skips_what_is_no_object(kind: str) -> None:
    def answer(request: Received, reply: Reply) -> None:
        if not request.url.endswith("/exec"):
            return reply.json({"id": "sb-1"})
        reply.start(200, CHUNKED)
        reply.chunk('\n  \n{bad\nnull\n5\n[1]\n"x"\n{"data":"d"}\r\n{"stream":"stderr"}\n{}\n')
        time.sleep(0.5)
        reply.chunk('{"stream":"exit","data":"","exit_code":3,"timed_out":false}')
        reply.chunk("")

    with serve(answer) as server:
        async with client(kind, server.url, timeout=0.3) as made:
            stream = (await made.get("sb-1")).exec_stream("x", timeout="9s")
            chunks = [(chunk.stream, chunk.data) async for chunk in stream]
    assert chunks == [("stdout", "d"), ("stderr", ""), ("stdout", "")]
    assert stream.exit.exit_code == 3
    assert json.loads(server.received[1].body) == {"command": "x", "timeout": "9s", "stream": True}


async def test_a_stream_that_breaks_or_fails_says_so(kind: str) -> None:
    def answer(request: Received, reply: Reply) -> None:
        if not request.url.endswith("/exec"):
            return reply.json({"id": "sb-1"})
        reply.start(200, CHUNKED)
        reply.chunk('{"data":"a"}\n')
        if json.loads(request.body)["command"] == "fail":
            reply.chunk('{"stream":"exit","data":"","error":"the sandbox was destroyed"}\n')
        reply.cut()

    with serve(answer) as server:
        async with client(kind, server.url) as made:
            sandbox = await made.get("sb-1")
            for command, error, message in (
                ("break", ConnectionError, "before the command's end was known"),
                ("fail", StacyVMError, "the sandbox was destroyed"),
            ):
                stream = sandbox.exec_stream(command)
                with pytest.raises(error, match=message):
                    async for _ in stream:
                        pass
                assert stream.exit is None


async def test_what_the_catalogue_says_about_a_failure_reaches_the_caller(kind: str) -> None:
    def answer(_request: Received, reply: Reply) -> None:
        body = {
            "code": "TIMEOUT",
            "message": "m",
            "reason": "exec_timeout",
            "request_id": "req-1",
            "remediation": "r",
            "details": {"stdout": "partial"},
        }
        reply.json(body, 408)

    with serve(answer) as server:
        async with client(kind, server.url) as made:
            with pytest.raises(StacyVMError) as raised:
                await made.health()
    error = raised.value
    assert (str(error), error.code, error.status_code, error.reason) == ("m", "TIMEOUT", 408, "exec_timeout")
    assert (error.request_id, error.remediation, error.details) == ("req-1", "r", {"stdout": "partial"})


@pytest.mark.parametrize("body", ["<html>bad gateway</html>", "[1]", ""])
async def test_an_error_without_the_envelope_leaves_the_status_to_speak(kind: str, body: str) -> None:
    def answer(_request: Received, reply: Reply) -> None:
        reply.start(502, {"Content-Length": str(len(body))})
        reply.write(body)

    with serve(answer) as server:
        async with client(kind, server.url, retry=False) as made:
            with pytest.raises(ProviderError, match="Bad Gateway") as raised:
                await made.health()
    assert (raised.value.code, raised.value.status_code) == ("PROVIDER_ERROR", 502)


async def test_a_success_that_isnt_json_is_an_error_of_the_connection(kind: str) -> None:
    def answer(_request: Received, reply: Reply) -> None:
        reply.start(200, {"Content-Length": "6"})
        reply.write("<html>")

    with serve(answer) as server:
        async with client(kind, server.url) as made:
            with pytest.raises(ConnectionError, match="is not JSON"):
                await made.health()


async def test_keys_of_a_newer_server_are_passed_over(kind: str) -> None:
    told = {"allowed": True, "queueable": False, "eligible_workers": [], "id": "sb-1", "metadata": None, "exit_code": 0}
    told.update(stdout="", stderr="", state="running", provider="p", image="i")
    with serve(lambda request, reply: reply.json([told] if request.method == "GET" else told)) as server:
        async with client(kind, server.url) as made:
            assert (await made.admission()).allowed is True
            assert (await made.list())[0].metadata == {}
            assert (await (await made.spawn()).exec("x")).exit_code == 0


async def test_an_error_of_the_connection_is_one_of_httpxs_too(kind: str) -> None:
    async with client(kind, "http://127.0.0.1:9", retry=False) as nobody:
        with pytest.raises(httpx.TransportError) as raised:
            await nobody.health()
    assert (type(raised.value).__module__, getattr(raised.value, "code", None)) == (
        "stacyvm.exceptions",
        "CONNECTION_ERROR",
    )


async def test_a_key_is_asked_for_in_the_words_of_the_api(kind: str) -> None:
    key = {"id": "key-1", "name": "ci", "prefix": "svm_", "role": "viewer", "project_id": "web", "tenant_id": "acme"}
    with serve(lambda _request, reply: reply.json({"api_key": key, "key": "svm_x"})) as server:
        async with client(kind, server.url) as made:
            created = await made.api_keys.create("ci", role="viewer", tenant_id="acme", project_id="web", ttl="1h")
    assert (created.api_key.tenant_id, created.api_key.project_id) == ("acme", "web")
    assert json.loads(server.received[0].body) == {
        "name": "ci",
        "role": "viewer",
        "tenant_id": "acme",
        "project_id": "web",
        "ttl": "1h",
    }

"""What goes on over connections that are lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fake_server import CHUNKED, FakeServer, Received, Reply, serve
from twins import client

from stacyvm import ConnectionError, Retry, SandboxNotFound

pytestmark = pytest.mark.anyio

INFO = {
    **dict.fromkeys(("workdir", "user", "started_at"), ""),
    **dict.fromkeys(("pid", "first_offset", "next_offset", "processes", "cpu_ms", "memory_bytes"), 0),
    "id": "pr-1",
    "argv": ["x"],
    "state": "running",
    "pty": False,
    "stdin_open": False,
}
EXIT = {"type": "exit", "exit": {"exit_code": 0}}


def output(offset: int) -> dict[str, Any]:
    return {"type": "output", "stream": "stdout", "offset": offset, "data": "YWI="}


def live(offset: int) -> dict[str, Any]:
    return {"type": "live", "offset": offset}


def say(*events: dict[str, Any], ends: bool = False) -> Callable[[Reply], None]:
    """Says these events and loses the connection, or ends the answer."""

    def answer(reply: Reply) -> None:
        reply.start(200, CHUNKED)
        reply.chunk("".join(json.dumps(event) + "\n" for event in events))
        if ends:
            reply.chunk("")
        else:
            reply.cut()

    return answer


def answering(*answers: Callable[[Reply], None]) -> Callable[[Received, Reply], None]:
    """The nth connection to the output is answered by the nth; the last one answers all that follow."""
    left = list(answers)

    def answer(request: Received, reply: Reply) -> None:
        if "/output" not in request.url:
            reply.json({"id": "sb-1"} if request.url.endswith("sb-1") else INFO)
        else:
            (left.pop(0) if len(left) > 1 else left[0])(reply)

    return answer


async def follow(kind: str, server: FakeServer, retry: Any = None, **how: Any) -> list[Any]:
    async with client(kind, server.url, retry=retry) as made:
        sandbox = await made.get("sb-1")
        return [event async for event in sandbox.processes.attach("pr-1", **how)]


def offsets(server: FakeServer) -> list[int]:
    return [int(found.group(1)) for url in server.urls if (found := re.search(r"output\?offset=(\d+)", url))]


async def test_a_lost_connection_goes_on_from_the_next_byte_and_nothing_is_told_twice(kind: str) -> None:
    gap = {"type": "gap", "offset": 6, "until": 9}
    answers = answering(
        say(output(0), live(2), output(2)),
        say(output(4), live(6)),
        say(gap, live(9)),
        say(output(9), live(11), EXIT, ends=True),
    )
    with serve(answers) as server:
        events = await follow(kind, server)
    told = [f"{event.offset} {event.replayed}" if event.type == "output" else event.type for event in events]
    assert told == ["0 True", "live", "2 False", "4 False", "gap", "9 False", "exit"]
    assert offsets(server) == [0, 4, 6, 9]


async def test_the_exit_is_told_once_where_the_rest_is_followed(kind: str) -> None:
    with serve(answering(say(EXIT), say(EXIT, output(0), ends=True))) as server:
        events = await follow(kind, server, past_exit=True)
    assert [event.type for event in events] == ["exit", "output"]


async def test_a_server_that_starts_is_waited_for_and_one_that_says_no_is_believed(kind: str) -> None:
    def starting(reply: Reply) -> None:
        reply.start(503, {"Content-Length": "0"})

    def gone(reply: Reply) -> None:
        reply.json({"code": "NOT_FOUND", "reason": "process_not_found", "message": "gone"}, 404)

    soon = Retry(attempts=2, base_delay=0)
    with serve(answering(say(output(0)), *[starting] * 4, gone)) as server:
        with pytest.raises(SandboxNotFound, match="gone"):
            await follow(kind, server, soon)
    assert offsets(server) == [0, 2, 2, 2, 2, 2]


@pytest.mark.parametrize(("retry", "reconnect"), [(None, 0.0), (False, 30.0)])
async def test_a_lost_connection_is_told_when_nothing_is_tried_again(kind: str, retry: Any, reconnect: float) -> None:
    with serve(answering(say(output(0)))) as server:
        with pytest.raises(ConnectionError, match="go on from the last offset"):
            await follow(kind, server, retry, reconnect=reconnect)
    assert offsets(server) == [0]


async def test_a_server_that_only_ever_says_again_what_is_known_is_given_up(kind: str) -> None:
    with serve(answering(say(live(0)))) as server:
        with pytest.raises(ConnectionError):
            await follow(kind, server, reconnect=0.3)
    assert len(offsets(server)) > 1


async def test_an_upload_that_goes_on_waits_for_the_request_that_an_earlier_attempt_lost(kind: str) -> None:
    refusals = [{"reason": "upload_conflict", "code": "CONFLICT", "message": "at work"}] * 2

    def answer(request: Received, reply: Reply) -> None:
        if request.method == "PATCH" and refusals:
            reply.json(refusals.pop(), 409)
        else:
            reply.json({"id": "sb-1", "upload_id": "up-1", "offset": 3 if request.method == "PATCH" else 0})

    with serve(answer) as server:
        async with client(kind, server.url) as made:
            sandbox = await made.get("sb-1")
            await sandbox.files.upload("f", b"abc", upload_id="up-1")
    assert [request.method for request in server.received] == "GET GET PATCH GET PATCH GET PATCH POST".split()
    assert server.urls[-1].endswith("/uploads/up-1/commit")

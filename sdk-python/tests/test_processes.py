"""Processes and ports against a running server, with real sandboxes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stacyvm import ProcessEvent, ProcessLive, ProcessOutput, SandboxNotFound, StacyVMError

pytestmark = pytest.mark.anyio


async def all_of(events: Any) -> list[ProcessEvent]:
    return [event async for event in events]


def text_of(events: list[ProcessEvent]) -> str:
    return b"".join(event.data for event in events if event.type == "output").decode()


async def test_a_process_is_started_fed_followed_to_its_exit_and_found_again_by_its_id(sandbox: Any) -> None:
    one = await sandbox.processes.start("cat; exit 3", stdin=True, tag="mine", env={"A": "1"})
    following = asyncio.ensure_future(all_of(one.output()))
    async with one.stdin as stdin:
        await stdin.write("a\n")
        await stdin.write(b"\0\xff")
    ended = await one.wait()
    assert (ended.exit_code, ended.timed_out) == (3, False)
    last = (await following)[-1]
    assert last.type == "exit" and last.exit.exit_code == 3
    again = await sandbox.processes.get(one.id)
    assert (again.info.state, again.info.tag, again.exit.exit_code) == ("exited", "mine", 3)
    replay = await all_of(sandbox.processes.attach(one.id, offset=2))
    assert replay[:2] == [ProcessOutput("stdout", 2, b"\0\xff", True), ProcessLive(4)]
    assert replay[2].type == "exit"
    assert one.id in [process.id for process in await sandbox.processes.list()]


async def test_the_mode_always_stands_in_the_request(sandbox: Any) -> None:
    one = await sandbox.processes.start("printf", mode="argv", args=["%s|", "$HOME", "a\nb"])
    assert text_of(await all_of(one.output())) == "$HOME|a\nb|"
    assert one.info.argv == ["printf", "%s|", "$HOME", "a\nb"]
    assert (await sandbox.processes.start("true")).info.argv == ["sh", "-c", "true"]


async def test_leaving_the_loop_leaves_the_process_alone_and_the_rest_is_there_later(sandbox: Any) -> None:
    one = await sandbox.processes.start("printf abc; read x; printf def", stdin=True)
    offset = 0
    async for event in one.output():
        if event.type == "output":
            offset = event.offset + len(event.data)
        if offset == 3:
            break
    refreshed = await one.refresh()
    assert refreshed.info.state == "running"
    assert [child.name for child in refreshed.info.children] == ["sh"]
    await one.write("\n")
    await one.wait()
    assert text_of(await all_of(one.output(offset=offset))) == "def"
    assert text_of(await all_of(one.output(follow=False))) == "abcdef"


async def test_the_loop_ends_at_the_exit_or_goes_on_to_the_end_of_what_was_started(sandbox: Any) -> None:
    command = "(while ! test -e /tmp/on; do sleep 0.02; done; echo later) & echo now"
    await sandbox.exec("rm -f /tmp/on")
    one = await sandbox.processes.start(command)
    assert text_of(await all_of(one.output())) == "now\n"
    whole = asyncio.ensure_future(all_of(one.output(past_exit=True)))
    await sandbox.exec("touch /tmp/on")
    assert text_of(await whole) == "now\nlater\n"


async def test_a_terminal_has_a_size_takes_another_and_ends_at_the_end_of_input(sandbox: Any) -> None:
    one = await sandbox.processes.start("stty size; read x; stty size; cat", pty=(91, 33))
    seen = ""
    async for event in one.output():
        if event.type == "output":
            seen += event.data.decode()
        if "33 91" in seen and "40 120" not in seen:
            await one.resize(120, 40)
            await one.write("\n")
            seen = ""
        if "40 120" in seen:
            await one.stdin.close()
            seen = ""
    assert (await one.wait()).exit_code == 0


async def test_a_wait_has_its_time_and_a_signal_ends_it(sandbox: Any) -> None:
    one = await sandbox.processes.start("exec sleep 74")
    with pytest.raises(StacyVMError) as raised:
        await one.wait(0.03)
    assert raised.value.code == "TIMEOUT"
    waiting = asyncio.ensure_future(one.wait())
    await one.signal("SIGTERM")
    ended = await waiting
    assert (ended.exit_code, ended.signal) == (143, 15)
    assert one.exit == ended
    with pytest.raises(SandboxNotFound) as missing:
        await sandbox.processes.get("pr-0000000000000000")
    assert missing.value.reason == "process_not_found"


async def test_a_program_that_listens_is_reached_through_its_port(sandbox: Any) -> None:
    await sandbox.exec("mkdir -p /workspace/site && echo hello > /workspace/site/index.html")
    one = await sandbox.processes.start("exec busybox httpd -f -p 8000 -h /workspace/site")
    while 8000 not in [listening.port for listening in await sandbox.ports()]:
        assert (await one.refresh()).exit is None
    answer = await sandbox.fetch(8000, "/index.html")
    assert (answer.status_code, answer.text) == (200, "hello\n")
    assert (await sandbox.fetch(8000, "none")).status_code == 404
    with pytest.raises(ValueError, match="leads away"):
        await sandbox.fetch(8000, "/../../../../quotas")
    await one.signal("SIGKILL")
    await one.wait()
    refused = await sandbox.fetch(8000, "/")
    assert (refused.status_code, refused.json()["reason"]) == (502, "port_refused")

"""A process's output, over lost connections."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, replace
from typing import Any, AsyncIterator, Mapping, Optional, Set

from stacyvm._async.transport import AsyncTransport, lines_of
from stacyvm._call import Call
from stacyvm._lines import object_of
from stacyvm.exceptions import StacyVMError, is_passing
from stacyvm.models import (
    ProcessEvent,
    ProcessExit,
    ProcessExited,
    ProcessGap,
    ProcessLive,
    ProcessOutput,
    of_wire,
)

#: Waits before another try, seconds: the first one, and the longest that doubling comes to.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0

_LOST = "The connection was lost; go on from the last offset and its bytes"


@dataclass
class _Lost:
    """Of a connection that was lost."""

    gives_up_at: float
    pause: float = FIRST_PAUSE


async def process_events(
    transport: AsyncTransport, call: Call, offset: int, past_exit: bool, reconnect: float
) -> AsyncIterator[ProcessEvent]:
    """
    The events from the offset to the end or to the exit. A lost connection is made again from where it was, so that
    nothing comes twice. Leaving the loop ends the connection; the process lives on.
    """
    told: Set[str] = set()
    lost: Optional[_Lost] = None
    connected = False
    while True:
        connected_at: Optional[float] = None
        response = None
        try:
            response = await transport.open(replace(call, query={"offset": offset, **call.query}))
            connected, connected_at = True, time.monotonic()
            async for line in lines_of(response, _LOST):
                event = _event_of(object_of(line) or {}, "live" not in told)
                if event is None or _is_told_again(event, told):
                    continue
                lost = None
                offset = _next_offset(event, offset)
                yield event
                if event.type == "exit" and not past_exit:
                    return
            return
        except StacyVMError as failure:
            now = time.monotonic()
            if lost is None:
                lost = _Lost(now + reconnect)
            elif connected_at is not None:
                # While a connection stood, that it told nothing new was the process's matter.
                lost.gives_up_at += now - connected_at
            if not (connected and transport.retry.repeats and is_passing(failure)) or now >= lost.gives_up_at:
                raise
        finally:
            if response is not None:
                await response.aclose()
        await transport.sleep(lost.pause)
        lost.pause = min(2 * lost.pause, LONGEST_PAUSE)


def _is_told_again(event: ProcessEvent, told: Set[str]) -> bool:
    """What comes once, however often the connection is made: the end of the replay, and the exit."""
    if event.type not in ("live", "exit"):
        return False
    again = event.type in told
    told.add(event.type)
    return again


def _next_offset(event: ProcessEvent, offset: int) -> int:
    if event.type == "output":
        return event.offset + len(event.data)
    if event.type == "gap":
        return event.until
    return event.offset if event.type == "live" else offset


def _event_of(line: Mapping[str, Any], replayed: bool) -> Optional[ProcessEvent]:
    """None for what a later server may say and this client doesn't know."""
    kind, offset = line.get("type"), line.get("offset")
    if kind == "exit":
        return ProcessExited(of_wire(ProcessExit, line["exit"]))
    if not isinstance(offset, int):
        return None
    if kind == "live":
        return ProcessLive(offset)
    if kind == "gap" and isinstance(line.get("until"), int):
        return ProcessGap(offset, line["until"])
    if kind == "output" and isinstance(line.get("data"), str):
        return ProcessOutput(line["stream"], offset, base64.b64decode(line["data"]), replayed)
    return None

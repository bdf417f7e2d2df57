"""Processes that outlive the connection that started them."""

from __future__ import annotations

import math
import time
from types import TracebackType
from typing import Any, AsyncIterator, List, Literal, Mapping, Optional, Sequence, Tuple, Type, Union

from stacyvm._async.process_output import process_events
from stacyvm._async.transport import AsyncTransport
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm.exceptions import StacyVMError
from stacyvm.models import (
    ProcessEvent,
    ProcessExit,
    ProcessInfo,
    SignalName,
    process_info_of,
)

#: How long one request waits for an exit, seconds; the wait itself repeats it.
WAIT_PER_CALL = 60.0
#: What the answer may take beyond it, seconds.
WAIT_GRACE = 15.0


class AsyncProcessStdin:
    """A process's input as something to write to and close, or to use in a `with` block."""

    def __init__(self, process: AsyncSandboxProcess) -> None:
        self._process = process

    async def write(self, data: Union[str, bytes]) -> None:
        await self._process.write(data)

    async def close(self) -> None:
        """Closes stdin, or sends a terminal the end of input."""
        await (self._process.write(b"\x04") if self._process.info.pty else self._process.close_stdin())

    async def __aenter__(self) -> AsyncProcessStdin:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()


class AsyncSandboxProcess:
    """
    A process that outlives its connections. What its properties tell is what the server said last; `refresh` asks
    again.
    """

    def __init__(self, transport: AsyncTransport, sandbox_id: str, info: ProcessInfo) -> None:
        self._transport = transport
        self._sandbox_id = sandbox_id
        self._info = info

    @property
    def id(self) -> str:
        """``pr-`` and 16 hex digits; valid over a restart of the server."""
        return self._info.id

    @property
    def info(self) -> ProcessInfo:
        return self._info

    @property
    def exit(self) -> Optional[ProcessExit]:
        """How the command ended; None while it runs."""
        return self._info.exit

    @property
    def stdin(self) -> AsyncProcessStdin:
        """Of a process that was started with ``stdin=True`` or ``pty``."""
        return AsyncProcessStdin(self)

    def output(
        self,
        *,
        offset: int = 0,
        follow: bool = True,
        past_exit: bool = False,
        reconnect: float = 30.0,
        request_timeout: Optional[float] = None,
    ) -> AsyncIterator[ProcessEvent]:
        """
        Output from the offset, then live, to the command's exit. Several may iterate at once, and none slows it.

        :param offset: of the first byte wanted
        :param follow: False ends with what there is now
        :param past_exit: goes on after the command's exit, until everything that it started has ended
        :param reconnect: seconds for which a lost connection is tried again before the loop raises; it goes on from
            where it was
        """
        query = {"follow": follow, "encoding": "base64"}
        call = self._call("GET", "/output", query=query, request_timeout=request_timeout)
        return process_events(self._transport, call, offset, past_exit, reconnect)

    async def write(self, data: Union[str, bytes], *, request_timeout: Optional[float] = None) -> None:
        """Writes to stdin or the terminal. Returns when the process, or the queue before it, has taken all."""
        headers = {"Content-Type": "application/octet-stream"}
        await self._transport.done(
            self._call("POST", "/stdin", content=data, headers=headers, request_timeout=request_timeout)
        )

    async def close_stdin(self, *, request_timeout: Optional[float] = None) -> None:
        await self._transport.done(self._call("DELETE", "/stdin", request_timeout=request_timeout))

    async def signal(self, name: SignalName, *, tree: bool = True, request_timeout: Optional[float] = None) -> None:
        """To the process and everything that it started, or with ``tree=False`` only to itself."""
        json = given(signal=name, tree=None if tree else False)
        await self._transport.done(self._call("POST", "/signal", json=json, request_timeout=request_timeout))

    async def resize(self, cols: int, rows: int, *, request_timeout: Optional[float] = None) -> None:
        """Changes the terminal's size."""
        json = {"cols": cols, "rows": rows}
        await self._transport.done(self._call("POST", "/resize", json=json, request_timeout=request_timeout))

    async def wait(self, timeout: Optional[float] = None) -> ProcessExit:
        """
        Returns when the command has exited; a non-zero exit is a result.

        :param timeout: seconds; without end where absent
        :raises StacyVMError: code ``TIMEOUT`` when it runs on after that
        """
        ends_at = time.monotonic() + timeout if timeout else math.inf
        while True:
            left = min(WAIT_PER_CALL, max(0.0, ends_at - time.monotonic()))
            query = {"timeout": f"{math.ceil(left * 1000)}ms"}
            call = self._call("GET", "/wait", query=query, request_timeout=left + WAIT_GRACE)
            self._info = process_info_of(await self._transport.json(call))
            if self._info.exit is not None:
                return self._info.exit
            if time.monotonic() >= ends_at:
                raise StacyVMError(f"Process {self.id} runs on", "TIMEOUT")

    async def refresh(self, *, request_timeout: Optional[float] = None) -> AsyncSandboxProcess:
        """Asks for the present state; returns this object."""
        self._info = process_info_of(await self._transport.json(self._call("GET", "", request_timeout=request_timeout)))
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r}, state={self._info.state!r})"

    def _call(
        self,
        method: str,
        below: str,
        *,
        query: Optional[Mapping[str, object]] = None,
        json: Any = ABSENT,
        content: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        request_timeout: Optional[float] = None,
    ) -> Call:
        path = f"/sandboxes/{segment(self._sandbox_id)}/processes/{segment(self.id)}{below}"
        return Call(method, path, query or {}, json, content, headers or {}, request_timeout, self._sandbox_id)


class AsyncSandboxProcesses:
    """Processes of one sandbox that outlive the connection that started them."""

    def __init__(self, transport: AsyncTransport, sandbox_id: str) -> None:
        self._transport = transport
        self._sandbox_id = sandbox_id

    async def start(
        self,
        command: str,
        *,
        args: Optional[Sequence[str]] = None,
        mode: Literal["shell", "argv"] = "shell",
        env: Optional[Mapping[str, str]] = None,
        workdir: Optional[str] = None,
        user: Optional[str] = None,
        tag: Optional[str] = None,
        stdin: Optional[bool] = None,
        pty: Optional[Tuple[int, int]] = None,
        timeout: Optional[str] = None,
        request_timeout: Optional[float] = None,
    ) -> AsyncSandboxProcess:
        """
        Starts a process.

        :param args: in shell mode each is quoted and appended to the command; in argv mode they are the arguments
        :param mode: ``shell``: the command is a line for ``sh -c``; ``argv``: a program's name, no shell involved
        :param workdir: ``/workspace`` where absent
        :param user: name or uid inside the sandbox
        :param tag: a name of your own; several processes may share one
        :param stdin: keeps stdin open; without it, and without a terminal, stdin is empty
        :param pty: columns and rows of a terminal
        :param timeout: Go duration after which the whole process tree is ended; none where absent
        """
        json = given(
            command=command,
            mode=mode,
            args=None if args is None else list(args),
            env=None if env is None else dict(env),
            workdir=workdir,
            user=user,
            tag=tag,
            stdin=stdin,
            pty=None if pty is None else {"cols": pty[0], "rows": pty[1]},
            timeout=timeout,
        )
        return self._process(await self._transport.json(self._call("POST", "", json, request_timeout)))

    async def list(self, *, request_timeout: Optional[float] = None) -> List[AsyncSandboxProcess]:
        """Oldest first; ended ones stay for 24 hours or until 100 others have ended."""
        found = await self._transport.json(self._call("GET", "", ABSENT, request_timeout))
        return [self._process(info) for info in found]

    async def get(self, id: str, *, request_timeout: Optional[float] = None) -> AsyncSandboxProcess:
        """:raises SandboxNotFound: reason ``process_not_found``"""
        return self._process(await self._transport.json(self._call("GET", f"/{segment(id)}", ABSENT, request_timeout)))

    async def attach(
        self,
        id: str,
        *,
        offset: int = 0,
        follow: bool = True,
        past_exit: bool = False,
        reconnect: float = 30.0,
        request_timeout: Optional[float] = None,
    ) -> AsyncIterator[ProcessEvent]:
        """The output of a process whose id is known, from the offset on, live, to its exit: see `output`."""
        process = await self.get(id, request_timeout=request_timeout)
        events = process.output(
            offset=offset, follow=follow, past_exit=past_exit, reconnect=reconnect, request_timeout=request_timeout
        )
        async for event in events:
            yield event

    def _process(self, info: Mapping[str, Any]) -> AsyncSandboxProcess:
        return AsyncSandboxProcess(self._transport, self._sandbox_id, process_info_of(info))

    def _call(self, method: str, below: str, json: Any, request_timeout: Optional[float]) -> Call:
        path = f"/sandboxes/{segment(self._sandbox_id)}/processes{below}"
        return Call(method, path, json=json, request_timeout=request_timeout, sandbox_id=self._sandbox_id)

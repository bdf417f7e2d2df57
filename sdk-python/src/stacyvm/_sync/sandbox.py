# Made from _async/sandbox.py by scripts/make_sync.py.
"""One sandbox."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Dict, List, Literal, Mapping, Optional, Sequence, Type, Union, overload

import httpx

from stacyvm._sync.files import SandboxFiles, list_of_str
from stacyvm._sync.network import SandboxNetwork
from stacyvm._sync.processes import SandboxProcesses
from stacyvm._sync.streams import ExecStream
from stacyvm._sync.transport import Transport
from stacyvm._call import ABSENT, Call, given, segment, truthy
from stacyvm._duration import duration_seconds
from stacyvm._spec import FULL_VIEW
from stacyvm.models import ExecBytes, ExecResult, ListeningPort, SandboxInfo, SandboxStats, of_wire

#: What the answer may take beyond a command's own deadline, seconds.
EXEC_GRACE = 10.0


class Sandbox:
    """
    One sandbox. What its properties tell is what the server said last; `refresh` asks again. Leaving its `with` block
    destroys it.
    """

    def __init__(
        self,
        http: Union[httpx.Client, Transport],
        sandbox_id: str,
        info: Optional[Dict[str, Any]] = None,
    ) -> None:
        self._transport = Transport.of(http)
        self.id = sandbox_id
        self._info: Dict[str, Any] = info or {}
        #: Files byte for byte, with streams and ranges.
        self.files = SandboxFiles(self._transport, sandbox_id)
        #: Commands that outlive the connection, and terminals.
        self.processes = SandboxProcesses(self._transport, sandbox_id)
        #: What it may reach, and what it tried.
        self.network = SandboxNetwork(self._transport, sandbox_id)

    @property
    def state(self) -> str:
        return str(self._info.get("state", "unknown"))

    @property
    def provider(self) -> str:
        return str(self._info.get("provider", ""))

    @property
    def image(self) -> str:
        return str(self._info.get("image", ""))

    @property
    def memory_mb(self) -> int:
        return self.info.memory_mb

    @property
    def vcpus(self) -> int:
        return self.info.vcpus

    @property
    def name(self) -> str:
        """Empty where it has none, or the server doesn't know names."""
        return self.info.name

    @property
    def labels(self) -> Dict[str, str]:
        """A copy."""
        return dict(self.info.labels)

    @property
    def security(self) -> str:
        """The profile that was used; empty where the server doesn't tell."""
        return self.info.security

    @property
    def info(self) -> SandboxInfo:
        """A copy."""
        least = {"id": self.id, "state": self.state, "provider": self.provider, "image": self.image}
        return of_wire(SandboxInfo, {**self._info, **least})

    def get_preview_url(self, port: int) -> str:
        """Where an application listening on the port inside is reached."""
        return f"http://{port}-{self.id}.{self._info.get('preview_domain') or 'localhost'}"

    def ports(self, *, request_timeout: Optional[float] = None) -> List[ListeningPort]:
        """Programs that listen in the sandbox."""
        found = self._transport.json(self._call("GET", "/ports", request_timeout=request_timeout))
        return [of_wire(ListeningPort, one) for one in found]

    def fetch(
        self, port: int, path: str = "/", *, method: str = "GET", stream: bool = False, **options: Any
    ) -> httpx.Response:
        """
        A request to a port in the sandbox, which needs no network, with httpx's own options and answer, neither
        repeated nor bound by the client's timeout. What goes wrong on the way there is an answer of the server: 502
        with a ``reason``.

        :param stream: the body is still to come; close the answer
        :param options: those of ``httpx.Client.build_request``: ``content``, ``json``, ``params``, ``headers`` …
        :raises ValueError: the path leads away from the port
        """
        proxy = f"/api/v1/sandboxes/{segment(self.id)}/ports/{int(port)}/proxy"
        http = self._transport.http
        options.setdefault("timeout", None)
        request = http.build_request(method, proxy + (path if path.startswith("/") else f"/{path}"), **options)
        # Dots in a path are resolved on this side, and the request carries the key.
        if not request.url.raw_path.startswith(http.build_request("GET", f"{proxy}/").url.raw_path):
            raise ValueError(f"the path {path!r} leads away from port {port}")
        for name, value in http.headers.items():
            if name.startswith("x-"):
                request.headers[name] = value
        return self._transport.request(request, stream)

    @overload
    def exec(
        self,
        command: str,
        args: Optional[Sequence[str]] = None,
        mode: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        workdir: Optional[str] = None,
        timeout: Optional[str] = None,
        *,
        user: Optional[str] = None,
        stdin: Optional[str] = None,
        max_output_bytes: Optional[int] = None,
        output: Literal["text"] = "text",
        request_timeout: Optional[float] = None,
    ) -> ExecResult: ...

    @overload
    def exec(
        self,
        command: str,
        args: Optional[Sequence[str]] = None,
        mode: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        workdir: Optional[str] = None,
        timeout: Optional[str] = None,
        *,
        user: Optional[str] = None,
        stdin: Optional[str] = None,
        max_output_bytes: Optional[int] = None,
        output: Literal["bytes"],
        request_timeout: Optional[float] = None,
    ) -> ExecBytes: ...

    def exec(
        self,
        command: str,
        args: Optional[Sequence[str]] = None,
        mode: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        workdir: Optional[str] = None,
        timeout: Optional[str] = None,
        *,
        user: Optional[str] = None,
        stdin: Optional[str] = None,
        max_output_bytes: Optional[int] = None,
        output: Literal["text", "bytes"] = "text",
        request_timeout: Optional[float] = None,
    ) -> Union[ExecResult, ExecBytes]:
        """
        Runs a command to its end. A non-zero exit is a result, not an error; with ``output="bytes"`` stdout comes raw.

        :param args: in shell mode each is quoted and appended to the command; in argv mode they are the arguments
        :param mode: ``shell`` (default): the command is a line for ``sh -c``; ``argv``: a program's name, no shell
            involved
        :param workdir: ``/workspace`` where absent
        :param timeout: Go duration such as ``90s``, after which the whole process tree is ended; the call waits at
            least as long
        :param user: name or uid inside the sandbox
        :param stdin: fed to the command, then closed
        :param max_output_bytes: both streams together; the head is kept
        :raises StacyVMError: code ``TIMEOUT`` past the command's timeout, with the partial output in ``details``
        """
        json = _exec_body(command, args, mode, env, workdir, timeout, user, stdin, max_output_bytes)
        limit = _exec_limit(timeout, request_timeout, self._transport.timeout)
        if output == "bytes":
            headers = {"Accept": "application/octet-stream"}
            call = self._call("POST", "/exec", json=json, headers=headers, request_timeout=limit)
            return ExecBytes(self._transport.content(call))
        answer = self._transport.json(self._call("POST", "/exec", json=json, request_timeout=limit))
        return of_wire(ExecResult, answer)

    def exec_stream(
        self,
        command: str,
        args: Optional[Sequence[str]] = None,
        mode: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        workdir: Optional[str] = None,
        *,
        timeout: Optional[str] = None,
        user: Optional[str] = None,
        stdin: Optional[str] = None,
        max_output_bytes: Optional[int] = None,
        request_timeout: Optional[float] = None,
    ) -> ExecStream:
        """Runs a command when the loop over its output begins; leaving the loop ends the command. See `exec`."""
        json = _exec_body(command, args, mode, env, workdir, timeout, user, stdin, max_output_bytes)
        call = self._call("POST", "/exec", json={**json, "stream": True}, request_timeout=request_timeout)
        return ExecStream(self._transport, call)

    def write_file(self, path: str, content: str, mode: Optional[str] = None) -> None:
        """Writes text. `files.write` takes bytes and streams."""
        json = {"path": path, "content": content, **truthy(mode=mode)}
        self._transport.done(self._call("POST", "/files", json=json))

    def read_file(self, path: str) -> str:
        """Reads text. `files.read` gives bytes."""
        return self.files.read_text(path)

    def list_files(self, path: str = "/") -> List[Dict[str, Any]]:
        found: List[Dict[str, Any]] = self._transport.json(self._call("GET", "/files/list", {"path": path}))
        return found

    def delete_file(self, path: str, recursive: bool = False) -> None:
        self.files.remove(path, recursive=recursive)

    def move_file(self, old_path: str, new_path: str) -> None:
        self.files.move(old_path, new_path)

    def chmod_file(self, path: str, mode: str) -> None:
        """:param mode: octal digits, for example ``0755``"""
        self.files.chmod(path, mode)

    def stat_file(self, path: str) -> Dict[str, Any]:
        found: Dict[str, Any] = self._transport.json(self._call("GET", "/files/stat", {"path": path}))
        return found

    def glob_files(self, pattern: str) -> List[str]:
        return self.files.glob(pattern)

    def logs(self, *, lines: Optional[int] = None, request_timeout: Optional[float] = None) -> List[str]:
        """The last lines of the console."""
        call = self._call("GET", "/logs", {"lines": lines}, request_timeout=request_timeout)
        return list_of_str(self._transport.json(call))

    def stats(self, *, request_timeout: Optional[float] = None) -> SandboxStats:
        found = self._transport.json(self._call("GET", "/stats", request_timeout=request_timeout))
        return of_wire(SandboxStats, found)

    def extend_ttl(self, ttl: str = "30m", *, request_timeout: Optional[float] = None) -> None:
        """Sets the expiry to now plus the time to live, a Go duration."""
        call = self._call("POST", "/extend", FULL_VIEW, json={"ttl": ttl}, request_timeout=request_timeout)
        self._info = self._transport.json(call)

    def destroy(self, *, request_timeout: Optional[float] = None) -> None:
        """Repeating it is no error."""
        self._transport.done(self._call("DELETE", "", request_timeout=request_timeout))
        self._info = {**self._info, "state": "destroyed"}

    def refresh(self, *, request_timeout: Optional[float] = None) -> Sandbox:
        """Asks the server for the present state; returns this sandbox."""
        self._info = self._transport.json(self._call("GET", "", FULL_VIEW, request_timeout=request_timeout))
        return self

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            self.destroy()
        except Exception:
            # It expires anyway, and the block's outcome matters more.
            pass

    def __repr__(self) -> str:
        return f"{type(self).__name__}(id={self.id!r}, state={self.state!r})"

    def _call(
        self,
        method: str,
        below: str,
        query: Optional[Mapping[str, object]] = None,
        *,
        json: Any = ABSENT,
        headers: Optional[Mapping[str, str]] = None,
        request_timeout: Optional[float] = None,
    ) -> Call:
        path = f"/sandboxes/{segment(self.id)}{below}"
        return Call(method, path, query or {}, json, None, headers or {}, request_timeout, self.id)


def _exec_body(
    command: str,
    args: Optional[Sequence[str]],
    mode: Optional[str],
    env: Optional[Mapping[str, str]],
    workdir: Optional[str],
    timeout: Optional[str],
    user: Optional[str],
    stdin: Optional[str],
    max_output_bytes: Optional[int],
) -> Dict[str, Any]:
    named = truthy(args=list(args or []), mode=mode, env=dict(env or {}), workdir=workdir, timeout=timeout, user=user)
    return {"command": command, **named, **given(stdin=stdin, max_output_bytes=max_output_bytes)}


def _exec_limit(timeout: Optional[str], asked: Optional[float], client: Optional[float]) -> Optional[float]:
    """A command's own timeout stretches the client's, an explicit ``request_timeout`` replaces both."""
    own = duration_seconds(timeout) if timeout else None
    if asked is not None or own is None or not client:
        return asked
    return max(client, own + EXEC_GRACE)

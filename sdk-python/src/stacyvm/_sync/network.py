# Made from _async/network.py by scripts/make_sync.py.
"""What one sandbox may reach, and what it tried."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional, Sequence

from stacyvm._sync.transport import Transport, lines_of
from stacyvm._call import ABSENT, Call, segment
from stacyvm._lines import object_of
from stacyvm.models import InjectRule, NetworkDecision, NetworkInfo, NetworkMode, of_wire


class SandboxNetwork:
    """What one sandbox may reach, and what it tried."""

    def __init__(self, transport: Transport, sandbox_id: str) -> None:
        self._transport = transport
        self._sandbox_id = sandbox_id

    def get(self, *, request_timeout: Optional[float] = None) -> NetworkInfo:
        return of_wire(NetworkInfo, self._transport.json(self._call("GET", "", request_timeout)))

    def set(
        self,
        mode: NetworkMode,
        *,
        allow: Sequence[str] = (),
        deny: Sequence[str] = (),
        inject: Sequence[InjectRule] = (),
        request_timeout: Optional[float] = None,
    ) -> NetworkInfo:
        """
        Says anew what it may reach. Counts at once: connections that it doesn't allow have ended when it returns.

        :param allow: as in `NetworkPolicy`
        :raises StacyVMError: reason ``not_supported`` for a sandbox that was made without a network
        """
        json = {"mode": mode, "allow": list(allow), "deny": list(deny), "inject": list(inject)}
        call = self._call("PUT", "", request_timeout, json=json)
        return of_wire(NetworkInfo, self._transport.json(call))

    def log(
        self, *, limit: Optional[int] = None, follow: bool = False, request_timeout: Optional[float] = None
    ) -> Iterator[NetworkDecision]:
        """
        Decisions, oldest first; leaving the loop ends what is followed.

        :param limit: the last so many; 1000 are kept
        :param follow: goes on with what comes, after a line of type ``live``
        """
        query = {"limit": limit, "follow": True if follow else None}
        response = self._transport.open(self._call("GET", "/log", request_timeout, query))
        try:
            for line in lines_of(response, "The connection was lost before the end of the log"):
                value = object_of(line)
                if value is not None:
                    yield of_wire(NetworkDecision, value)
        finally:
            response.close()

    def _call(
        self,
        method: str,
        below: str,
        request_timeout: Optional[float],
        query: Optional[Mapping[str, object]] = None,
        json: Any = ABSENT,
    ) -> Call:
        path = f"/sandboxes/{segment(self._sandbox_id)}/network{below}"
        return Call(method, path, query or {}, json, request_timeout=request_timeout, sandbox_id=self._sandbox_id)

"""Limits per owner."""

from __future__ import annotations

from typing import Any, List, Optional

from stacyvm._async.transport import AsyncTransport
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm.models import OwnerQuota, QuotaSummary, QuotaUsage, of_wire


class AsyncQuotaManager:
    """Limits per owner."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(self, *, request_timeout: Optional[float] = None) -> List[OwnerQuota]:
        found = await self._transport.json(_call("GET", "", request_timeout))
        return [of_wire(OwnerQuota, one) for one in found]

    async def summary(self, *, request_timeout: Optional[float] = None) -> QuotaSummary:
        return of_wire(QuotaSummary, await self._transport.json(_call("GET", "/summary", request_timeout)))

    async def get(self, owner: str, *, request_timeout: Optional[float] = None) -> OwnerQuota:
        return of_wire(OwnerQuota, await self._transport.json(_call("GET", f"/{segment(owner)}", request_timeout)))

    async def set(
        self,
        owner: str,
        *,
        max_sandboxes: Optional[int] = None,
        max_ttl: Optional[str] = None,
        max_exec_timeout: Optional[str] = None,
        request_timeout: Optional[float] = None,
    ) -> OwnerQuota:
        """Replaces the owner's limits; what is left out inherits the server's. Times are Go durations."""
        json = given(max_sandboxes=max_sandboxes, max_ttl=max_ttl, max_exec_timeout=max_exec_timeout)
        call = _call("PUT", f"/{segment(owner)}", request_timeout, json)
        return of_wire(OwnerQuota, await self._transport.json(call))

    async def delete(self, owner: str, *, request_timeout: Optional[float] = None) -> None:
        await self._transport.done(_call("DELETE", f"/{segment(owner)}", request_timeout))

    async def usage(self, owner: str, *, request_timeout: Optional[float] = None) -> QuotaUsage:
        """What the owner uses and the limits that hold for it."""
        call = _call("GET", f"/{segment(owner)}/usage", request_timeout)
        return of_wire(QuotaUsage, await self._transport.json(call))


def _call(method: str, below: str, request_timeout: Optional[float], json: Any = ABSENT) -> Call:
    return Call(method, f"/quotas{below}", json=json, request_timeout=request_timeout)

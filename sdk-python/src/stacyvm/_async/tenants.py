"""Tenants, for administrators of the server."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from stacyvm._async.members import AsyncMemberManager
from stacyvm._async.projects import AsyncProjectManager
from stacyvm._async.transport import AsyncTransport
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm.models import Tenant, of_wire


class AsyncTenantManager:
    """Tenants, for administrators of the server; who is in one has ``client.own_tenant``."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(self, *, request_timeout: Optional[float] = None) -> List[Tenant]:
        """Newest first."""
        found = await self._transport.json(_call("GET", "", request_timeout))
        return [of_wire(Tenant, one) for one in found["tenants"]]

    async def create(
        self,
        name: str,
        *,
        id: Optional[str] = None,
        owner_id: Optional[str] = None,
        settings: Any = None,
        request_timeout: Optional[float] = None,
    ) -> Tenant:
        """
        From the first on, callers without a tenant see what is of none.

        :param id: letters, digits, dot, ``_`` and ``-``; ``tenant-`` and 8 hex digits where absent
        :param settings: any JSON, up to 65,536 characters as text
        :raises StacyVMError: reason ``already_exists`` where the id is taken
        """
        json = given(id=id, name=name, owner_id=owner_id, settings=settings)
        return await self._tenant(_call("POST", "", request_timeout, json))

    async def get(self, id: str, *, request_timeout: Optional[float] = None) -> Tenant:
        return await self._tenant(_call("GET", f"/{segment(id)}", request_timeout))

    async def update(
        self,
        id: str,
        *,
        name: Optional[str] = None,
        owner_id: Optional[str] = None,
        settings: Any = None,
        request_timeout: Optional[float] = None,
    ) -> Tenant:
        """Changes what is given; the rest stays."""
        json = given(name=name, owner_id=owner_id, settings=settings)
        return await self._tenant(_call("PUT", f"/{segment(id)}", request_timeout, json))

    async def delete(self, id: str, *, cascade: bool = False, request_timeout: Optional[float] = None) -> None:
        """
        Deletes it with its projects, members and quotas.

        :param cascade: ends sandboxes, templates and keys of it first; that may take longer than the client's timeout,
            and goes on where it is asked for again
        :raises StacyVMError: reason ``tenant_in_use`` while sandboxes, templates or keys are left; ``details`` counts
            them
        """
        query = {"cascade": True} if cascade else {}
        await self._transport.done(_call("DELETE", f"/{segment(id)}", request_timeout, query=query))

    def projects(self, tenant: str) -> AsyncProjectManager:
        """Of one tenant."""
        return AsyncProjectManager(self._transport, f"/admin/tenants/{segment(tenant)}")

    def members(self, tenant: str) -> AsyncMemberManager:
        """Of one tenant and its projects."""
        return AsyncMemberManager(self._transport, f"/admin/tenants/{segment(tenant)}")

    async def _tenant(self, call: Call) -> Tenant:
        return of_wire(Tenant, (await self._transport.json(call))["tenant"])


def _call(
    method: str,
    below: str,
    request_timeout: Optional[float],
    json: Any = ABSENT,
    query: Optional[Mapping[str, object]] = None,
) -> Call:
    return Call(method, f"/admin/tenants{below}", query or {}, json, request_timeout=request_timeout)

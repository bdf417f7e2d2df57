"""Walls inside a tenant."""

from __future__ import annotations

from typing import Any, List, Optional

from stacyvm._async.transport import AsyncTransport
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm.models import Project, of_wire


class AsyncProjectManager:
    """
    Walls inside a tenant.

    :param tenant: the tenant's path after ``/api/v1``
    """

    def __init__(self, transport: AsyncTransport, tenant: str) -> None:
        self._transport = transport
        self._path = f"{tenant}/projects"

    async def list(self, *, request_timeout: Optional[float] = None) -> List[Project]:
        """Oldest first, as far as the caller is in them."""
        found = await self._transport.json(self._call("GET", "", request_timeout))
        return [of_wire(Project, one) for one in found["projects"]]

    async def create(self, name: str, *, id: Optional[str] = None, request_timeout: Optional[float] = None) -> Project:
        """
        Makes one.

        :param id: letters, digits, dot, ``_`` and ``-``; ``project-`` and 8 hex digits where absent
        :raises StacyVMError: reason ``already_exists`` where the id is taken
        """
        made = await self._transport.json(self._call("POST", "", request_timeout, given(id=id, name=name)))
        return of_wire(Project, made["project"])

    async def delete(self, id: str, *, request_timeout: Optional[float] = None) -> None:
        """
        Deletes it with its members.

        :raises StacyVMError: reason ``tenant_in_use`` while sandboxes, templates or keys are left; ``details`` counts
            them
        """
        await self._transport.done(self._call("DELETE", f"/{segment(id)}", request_timeout))

    def _call(self, method: str, below: str, request_timeout: Optional[float], json: Any = ABSENT) -> Call:
        return Call(method, self._path + below, json=json, request_timeout=request_timeout)

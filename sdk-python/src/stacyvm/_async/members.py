"""Who has which role in a tenant, or in one of its projects."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional

from stacyvm._async.transport import AsyncTransport
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm.models import Member, MemberRole, of_wire


class AsyncMemberManager:
    """
    Who has which role in a tenant, or in one of its projects.

    :param tenant: the tenant's path after ``/api/v1``
    """

    def __init__(self, transport: AsyncTransport, tenant: str) -> None:
        self._transport = transport
        self._path = f"{tenant}/members"

    async def list(self, *, request_timeout: Optional[float] = None) -> List[Member]:
        """Oldest first, as far as the caller is with them."""
        found = await self._transport.json(self._call("GET", "", request_timeout))
        return [of_wire(Member, one) for one in found["members"]]

    async def save(
        self,
        user: str,
        role: MemberRole,
        *,
        project_id: Optional[str] = None,
        issuer: Optional[str] = None,
        request_timeout: Optional[float] = None,
    ) -> Member:
        """
        Gives somebody a role, in place of the one had there.

        :param user: the subject of the issuer's tokens
        :param project_id: in that project alone; where absent in the whole tenant
        :param issuer: whose subject it is; the server's configured issuer where absent
        """
        json = given(role=role, project_id=project_id, issuer=issuer)
        saved = await self._transport.json(self._call("PUT", f"/{segment(user)}", request_timeout, json))
        return of_wire(Member, saved["member"])

    async def delete(
        self,
        user: str,
        *,
        project_id: Optional[str] = None,
        issuer: Optional[str] = None,
        request_timeout: Optional[float] = None,
    ) -> None:
        """
        Takes the role there away; the member's own keys end with it.

        :raises SandboxNotFound: reason ``member_not_found`` where there was none
        """
        query = given(project_id=project_id, issuer=issuer)
        await self._transport.done(self._call("DELETE", f"/{segment(user)}", request_timeout, query=query))

    def _call(
        self,
        method: str,
        below: str,
        request_timeout: Optional[float],
        json: Any = ABSENT,
        query: Optional[Mapping[str, object]] = None,
    ) -> Call:
        return Call(method, self._path + below, query or {}, json, request_timeout=request_timeout)

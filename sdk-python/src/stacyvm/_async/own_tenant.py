"""The tenant that the caller acts in."""

from __future__ import annotations

from typing import Optional

from stacyvm._async.api_keys import AsyncApiKeyManager
from stacyvm._async.members import AsyncMemberManager
from stacyvm._async.projects import AsyncProjectManager
from stacyvm._async.registry_credentials import AsyncRegistryCredentialManager
from stacyvm._async.transport import AsyncTransport
from stacyvm._call import Call
from stacyvm.models import OwnTenant, Tenant, of_wire


class AsyncOwnTenantManager:
    """The tenant that the caller acts in: the credential's own, or the one that the client's ``tenant`` names."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        #: A member's own, which are never worth more than the member; for the tenant's administrator all of the tenant.
        #: They take no ``tenant_id``.
        self.api_keys = AsyncApiKeyManager(transport, "/api-keys")
        #: Walls inside it.
        self.projects = AsyncProjectManager(transport, "/tenant")
        #: Who has which role in it.
        self.members = AsyncMemberManager(transport, "/tenant")
        #: What it shows to image registries.
        self.registry_credentials = AsyncRegistryCredentialManager(transport)

    async def get(self, *, request_timeout: Optional[float] = None) -> OwnTenant:
        """
        Which tenant and project that is, and the caller's role there.

        :raises SandboxNotFound: reason ``tenant_not_found`` for who is in none
        """
        own = await self._transport.json(Call("GET", "/tenant", request_timeout=request_timeout))
        return of_wire(OwnTenant, {**own, "tenant": of_wire(Tenant, own["tenant"])})

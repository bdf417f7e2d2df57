# Made from _async/own_tenant.py by scripts/make_sync.py.
"""The tenant that the caller acts in."""

from __future__ import annotations

from typing import Optional

from stacyvm._sync.api_keys import ApiKeyManager
from stacyvm._sync.members import MemberManager
from stacyvm._sync.projects import ProjectManager
from stacyvm._sync.registry_credentials import RegistryCredentialManager
from stacyvm._sync.transport import Transport
from stacyvm._call import Call
from stacyvm.models import OwnTenant, Tenant, of_wire


class OwnTenantManager:
    """The tenant that the caller acts in: the credential's own, or the one that the client's ``tenant`` names."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        #: A member's own, which are never worth more than the member; for the tenant's administrator all of the tenant.
        #: They take no ``tenant_id``.
        self.api_keys = ApiKeyManager(transport, "/api-keys")
        #: Walls inside it.
        self.projects = ProjectManager(transport, "/tenant")
        #: Who has which role in it.
        self.members = MemberManager(transport, "/tenant")
        #: What it shows to image registries.
        self.registry_credentials = RegistryCredentialManager(transport)

    def get(self, *, request_timeout: Optional[float] = None) -> OwnTenant:
        """
        Which tenant and project that is, and the caller's role there.

        :raises SandboxNotFound: reason ``tenant_not_found`` for who is in none
        """
        own = self._transport.json(Call("GET", "/tenant", request_timeout=request_timeout))
        return of_wire(OwnTenant, {**own, "tenant": of_wire(Tenant, own["tenant"])})

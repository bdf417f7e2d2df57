"""What the caller's tenant shows to image registries."""

from __future__ import annotations

from typing import Any, List, Optional

from stacyvm._async.transport import AsyncTransport
from stacyvm._call import ABSENT, Call, segment
from stacyvm.models import RegistryCredential, of_wire


class AsyncRegistryCredentialManager:
    """What the caller's tenant shows to image registries, for administrators of the tenant."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(self, *, request_timeout: Optional[float] = None) -> List[RegistryCredential]:
        """Never with their passwords."""
        found = await self._transport.json(_call("GET", "", request_timeout))
        return [of_wire(RegistryCredential, one) for one in found["registry_credentials"]]

    async def save(
        self, registry: str, username: str, password: str, *, request_timeout: Optional[float] = None
    ) -> RegistryCredential:
        """
        Keeps one, encrypted, in place of the one that the tenant had for the registry.

        :param registry: as image names spell it: ``registry.example.com:5000``, ``docker.io`` for Docker Hub
        :param password: a password or token, shown to nobody but the registry
        """
        json = {"username": username, "password": password}
        saved = await self._transport.json(_call("PUT", f"/{segment(registry)}", request_timeout, json))
        return of_wire(RegistryCredential, saved["registry_credential"])

    async def delete(self, registry: str, *, request_timeout: Optional[float] = None) -> None:
        await self._transport.done(_call("DELETE", f"/{segment(registry)}", request_timeout))


def _call(method: str, below: str, request_timeout: Optional[float], json: Any = ABSENT) -> Call:
    return Call(method, f"/tenant/registry-credentials{below}", json=json, request_timeout=request_timeout)

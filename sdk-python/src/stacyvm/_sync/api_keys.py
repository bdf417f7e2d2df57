# Made from _async/api_keys.py by scripts/make_sync.py.
"""Named keys, which an administrator makes and takes back."""

from __future__ import annotations

from typing import Any, List, Optional

from stacyvm._sync.transport import Transport
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm.models import ApiKey, ApiKeyRole, CreatedApiKey, of_wire


class ApiKeyManager:
    """
    Named keys, which an administrator makes and takes back.

    :param path: where they are, after ``/api/v1``
    """

    def __init__(self, transport: Transport, path: str) -> None:
        self._transport = transport
        self._path = path

    def list(self, *, request_timeout: Optional[float] = None) -> List[ApiKey]:
        """Newest first, revoked ones among them."""
        found = self._transport.json(self._call("GET", "", request_timeout))
        return [of_wire(ApiKey, one) for one in found["api_keys"]]

    def create(
        self,
        name: str,
        *,
        role: Optional[ApiKeyRole] = None,
        tenant_id: Optional[str] = None,
        project_id: Optional[str] = None,
        ttl: Optional[str] = None,
        request_timeout: Optional[float] = None,
    ) -> CreatedApiKey:
        """
        Makes one; the key itself is told here and never again.

        :param role: ``api`` where absent
        :param tenant_id: its holder is of this tenant
        :param project_id: and sees this project of it alone
        :param ttl: Go duration; where absent it counts until it is revoked
        """
        json = given(name=name, role=role, tenant_id=tenant_id, project_id=project_id, ttl=ttl)
        made = self._transport.json(self._call("POST", "", request_timeout, json))
        return CreatedApiKey(of_wire(ApiKey, made["api_key"]), made["key"])

    def revoke(self, id: str, *, request_timeout: Optional[float] = None) -> ApiKey:
        """Counts at once on the server that did it, and within five seconds on others."""
        return of_wire(ApiKey, self._transport.json(self._call("DELETE", f"/{segment(id)}", request_timeout)))

    def _call(self, method: str, below: str, request_timeout: Optional[float], json: Any = ABSENT) -> Call:
        return Call(method, self._path + below, json=json, request_timeout=request_timeout)

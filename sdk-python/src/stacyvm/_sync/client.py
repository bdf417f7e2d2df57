# Made from _async/client.py by scripts/make_sync.py.
"""A StacyVM server."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Iterator, Dict, List, Mapping, Optional, Sequence, Type, Union

import httpx

from stacyvm._sync.api_keys import ApiKeyManager
from stacyvm._sync.config import ConfigManager
from stacyvm._sync.own_tenant import OwnTenantManager
from stacyvm._sync.quotas import QuotaManager
from stacyvm._sync.sandbox import Sandbox
from stacyvm._sync.secrets import SecretManager
from stacyvm._sync.templates import TemplateManager
from stacyvm._sync.tenants import TenantManager
from stacyvm._sync.transport import Transport, event_data_of
from stacyvm._call import Call, segment, truthy
from stacyvm._retry import Retry, retry_of
from stacyvm._spec import (
    FULL_VIEW,
    IfExists,
    LabelFilter,
    Moment,
    SandboxSort,
    SecurityProfile,
    key_header,
    list_query,
    sandbox_spec,
)
from stacyvm.models import (
    HealthInfo,
    NetworkPolicy,
    ProviderInfo,
    QuotaSummary,
    SandboxInfo,
    SandboxPage,
    SessionState,
    SpawnAdmissionDecision,
    StacyVMEvent,
    VMPoolStatus,
    of_wire,
)

#: Sandboxes per request of `list_all`.
PAGE_SIZE = 200


class Client:
    """
    A StacyVM server.

    :param base_url: where it listens
    :param api_key: sent as X-API-Key
    :param user_id: sent as X-User-ID: the owner of what this client spawns
    :param timeout: seconds that a call may take, retries counted; 0 or None for no limit. Streams are bound only until
        they begin.
    :param admin_api_key: sent as X-Admin-API-Key
    :param token: an issuer's token, sent as Authorization: Bearer; it counts before any key
    :param tenant: sent as X-Tenant-ID: which tenant, of a server that has some
    :param project: sent as X-Project-ID: which of the tenant's projects
    :param retry: how reads and deletes are repeated; False for never
    :param transport: replaces httpx's own
    """

    def __init__(
        self,
        base_url: str = "http://localhost:7423",
        api_key: Optional[str] = None,
        user_id: Optional[str] = None,
        timeout: Optional[float] = 30.0,
        *,
        admin_api_key: Optional[str] = None,
        token: Optional[str] = None,
        tenant: Optional[str] = None,
        project: Optional[str] = None,
        retry: Union[Retry, bool, None] = None,
        transport: Optional[httpx.BaseTransport] = None,
    ) -> None:
        headers = truthy(**{"X-API-Key": api_key, "X-Admin-API-Key": admin_api_key, "X-User-ID": user_id})
        headers.update(truthy(**{"X-Tenant-ID": tenant, "X-Project-ID": project}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            base_url=base_url.rstrip("/"), headers=headers, timeout=timeout or None, transport=transport
        )
        self._transport = Transport(self._http, timeout, retry_of(retry))
        #: Named sets of spawn values that the server keeps.
        self.templates = TemplateManager(self._transport)
        #: Limits per owner.
        self.quotas = QuotaManager(self._transport)
        #: Named keys.
        self.api_keys = ApiKeyManager(self._transport, "/admin/api-keys")
        #: The settings that may change while the server runs.
        self.config = ConfigManager(self._transport)
        #: The tenant that the caller acts in.
        self.own_tenant = OwnTenantManager(self._transport)
        self.secrets = SecretManager(self._transport)
        #: Tenants, for administrators of the server.
        self.tenants = TenantManager(self._transport)

    def spawn(
        self,
        image: str = "alpine:latest",
        provider: Optional[str] = None,
        memory_mb: Optional[int] = None,
        vcpus: Optional[int] = None,
        ttl: Optional[str] = None,
        owner_id: Optional[str] = None,
        template: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
        *,
        env: Optional[Mapping[str, str]] = None,
        workdir: Optional[str] = None,
        user: Optional[str] = None,
        disk_mb: Optional[int] = None,
        security: Optional[SecurityProfile] = None,
        network_mode: Optional[str] = None,
        network: Optional[NetworkPolicy] = None,
        secrets: Optional[Sequence[str]] = None,
        labels: Optional[Mapping[str, str]] = None,
        name: Optional[str] = None,
        if_exists: Optional[IfExists] = None,
        idempotency_key: Optional[str] = None,
        request_timeout: Optional[float] = None,
    ) -> Sandbox:
        """
        Makes a sandbox, or gets the one that has its name; returns when commands can run in it. What is left out takes
        the server's default.

        :param memory_mb: mebibytes
        :param ttl: Go duration such as ``30m`` or ``1h30m``
        :param template: name of a template whose values fill in what is left out
        :param env: environment of everything that is started in the sandbox: 256 names, 128 KiB together; never told
            again
        :param workdir: where commands start; absolute, made where it is missing; ``/workspace`` where absent
        :param user: whom commands run as: a name, ``uid`` or ``uid:gid`` of the sandbox; 1000 alone under
            ``restricted``
        :param disk_mb: mebibytes, 16 or more
        :param network: what it may reach; whatever the server permits where absent
        :param secrets: ``NAME@api.example.com:443``, or ``NAME`` for every host that the secret may be sent to: the
            variable NAME gets a placeholder, and HTTPS requests to that host carry the secret in its place
        :param labels: what lists can filter by
        :param name: a DNS label, unique among the living sandboxes of one owner
        :param if_exists: what a taken name means: ``fail``, or ``get`` the sandbox that has it, as it is
        :param idempotency_key: 1 to 255 printable ASCII characters. The same spawn under the same key makes one sandbox
            however often it is sent, for a day; so it is repeated as reads are. Another spawn under it raises with
            reason ``idempotency_key_reused``
        :raises StacyVMError: code ``CONFLICT`` where the name is taken, with ``sandbox_id`` in ``details``; code
            ``RESOURCE_LIMIT`` with the limit, its value and its use in ``details``
        """
        spec = sandbox_spec(
            metadata=metadata,
            env=env,
            workdir=workdir,
            user=user,
            disk_mb=disk_mb,
            security=security,
            network_mode=network_mode,
            network=network,
            secrets=secrets,
            labels=labels,
            name=name,
            if_exists=if_exists,
        )
        call = Call(
            "POST",
            "/sandboxes",
            FULL_VIEW,
            {"image": image, **_choice(provider, memory_mb, vcpus, ttl, owner_id, template), **spec},
            headers=key_header(idempotency_key),
            request_timeout=request_timeout,
            repeatable=idempotency_key is not None,
        )
        info = self._transport.json(call)
        return Sandbox(self._transport, info["id"], info)

    def admission(
        self,
        image: Optional[str] = None,
        provider: Optional[str] = None,
        memory_mb: Optional[int] = None,
        vcpus: Optional[int] = None,
        ttl: Optional[str] = None,
        owner_id: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
        *,
        template: Optional[str] = None,
        env: Optional[Mapping[str, str]] = None,
        workdir: Optional[str] = None,
        user: Optional[str] = None,
        disk_mb: Optional[int] = None,
        security: Optional[SecurityProfile] = None,
        network_mode: Optional[str] = None,
        network: Optional[NetworkPolicy] = None,
        secrets: Optional[Sequence[str]] = None,
        labels: Optional[Mapping[str, str]] = None,
        name: Optional[str] = None,
        if_exists: Optional[IfExists] = None,
        request_timeout: Optional[float] = None,
    ) -> SpawnAdmissionDecision:
        """Whether such a spawn would be admitted now; nothing is made. See `spawn`."""
        spec = sandbox_spec(
            metadata=metadata,
            env=env,
            workdir=workdir,
            user=user,
            disk_mb=disk_mb,
            security=security,
            network_mode=network_mode,
            network=network,
            secrets=secrets,
            labels=labels,
            name=name,
            if_exists=if_exists,
        )
        choice = _choice(provider, memory_mb, vcpus, ttl, owner_id, template)
        json = {**truthy(image=image), **choice, **spec}
        call = Call("POST", "/sandboxes/admission", json=json, request_timeout=request_timeout)
        return of_wire(SpawnAdmissionDecision, self._transport.json(call))

    def get(self, sandbox_id: str, *, request_timeout: Optional[float] = None) -> Sandbox:
        """:raises SandboxNotFound:"""
        path = f"/sandboxes/{segment(sandbox_id)}"
        call = Call("GET", path, FULL_VIEW, request_timeout=request_timeout, sandbox_id=sandbox_id)
        info = self._transport.json(call)
        return Sandbox(self._transport, info["id"], info)

    def list(
        self,
        *,
        limit: Optional[int] = None,
        cursor: Optional[str] = None,
        state: Optional[str] = None,
        provider: Optional[str] = None,
        owner: Optional[str] = None,
        name: Optional[str] = None,
        labels: Optional[LabelFilter] = None,
        created_before: Optional[Moment] = None,
        created_after: Optional[Moment] = None,
        sort: Optional[SandboxSort] = None,
        request_timeout: Optional[float] = None,
    ) -> SandboxPage:
        """
        Sandboxes, newest first where not sorted: all of them, or one page when ``limit`` is given.

        :param limit: sandboxes per page, up to 1000
        :param cursor: ``next_cursor`` of the page before
        :param labels: all of them hold; True for any value
        :param created_before: the moment itself is left out, as it is with ``created_after``
        :param sort: with ``-`` before it descending; ``-created_at`` where absent
        """
        query = list_query(
            limit=limit,
            cursor=cursor,
            state=state,
            provider=provider,
            owner=owner,
            name=name,
            labels=labels,
            created_before=created_before,
            created_after=created_after,
            sort=sort,
        )
        call = Call("GET", "/sandboxes", query, request_timeout=request_timeout)
        found, headers = self._transport.page(call)
        page = SandboxPage(of_wire(SandboxInfo, one) for one in found)
        page.next_cursor = headers.get("x-next-cursor") or None
        return page

    def list_all(
        self,
        *,
        limit: int = PAGE_SIZE,
        cursor: Optional[str] = None,
        state: Optional[str] = None,
        provider: Optional[str] = None,
        owner: Optional[str] = None,
        name: Optional[str] = None,
        labels: Optional[LabelFilter] = None,
        created_before: Optional[Moment] = None,
        created_after: Optional[Moment] = None,
        sort: Optional[SandboxSort] = None,
        request_timeout: Optional[float] = None,
    ) -> Iterator[SandboxInfo]:
        """All sandboxes, fetched page by page as the loop goes on. See `list`."""
        while True:
            page = self.list(
                limit=limit,
                cursor=cursor,
                state=state,
                provider=provider,
                owner=owner,
                name=name,
                labels=labels,
                created_before=created_before,
                created_after=created_after,
                sort=sort,
                request_timeout=request_timeout,
            )
            for info in page:
                yield info
            cursor = page.next_cursor
            if cursor is None:
                return

    def spawn_template(self, template_name: str, *, request_timeout: Optional[float] = None) -> Sandbox:
        """Makes a sandbox of a template. `templates.spawn` takes overrides."""
        path = f"/templates/{segment(template_name)}/spawn"
        info = self._transport.json(Call("POST", path, FULL_VIEW, request_timeout=request_timeout))
        return Sandbox(self._transport, info["id"], info)

    def prune(self, *, request_timeout: Optional[float] = None) -> int:
        """Destroys what has expired; how many."""
        answer = self._transport.json(Call("DELETE", "/sandboxes", request_timeout=request_timeout))
        return int(answer.get("pruned", 0))

    def pool_status(self, *, request_timeout: Optional[float] = None) -> VMPoolStatus:
        status: VMPoolStatus = self._transport.json(Call("GET", "/pool/status", request_timeout=request_timeout))
        return status

    def quota_summary(self, *, request_timeout: Optional[float] = None) -> QuotaSummary:
        """How many owners have limits of their own."""
        return self.quotas.summary(request_timeout=request_timeout)

    def health(self, *, request_timeout: Optional[float] = None) -> HealthInfo:
        health: HealthInfo = self._transport.json(Call("GET", "/health", request_timeout=request_timeout))
        return health

    def session(self, *, request_timeout: Optional[float] = None) -> SessionState:
        """Who this client is to the server, and how one logs in there."""
        found: SessionState = self._transport.json(Call("GET", "/session", request_timeout=request_timeout))
        return found

    def providers(self, *, request_timeout: Optional[float] = None) -> List[ProviderInfo]:
        found: List[ProviderInfo] = self._transport.json(
            Call("GET", "/providers", request_timeout=request_timeout)
        )
        return found

    def events(self, *, request_timeout: Optional[float] = None) -> Iterator[StacyVMEvent]:
        """What happens on the server from now on. Leaving the loop ends it."""
        headers = {"Accept": "text/event-stream"}
        call = Call("GET", "/events", headers=headers, request_timeout=request_timeout)
        response = self._transport.open(call)
        try:
            for data in event_data_of(response):
                yield of_wire(StacyVMEvent, data)
        finally:
            response.close()

    def close(self) -> None:
        """Closes the connections; sandboxes live on."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def _choice(
    provider: Optional[str],
    memory_mb: Optional[int],
    vcpus: Optional[int],
    ttl: Optional[str],
    owner_id: Optional[str],
    template: Optional[str],
) -> Dict[str, Any]:
    return truthy(provider=provider, memory_mb=memory_mb, vcpus=vcpus, ttl=ttl, owner_id=owner_id, template=template)

# Made from _async/templates.py by scripts/make_sync.py.
"""Named sets of spawn values that the server keeps."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Union

import httpx

from stacyvm._sync.sandbox import Sandbox
from stacyvm._sync.transport import Transport
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm._spec import FULL_VIEW, IfExists, SecurityProfile, key_header, sandbox_spec
from stacyvm.models import NetworkPolicy, Template, of_wire


class TemplateManager:
    """Named sets of spawn values that the server keeps."""

    def __init__(self, http: Union[httpx.Client, Transport]) -> None:
        self._transport = Transport.of(http)

    def list(self, *, request_timeout: Optional[float] = None) -> List[Template]:
        found = self._transport.json(_call("GET", "", request_timeout))
        return [of_wire(Template, one) for one in found]

    def get(self, name: str, *, request_timeout: Optional[float] = None) -> Template:
        return of_wire(Template, self._transport.json(_call("GET", f"/{segment(name)}", request_timeout)))

    def save(self, template: Template, *, request_timeout: Optional[float] = None) -> Template:
        """:raises StacyVMError: code ``CONFLICT`` when the name exists"""
        json = {
            "name": template.name,
            "image": template.image,
            "memory_mb": template.memory_mb,
            "vcpus": template.vcpus,
            "ttl": template.ttl,
            "provider": template.provider,
            "metadata": template.metadata,
            **given(description=template.description or None),
        }
        return of_wire(Template, self._transport.json(_call("POST", "", request_timeout, json)))

    def update(
        self,
        name: str,
        *,
        image: Optional[str] = None,
        description: Optional[str] = None,
        memory_mb: Optional[int] = None,
        vcpus: Optional[int] = None,
        ttl: Optional[str] = None,
        provider: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
        request_timeout: Optional[float] = None,
    ) -> Template:
        """Changes what is given; the rest stays."""
        json = given(
            image=image,
            description=description,
            memory_mb=memory_mb,
            vcpus=vcpus,
            ttl=ttl,
            provider=provider,
            metadata=None if metadata is None else dict(metadata),
        )
        call = _call("PUT", f"/{segment(name)}", request_timeout, json)
        return of_wire(Template, self._transport.json(call))

    def delete(self, name: str, *, request_timeout: Optional[float] = None) -> None:
        """Its sandboxes live on."""
        self._transport.done(_call("DELETE", f"/{segment(name)}", request_timeout))

    def spawn(
        self,
        name: str,
        *,
        provider: Optional[str] = None,
        ttl: Optional[str] = None,
        metadata: Optional[Mapping[str, str]] = None,
        env: Optional[Mapping[str, str]] = None,
        workdir: Optional[str] = None,
        user: Optional[str] = None,
        disk_mb: Optional[int] = None,
        security: Optional[SecurityProfile] = None,
        network_mode: Optional[str] = None,
        network: Optional[NetworkPolicy] = None,
        secrets: Optional[Sequence[str]] = None,
        labels: Optional[Mapping[str, str]] = None,
        sandbox_name: Optional[str] = None,
        if_exists: Optional[IfExists] = None,
        idempotency_key: Optional[str] = None,
        request_timeout: Optional[float] = None,
    ) -> Sandbox:
        """
        Makes a sandbox as `Client.spawn` does; what is given goes over what the template says.

        :param name: the template's
        :param sandbox_name: the sandbox's
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
            name=sandbox_name,
            if_exists=if_exists,
        )
        call = Call(
            "POST",
            f"/templates/{segment(name)}/spawn",
            FULL_VIEW,
            {**given(provider=provider, ttl=ttl), **spec},
            headers=key_header(idempotency_key),
            request_timeout=request_timeout,
            repeatable=idempotency_key is not None,
        )
        info = self._transport.json(call)
        return Sandbox(self._transport, info["id"], info)


def _call(method: str, below: str, request_timeout: Optional[float], json: Any = ABSENT) -> Call:
    return Call(method, f"/templates{below}", json=json, request_timeout=request_timeout)

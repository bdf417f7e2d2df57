# Made from _async/templates.py by scripts/make_sync.py.
"""Named sets of spawn values that the server keeps."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Union

import httpx

from stacyvm._sync.sandbox import Sandbox
from stacyvm._sync.transport import Transport
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm.models import Template, of_wire


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
        request_timeout: Optional[float] = None,
    ) -> Sandbox:
        """Makes a sandbox of it; ``provider`` and ``ttl`` replace the template's."""
        json = given(provider=provider, ttl=ttl)
        info = self._transport.json(_call("POST", f"/{segment(name)}/spawn", request_timeout, json))
        return Sandbox(self._transport, info["id"], info)


def _call(method: str, below: str, request_timeout: Optional[float], json: Any = ABSENT) -> Call:
    return Call(method, f"/templates{below}", json=json, request_timeout=request_timeout)

"""The settings that may change while the server runs."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from stacyvm._async.transport import AsyncTransport
from stacyvm._call import Call
from stacyvm.models import LiveSettings, of_wire


class AsyncConfigManager:
    """The settings that may change while the server runs, for its administrators."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def get(self, *, request_timeout: Optional[float] = None) -> LiveSettings:
        call = Call("GET", "/config", request_timeout=request_timeout)
        return of_wire(LiveSettings, await self._transport.json(call))

    async def set(self, settings: Mapping[str, Any], *, request_timeout: Optional[float] = None) -> LiveSettings:
        """
        Changes all of them or none, at once and until the server's restart.

        :param settings: by their path, such as ``defaults.max_ttl``, or nested as in the configuration file
        :raises StacyVMError: with what is wrong with each in ``details["settings"]``
        """
        call = Call("PATCH", "/config", json=dict(settings), request_timeout=request_timeout)
        return of_wire(LiveSettings, await self._transport.json(call))

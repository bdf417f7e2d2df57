"""The providers that a server has."""

from __future__ import annotations

from typing import Dict, List, Union

import httpx

from stacyvm._async.transport import AsyncTransport
from stacyvm._call import Call
from stacyvm.models import ProviderInfo


class AsyncProviderManager:
    """The providers that a server has."""

    def __init__(self, http: Union[httpx.AsyncClient, AsyncTransport]) -> None:
        self._transport = AsyncTransport.of(http)

    async def list(self) -> List[ProviderInfo]:
        found: List[ProviderInfo] = await self._transport.json(Call("GET", "/providers"))
        return found

    async def test(self) -> Dict[str, bool]:
        """Whether each is healthy, asked now."""
        healthy: Dict[str, bool] = await self._transport.json(Call("POST", "/providers/test"))
        return healthy

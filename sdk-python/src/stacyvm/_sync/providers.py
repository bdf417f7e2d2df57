# Made from _async/providers.py by scripts/make_sync.py.
"""The providers that a server has."""

from __future__ import annotations

from typing import Dict, List, Union

import httpx

from stacyvm._sync.transport import Transport
from stacyvm._call import Call
from stacyvm.models import ProviderInfo


class ProviderManager:
    """The providers that a server has."""

    def __init__(self, http: Union[httpx.Client, Transport]) -> None:
        self._transport = Transport.of(http)

    def list(self) -> List[ProviderInfo]:
        found: List[ProviderInfo] = self._transport.json(Call("GET", "/providers"))
        return found

    def test(self) -> Dict[str, bool]:
        """Whether each is healthy, asked now."""
        healthy: Dict[str, bool] = self._transport.json(Call("POST", "/providers/test"))
        return healthy

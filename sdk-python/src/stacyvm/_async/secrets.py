"""Secrets of the caller's own place."""

from __future__ import annotations

from typing import Any, List, Optional, Sequence

from stacyvm._async.transport import AsyncTransport
from stacyvm._call import ABSENT, Call, given, segment
from stacyvm.models import SecretRotation, StoredSecret, of_wire


class AsyncSecretManager:
    """Secrets of the caller's own place. A value goes in and never comes out: it is sent to its hosts alone."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def list(self, *, request_timeout: Optional[float] = None) -> List[StoredSecret]:
        """By name, without values."""
        found = await self._transport.json(_call("GET", "", request_timeout))
        return [of_wire(StoredSecret, one) for one in found["secrets"]]

    async def set(
        self,
        name: str,
        value: str,
        *,
        hosts: Sequence[str],
        owners: Optional[Sequence[str]] = None,
        request_timeout: Optional[float] = None,
    ) -> StoredSecret:
        """
        Sets it, or its next version; hosts and owners are set as a whole too.

        :param name: letters, digits and ``_``, no digit first
        :param value: 1 to 32,768 bytes of one line
        :param hosts: ``host`` or ``host:port`` (443 where none is written), exact names: it is sent to no other
        :param owners: whose sandboxes may use it; absent or empty: everybody's of its place
        """
        json = given(value=value, hosts=[*hosts], owners=None if owners is None else [*owners])
        saved = await self._transport.json(_call("PUT", f"/{segment(name)}", request_timeout, json))
        return of_wire(StoredSecret, saved["secret"])

    async def delete(self, name: str, *, request_timeout: Optional[float] = None) -> None:
        """
        Deletes it: no request carries it any more.

        :raises SandboxNotFound: reason ``secret_not_found`` where there is none
        """
        await self._transport.done(_call("DELETE", f"/{segment(name)}", request_timeout))

    async def rotate(self, *, request_timeout: Optional[float] = None) -> SecretRotation:
        """Encrypts everything anew that isn't under the server's current key; for administrators of the server."""
        return of_wire(SecretRotation, await self._transport.json(_call("POST", "/rotate", request_timeout)))


def _call(method: str, below: str, request_timeout: Optional[float], json: Any = ABSENT) -> Call:
    return Call(method, f"/secrets{below}", json=json, request_timeout=request_timeout)

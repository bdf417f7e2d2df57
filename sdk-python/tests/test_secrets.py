"""Secrets, against a server."""

from __future__ import annotations

from typing import Any

import pytest
from twins import client

from stacyvm import SandboxNotFound, SecretRotation, StacyVMError

pytestmark = pytest.mark.anyio

VALUE = "sk-live-0123456789"


async def test_a_secret_is_set_set_again_listed_without_its_value_and_deleted(
    live: Any, kind: str, server_url: str
) -> None:
    tenant = (await live.tenants.create("Secret", id=f"secret-{kind}")).id
    made = await live.api_keys.create("ci", role="operator", tenant_id=tenant)
    async with client(kind, server_url, api_key=made.key) as operator:
        assert await operator.secrets.list() == []
        first = await operator.secrets.set("API_KEY", VALUE, hosts=("API.example.com", "b.test:8443"), owners=["ann"])
        assert (first.name, first.version, first.hosts, first.owners) == (
            "API_KEY",
            1,
            ["api.example.com:443", "b.test:8443"],
            ["ann"],
        )
        second = await operator.secrets.set("API_KEY", VALUE, hosts=["api.example.com"])
        assert (second.version, second.owners, second.created_at) == (2, [], first.created_at)
        kept = await operator.secrets.list()
        assert (kept, VALUE in repr(kept), kept[0].last_used_at) == ([second], False, "")
        with pytest.raises(StacyVMError) as raised:
            await operator.secrets.set("API_KEY", f"{VALUE}\n", hosts=["api.example.com"])
        assert (raised.value.reason, "newline" in str(raised.value)) == ("invalid_input", True)
        with pytest.raises(StacyVMError) as raised:
            await operator.secrets.rotate()
        assert raised.value.reason == "permission_denied"
        await operator.secrets.delete("API_KEY")
        with pytest.raises(SandboxNotFound) as missing:
            await operator.secrets.delete("API_KEY")
        assert missing.value.reason == "secret_not_found"
    await live.tenants.delete(tenant, cascade=True)


async def test_an_administrator_has_everything_encrypted_anew(live: Any) -> None:
    assert await live.secrets.rotate() == SecretRotation(resealed=0, kept=0)

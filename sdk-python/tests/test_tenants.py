"""Tenants, projects, members, registry credentials and settings, against a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from twins import client

from stacyvm import StacyVMError

pytestmark = pytest.mark.anyio

ISSUER = "https://login.example.com"


async def refused(call: Any, status: int, reason: str) -> StacyVMError:
    with pytest.raises(StacyVMError) as raised:
        await call
    assert (raised.value.status_code, raised.value.reason) == (status, reason)
    return raised.value


@pytest.fixture
async def tenant(live: Any, kind: str) -> AsyncIterator[str]:
    made = await live.tenants.create("Acme", id=f"acme-{kind}", owner_id="ann", settings={"tier": "gold"})
    yield made.id
    await live.tenants.delete(made.id, cascade=True)


@pytest.fixture
async def governor(live: Any, kind: str, server_url: str, tenant: str) -> AsyncIterator[Any]:
    """A client that administers the tenant."""
    made = await live.api_keys.create("governor", role="tenant_admin", tenant_id=tenant)
    async with client(kind, server_url, api_key=made.key) as of_tenant:
        yield of_tenant


async def test_tenants_are_made_changed_and_deleted_and_each_refusal_has_its_reason(
    live: Any, tenant: str, governor: Any
) -> None:
    assert (await live.tenants.get(tenant)).settings == '{"tier":"gold"}'
    changed = await live.tenants.update(tenant, name="Acme Inc.")
    assert (changed.name, changed.owner_id, changed.deleting_at) == ("Acme Inc.", "ann", "")
    other = await live.tenants.create("Other")
    assert [one.id for one in await live.tenants.list()] == [other.id, tenant]
    await live.tenants.delete(other.id)
    await refused(live.tenants.create("Acme", id=tenant), 409, "already_exists")
    await refused(live.tenants.get(other.id), 404, "tenant_not_found")
    await refused(live.tenants.projects(other.id).list(), 404, "tenant_not_found")
    await refused(live.tenants.members(other.id).list(), 404, "tenant_not_found")
    await refused(governor.tenants.list(), 403, "permission_denied")
    in_use = await refused(live.tenants.delete(tenant), 409, "tenant_in_use")
    assert in_use.details == {"sandboxes": 0, "templates": 0, "api_keys": 1}


async def test_a_tenant_is_deleted_with_all_that_is_in_it(live: Any, kind: str, server_url: str) -> None:
    one = await live.tenants.create("Full", id=f"full-{kind}")
    made = await live.api_keys.create("ci", role="operator", tenant_id=one.id)
    async with client(kind, server_url, api_key=made.key) as operator:
        await operator.spawn(ttl="10m")
        in_use = await refused(live.tenants.delete(one.id), 409, "tenant_in_use")
        assert in_use.details == {"sandboxes": 1, "templates": 0, "api_keys": 1}
        await live.tenants.delete(one.id, cascade=True, request_timeout=60)
        with pytest.raises(StacyVMError) as raised:
            await operator.list()
    assert raised.value.status_code == 401


async def test_projects_and_members_of_a_tenant_are_governed(live: Any, tenant: str) -> None:
    projects, members = live.tenants.projects(tenant), live.tenants.members(tenant)
    web = await projects.create("Web", id="web")
    assert (web.tenant_id, web.name, [one.id for one in await projects.list()]) == (tenant, "Web", ["web"])
    await refused(projects.create("Web", id="web"), 409, "already_exists")
    user = "a|b/c d@example.com"
    saved = await members.save(user, "operator", issuer=ISSUER)
    assert (saved.user_id, saved.role, saved.project_id, saved.issuer) == (user, "operator", "", ISSUER)
    await members.save(user, "admin", issuer=ISSUER, project_id="web")
    assert [(one.role, one.project_id) for one in await members.list()] == [("operator", ""), ("admin", "web")]
    await refused(members.save(user, "viewer", project_id="none"), 404, "project_not_found")
    await refused(members.delete(user), 404, "member_not_found")
    await members.delete(user, issuer=ISSUER, project_id="web")
    assert [one.project_id for one in await members.list()] == [""]
    await projects.delete("web")
    await refused(projects.delete("web"), 404, "project_not_found")


async def test_who_is_in_a_tenant_sees_it_and_its_administrator_governs_it(
    live: Any, kind: str, server_url: str, tenant: str, governor: Any
) -> None:
    own = await governor.own_tenant.get()
    assert (own.tenant.id, own.project_id, own.role) == (tenant, "", "tenant_admin")
    await refused(live.own_tenant.get(), 404, "tenant_not_found")
    await governor.own_tenant.projects.create("Web", id="web")
    await governor.own_tenant.members.save("carl", "viewer", project_id="web", issuer=ISSUER)
    made = await governor.own_tenant.api_keys.create("ci", role="operator", project_id="web", ttl="1h")
    async with client(kind, server_url, api_key=made.key) as operator:
        assert (await operator.own_tenant.get()).project_id == "web"
        assert [one.id for one in await operator.own_tenant.projects.list()] == ["web"]
        assert [one.user_id for one in await operator.own_tenant.members.list()] == ["carl"]
        await refused(operator.own_tenant.projects.create("Other"), 403, "permission_denied")
        await refused(operator.own_tenant.members.save("eve", "admin"), 403, "permission_denied")
        await refused(operator.own_tenant.registry_credentials.list(), 403, "permission_denied")
    await refused(governor.config.get(), 403, "permission_denied")
    assert made.api_key.id in [one.id for one in await governor.own_tenant.api_keys.list()]
    assert (await governor.own_tenant.api_keys.revoke(made.api_key.id)).revoked_at
    await governor.own_tenant.members.delete("carl", project_id="web", issuer=ISSUER)
    assert await governor.own_tenant.members.list() == []
    await governor.own_tenant.projects.delete("web")


async def test_a_tenants_registry_credentials_are_kept_and_listed_without_passwords(governor: Any) -> None:
    credentials = governor.own_tenant.registry_credentials
    registry = "registry.example.com:5000"
    saved = await credentials.save(registry, "robot", "hunter2")
    assert (saved.registry, saved.username) == (registry, "robot")
    await credentials.save(registry, "robot-2", "hunter3")
    kept = await credentials.list()
    assert ([one.username for one in kept], "hunter" in repr(kept)) == (["robot-2"], False)
    await refused(credentials.save("Not A Host", "robot", "x"), 400, "invalid_input")
    await credentials.delete(registry)
    await refused(credentials.delete(registry), 404, "registry_credential_not_found")


async def test_settings_of_the_running_server_are_shown_and_changed(live: Any) -> None:
    before = await live.config.get()
    assert (before.settings["defaults.vcpus"], before.changed, before.message) == (1, [], "")
    now = await live.config.set({"defaults.vcpus": 2, "defaults": {"max_ttl": "2h"}})
    assert (now.settings["defaults.max_ttl"], now.changed) == ("2h0m0s", ["defaults.vcpus", "defaults.max_ttl"])
    assert "until a restart" in now.message
    told = await refused(live.config.set({"defaults.vcpus": 4, "server.port": 1}), 400, "invalid_input")
    assert told.details is not None
    assert [one["setting"] for one in told.details["settings"]] == ["server.port"]
    assert (await live.config.get()).settings["defaults.vcpus"] == 2
    assert (await live.config.set(before.settings)).changed == []

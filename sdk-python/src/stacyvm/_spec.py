"""What a spawn says, and what a list asks."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Literal, Mapping, Optional, Sequence, Union

from stacyvm._call import given, truthy
from stacyvm.models import NetworkPolicy

#: Which profile confines a sandbox.
SecurityProfile = Literal["default", "restricted"]

#: What a taken name means: ``fail`` with code ``CONFLICT``, or ``get`` the sandbox that has it, as it is.
IfExists = Literal["fail", "get"]

#: What a list is sorted by; with ``-`` before it descending.
SandboxSort = Literal["created_at", "-created_at", "expires_at", "-expires_at", "name", "-name"]

#: Labels that all hold; True for any value.
LabelFilter = Mapping[str, Union[str, Literal[True]]]

#: A naive datetime is local time; a text is RFC 3339.
Moment = Union[datetime, str]

#: Asks for all that is known of a sandbox; older servers don't read it.
FULL_VIEW = {"view": "full"}


def sandbox_spec(
    *,
    metadata: Optional[Mapping[str, str]],
    env: Optional[Mapping[str, str]],
    workdir: Optional[str],
    user: Optional[str],
    disk_mb: Optional[int],
    security: Optional[SecurityProfile],
    network_mode: Optional[str],
    network: Optional[NetworkPolicy],
    secrets: Optional[Sequence[str]],
    labels: Optional[Mapping[str, str]],
    name: Optional[str],
    if_exists: Optional[IfExists],
) -> Dict[str, Any]:
    """The part that every spawn takes."""
    said = given(workdir=workdir, user=user, disk_mb=disk_mb, security=security, network_mode=network_mode)
    if network is not None:
        said["network"] = {
            "mode": network.mode,
            "allow": list(network.allow),
            "deny": list(network.deny),
            "inject": list(network.inject),
        }
    if secrets is not None:
        said["secrets"] = list(secrets)
    maps = truthy(metadata=dict(metadata or {}), env=dict(env or {}), labels=dict(labels or {}))
    return {**maps, **said, **given(name=name, if_exists=if_exists)}


def key_header(idempotency_key: Optional[str]) -> Dict[str, str]:
    return {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}


def list_query(
    *,
    limit: Optional[int],
    cursor: Optional[str],
    state: Optional[str],
    provider: Optional[str],
    owner: Optional[str],
    name: Optional[str],
    labels: Optional[LabelFilter],
    created_before: Optional[Moment],
    created_after: Optional[Moment],
    sort: Optional[SandboxSort],
) -> Dict[str, Any]:
    label: List[str] = [key if value is True else f"{key}={value}" for key, value in (labels or {}).items()]
    return {
        "limit": limit,
        "cursor": cursor,
        "state": state,
        "provider": provider,
        "owner": owner,
        "name": name,
        "label": label,
        "created_before": _instant(created_before),
        "created_after": _instant(created_after),
        "sort": sort,
        **FULL_VIEW,
    }


def _instant(moment: Optional[Moment]) -> Union[str, int, None]:
    """Milliseconds since 1970, or the text."""
    return round(moment.timestamp() * 1000) if isinstance(moment, datetime) else moment

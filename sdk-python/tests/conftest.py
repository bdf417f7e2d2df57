from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from twins import client


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def server_url() -> str:
    url = os.environ.get("STACYVM_URL")
    if url is None:
        pytest.skip("no server to test against: STACYVM_URL is not set")
    return url


@pytest.fixture(scope="session")
def server_options() -> dict[str, Any]:
    return {"api_key": os.environ.get("STACYVM_API_KEY"), "user_id": "tester@example.com"}


@pytest.fixture(scope="session")
async def live(kind: str, server_url: str, server_options: dict[str, Any]) -> AsyncIterator[Any]:
    """A client of a running server."""
    async with client(kind, server_url, **server_options) as made:
        yield made


@pytest.fixture(scope="session")
async def sandbox(live: Any) -> AsyncIterator[Any]:
    async with await live.spawn(ttl="10m", metadata={"job": "1"}) as made:
        yield made

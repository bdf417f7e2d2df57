"""Drives the published client against a server. `--list` prints the names of the checks, and needs no client."""

import json
import sys
from types import SimpleNamespace

import checks
import sync_checks  # noqa: F401
import async_checks  # noqa: F401
from checks import check


@check("every public function of the client was called")
def _(scene):
    assert scene.surface.never_called() == []


def main(url, api_key, provider):
    from stacyvm import AsyncClient, AsyncSandbox, Client, Sandbox
    from stacyvm.providers import ProviderManager
    from stacyvm.templates import TemplateManager

    from surface import Surface

    surface = Surface(Client, Sandbox, AsyncClient, AsyncSandbox, ProviderManager, TemplateManager)
    surface.watch()
    client = Client(url, api_key=api_key, user_id="alice@example.com")
    checks.run(SimpleNamespace(url=url, api_key=api_key, provider=provider, client=client, surface=surface))


@check("the installed client is the published one, file by file")
def _(scene):
    from surface import altered_files

    assert altered_files("stacyvm") == []


if __name__ == "__main__":
    if sys.argv[1:] == ["--list"]:
        print(json.dumps(checks.names()))
    else:
        main(*sys.argv[1:])

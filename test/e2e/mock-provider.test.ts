import { expect, test } from "vitest";
import { post, spawnSandbox } from "./api.ts";
import { startServer } from "./server.ts";

const spawned = async (url: string, spec: object) => {
  const answer = await post(`${url}/api/v1/sandboxes`, spec);
  return { status: answer.status, body: (await answer.json()) as { readonly reason?: string } };
};

test("mock is not there unless it is enabled", async () => {
  await using server = await startServer();
  expect(await spawned(server.url, { provider: "mock" })).toMatchObject({
    status: 404,
    body: { reason: "provider_not_found" },
  });
  expect((await fetch(`${server.url}/api/v1/providers/mock`)).status).toBe(404);
});

test("mock is chosen by its name alone, never because nothing else is there", async () => {
  await using server = await startServer({
    config: { "providers.oci.enabled": "false", "providers.mock.enabled": "true", "providers.default": "auto" },
  });
  expect(server.defaultProvider).toBe("");
  expect(await spawned(server.url, {})).toMatchObject({ status: 503, body: { reason: "provider_unavailable" } });
  const detail = await (await fetch(`${server.url}/api/v1/providers/mock`)).json();
  expect(detail).toMatchObject({
    healthy: true,
    default: false,
    health: { default_reason: "no wall, never chosen unless it is named" },
  });
  await using named = await spawnSandbox(server, { provider: "mock" });
  expect((await named.exec({ command: "echo works" })).body.stdout).toBe("works\n");
});

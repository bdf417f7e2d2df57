import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { forgedTokens, tokenForgery } from "../../packages/server/src/auth/forged-tokens.testing.ts";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { startServer, type TestServer } from "../e2e/server.ts";

const issuer = "https://issuer.example";
const audience = "https://sandboxes.example";
const now = () => Math.floor(Date.now() / 1000);
const { pem, good, sign, forge } = await tokenForgery({ issuer, audience, now });
const noPostgres = await whyNoPostgres();

describe.each(["sqlite", "postgres"])("a server on %s", (driver) => {
  const reason = driver === "postgres" ? noPostgres : undefined;
  let postgres: PostgresServer | undefined;
  let server: TestServer;

  beforeAll(async () => {
    if (reason !== undefined) return;
    if (driver === "postgres") postgres = await startPostgres();
    server = await startServer({
      config: {
        ...(postgres === undefined
          ? {}
          : { "database.driver": "postgres", "database.dsn": (await postgres.freshDatabase()).reveal() }),
        "server.trusted_proxies": "127.0.0.1",
        "auth.oidc_issuer": issuer,
        "auth.oidc_audience": audience,
        "auth.oidc_public_key": pem,
        "auth.oidc_operator_groups": "ops",
      },
      adminHeaders: operator,
    });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  const operator = async () => ({
    Authorization: `Bearer ${await sign({ ...good(), groups: ["ops"] })}`,
  });
  const ask = (method: string, headers: Record<string, string>) =>
    fetch(`${server.url}/api/v1/templates`, {
      method,
      headers: { ...headers, "content-type": "application/json" },
      ...(method === "POST" ? { body: JSON.stringify({ name: "forged", image: "alpine:latest" }) } : {}),
    });

  test.for(forgedTokens)("refuses a token with %s, and does nothing for it", async (name, { skip }) => {
    if (reason !== undefined) skip(reason);
    // Each from an address of its own: failures make their address wait.
    const from = `203.0.113.${forgedTokens.indexOf(name) + 1}`;
    const headers = { Authorization: `Bearer ${await forge(name)}`, "X-Forwarded-For": from };
    // The longest is more than headers may be.
    for (const method of ["GET", "POST"]) expect([401, 431]).toContain((await ask(method, headers)).status);
    const kept = await ask("GET", await operator());
    expect([kept.status, await kept.text()]).toEqual([200, expect.not.stringContaining("forged")]);
  });
});

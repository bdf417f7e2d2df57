import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type PostgresServer, startPostgres, whyNoPostgres } from "../../packages/server/src/store/postgres-fixture.ts";
import { startServer, type TestServer } from "../e2e/server.ts";
import { type Box, makeBox } from "./deeds/box.ts";
import { startIssuer, type TestIssuer } from "./issuer.ts";
import { type OpenAnswer, openAnswer, openSocket } from "./open-answer.ts";
import { Visitor } from "./visitor.ts";
import { type Headers, makeWorld, type World } from "./world.ts";

const why = await whyNoPostgres();
/** Looks are two seconds apart; what is remembered of members counts for five more. */
const withinMs = 15_000;

/** Resolves to how it ended. */
const endOf = async ({ ended, text }: OpenAnswer): Promise<string> => {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`it goes on: ${text()}`)), withinMs);
  try {
    return await Promise.race([ended, late.promise]);
  } finally {
    clearTimeout(timer);
  }
};

const revoked = "1008 this request's credential counts no more: the API key was revoked";

describe.each(["sqlite", ...(why === undefined ? ["postgres"] : [])])("what is open, on %s", (driver) => {
  let postgres: PostgresServer | undefined;
  let database: Record<string, string> = {};
  let world: World;
  let box: Box;
  const opened: OpenAnswer[] = [];

  beforeAll(async () => {
    if (driver === "postgres") {
      postgres = await startPostgres();
      database = { "database.driver": "postgres", "database.dsn": (await postgres.freshDatabase()).reveal() };
    }
    world = await makeWorld(database);
    box = await makeBox(world);
    const app = async (port: number, head: string) => {
      const script = `#!/bin/sh\nread line\nprintf '${head}\\r\\n\\r\\nmarker'\nexec sleep 100000\n`;
      await box.inWeb("POST", `${box.inBox}/files`, { path: `/workspace/${port}.sh`, content: script, mode: "0755" });
      await box.start(`busybox nc -ll -p ${port} -e /workspace/${port}.sh`);
      const address = `:${port.toString(16).toUpperCase()} `;
      await box.run(`until grep -q '${address}' /proc/net/tcp /proc/net/tcp6; do usleep 10000; done`);
    };
    await app(8001, "HTTP/1.1 200 OK\\r\\nContent-Type: text/plain");
    await app(8002, "HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket");
  });
  afterAll(async () => {
    for (const one of opened) one.leave();
    await world?.[Symbol.asyncDispose]();
    await postgres?.[Symbol.asyncDispose]();
  });

  const at = (path: string): string => `${world.url}/api/v1${path}`;
  const newKey = async (body: object): Promise<{ readonly as: Headers; readonly id: string }> => {
    const wanted = { name: "open", role: "operator", tenant_id: "acme", ...body };
    const made = await world.does<{ key: string; api_key: { id: string } }>(
      "POST",
      "/admin/api-keys",
      wanted,
      world.root,
    );
    return { as: { "X-API-Key": made.key }, id: made.api_key.id };
  };
  const revoke = (id: string) => world.does("DELETE", `/admin/api-keys/${id}`, undefined, world.root);
  const events = (as: Headers, url = world.url) => openAnswer(`${url}/api/v1/events`, as, { until: "connected" });
  const sleeper = "echo marker; exec sleep 100000";
  const upgrade = {
    Connection: "Upgrade",
    Upgrade: "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
  };

  const wires = {
    "a streamed exec": [
      "cut",
      (as) =>
        openAnswer(at(`${box.inBox}/exec`), as, {
          method: "POST",
          body: { command: sleeper, stream: true },
          until: "marker",
        }),
    ],
    "an exec that is waited for": [
      "401",
      async (as) => {
        const command = "echo >/workspace/begun; exec sleep 100000";
        const open = await openAnswer(at(`${box.inBox}/exec`), as, {
          method: "POST",
          body: { command },
          until: undefined,
        });
        await box.run("until [ -e /workspace/begun ]; do usleep 10000; done");
        return open;
      },
    ],
    "an exec's WebSocket": [
      revoked,
      (as) => openSocket(at(`${box.inBox}/exec/ws`), as, JSON.stringify({ type: "start", command: sleeper }), "marker"),
    ],
    "a process's output": [
      "cut",
      (as) => openAnswer(at(`${box.inBox}/processes/${box.running}/output?follow=true`), as, { until: "marker" }),
    ],
    "a process's WebSocket": [
      revoked,
      (as) => openSocket(at(`${box.inBox}/processes/${box.running}/socket?offset=0`), as, undefined, "marker"),
    ],
    "a file watch": [
      "cut",
      async (as) => {
        const opening = openAnswer(at(`${box.inBox}/files/watch?path=/workspace`), as, { until: "seen" });
        let seen = false;
        opening.finally(() => (seen = true)).catch(() => {});
        for (let n = 0; !seen; n++) await box.run(`echo >/workspace/seen-${n}`);
        return await opening;
      },
    ],
    "the stream of events": ["end", (as) => events(as)],
    "an app's answer": ["cut", (as) => openAnswer(at(`${box.inBox}/ports/8001/proxy/`), as, { until: "marker" })],
    "an app's WebSocket": [
      "cut",
      (as) => openAnswer(at(`${box.inBox}/ports/8002/proxy/`), { ...as, ...upgrade }, { until: "marker" }),
    ],
    "a tunnel to a port": [
      revoked,
      (as) => openSocket(at(`${box.inBox}/ports/8001/tunnel`), as, Buffer.from("GET / HTTP/1.1\r\n\r\n"), "marker"),
    ],
  } satisfies Record<string, readonly [string, (as: Headers) => Promise<OpenAnswer>]>;

  test("each wire ends with its key, at once where it was revoked here, and no other's does; the process lives on", async () => {
    const [key, other] = [await newKey({}), await newKey({})];
    const open = new Map<string, OpenAnswer>();
    for (const [name, [, by]] of Object.entries(wires)) open.set(name, await by(key.as));
    const others = [await events(other.as), await wires["a process's WebSocket"][1](other.as)];
    opened.push(...open.values(), ...others);

    await revoke(key.id);
    const found: Record<string, string> = {};
    for (const [name, answer] of open) found[name] = await endOf(answer);
    expect(found).toEqual(Object.fromEntries(Object.entries(wires).map(([name, [end]]) => [name, end])));

    const { text } = await world.send(world.adminInWeb, "GET", `${box.inBox}/processes/${box.running}`);
    expect(JSON.parse(text)).not.toHaveProperty("exit_code");
    const goesOn = others.map((one) => Promise.race([one.ended, "goes on"]));
    expect(await Promise.all(goesOn)).toEqual(["goes on", "goes on"]);
  });

  test("a key that ends by itself ends what it has open", async () => {
    const { as } = await newKey({ ttl: "4s" });
    const open = await events(as);
    opened.push(open);
    expect(await endOf(open)).toBe("end");
  });

  test("a member who may do less from now on keeps what that allows, and who is none any more keeps nothing", async () => {
    const as = world.callers["an operator's token"];
    const [looking, working] = [await events(as), await wires["a streamed exec"][1](as)];
    opened.push(looking, working);
    await world.does("PUT", "/admin/tenants/acme/members/ann-works", { role: "viewer" }, world.root);
    expect(await endOf(working)).toBe("cut");
    expect(await Promise.race([looking.ended, "goes on"])).toBe("goes on");
    await world.does("DELETE", "/admin/tenants/acme/members/ann-works", undefined, world.root);
    expect(await endOf(looking)).toBe("end");
  });

  test("a tenant's end is the end of what was open in it, by the server's own key too", async () => {
    await world.does("POST", "/admin/tenants", { id: "brief", name: "brief" }, world.root);
    const { as } = await newKey({ tenant_id: "brief" });
    const { "X-API-Key": apiKey = "" } = world.callers["the server's key without X-Tenant-ID"];
    const open = [await events(as), await events({ "X-API-Key": apiKey, "X-Tenant-ID": "brief" })];
    const untouched = await events({ "X-API-Key": apiKey });
    opened.push(...open, untouched);
    await world.does("DELETE", "/admin/tenants/brief?cascade=true", undefined, world.root);
    for (const one of open) expect(await endOf(one)).toBe("end");
    expect(await Promise.race([untouched.ended, "goes on"])).toBe("goes on");
  });

  test.skipIf(driver === "sqlite")("what another server has open ends too", async () => {
    const config = {
      ...database,
      "auth.admin_api_key": "a".repeat(40),
      "providers.mock.enabled": "true",
      "providers.default": "mock",
    };
    await using second: TestServer = await startServer({ config });
    const { as, id } = await newKey({});
    const open = await events(as, second.url);
    opened.push(open);
    await revoke(id);
    expect(await endOf(open)).toBe("end");
  });
});

describe("what a session or a token has open", () => {
  let issuer: TestIssuer;
  let server: TestServer;
  let origin: string;
  const [adminKey, audience] = ["a".repeat(40), "https://sandboxes.example"];

  beforeAll(async () => {
    issuer = await startIssuer({ audience, clients: { ann: { groups: ["ops"] } }, tokenLifeS: 6 });
    server = await startServer({
      config: {
        "providers.mock.enabled": "true",
        "providers.default": "mock",
        "auth.admin_api_key": adminKey,
        "auth.oidc_issuer": issuer.url,
        "auth.oidc_audience": audience,
        "auth.oidc_operator_groups": "ops",
        "auth.session_idle_timeout": "10s",
        "auth.session_absolute_timeout": "12s",
      },
    });
    origin = `http://app.localhost:${new URL(server.url).port}`;
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    await issuer?.[Symbol.asyncDispose]();
  });

  const bySession = async (): Promise<{ readonly as: Headers; readonly visitor: Visitor }> => {
    const visitor = new Visitor();
    const headers = { origin, "x-api-key": adminKey };
    expect((await visitor.visit(`${origin}/api/v1/session`, { method: "POST", headers })).status).toBe(201);
    return { visitor, as: { Host: new URL(origin).host, Cookie: visitor.cookies("app.localhost") } };
  };
  const events = (as: Headers) => openAnswer(`${server.url}/api/v1/events`, as, { until: "connected" });

  test("ends at logout, and another session's does not", async () => {
    const [one, other] = [await bySession(), await bySession()];
    const [open, stays] = [await events(one.as), await events(other.as)];
    await one.visitor.visit(`${origin}/api/v1/session`, { method: "DELETE", headers: { origin } });
    expect(await endOf(open)).toBe("end");
    expect(await Promise.race([stays.ended, "goes on"])).toBe("goes on");
    stays.leave();
  });

  test("ends when the session lies idle, whose use it is not", async () => {
    const { as } = await bySession();
    const beganMs = Date.now();
    expect(await endOf(await events(as))).toBe("end");
    expect(Date.now() - beganMs).toBeLessThan(11_900);
  });

  test("ends with the session's whole time, though the session is used", async () => {
    const { as, visitor } = await bySession();
    const open = await events(as);
    const done = endOf(open);
    let over = false;
    done.finally(() => (over = true)).catch(() => {});
    let last = 200;
    while (!over && last === 200) last = (await visitor.visit(`${origin}/api/v1/sandboxes`)).status;
    expect([await done, last]).toEqual(["end", 401]);
  });

  test("ends with the token", async () => {
    const open = await events({ Authorization: `Bearer ${await issuer.token("ann")}` });
    expect(await endOf(open)).toBe("end");
  });
});

import { expect, test } from "vitest";
import { post, spawnSandbox } from "./api.ts";
import { startServer, type TestServer } from "./server.ts";

interface Answer {
  readonly id: string;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

const spawn = async (server: TestServer, body: object, owner = "", init: RequestInit = {}) => {
  const headers = { ...(owner === "" ? {} : { "X-User-ID": owner }), ...init.headers };
  const request = { method: "POST", body: JSON.stringify(body), ...init, headers };
  const answer = await fetch(`${server.url}/api/v1/sandboxes`, request);
  return { status: answer.status, body: (await answer.json()) as Answer };
};
const destroy = (server: TestServer, id: string) => fetch(`${server.url}/api/v1/sandboxes/${id}`, { method: "DELETE" });

/** Resolves when that many spawns wait. */
const waiting = async (server: TestServer, count: number): Promise<void> => {
  for (;;) {
    const metrics = await (await fetch(`${server.url}/api/v1/metrics`)).json();
    if ((metrics as { scheduler: { spawn_queue_depth: number } }).scheduler.spawn_queue_depth === count) return;
  }
};

test("a 429 says which limit refused, its value and its use, in the words that old clients know", async () => {
  await using server = await startServer({
    config: {
      "defaults.max_sandboxes": "2",
      "defaults.max_sandboxes_per_owner": "1",
      "defaults.max_ttl": "1h",
      "defaults.max_exec_timeout": "1m",
    },
  });
  const mine = await spawn(server, {}, "ann");
  expect(await spawn(server, {}, "ann")).toMatchObject({
    status: 429,
    body: {
      message: "resource limit exceeded: max sandboxes per owner reached (1)",
      details: { limit: "max_sandboxes_per_owner", value: 1, used: 1, unit: "sandboxes" },
    },
  });
  await spawn(server, {}, "bob");
  expect(await spawn(server, {}, "cid")).toMatchObject({
    status: 429,
    body: {
      message: "resource limit exceeded: max sandboxes reached (2)",
      details: { limit: "max_sandboxes", value: 2, used: 2, unit: "sandboxes" },
    },
  });
  expect(await spawn(server, { ttl: "2h" })).toMatchObject({
    status: 429,
    body: {
      message: "resource limit exceeded: ttl exceeds max ttl 1h0m0s",
      details: { limit: "max_ttl", value: 3_600_000, used: 7_200_000, unit: "ms" },
    },
  });
  const ran = await post(`${server.url}/api/v1/sandboxes/${mine.body.id}/exec`, { command: "true", timeout: "2m" });
  expect(await ran.json()).toMatchObject({
    details: { limit: "max_exec_timeout", value: 60_000, used: 120_000, unit: "ms" },
  });
});

test("who waits is served owner by owner; a client that leaves, or a full queue, costs nobody else's place", async () => {
  await using server = await startServer({
    config: {
      "defaults.max_sandboxes": "1",
      "defaults.spawn_overflow": "queue",
      "defaults.max_spawn_queue": "4",
      "defaults.spawn_queue_timeout": "60s",
    },
  });
  let holder = await spawn(server, {}, "ann");
  const order: string[] = [];
  const queue = async (owner: string, place: number, init?: RequestInit) => {
    const asked = spawn(server, {}, owner, init).then(
      (answer) => {
        if (answer.status === 201) order.push(owner);
        return answer;
      },
      () => undefined,
    );
    await waiting(server, place);
    return { asked };
  };
  const leave = new AbortController();
  const first = await queue("ann", 1);
  const leaves = await queue("ann", 2, { signal: leave.signal });
  const third = await queue("ann", 3);
  const other = await queue("bob", 4);
  // One more than may wait: the last of the longest line gives way.
  const another = await queue("cid", 4);
  expect(await third.asked).toMatchObject({
    status: 429,
    body: { details: { limit: "max_spawn_queue", value: 4, used: 4, unit: "spawns" } },
  });
  leave.abort();
  await leaves.asked;
  await waiting(server, 3);
  for (const { asked } of [first, other, another]) {
    await destroy(server, holder.body.id);
    holder = (await asked) ?? holder;
    expect(holder.status).toBe(201);
  }
  expect(order).toEqual(["ann", "bob", "cid"]);
});

test("a time in the queue that is up says how long it was", async () => {
  await using server = await startServer({
    config: {
      "defaults.max_sandboxes": "1",
      "defaults.spawn_overflow": "queue",
      "defaults.spawn_queue_timeout": "300ms",
    },
  });
  await using _ = await spawnSandbox(server, {});
  const { status, body } = await spawn(server, {});
  expect({ status, message: body.message }).toEqual({
    status: 429,
    message: "resource limit exceeded: spawn queue timeout after 300ms",
  });
  expect(body.details).toMatchObject({ limit: "spawn_queue_timeout", value: 300, unit: "ms" });
  expect(Number(body.details.used)).toBeGreaterThanOrEqual(295);
});

test("a client that leaves a spawn that waits frees its key, and who waits under it takes over", async () => {
  await using server = await startServer({
    config: { "defaults.max_sandboxes": "1", "defaults.spawn_overflow": "queue" },
  });
  const holder = await spawn(server, {});
  const headers = { "Idempotency-Key": "leaves" };
  const leave = new AbortController();
  const first = spawn(server, {}, "", { headers, signal: leave.signal }).catch(() => "left");
  await waiting(server, 1);
  const second = spawn(server, {}, "", { headers });
  leave.abort();
  expect(await first).toBe("left");
  await destroy(server, holder.body.id);
  expect(await second).toMatchObject({ status: 201, body: { state: "running" } });
});

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  openApiDocument,
  operationTable,
  providerOperations,
  quotaOperations,
  systemOperations,
  telemetryOperations,
  templateOperations,
  workerOperations,
} from "@stacyvm/contract";
import { afterEach, expect, test } from "vitest";
import { noEgress } from "../../egress/gateway.ts";
import { systemClock } from "../../lib/clock.ts";
import { createProviderDirectory } from "../../providers/directory.ts";
import { parseOwnerId } from "../../sandbox/owner.ts";
import { createStore } from "../../store/create-store.ts";
import { createDiskSpace } from "../../telemetry/disk-space.ts";
import { createEventBus } from "../../telemetry/events.ts";
import { createHostStats } from "../../telemetry/host-stats.ts";
import { createOperationMetrics } from "../../telemetry/metrics.ts";
import { testApp } from "../app.testing.ts";
import { createDiskFigures } from "./disk-figures.ts";
import { createProviderHandlers } from "./providers.ts";
import { createQuotaHandlers } from "./quotas.ts";
import { createSystemHandlers } from "./system.ts";
import { createTelemetryHandlers } from "./telemetry.ts";
import { createTemplateHandlers } from "./templates.ts";
import { createWorkerHandlers } from "./workers.ts";

const stack: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of stack.splice(0).reverse()) await end();
});

/** Everything over a real database; no provider is configured, so nothing is spawned. */
const serve = async (apiKey = "") => {
  const dir = await mkdtemp(join(tmpdir(), "records-"));
  stack.push(() => rm(dir, { recursive: true }));
  const clock = systemClock;
  const store = await createStore({ database: { driver: "sqlite", path: join(dir, "db.sqlite") }, nowMs: clock.now() });
  stack.push(async () => store[Symbol.asyncDispose]());
  const events = createEventBus({ clock });
  const metrics = createOperationMetrics({ clock });
  metrics.observe({ operation: "exec", provider: "oci", durationMs: 4 });
  const directory = await createProviderDirectory({ providers: [], wanted: "auto", clock });
  const disks = createDiskSpace({ directories: { data: dir, images: dir, sandboxes: dir }, minFree: {} });
  const diskFigures = createDiskFigures({ disks, clock, listImages: async () => [] });
  const shared = { store, clock, events, directory, disks, diskFigures, startedAtMs: clock.now(), version: "1.2.3" };
  let changes = 0;
  const queue = {
    spawn_queue_depth: 0,
    max_spawn_queue: 9,
    spawn_queued_total: 0,
    spawn_dequeued_total: 0,
    spawn_queue_timeouts: 0,
    spawn_queue_wait_count: 0,
    spawn_queue_wait_total_ms: 0,
    spawn_queue_wait_max_ms: 0,
  };
  const spawnDefaults = {
    image: "alpine:latest",
    memoryMb: 64,
    vcpus: 1,
    diskMb: 64,
    pidsMax: 64,
    security: "default",
    overflow: "reject",
    maxQueue: 9,
    queueTimeoutMs: 30_000,
  } as const;
  const rateLimit = {
    enabled: false,
    requestsPerMinute: 0,
    burst: 0,
    keyBy: "ip",
    bucketTtlMs: 0,
    cleanupIntervalMs: 0,
  };
  const app = testApp({
    apiKey,
    operations: [
      ...templateOperations,
      ...quotaOperations,
      ...providerOperations,
      ...workerOperations,
      ...systemOperations,
      ...telemetryOperations,
    ],
    handlers: {
      ...createTemplateHandlers({ ...shared, spawn: async () => expect.unreachable("nothing is spawned here") }),
      ...createProviderHandlers(shared),
      ...createWorkerHandlers({ ...shared, workerSigningKey: undefined, newTokenId: () => "0" }),
      ...createQuotaHandlers({
        ...shared,
        parseOwner: parseOwnerId,
        defaults: { maxSandboxes: 5, maxTtlMs: 86_400_000, maxExecTimeoutMs: 600_000 },
        onCapacityChanged: () => {
          changes += 1;
        },
      }),
      ...createSystemHandlers({
        ...shared,
        hostStats: createHostStats({ clock, dataDir: dir }),
        openApi: openApiDocument(operationTable, "1.2.3"),
        authConfigured: apiKey !== "",
        insecure: false,
      }),
      ...createTelemetryHandlers({
        ...shared,
        operations: metrics,
        spawnQueue: () => queue,
        spawnDefaults,
        egress: noEgress,
        rateLimit: () => rateLimit,
        rateCounters: () => ({ callers: 0, allowed: 0, refused: 0, forgotten: 0 }),
        workerId: "local",
      }),
    },
  });
  type Verb = "GET" | "POST" | "PUT" | "DELETE";
  const ask = async (method: Verb, path: string, body?: object) => {
    const headers = apiKey === "" ? {} : { "x-api-key": apiKey };
    const url = path === "/openapi.json" ? path : `/api/v1${path}`;
    return app.inject({ method, url, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  };
  return { app, ask, events, changes: () => changes };
};

test("a quota is saved as a whole, read back, applied over the defaults, told as an event, and deleted", async () => {
  const { ask, events, changes } = await serve();
  const saved = await ask("PUT", "/quotas/alice", { max_sandboxes: 3, max_ttl: "2h" });
  expect(saved.json()).toMatchObject({
    owner_id: "alice",
    max_sandboxes: 3,
    max_ttl: "2h0m0s",
    max_exec_timeout: "0s",
  });
  expect((await ask("GET", "/quotas/alice")).json()).toEqual(saved.json());
  expect((await ask("GET", "/quotas")).json()).toEqual([saved.json()]);
  expect(Object.keys((await ask("GET", "/quotas/summary")).json())).toHaveLength(4);
  expect((await ask("GET", "/quotas/alice/usage")).json()).toEqual({
    owner_id: "alice",
    active_sandboxes: 0,
    max_sandboxes: 3,
    max_ttl: "2h0m0s",
    max_exec_timeout: "10m0s",
    quota_configured: true,
  });
  expect((await ask("DELETE", "/quotas/alice")).json()).toEqual({ status: "deleted" });
  const missing = await ask("GET", "/quotas/alice");
  expect([missing.statusCode, missing.json().message]).toEqual([404, 'not found: owner_quota "alice"']);
  expect(events.history().map(({ type }) => type)).toEqual(["quota.saved", "quota.deleted"]);
  expect(changes()).toBe(2);
});

test("a blank owner is refused by name", async () => {
  const { ask } = await serve();
  const answer = await ask("PUT", "/quotas/%20", { max_sandboxes: 1 });
  expect([answer.statusCode, answer.json().message]).toEqual([400, "invalid input: owner_id is required"]);
});

test.each([
  [{ max_ttl: "-1s" }, "invalid input: parsing max_ttl: duration cannot be negative"],
  [{ max_ttl: "500ms" }, "invalid input: parsing max_ttl: duration must be at least 1s"],
  [{ max_ttl: "1.5s" }, "invalid input: parsing max_ttl: duration must use whole seconds"],
  [{ max_ttl: "x" }, 'invalid input: parsing max_ttl: time: invalid duration "x"'],
  [{ max_sandboxes: -1 }, "invalid input: max_sandboxes cannot be negative"],
])("the quota %j is refused", async (body, message) => {
  const { ask } = await serve();
  const answer = await ask("PUT", "/quotas/alice", body);
  expect([answer.statusCode, answer.json().message]).toEqual([400, message]);
});

test("a template gets defaults, takes both spellings, keeps what a change leaves out, and is unique", async () => {
  const { ask } = await serve();
  const made = await ask("POST", "/templates", { name: "py", image: "alpine", vcpus: 2, ttl: "90s", description: "d" });
  expect(made.statusCode).toBe(201);
  expect(made.json()).toMatchObject({
    version: 1,
    memory_mb: 512,
    cpu_cores: 2,
    vcpus: 2,
    ttl_seconds: 90,
    ttl: "1m30s",
  });
  const changed = (await ask("PUT", "/templates/py", { memory_mb: 300, version: 2, cpu_cores: 0 })).json();
  expect(changed).toMatchObject({ image: "alpine", memory_mb: 300, version: 2, cpu_cores: 2, description: "d" });
  expect(changed.created_at).toBe(made.json().created_at);
  expect((await ask("POST", "/templates", { name: "py", image: "x" })).statusCode).toBe(409);
  expect((await ask("POST", "/templates", {})).json().message).toBe("invalid input: template name is required");
  expect((await ask("DELETE", "/templates/py")).json()).toEqual({ status: "deleted" });
  expect((await ask("GET", "/templates/py")).json().message).toBe('not found: template "py"');
});

test("the server describes itself in full to callers with a key, and says little to strangers", async () => {
  const { app, ask } = await serve("k".repeat(40));
  expect((await ask("GET", "/health")).json()).toMatchObject({ status: "ok", version: "1.2.3" });
  const stranger = await app.inject("/api/v1/health");
  expect(Object.keys(stranger.json()).sort()).toEqual(["status", "uptime"]);
  const ready = await app.inject("/api/v1/ready");
  expect([ready.statusCode, ready.json().status, ready.json().providers]).toEqual([503, "not_ready", []]);
  expect((await ask("GET", "/openapi.json")).json().openapi).toBe("3.1.0");
});

test("the other reads answer in the shapes of their rows", async () => {
  const { ask } = await serve();
  for (const path of ["/live", "/pool/status", "/snapshots", "/system/stats", "/providers", "/workers", "/metrics"]) {
    expect((await ask("GET", path)).statusCode, path).toBe(200);
  }
  expect((await ask("POST", "/providers/test")).json()).toEqual({});
  expect((await ask("GET", "/providers/nope")).json().message).toBe("provider not found: nope");
  expect((await ask("GET", "/workers/none")).json().message).toBe('not found: worker "none"');
});

test("Prometheus' text types what only grows as a counter", async () => {
  const { ask } = await serve();
  const answer = await ask("GET", "/metrics/prometheus");
  expect(answer.headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(answer.body).toContain("# TYPE stacyvm_uptime_seconds gauge");
  expect(answer.body).toContain("# TYPE stacyvm_operation_success_total counter");
  expect(answer.body).toContain('stacyvm_operation_success_total{operation="exec",provider="oci"} 1');
  expect(answer.body).toContain("stacyvm_spawn_queue_capacity 9");
});

import { expect, test } from "vitest";
import { createEventBus } from "../../telemetry/events.ts";
import { eventLines } from "./events.ts";

const clock = { now: () => Date.UTC(2026, 0, 2) };

test("events arrive in order as data lines, and the stream ends with the signal", async () => {
  const events = createEventBus({ clock });
  const stop = new AbortController();
  const lines = eventLines({ events, signal: stop.signal, scope: {} });
  expect((await lines.next()).value).toBe(": connected\n\n");
  const next = lines.next();
  events.publish({ type: "sandbox.created", sandboxId: "sb-<1>" });
  expect((await next).value).toBe(
    'data: {"id":"evt-1","type":"sandbox.created","sandbox_id":"sb-\\u003c1\\u003e","timestamp":"2026-01-02T00:00:00.000Z"}\n\n',
  );
  const last = lines.next();
  stop.abort();
  expect((await last).done).toBe(true);
  expect(events.counts().subscribers).toBe(0);
});

test("an idle stream carries heartbeats", async () => {
  const stop = new AbortController();
  const events = createEventBus({ clock });
  const lines = eventLines({ events, signal: stop.signal, scope: {}, heartbeatMs: 1 });
  await lines.next();
  expect((await lines.next()).value).toBe(": heartbeat\n\n");
  await lines.return(undefined);
});

test("a slow reader loses the oldest beyond 64, and is told how many", async () => {
  const events = createEventBus({ clock });
  const lines = eventLines({ events, signal: new AbortController().signal, scope: {} });
  await lines.next();
  for (let count = 0; count < 65; count += 1) events.publish({ type: "sandbox.running" });
  expect((await lines.next()).value).toBe(": 1 events dropped\n\n");
  expect((await lines.next()).value).toContain('"id":"evt-2"');
  await lines.return(undefined);
});

test("a tenant sees its own events only", async () => {
  const events = createEventBus({ clock });
  const lines = eventLines({ events, signal: new AbortController().signal, scope: { tenantId: "acme" } });
  await lines.next();
  events.publish({ type: "sandbox.running", sandboxId: "other", tenantId: "rival" });
  events.publish({ type: "sandbox.running", sandboxId: "nobody's" });
  events.publish({ type: "sandbox.running", sandboxId: "own", tenantId: "acme" });
  expect((await lines.next()).value).toContain('"sandbox_id":"own"');
  await lines.return(undefined);
});

test("the history keeps the newest", () => {
  const events = createEventBus({ clock, historyMax: 2 });
  for (let count = 0; count < 3; count += 1) events.publish({ type: "sandbox.running" });
  expect(events.history().map(({ id }) => id)).toEqual(["evt-2", "evt-3"]);
});

import { expect, test } from "vitest";
import { noEgress } from "../egress/gateway.ts";
import { systemClock } from "../lib/clock.ts";
import type { Provider, Runtime } from "../providers/provider.ts";
import { sandboxRecord } from "../store/sandbox-record.testing.ts";
import { Denials } from "./denials.ts";
import { LiveRuntimes } from "./live-runtimes.ts";

const refused = sandboxRecord({
  runtimeRef: JSON.stringify({ version: 1, data: {} }),
  network: { mode: "public", allow: [], deny: ["203.0.113.0/99"], inject: [] },
});

const makers = {
  "a spawn": (live: LiveRuntimes, runtime: Runtime) => live.add(refused, runtime),
  "an attach": (live: LiveRuntimes) => live.find(refused, AbortSignal.timeout(10_000)),
};

test.each(Object.entries(makers))("%s whose policy is refused leaves no connection", async (_, make) => {
  let ended = 0;
  const guest = {
    [Symbol.asyncDispose]: async () => {
      ended += 1;
    },
  };
  const runtime = { guest, egressDoor: { path: "/nowhere", guestMade: false } } as unknown as Runtime;
  const live = new LiveRuntimes({
    provider: () => ({ attach: async () => runtime }) as unknown as Provider,
    egress: noEgress,
    secrets: { find: async () => undefined },
    denials: new Denials({ publish: () => {}, clock: systemClock }),
  });
  await expect(make(live, runtime)).rejects.toMatchObject({ reason: "invalid_input" });
  expect({ ended, live: live.peek(refused.id) }).toEqual({ ended: 1, live: undefined });
});

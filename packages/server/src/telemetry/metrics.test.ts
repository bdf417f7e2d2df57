import { expect, test } from "vitest";
import { createOperationMetrics } from "./metrics.ts";

test("512 pairs of operation and provider are told apart, and further providers are counted as one", () => {
  const metrics = createOperationMetrics({ clock: { now: () => 1 } });
  const observe = (provider: string) => metrics.observe({ operation: "exec", provider, durationMs: 1 });
  for (let i = 0; i < 512; i++) observe(`p${i}`);
  expect(metrics.snapshot()).toHaveLength(512);
  expect(metrics.snapshot().some(({ provider }) => provider === "other")).toBe(false);
  observe("one more");
  observe("another");
  const { success_total } = metrics.snapshot().find(({ provider }) => provider === "other") ?? {};
  expect([metrics.snapshot().length, success_total]).toEqual([513, 2]);
});

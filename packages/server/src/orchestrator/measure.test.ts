import { expect, test } from "vitest";
import type { OperationAudit } from "../store/store.ts";
import { systemCaller } from "./context.ts";
import { type Measured, measured } from "./measure.ts";

// The number is written out: a bound that somebody raises has to be raised here too.
test("an audit row's detail is cut at 2048 characters, whether it tells a success or a failure", async () => {
  const rows: OperationAudit[] = [];
  const context = {
    audit: (row: OperationAudit) => void rows.push(row),
    observe: () => {},
    publish: () => {},
    clock: { now: () => 0 },
  } as unknown as Parameters<typeof measured>[0];
  const what: Measured = { operation: "exec", action: "exec", sandboxId: "sb-1", resource: "", caller: systemCaller };
  for (const length of [2048, 2049]) {
    await measured(context, what, async (facts) => {
      facts.detail = "x".repeat(length);
    });
    await measured(context, what, async () => {
      throw new Error("y".repeat(length));
    }).catch(() => {});
  }
  expect(rows.map(({ status, detail }) => [status, detail.length])).toEqual([
    ["success", 2048],
    ["failure", 2048],
    ["success", 2048],
    ["failure", 2048],
  ]);
});

import { beforeEach, expect, test } from "vitest";
import type { OperationAudit } from "../store/store.ts";
import { CredentialAudit } from "./credential-audit.ts";

let nowMs = 1_800_000_000_000;
let rows: OperationAudit[];
let audit: CredentialAudit;
beforeEach(() => {
  rows = [];
  audit = new CredentialAudit({ add: (row) => void rows.push(row), clock: { now: () => nowMs } });
});

test("a flood of refusals has eleven rows a minute, and all of them are counted", () => {
  for (let at = 0; at < 5_000; at++) audit.refused(`10.0.0.${at % 250}`, "invalid or missing API key");
  expect(rows).toHaveLength(10);
  expect(rows[0]).toMatchObject({
    action: "login.refused",
    actor: "anonymous",
    status: "failure",
    detail: "invalid or missing API key from=10.0.0.0",
  });
  audit.tellRefused();
  expect(rows.at(-1)?.detail).toBe("4990 more in this minute, of 250 addresses");
  audit.tellRefused();
  expect(rows).toHaveLength(11);
  audit.refused("10.0.0.1", "again");
  expect(rows).toHaveLength(12);
});

test("what is remembered of addresses and bearers is bounded", () => {
  for (let at = 0; at < 30_000; at++) audit.refused(`address ${at}`, "no");
  audit.tellRefused();
  expect(rows.at(-1)?.detail).toBe("29990 more in this minute, of at least 10000 addresses");
  for (let at = 0; at < 10_001; at++) audit.bearer({ actor: `ann ${at}`, tenantId: "", address: "10.0.0.1" });
  const count = rows.length;
  audit.bearer({ actor: "ann 10000", tenantId: "", address: "10.0.0.1" });
  expect(rows).toHaveLength(count);
  audit.bearer({ actor: "ann 0", tenantId: "", address: "10.0.0.1" });
  expect(rows).toHaveLength(count + 1);
});

test("a token's bearer is noted once an hour at each address", () => {
  const bearer = (address: string) => audit.bearer({ actor: "ann", tenantId: "acme", address });
  for (let at = 0; at < 3; at++) bearer("10.0.0.1");
  bearer("10.0.0.2");
  nowMs += 3_599_999;
  bearer("10.0.0.1");
  expect(rows.map(({ action, tenantId, detail }) => [action, tenantId, detail])).toEqual([
    ["login.token", "acme", "from=10.0.0.1"],
    ["login.token", "acme", "from=10.0.0.2"],
  ]);
  nowMs += 1;
  bearer("10.0.0.1");
  expect(rows).toHaveLength(3);
});

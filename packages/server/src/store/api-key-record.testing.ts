import { randomBytes } from "node:crypto";
import type { ApiKeyRecord } from "./store.ts";

const start = 1_790_000_000_000;

/** A key that counts; everything may be replaced. */
export const apiKey = (change: Partial<ApiKeyRecord> = {}): ApiKeyRecord => ({
  id: `key-${randomBytes(8).toString("hex")}`,
  name: "ci",
  prefix: "svm_abcdefgh",
  digest: randomBytes(32).toString("hex"),
  role: "operator",
  tenantId: "acme",
  projectId: "web",
  memberIssuer: "",
  memberId: "",
  createdBy: "admin:X-API-Key",
  createdAtMs: start,
  expiresAtMs: 0,
  lastUsedAtMs: 0,
  revokedAtMs: 0,
  ...change,
});

import { randomBytes } from "node:crypto";
import type { SandboxRecord } from "../sandbox/sandbox.ts";

const id = (): string => `sb-${randomBytes(8).toString("hex")}`;
const start = 1_790_000_000_000;

/** A running sandbox; everything may be replaced. */
export const sandboxRecord = (change: Partial<SandboxRecord> = {}): SandboxRecord => ({
  id: id(),
  state: "running",
  stateReason: "",
  provider: "mock",
  image: "alpine:latest",
  imageDigest: "",
  memoryMb: 512,
  vcpus: 1,
  diskMb: 1024,
  security: "default",
  ownerId: "",
  tenantId: "",
  projectId: "",
  workerId: "local",
  metadata: {},
  runtimeRef: "",
  generation: 1,
  createdAtMs: start,
  expiresAtMs: start + 60_000,
  updatedAtMs: start,
  stateDeadlineMs: 0,
  name: "",
  labels: {},
  envNames: [],
  workdir: "",
  user: "",
  networkMode: "none",
  network: undefined,
  secrets: [],
  ...change,
});

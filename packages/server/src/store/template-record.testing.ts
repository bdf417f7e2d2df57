import { randomBytes } from "node:crypto";
import type { Template } from "./store.ts";

const start = 1_790_000_000_000;

/** A template of no tenant; everything may be replaced. */
export const template = (change: Partial<Template> = {}): Template => ({
  tenantId: "",
  projectId: "",
  name: randomBytes(8).toString("hex"),
  version: 1,
  image: "alpine",
  description: "",
  setup: ["apk add git"],
  allowedHosts: ["example.com"],
  memoryMb: 512,
  cpuCores: 1,
  ttlSeconds: 300,
  env: { PATH: "/bin" },
  secrets: [{ name: "token", injectAt: "env" }],
  poolSize: 0,
  provider: "",
  metadata: {},
  createdAtMs: start,
  updatedAtMs: start,
  ...change,
});

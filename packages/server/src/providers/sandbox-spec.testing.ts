import type { SandboxSpec } from "./provider.ts";

/** A small sandbox of nobody's; each test says what matters to it. */
export const sandboxSpec = (more: Partial<SandboxSpec> & Pick<SandboxSpec, "id">): SandboxSpec => ({
  image: undefined,
  imageReference: "busybox",
  ownerId: "",
  tenantId: "",
  projectId: "",
  expiresAtMs: Date.now() + 600_000,
  memoryMb: 256,
  vcpus: 1,
  diskMb: 64,
  pidsMax: 128,
  security: "default",
  network: "none",
  generation: 1,
  ...more,
});

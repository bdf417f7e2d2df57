import type { Sandbox } from "@stacyvm/contract";
import type { SandboxRecord } from "../../sandbox/sandbox.ts";

/** The public object. `preview_domain` is left out where previews are not served. */
export const wireSandbox = (record: SandboxRecord, previewDomain: string): Sandbox => ({
  id: record.id,
  state: record.state,
  provider: record.provider,
  image: record.image,
  memory_mb: record.memoryMb,
  vcpus: record.vcpus,
  ...(record.ownerId === "" ? {} : { owner_id: record.ownerId }),
  ...(record.tenantId === "" ? {} : { tenant_id: record.tenantId }),
  ...(record.workerId === "" ? {} : { worker_id: record.workerId }),
  created_at: new Date(record.createdAtMs).toISOString(),
  expires_at: new Date(record.expiresAtMs).toISOString(),
  ...(Object.keys(record.metadata).length === 0 ? {} : { metadata: { ...record.metadata } }),
  ...(previewDomain === "" ? {} : { preview_domain: previewDomain }),
});

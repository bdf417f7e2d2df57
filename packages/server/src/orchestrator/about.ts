import type { SandboxRecord } from "../sandbox/sandbox.ts";

/** What an event tells of the sandbox that it is about, and of whose it is. */
export const about = (record: Pick<SandboxRecord, "id" | "tenantId" | "projectId"> | undefined) =>
  record === undefined ? {} : { sandboxId: record.id, tenantId: record.tenantId, projectId: record.projectId };

import type { Sandbox } from "@stacyvm/contract";
import { workspacePath } from "../../sandbox/guest-path.ts";
import type { SandboxRecord, SandboxSummary } from "../../sandbox/sandbox.ts";
import { wirePolicy } from "./network.ts";
import { rfc3339 } from "./wire-time.ts";

/** The public object. `preview_domain` is left out where previews are not served. Lists are made of it: keep it plain. */
export const wireSandbox = (record: SandboxSummary, previewDomain: string): Sandbox => {
  const { id, state, provider, image, ownerId, tenantId, workerId, metadata } = record;
  const wire: Sandbox = {
    id,
    state,
    provider,
    image,
    memory_mb: record.memoryMb,
    vcpus: record.vcpus,
    created_at: rfc3339(record.createdAtMs),
    expires_at: rfc3339(record.expiresAtMs),
  };
  if (ownerId !== "") wire.owner_id = ownerId;
  if (tenantId !== "") wire.tenant_id = tenantId;
  if (workerId !== "") wire.worker_id = workerId;
  if (Object.keys(metadata).length > 0) wire.metadata = metadata;
  if (previewDomain !== "") wire.preview_domain = previewDomain;
  return wire;
};

/** The public object with what `view=full` adds; of the environment its names alone. */
export const fullSandbox = (record: SandboxRecord, previewDomain: string): Sandbox => {
  const wire = wireSandbox(record, previewDomain);
  if (record.projectId !== "") wire.project_id = record.projectId;
  if (record.name !== "") wire.name = record.name;
  if (Object.keys(record.labels).length > 0) wire.labels = record.labels;
  if (record.envNames.length > 0) wire.env_names = [...record.envNames];
  if (record.user !== "") wire.user = record.user;
  wire.workdir = record.workdir || workspacePath;
  wire.disk_mb = record.diskMb;
  wire.security = record.security;
  // Old clients know the gateway's way by the word for an engine's network.
  wire.network_mode = record.networkMode === "egress" ? "bridge" : record.networkMode;
  if (record.network !== undefined) wire.network = wirePolicy(record.network);
  if (record.secrets.length > 0) wire.secrets = [...record.secrets];
  return wire;
};

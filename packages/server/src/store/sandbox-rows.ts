import type { Insertable, Selectable, Updateable } from "kysely";
import type { SandboxRecord, SandboxState, SandboxSummary } from "../sandbox/sandbox.ts";
import { networkPolicyColumn, stringListColumn, stringMapColumn } from "./json-column.ts";
import type { SandboxesTable } from "./tables.ts";

const metadata = stringMapColumn("sandboxes.metadata");
const labels = stringMapColumn("sandboxes.labels");
const network = networkPolicyColumn("sandboxes.network");
const secrets = stringListColumn("sandboxes.secrets");
const envNames = stringListColumn("sandboxes.env_names");

export const toSandbox = (row: Selectable<SandboxesTable>): SandboxRecord => ({
  ...toSandboxSummary(row),
  projectId: row.project_id,
  stateReason: row.state_reason,
  imageDigest: row.image_digest,
  diskMb: row.disk_mb,
  security: row.security,
  runtimeRef: row.runtime_ref,
  generation: row.generation,
  updatedAtMs: row.updated_at,
  stateDeadlineMs: row.state_deadline,
  labels: labels.read(row.labels),
  envNames: envNames.read(row.env_names),
  workdir: row.workdir,
  user: row.run_as,
  networkMode: row.network_mode,
  network: network.read(row.network),
  secrets: secrets.read(row.secrets),
});

export const summaryColumns = [
  "id",
  "state",
  "provider",
  "image",
  "memory_mb",
  "vcpus",
  "owner_id",
  "tenant_id",
  "worker_id",
  "metadata",
  "created_at",
  "expires_at",
  "name",
] as const satisfies readonly (keyof SandboxesTable)[];

export const toSandboxSummary = (
  row: Pick<Selectable<SandboxesTable>, (typeof summaryColumns)[number]>,
): SandboxSummary => ({
  id: row.id,
  state: row.state as SandboxState,
  provider: row.provider,
  image: row.image,
  memoryMb: row.memory_mb,
  vcpus: row.vcpus,
  ownerId: row.owner_id,
  tenantId: row.tenant_id,
  workerId: row.worker_id,
  metadata: metadata.read(row.metadata),
  createdAtMs: row.created_at,
  expiresAtMs: row.expires_at,
  name: row.name,
});

export const fromSandbox = (record: SandboxRecord): Insertable<SandboxesTable> => ({
  id: record.id,
  state: record.state,
  state_reason: record.stateReason,
  provider: record.provider,
  image: record.image,
  image_digest: record.imageDigest,
  memory_mb: record.memoryMb,
  vcpus: record.vcpus,
  disk_mb: record.diskMb,
  security: record.security,
  owner_id: record.ownerId,
  tenant_id: record.tenantId,
  project_id: record.projectId,
  worker_id: record.workerId,
  metadata: metadata.write(record.metadata),
  runtime_ref: record.runtimeRef,
  generation: record.generation,
  created_at: record.createdAtMs,
  expires_at: record.expiresAtMs,
  updated_at: record.updatedAtMs,
  state_deadline: record.stateDeadlineMs,
  name: record.name,
  labels: labels.write(record.labels),
  env_names: envNames.write(record.envNames),
  workdir: record.workdir,
  run_as: record.user,
  network_mode: record.networkMode,
  network: network.write(record.network),
  secrets: secrets.write(record.secrets),
});

/** What a sandbox may change: what it was asked to be stays. */
export type SandboxChange = Partial<
  Omit<
    SandboxRecord,
    "id" | "createdAtMs" | "name" | "labels" | "envNames" | "workdir" | "user" | "networkMode" | "secrets"
  >
>;

const columnOf: Readonly<Record<keyof Omit<SandboxChange, "metadata" | "network">, keyof SandboxesTable>> = {
  state: "state",
  stateReason: "state_reason",
  provider: "provider",
  image: "image",
  imageDigest: "image_digest",
  memoryMb: "memory_mb",
  vcpus: "vcpus",
  diskMb: "disk_mb",
  security: "security",
  ownerId: "owner_id",
  tenantId: "tenant_id",
  projectId: "project_id",
  workerId: "worker_id",
  runtimeRef: "runtime_ref",
  generation: "generation",
  expiresAtMs: "expires_at",
  updatedAtMs: "updated_at",
  stateDeadlineMs: "state_deadline",
};

/** Columns of the fields that the change names; fields given as undefined are left alone. */
export const fromSandboxChange = (change: SandboxChange): Updateable<SandboxesTable> => {
  const columns: Record<string, unknown> = {};
  for (const [field, column] of Object.entries(columnOf)) {
    const value = change[field as keyof typeof columnOf];
    if (value !== undefined) columns[column] = value;
  }
  if (change.metadata !== undefined) columns.metadata = metadata.write(change.metadata);
  if (change.network !== undefined) columns.network = network.write(change.network);
  return columns as Updateable<SandboxesTable>;
};

import type { NetworkPolicy } from "./network-policy.ts";

/** States of the public object. `destroying` is ours; `idle`, `unhealthy` are kept for old clients. */
export type SandboxState = "creating" | "running" | "unhealthy" | "expired" | "error" | "destroying" | "destroyed";

/** A sandbox as the store keeps it. Times are epoch milliseconds. */
export interface SandboxRecord {
  readonly id: string;
  readonly state: SandboxState;
  /** Why the state is `error`, empty otherwise. */
  readonly stateReason: string;
  readonly provider: string;
  /** As the caller asked for it. */
  readonly image: string;
  /** What it resolved to; empty when the provider needs none. */
  readonly imageDigest: string;
  readonly memoryMb: number;
  readonly vcpus: number;
  readonly diskMb: number;
  readonly security: string;
  readonly ownerId: string;
  /** Empty: of no tenant. */
  readonly tenantId: string;
  /** Empty: of its tenant as a whole. */
  readonly projectId: string;
  readonly workerId: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** The provider's RuntimeRef as JSON; empty until it runs. */
  readonly runtimeRef: string;
  /** Generation of the lease under which the row was last changed by its holder. */
  readonly generation: number;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  readonly updatedAtMs: number;
  /** By when a transitional state must have ended; 0 when the state is not transitional. */
  readonly stateDeadlineMs: number;
  /** Empty: it has none. Unique among the living ones of its owner. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** What its environment names, sorted; the values are the agent's alone. */
  readonly envNames: readonly string[];
  /** Where commands start; empty: the workspace. */
  readonly workdir: string;
  /** Whom commands run as; empty: the profile's own. */
  readonly user: string;
  readonly networkMode: string;
  /** What it may reach through the gateway; undefined where it has no way out of this kind. */
  readonly network: NetworkPolicy | undefined;
  /** Whose placeholders its environment has, each as NAME@host:port. */
  readonly secrets: readonly string[];
}

/** What lists show of a sandbox: all that is public, and nothing that only its own server needs. */
export type SandboxSummary = Pick<
  SandboxRecord,
  | "id"
  | "state"
  | "provider"
  | "image"
  | "memoryMb"
  | "vcpus"
  | "ownerId"
  | "tenantId"
  | "workerId"
  | "metadata"
  | "createdAtMs"
  | "expiresAtMs"
  | "name"
>;

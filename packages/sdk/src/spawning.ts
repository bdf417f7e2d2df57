import type { CallOptions } from "./transport.ts";
import type { SandboxSpec } from "./wire.ts";

/** Asks for all that is known of a sandbox; older servers don't read it. */
export const fullView = { view: "full" } as const;

/** The part that every spawn takes, and nothing else of an object. */
export const sandboxSpec = (spec: SandboxSpec): SandboxSpec => ({
  metadata: spec.metadata,
  env: spec.env,
  workdir: spec.workdir,
  user: spec.user,
  disk_mb: spec.disk_mb,
  security: spec.security,
  network_mode: spec.network_mode,
  network: spec.network,
  secrets: spec.secrets,
  labels: spec.labels,
  name: spec.name,
  if_exists: spec.if_exists,
});

export interface SpawnCallOptions extends CallOptions {
  /**
   * 1 to 255 printable ASCII characters. The same spawn under the same key makes one sandbox however often it is sent, for a
   * day; so it is repeated as reads are. Another spawn under it throws with reason `idempotency_key_reused`.
   */
  idempotencyKey?: string | undefined;
}

/** What makes a call that may be sent again. */
export const once = (options: SpawnCallOptions | undefined) =>
  options?.idempotencyKey === undefined
    ? {}
    : { headers: { "Idempotency-Key": options.idempotencyKey }, repeatable: true };

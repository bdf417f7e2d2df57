import type { SandboxSpec } from "../provider.ts";

const prefix = "stacyvm.";

/** Of a container: whose it is, and what is needed to take it up again. */
export interface OwnerLabels {
  readonly serverId: string;
  readonly sandboxId: string;
  readonly generation: number;
  /** Of the stream to its agent, 32 hex digits; undefined where that has a socket. */
  readonly streamKey: string | undefined;
  /** Its outbound network is the egress gateway's. */
  readonly hasEgress: boolean;
}

/** A name that no other server on the same engine gives. */
export const containerName = (serverId: string, sandboxId: string): string => `stacyvm-${serverId}-${sandboxId}`;

export const containerLabels = (
  serverId: string,
  spec: SandboxSpec,
  imageDigest: string,
  streamKey: string | undefined,
): Record<string, string> => ({
  [`${prefix}server`]: serverId,
  [`${prefix}provider`]: "docker",
  [`${prefix}sandbox`]: spec.id,
  [`${prefix}owner`]: spec.ownerId,
  [`${prefix}tenant`]: spec.tenantId,
  [`${prefix}project`]: spec.projectId,
  [`${prefix}expires`]: String(spec.expiresAtMs),
  [`${prefix}generation`]: String(spec.generation),
  [`${prefix}image`]: spec.imageReference,
  [`${prefix}digest`]: imageDigest,
  [`${prefix}security`]: spec.security,
  [`${prefix}network`]: spec.network,
  ...(streamKey === undefined ? {} : { [`${prefix}stream`]: streamKey }),
});

/** Filter of the engine's lists for what is this server's. */
export const ownedBy = (serverId: string): string =>
  JSON.stringify({ label: [`${prefix}server=${serverId}`, `${prefix}provider=docker`] });

/** Undefined for a container that isn't one of ours. */
export const readLabels = (labels: Readonly<Record<string, string>> = {}): OwnerLabels | undefined => {
  const sandboxId = labels[`${prefix}sandbox`];
  const serverId = labels[`${prefix}server`];
  if (sandboxId === undefined || serverId === undefined || labels[`${prefix}provider`] !== "docker") return undefined;
  const generation = Number(labels[`${prefix}generation`]) || 0;
  const hasEgress = labels[`${prefix}network`] === "egress";
  return { serverId, sandboxId, generation, streamKey: labels[`${prefix}stream`], hasEgress };
};

import type { SandboxSpec } from "../provider.ts";

/** By a door of its own on this host and a network device, or by its agent's connection to the server and a proxy inside. */
export type EgressWay = "device" | "relay";

const prefix = "stacyvm.";

/** Of a container: whose it is, and what is needed to take it up again. */
export interface OwnerLabels {
  readonly serverId: string;
  readonly sandboxId: string;
  readonly generation: number;
  /** Of the stream to its agent, 32 hex digits; undefined where that has a socket. */
  readonly streamKey: string | undefined;
  /** How its outbound network reaches the egress gateway; undefined where it has none. */
  readonly egress: EgressWay | undefined;
}

/** A name that no other server on the same engine gives. */
export const containerName = (serverId: string, sandboxId: string): string => `stacyvm-${serverId}-${sandboxId}`;

export const containerLabels = (
  serverId: string,
  spec: SandboxSpec,
  imageDigest: string,
  { streamKey, egress }: Pick<OwnerLabels, "streamKey" | "egress">,
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
  ...(egress === "relay" ? { [`${prefix}egress`]: egress } : {}),
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
  const egress = !hasEgress ? undefined : labels[`${prefix}egress`] === "relay" ? "relay" : "device";
  return { serverId, sandboxId, generation, streamKey: labels[`${prefix}stream`], egress };
};

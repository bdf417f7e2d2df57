import { StacyError } from "@stacyvm/contract";
import type { Provider, SecurityProfile } from "../providers/provider.ts";
import { guestPath } from "../sandbox/guest-path.ts";
import type { NetworkPolicy } from "../sandbox/network-policy.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { placeOf } from "../sandbox/scope.ts";
import type { SecretUse } from "../sandbox/secret-use.ts";
import { stateTimeoutMs } from "../sandbox/states.ts";
import { checkUser } from "../sandbox/user.ts";
import type { Caller, Context } from "./context.ts";
import { networkOf } from "./network-choice.ts";

/** Absent values stand for the defaults. */
export interface SpawnRequest {
  readonly image?: string;
  readonly provider?: string;
  readonly memoryMb?: number;
  readonly vcpus?: number;
  readonly diskMb?: number;
  readonly ttlMs?: number;
  readonly ownerId: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  /** Absolute. */
  readonly workdir?: string;
  /** Name, uid or uid:gid inside the sandbox. */
  readonly user?: string;
  readonly security?: SecurityProfile;
  /** As old clients say it; not beside `network`. */
  readonly networkMode?: string;
  readonly network?: NetworkPolicy;
  /** Whose placeholders its environment gets. */
  readonly secrets?: readonly SecretUse[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly name?: string;
  /** What a name that is taken means: a conflict, or the sandbox that has it. */
  readonly ifExists?: "fail" | "get";
}

/** The row of a sandbox to be. Throws not_supported and invalid_input for what the provider or the profile can't do. */
export function newRecord(
  context: Context,
  provider: Provider,
  request: SpawnRequest,
  caller: Caller,
  id: string,
): SandboxRecord {
  const { spawnDefaults: defaults, clock } = context;
  const nowMs = clock.now();
  const security = securityProfile(provider, request.security, defaults.security);
  checkUser(security, request.user ?? "");
  checkDisk(provider, request.diskMb);
  return {
    id,
    state: "creating",
    stateReason: "",
    provider: provider.name,
    image: request.image || defaults.image,
    imageDigest: "",
    memoryMb: request.memoryMb || defaults.memoryMb,
    vcpus: request.vcpus || defaults.vcpus,
    diskMb: request.diskMb || defaults.diskMb,
    security,
    ownerId: request.ownerId,
    ...placeOf(caller.scope),
    workerId: context.workerId,
    metadata: request.metadata ?? {},
    runtimeRef: "",
    generation: 0,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + (request.ttlMs ?? context.limits.defaultTtlMs),
    updatedAtMs: nowMs,
    stateDeadlineMs: nowMs + stateTimeoutMs.creating,
    name: request.name ?? "",
    labels: request.labels ?? {},
    envNames: Object.keys(request.env ?? {}).toSorted(),
    workdir: request.workdir === undefined ? "" : guestPath(request.workdir),
    user: request.user ?? "",
    ...networkOf(context, provider, request),
    secrets: [],
  };
}

/** What was asked for, or else the server's default where the provider offers it, or else the provider's own. */
function securityProfile(
  { name, capabilities }: Provider,
  asked: SecurityProfile | undefined,
  usual: SecurityProfile,
): SecurityProfile {
  const { securityProfiles: offered, profileRemedies } = capabilities;
  const wanted = asked ?? (offered.includes(usual) ? usual : (offered[0] ?? usual));
  if (offered.includes(wanted)) return wanted;
  const remediation = profileRemedies?.[wanted];
  throw new StacyError(
    "not_supported",
    `provider ${name} does not offer security profile ${wanted} here, but ${offered.join(", ")}`,
    remediation === undefined ? {} : { remediation },
  );
}

/** A size that nothing would hold a sandbox to is refused, not forgotten. */
function checkDisk({ name, capabilities }: Provider, asked: number | undefined): void {
  if (!asked || capabilities.limits.disk) return;
  throw new StacyError("not_supported", `provider ${name} does not bound a sandbox's disk here`, {
    remediation: "Leave disk_mb out, or use a provider that bounds disks.",
  });
}

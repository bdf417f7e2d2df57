import { StacyError } from "@stacyvm/contract";
import type { ImageRoot, ImageUse } from "../images/image-store.ts";
import { withScope } from "../lib/scope.ts";
import type { Provider, SecurityProfile } from "../providers/provider.ts";
import { checkTtl } from "../sandbox/limits.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { statesBefore, stateTimeoutMs } from "../sandbox/states.ts";
import { ownerLimits, requireProvider, spawnDisks } from "./admit.ts";
import type { Caller, Context } from "./context.ts";
import { measured } from "./measure.ts";
import type { SpawnQueue } from "./spawn-queue.ts";

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
  readonly security?: SecurityProfile;
}

/** Makes a sandbox and resolves when it can serve. A throw, an abort included, leaves nothing behind. */
export async function spawn(
  context: Context,
  queue: SpawnQueue,
  request: SpawnRequest,
  caller: Caller,
  signal: AbortSignal,
): Promise<SandboxRecord> {
  const provider = requireProvider(context, request.provider ?? "");
  const record = newRecord(context, provider, request, caller);
  const what = {
    operation: "spawn" as const,
    action: "sandbox.spawn",
    sandboxId: record.id,
    resource: record.image,
    caller,
  };
  return await measured(context, what, async (facts) => {
    facts.record = record;
    const limits = await ownerLimits(context, request.ownerId);
    checkTtl(record.expiresAtMs - record.createdAtMs, limits.maxTtlMs);
    await context.disks.requireRoom(...spawnDisks);
    using uses = new DisposableStack(); // Let go after everything else, an undone spawn's runtime included.
    const running = await withScope(
      async (scope) => {
        await insertWithinCaps(context, queue, record, limits.maxOwnerSandboxes, signal);
        scope.defer("insert", () => forget(context, record));
        context.failpoint("spawn:inserted");
        const env = request.env ?? {};
        return await start(context, provider, record, env, signal, scope.defer, (use) => uses.use(use).root);
      },
      (step, error) => context.log.error({ sandbox_id: record.id, step, err: error }, "spawn could not be undone"),
    );
    facts.detail = "state=running";
    const about = { sandboxId: record.id, tenantId: record.tenantId };
    context.publish({ type: "sandbox.created", ...about });
    context.publish({ type: "sandbox.running", ...about });
    return running;
  });
}

async function start(
  context: Context,
  provider: Provider,
  record: SandboxRecord,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
  defer: (step: string, undo: (signal: AbortSignal) => Promise<unknown>) => void,
  hold: (use: ImageUse) => ImageRoot,
): Promise<SandboxRecord> {
  const nowMs = context.clock.now();
  const { holderId, leaseTtlMs: ttlMs } = context;
  const lease = await context.store.leases.acquire({
    resourceId: record.id,
    resourceType: "sandbox",
    holderId,
    ttlMs,
    nowMs,
  });
  if (lease === undefined) throw new StacyError("lease_lost", `the lease of ${record.id} is held elsewhere`);
  defer("lease", () => context.store.leases.release(lease));
  context.failpoint("spawn:leased");
  const image = provider.capabilities.needsImage ? hold(await context.images.use(record.image, signal)) : undefined;
  signal.throwIfAborted();
  // From here the provider may own something under this id, also when its spawn throws halfway.
  defer("runtime", (undo) => provider.reap(record.id, undo));
  const runtime = await provider.spawn(
    {
      id: record.id,
      image,
      imageReference: record.image,
      ownerId: record.ownerId,
      tenantId: record.tenantId,
      expiresAtMs: record.expiresAtMs,
      memoryMb: record.memoryMb,
      vcpus: record.vcpus,
      diskMb: record.diskMb,
      pidsMax: context.spawnDefaults.pidsMax,
      security: record.security as SecurityProfile,
      network: provider.capabilities.networks.includes("none") ? "none" : (provider.capabilities.networks[0] ?? "none"),
      generation: lease.generation,
    },
    signal,
  );
  context.live.set(runtime);
  defer("connection", () => context.live.drop(record.id));
  context.failpoint("spawn:runtime");
  const everyEnv = { ...image?.env, ...env };
  if (Object.keys(everyEnv).length > 0) await runtime.guest.configure({ env: everyEnv }, signal);
  signal.throwIfAborted();
  const running = await context.store.sandboxes.transition(record.id, statesBefore("running"), {
    state: "running",
    imageDigest: image?.digest ?? "",
    runtimeRef: JSON.stringify(runtime.ref),
    generation: lease.generation,
    stateDeadlineMs: 0,
    updatedAtMs: context.clock.now(),
  });
  if (running === undefined) {
    throw new StacyError("state_conflict", `sandbox ${record.id} was destroyed while it started`);
  }
  context.failpoint("spawn:running");
  return running;
}

function newRecord(context: Context, provider: Provider, request: SpawnRequest, caller: Caller): SandboxRecord {
  const { spawnDefaults: defaults, clock } = context;
  const nowMs = clock.now();
  return {
    id: context.ids.sandbox(),
    state: "creating",
    stateReason: "",
    provider: provider.name,
    image: request.image || defaults.image,
    imageDigest: "",
    memoryMb: request.memoryMb || defaults.memoryMb,
    vcpus: request.vcpus || defaults.vcpus,
    diskMb: request.diskMb || defaults.diskMb,
    security: securityProfile(provider, request.security, defaults.security),
    ownerId: request.ownerId,
    tenantId: caller.tenantId,
    workerId: context.workerId,
    metadata: request.metadata ?? {},
    runtimeRef: "",
    generation: 0,
    createdAtMs: nowMs,
    expiresAtMs: nowMs + (request.ttlMs ?? context.limits.defaultTtlMs),
    updatedAtMs: nowMs,
    stateDeadlineMs: nowMs + stateTimeoutMs.creating,
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

/** Inserts the row within the caps, in the queue where the caps are reached and waiting is configured. */
async function insertWithinCaps(
  context: Context,
  queue: SpawnQueue,
  record: SandboxRecord,
  maxOwnerSandboxes: number,
  signal: AbortSignal,
): Promise<void> {
  const caps = { maxSandboxes: context.limits.maxSandboxes, maxOwnerSandboxes };
  const queueing = context.spawnDefaults.overflow === "queue";
  if (!(queueing && queue.busy)) {
    const refusal = await context.store.admitAndInsert(record, caps);
    if (refusal === undefined) return;
    if (!queueing) throw capReached(refusal, caps);
  }
  const about = { operation: "spawn" as const, provider: record.provider, owner_id: record.ownerId };
  context.publish({ type: "spawn.queued", data: { ...about, depth: queue.counters.depth + 1 } });
  const startedAt = performance.now();
  const waited = () => ({ ...about, wait_ms: Math.round(performance.now() - startedAt) });
  try {
    await queue.wait(
      async () => (await context.store.admitAndInsert(record, caps)) === undefined,
      () => forget(context, record),
      signal,
    );
  } catch (error) {
    if (error instanceof StacyError && error.reason === "spawn_queue_timeout") {
      context.publish({ type: "spawn.queue_timeout", data: { ...waited(), error: error.message } });
    }
    throw error;
  }
  context.publish({ type: "spawn.dequeued", data: waited() });
}

function capReached(
  cap: "max_sandboxes" | "max_sandboxes_per_owner",
  caps: { readonly maxSandboxes: number; readonly maxOwnerSandboxes: number },
): StacyError {
  return cap === "max_sandboxes"
    ? new StacyError("sandboxes_exhausted", `resource limit exceeded: max sandboxes reached (${caps.maxSandboxes})`)
    : new StacyError(
        "owner_sandboxes_exhausted",
        `resource limit exceeded: max sandboxes per owner reached (${caps.maxOwnerSandboxes})`,
      );
}

/** A spawn that failed leaves a row that says so only as `destroyed`. */
async function forget(context: Context, record: SandboxRecord): Promise<void> {
  const gone = { stateReason: "spawn failed", stateDeadlineMs: 0, updatedAtMs: context.clock.now() };
  await context.store.sandboxes.transition(record.id, ["creating", "running", "destroying"], {
    state: "destroyed",
    ...gone,
  });
}

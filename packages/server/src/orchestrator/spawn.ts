import { StacyError } from "@stacyvm/contract";
import type { GuestSettings } from "../guest/guest.ts";
import type { ImageRoot, ImageUse } from "../images/image-store.ts";
import { withScope } from "../lib/scope.ts";
import type { NetworkMode, Provider, SecurityProfile } from "../providers/provider.ts";
import { workspacePath } from "../sandbox/guest-path.ts";
import { checkTtl } from "../sandbox/limits.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { statesBefore } from "../sandbox/states.ts";
import { about } from "./about.ts";
import { ownerLimits, requireProvider, spawnDisks } from "./admit.ts";
import type { Caller, Context } from "./context.ts";
import { requireHealthy, spawnOn } from "./healthy-provider.ts";
import { forget, insertWithinCaps } from "./insert-within-caps.ts";
import { measured } from "./measure.ts";
import { withProxyVariables } from "./proxy-variables.ts";
import { checkInjected, placeholders, secretTexts } from "./secret-uses.ts";
import type { SpawnQueue } from "./spawn-queue.ts";
import { newRecord, type SpawnRequest } from "./spawn-record.ts";
import { trustGateway } from "./trust.ts";

/** Makes a sandbox and resolves when it can serve. A throw, an abort included, leaves nothing behind. */
export async function spawn(
  context: Context,
  queue: SpawnQueue,
  request: SpawnRequest,
  caller: Caller,
  signal: AbortSignal,
  id = context.ids.sandbox(),
): Promise<SandboxRecord> {
  const provider = requireProvider(context, request.provider ?? "");
  if (provider.capabilitiesKnown === false) await context.providers.fingerprint(provider.name);
  const record = await withSecrets(context, newRecord(context, provider, request, caller, id), request);
  const what = {
    operation: "spawn" as const,
    action: "sandbox.spawn",
    sandboxId: record.id,
    resource: record.image,
    caller,
  };
  return await measured(context, what, async (facts) => {
    facts.record = record;
    const limits = await ownerLimits(context, record, request.ownerId);
    checkTtl(record.expiresAtMs - record.createdAtMs, limits.maxTtlMs);
    await context.disks.requireRoom(...spawnDisks);
    await requireHealthy(context, provider);
    using uses = new DisposableStack(); // Let go after everything else, an undone spawn's runtime included.
    const running = await withScope(
      async (scope) => {
        await insertWithinCaps(context, queue, record, limits.maxOwnerSandboxes, signal);
        scope.defer("insert", () => forget(context, record));
        context.failpoint("spawn:inserted");
        const env = request.env ?? {};
        try {
          return await start(context, provider, record, env, signal, scope.defer, (use) => uses.use(use).root);
        } catch (error) {
          throw (await isTaken(context, record)) ? destroyedMeanwhile(record, error) : error;
        }
      },
      (step, error) => context.log.error({ sandbox_id: record.id, step, err: error }, "spawn could not be undone"),
    );
    facts.detail = "state=running";
    context.publish({ type: "sandbox.created", ...about(record) });
    context.publish({ type: "sandbox.running", ...about(record) });
    return running;
  });
}

/** Throws invalid_input for secrets that aren't there, and where no gateway could put them in. */
async function withSecrets(
  { secrets: source }: Context,
  record: SandboxRecord,
  { secrets = [], env = {} }: SpawnRequest,
): Promise<SandboxRecord> {
  const inject = record.network?.inject ?? [];
  if (secrets.length + inject.length === 0) return record;
  if (record.networkMode !== "egress") {
    throw new StacyError("not_supported", "secrets go out with requests, and this sandbox has no network of ours", {
      remediation: "Ask for network mode public or allowlist, on a provider that has it (GET /api/v1/providers).",
    });
  }
  await checkInjected(source, record, inject);
  const texts = await secretTexts(source, record, secrets, env);
  return {
    ...record,
    secrets: texts,
    envNames: [...new Set([...record.envNames, ...secrets.map(({ name }) => name)])].toSorted(),
  };
}

const destroyedMeanwhile = ({ id }: SandboxRecord, cause?: unknown): StacyError =>
  new StacyError("state_conflict", `sandbox ${id} was destroyed while it started`, { cause });

/** Whether somebody destroys it, which makes its start fail in whatever way. */
async function isTaken({ store }: Context, { id }: SandboxRecord): Promise<boolean> {
  const now = await store.sandboxes.get(id).catch(() => undefined); // what failed first is what counts
  return now?.state === "destroying" || now?.state === "destroyed";
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
  const image = provider.capabilities.needsImage
    ? hold(await context.images.use(record.image, signal, record))
    : undefined;
  signal.throwIfAborted();
  // From here the provider may own something under this id, also when its spawn throws halfway.
  defer("runtime", (undo) => provider.reap(record.id, undo));
  const runtime = await spawnOn(context, provider)(
    {
      id: record.id,
      image,
      imageReference: record.image,
      ownerId: record.ownerId,
      tenantId: record.tenantId,
      projectId: record.projectId,
      expiresAtMs: record.expiresAtMs,
      memoryMb: record.memoryMb,
      vcpus: record.vcpus,
      diskMb: record.diskMb,
      pidsMax: context.spawnDefaults.pidsMax,
      security: record.security as SecurityProfile,
      network: record.networkMode as NetworkMode,
      generation: lease.generation,
    },
    signal,
  );
  const admission = await context.live.add(record, runtime);
  defer("connection", () => context.live.drop(record.id));
  context.failpoint("spawn:runtime");
  const trusted = await trustGateway(runtime.guest, admission, signal);
  const from = image ?? runtime.image;
  const set = { ...trusted, ...from?.env, ...env, ...placeholders(context.egress, record) };
  await runtime.guest.configure(settingsOf(record, withProxyVariables(provider, record.networkMode, set)), signal);
  signal.throwIfAborted();
  const running = await context.store.sandboxes.transition(record.id, statesBefore("running"), {
    state: "running",
    imageDigest: from?.digest ?? "",
    runtimeRef: JSON.stringify(runtime.ref),
    generation: lease.generation,
    stateDeadlineMs: 0,
    updatedAtMs: context.clock.now(),
  });
  if (running === undefined) {
    throw destroyedMeanwhile(record);
  }
  context.failpoint("spawn:running");
  return running;
}

/** What the agent adds to everything that it starts, whoever asks for it and by which way. */
function settingsOf({ user, workdir }: SandboxRecord, env: Readonly<Record<string, string>>): GuestSettings {
  // A user of one's own needs a place of one's own, the usual one included.
  const place = workdir !== "" || user !== "" ? { workdir: workdir || workspacePath } : {};
  return { ...(Object.keys(env).length > 0 ? { env } : {}), ...(user === "" ? {} : { user }), ...place };
}

import { StacyError } from "@stacyvm/contract";
import type { Decision, EgressCounts } from "../egress/egress.ts";
import type { EgressLevel, Provider } from "../providers/provider.ts";
import { checkPolicy, closedPolicy, type NetworkPolicy } from "../sandbox/network-policy.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import type { Caller, Context } from "./context.ts";
import { findSandbox, findServing } from "./find.ts";
import { measured } from "./measure.ts";
import { checkInjected } from "./secret-uses.ts";
import { trustGateway } from "./trust.ts";

export interface SandboxNetwork {
  readonly policy: NetworkPolicy;
  readonly level: "none" | EgressLevel;
  readonly server: NetworkPolicy;
  /** Undefined where the gateway has none of it. */
  readonly counts?: EgressCounts | undefined;
  /** Connections that the change ended. */
  readonly cut?: number;
}

/** What a sandbox may reach. */
export function networkUseCases(context: Context) {
  const shown = (record: SandboxRecord): SandboxNetwork => ({
    policy: record.network ?? closedPolicy,
    level: record.networkMode === "egress" ? levelOf(context.providers.get(record.provider)) : "none",
    server: context.egress.serverPolicy,
  });

  return {
    get: async (id: string, caller: Caller, signal: AbortSignal): Promise<SandboxNetwork> => {
      const record = await findSandbox(context, id, caller);
      return { ...shown(record), counts: await context.egress.counts(id, signal) };
    },

    /** Connections that the new policy doesn't allow have ended when it resolves. */
    put: async (id: string, policy: NetworkPolicy, caller: Caller, signal: AbortSignal): Promise<SandboxNetwork> => {
      const what = { operation: "network" as const, action: "sandbox.network", sandboxId: id, resource: "", caller };
      return await measured(context, what, async (facts) => {
        checkPolicy(policy);
        facts.detail = describe(policy);
        const { record, runtime } = await findServing(context, id, caller, signal);
        facts.record = record;
        if (runtime.egressDoor === undefined) return withoutDoor(record, policy, shown(record));
        await checkInjected(context.secrets, record, policy.inject);
        const change = { network: policy, updatedAtMs: context.clock.now() };
        const changed = await context.live.readmit(id, () =>
          context.store.sandboxes.transition(id, [record.state], change),
        );
        if (changed === undefined) throw new StacyError("state_conflict", `sandbox ${id} is being changed by others`);
        await trustGateway(runtime.guest, changed.admission, signal);
        return { ...shown(changed.record), cut: changed.admission.cut };
      });
    },

    /** The last decisions, and with `follow` what comes after them. */
    log: async (
      id: string,
      { limit, follow }: { readonly limit: number; readonly follow: boolean },
      caller: Caller,
      signal: AbortSignal,
    ): Promise<AsyncIterable<Decision | "live">> => {
      await findSandbox(context, id, caller);
      return decisions(context, id, limit, follow ? signal : undefined);
    },
  };
}

async function* decisions(
  { egress }: Context,
  id: string,
  limit: number,
  followed: AbortSignal | undefined,
): AsyncGenerator<Decision | "live"> {
  // Begun before the past is read, and nothing is awaited between: no decision is told twice or missed.
  const coming = followed && egress.follow(id, followed)[Symbol.asyncIterator]();
  const first = coming?.next();
  yield* egress.decisions(id, limit);
  if (coming === undefined || first === undefined) return;
  yield "live";
  for (let next = await first; next.done !== true; next = await coming.next()) yield next.value;
}

const levelOf = (provider: Provider | undefined): EgressLevel => provider?.capabilities.egressLevel ?? "transparent";

function withoutDoor(record: SandboxRecord, policy: NetworkPolicy, network: SandboxNetwork): SandboxNetwork {
  if (policy.mode === "none") return { ...network, cut: 0 };
  throw new StacyError("not_supported", `sandbox ${record.id} was made without a network, and gets none later`, {
    remediation: "Spawn one with a network; what it may reach can be changed at any time.",
  });
}

const describe = ({ mode, allow, deny, inject }: NetworkPolicy): string =>
  [
    `mode=${mode}`,
    ...allow.map((rule) => `allow=${rule}`),
    ...deny.map((rule) => `deny=${rule}`),
    ...inject.map(({ secret, host, header }) => `inject=${secret}@${host}:${header}`),
  ].join(" ");

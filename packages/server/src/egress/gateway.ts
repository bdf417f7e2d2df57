import { StacyError } from "@stacyvm/contract";
import type { Clock } from "../lib/clock.ts";
import { type CompiledPolicy, compilePolicy, inspects, type NetworkPolicy } from "../sandbox/network-policy.ts";
import { DecisionLog } from "./decision-log.ts";
import type { Decision, Egress, EgressDoor, OpenNetwork, SecretUses } from "./egress.ts";
import {
  type EgressLimits,
  type GatewayProcess,
  startGateway,
  type Told,
  type WireInterception,
} from "./gateway-process.ts";
import type { SandboxKeys } from "./sandbox-keys.ts";

export interface GatewayOptions {
  /** Of stacyvm-egress. */
  readonly programPath: string;
  readonly serverPolicy: NetworkPolicy;
  /** Addresses with ports of the servers that names are asked of. */
  readonly resolvers: readonly string[];
  /** What of the always-denied the operator opens. */
  readonly open: readonly OpenNetwork[];
  readonly limits: EgressLimits;
  readonly keys: SandboxKeys;
  /** PEM of authorities that far ends may have beside the usual ones; empty: none. */
  readonly roots: string;
  /** Whom the gateway runs as; this process's own user where absent. */
  readonly user: number | undefined;
  readonly clock: Clock;
  /** Called before each start, for the wall that stands behind the gateway; a throw is told and the gateway not started. */
  readonly beforeStart: () => Promise<void>;
  readonly onDecision: (sandboxId: string, decision: Decision) => void;
  /** It has ended unasked and will be started again. */
  readonly onEnd: (reason: string) => void;
}

interface Admitted {
  readonly door: EgressDoor;
  readonly policy: CompiledPolicy;
  readonly secrets: SecretUses;
}

const wireSecret = ({ value, ...rest }: SecretUses["placeholders"][number]) => ({
  ...rest,
  ...(value === undefined ? {} : { value: value.reveal() }),
});

/** A policy that it refuses leaves its sandbox without a way out, and takes nobody else's. */
const unlessRefused = (error: unknown): void => {
  if (!(error instanceof StacyError && error.reason === "invalid_input")) throw error;
};

const restartPauseMs = { first: 20, max: 5_000 };

/** Runs the gateway, tells it who may go where, and again after it has ended. */
export function createGateway(options: GatewayOptions): Egress {
  const log = new DecisionLog();
  const admitted = new Map<string, Admitted>();
  const server = compilePolicy("server", options.serverPolicy);
  let current: GatewayProcess | undefined;
  let closing = false;
  let pauseMs = restartPauseMs.first;
  let retry: NodeJS.Timeout | undefined;

  const isInspected = ({ policy, secrets }: Admitted): boolean =>
    inspects(server) || inspects(policy) || secrets.placeholders.length + secrets.inject.length > 0;

  const interception = (sandbox: string, { placeholders, inject }: SecretUses): WireInterception => ({
    seed: options.keys.seed(sandbox),
    secrets: placeholders.map((one) => ({
      ...wireSecret(one),
      placeholder: options.keys.placeholder(sandbox, one.name),
    })),
    inject: inject.map(({ header, before, after, ...one }) => ({ ...wireSecret(one), header, before, after })),
  });

  const set = async (gateway: GatewayProcess, sandbox: string, one: Admitted) => {
    const { door, policy, secrets } = one;
    return await gateway.call("set", {
      sandbox,
      door: door.path,
      guest_made: door.guestMade,
      relayed: door.isRelayed ?? false,
      policies: [server, policy],
      limits: {
        connections: options.limits.connections,
        connections_per_second: options.limits.connectionsPerSecond,
        bytes_per_second: options.limits.bandwidthBytes,
        idle_seconds: Math.ceil(options.limits.idleTimeoutMs / 1_000),
      },
      ...(isInspected(one) ? { interception: interception(sandbox, secrets) } : {}),
    });
  };

  const onEnd = (reason: string): void => {
    current = undefined;
    if (closing) return;
    options.onEnd(reason);
    retry = setTimeout(start, pauseMs);
    pauseMs = Math.min(pauseMs * 2, restartPauseMs.max);
  };

  let starting: Promise<void> = Promise.resolve();
  const start = (): void => {
    starting = begin();
  };

  /** Never throws: what goes wrong ends the gateway, and its end starts it again. */
  async function begin(): Promise<void> {
    try {
      await options.beforeStart();
    } catch (error) {
      return onEnd(error instanceof Error ? error.message : String(error));
    }
    if (closing) return;
    const gateway = startGateway({
      programPath: options.programPath,
      args: options.user === undefined && process.geteuid?.() === 0 ? ["--allow-root"] : [],
      user: options.user,
      onTold: (told) => tell(told),
      onEnd,
    });
    current = gateway;
    try {
      const roots = options.roots === "" ? {} : { roots: options.roots };
      await gateway.call("configure", { resolvers: options.resolvers, open: options.open, ...roots });
      pauseMs = restartPauseMs.first;
      await Promise.all([...admitted].map(([id, one]) => set(gateway, id, one).catch(unlessRefused)));
    } catch {
      await gateway.end();
    }
  }

  const tell = ({ event, sandbox, at_ms: atMs = options.clock.now(), ...rest }: Told): void => {
    const decision = { type: event, atMs, ...rest } as Decision;
    log.add(sandbox, decision);
    options.onDecision(sandbox, decision);
  };

  const usage = async (of: { readonly sandbox?: string }, signal: AbortSignal) => {
    signal.throwIfAborted();
    return await current?.call("usage", of).catch(() => undefined);
  };

  start();
  return {
    serverPolicy: options.serverPolicy,
    placeholder: options.keys.placeholder,
    async admit(sandboxId, door, policy, secrets) {
      const one = { door, policy, secrets };
      const before = admitted.get(sandboxId);
      admitted.set(sandboxId, one);
      log.open(sandboxId);
      await starting;
      const down = { cut: 0, isInspected: isInspected(one), authority: undefined };
      if (current === undefined) return down;
      try {
        return { ...down, ...(await set(current, sandboxId, one)) };
      } catch (error) {
        // Down: it has no connections, and begins with what is admitted.
        if (error instanceof StacyError && error.reason === "provider_unavailable") return down;
        if (before !== undefined) admitted.set(sandboxId, before);
        else this.drop(sandboxId);
        throw error;
      }
    },
    drop(sandboxId) {
      if (!admitted.delete(sandboxId)) return;
      log.close(sandboxId);
      current?.call("drop", { sandbox: sandboxId }).catch(() => {}); // it has ended, and its connections with it
    },
    decisions: (sandboxId, limit) => log.last(sandboxId, limit),
    follow: (sandboxId, signal) => log.follow(sandboxId, signal, options.clock.now),
    counts: async (sandboxId, signal) => (await usage({ sandbox: sandboxId }, signal))?.sandboxes[sandboxId],
    total: async (signal) => (await usage({}, signal))?.total,
    async [Symbol.asyncDispose]() {
      closing = true;
      clearTimeout(retry);
      await starting;
      await current?.end();
    },
  };
}

/** Where no sandbox is let out. */
export const noEgress: Egress = {
  serverPolicy: { mode: "none", allow: [], deny: [], inject: [] },
  admit: async () => ({ cut: 0, isInspected: false, authority: undefined }),
  placeholder: () => "",
  drop: () => {},
  decisions: () => [],
  follow: (_, signal) => new DecisionLog().follow("", signal, () => 0),
  counts: async () => undefined,
  total: async () => undefined,
  [Symbol.asyncDispose]: async () => {},
};

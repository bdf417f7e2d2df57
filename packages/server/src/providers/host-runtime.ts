import { StacyError } from "@stacyvm/contract";
import type { ConnectGuest } from "../guest/guest.ts";
import { type AgentAddress, agentDial } from "./agent-dial.ts";
import type { HostHelper, HostOwned, HostVerbs } from "./host-helper.ts";
import type { OwnedRuntime, Runtime, RuntimeRef } from "./provider.ts";

export interface HostRuntimesOptions {
  /** As the owner record names it: only these runtimes are seen. */
  readonly providerName: string;
  /** As the owner record names it: other servers' runtimes are not ours to see. */
  readonly serverId: string;
  readonly helper: HostHelper;
  readonly connectGuest: ConnectGuest;
  /** How long a new agent may take until it answers. */
  readonly readyTimeoutMs?: number | undefined;
}

/** Time that a new agent has until it answers, milliseconds. */
const defaultReadyTimeoutMs = 10_000;
const refVersion = 1;
const maxConsoleBytes = 256 * 1024;

type EgressAddress = Pick<HostOwned, "egress_path" | "egress_guest_made">;

/** What the providers that stacyvm-host serves have in common: all but how a sandbox begins. */
export const hostRuntimes = (options: HostRuntimesOptions) => {
  const { helper, readyTimeoutMs = defaultReadyTimeoutMs } = options;

  const refOf = (owned: { pid: number; start_ticks: number }): RuntimeRef => ({
    version: refVersion,
    data: { pid: owned.pid, startTicks: owned.start_ticks },
  });

  const destroy = async (sandboxId: string, signal: AbortSignal): Promise<void> => {
    await helper.call("destroy", { sandbox_id: sandboxId }, signal);
  };

  const runtime = (sandboxId: string, ref: RuntimeRef, address: AgentAddress & EgressAddress): Runtime => {
    const guest = options.connectGuest({
      dial: agentDial(address),
      label: sandboxId,
    });
    let last: { readonly atMs: number; readonly cpuUs: number } | undefined;
    return {
      sandboxId,
      ref,
      guest,
      ...(address.egress_path === ""
        ? {}
        : { egressDoor: { path: address.egress_path, guestMade: address.egress_guest_made } }),
      async consoleLog(lines) {
        const never = new AbortController().signal;
        const { text } = await helper.call("console", { sandbox_id: sandboxId, max_bytes: maxConsoleBytes }, never);
        const all = text.split("\n");
        if (all.at(-1) === "") all.pop();
        return lines > 0 ? all.slice(-lines) : [];
      },
      async usage(signal) {
        const now = await helper.call("usage", { sandbox_id: sandboxId }, signal);
        const atMs = performance.now();
        const elapsedUs = last ? (atMs - last.atMs) * 1000 : 0;
        const cpuPct = last && elapsedUs > 0 ? (100 * Math.max(0, now.cpu_us - last.cpuUs)) / elapsedUs : 0;
        last = { atMs, cpuUs: now.cpu_us };
        return { cpuPct, memoryBytes: now.memory_bytes, memoryLimitBytes: now.memory_limit_bytes };
      },
      async destroy(signal) {
        await guest[Symbol.asyncDispose]();
        await destroy(sandboxId, signal);
      },
    };
  };

  /** Why a sandbox that should live doesn't, as far as the host knows. */
  const endOf = async (sandboxId: string): Promise<string> => {
    const asked = helper.call("inspect", { sandbox_id: sandboxId }, AbortSignal.timeout(readyTimeoutMs));
    const { alive, ended_by: endedBy = "" } = await asked.catch(() => ({ alive: true, ended_by: "" }));
    return alive ? "" : `its first process has ended${endedBy === "" ? "" : ` (${endedBy})`}`;
  };

  const mine = (owned: HostOwned): boolean =>
    // An empty name is a sandbox whose maker died before it could sign: whoever looks first may clean it away.
    (owned.provider === options.providerName && owned.server_id === options.serverId) || owned.provider === "";

  return {
    async spawn<V extends "spawn" | "spawn-mock" | "spawn-proot">(
      verb: V,
      args: HostVerbs[V]["args"],
      signal: AbortSignal,
    ): Promise<Runtime> {
      const spawned = await helper.call(verb, args, signal);
      const made = runtime(args.sandbox_id, refOf(spawned), spawned);
      try {
        await made.guest.ready(AbortSignal.any([signal, AbortSignal.timeout(readyTimeoutMs)]));
        return made;
      } catch (error) {
        const log = await made.consoleLog(20).catch(() => []);
        const ended = await endOf(args.sandbox_id);
        await made.destroy(new AbortController().signal);
        signal.throwIfAborted();
        const words = [ended, log.length > 0 ? `its console: ${log.join("\n")}` : ""].filter((part) => part !== "");
        const told = [`the agent of ${args.sandbox_id} does not answer`, ...words].join("; ");
        throw new StacyError("spawn_failed", told, {
          cause: error,
        });
      }
    },

    async attach(sandboxId: string, ref: RuntimeRef, signal: AbortSignal): Promise<Runtime | undefined> {
      try {
        const owned = await helper.call("inspect", { sandbox_id: sandboxId }, signal);
        const same = owned.pid === ref.data.pid && owned.start_ticks === ref.data.startTicks;
        if (ref.version !== refVersion || !owned.alive || !same || !mine(owned)) return undefined;
        return runtime(sandboxId, ref, owned);
      } catch (error) {
        if (error instanceof StacyError && error.reason === "sandbox_not_found") return undefined;
        throw error;
      }
    },

    async list(signal: AbortSignal): Promise<readonly OwnedRuntime[]> {
      const all = await helper.call("list", {}, signal);
      return all.filter(mine).map((owned) => ({
        sandboxId: owned.sandbox_id,
        ref: refOf(owned),
        generation: owned.generation,
        alive: owned.alive,
        endedBy: owned.ended_by ?? "",
        createdAtMs: owned.created_at_ms,
        rootfsPath: owned.rootfs_path ?? "",
      }));
    },

    reap: destroy,
  };
};

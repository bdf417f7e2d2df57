import type Docker from "dockerode";
import type { EgressDoor } from "../../egress/egress.ts";
import type { Guest } from "../../guest/guest.ts";
import type { Runtime } from "../provider.ts";
import type { Console } from "./console.ts";
import { ignoreMissing } from "./engine.ts";

export interface DockerRuntimeOptions {
  readonly sandboxId: string;
  readonly containerId: string;
  readonly guest: Guest;
  readonly egressDoor: EgressDoor | undefined;
  /** Undefined where the engine lets nobody listen. */
  readonly console: Console | undefined;
  readonly container: () => Promise<Docker.Container>;
  readonly remove: () => Promise<void>;
}

/** Of the engine's figures, what is read. */
interface Figures {
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly memory_stats?: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
}

/** A running container and the way to its agent. */
export const dockerRuntime = (options: DockerRuntimeOptions): Runtime => {
  const { sandboxId, guest, egressDoor } = options;
  let last: { readonly atMs: number; readonly cpuNs: number } | undefined;
  let isGone = false;
  return {
    sandboxId,
    ref: { version: dockerRuntime.refVersion, data: { containerId: options.containerId } },
    guest,
    ...(egressDoor === undefined ? {} : { egressDoor }),
    async consoleLog(lines) {
      return isGone ? [] : (options.console?.lines(lines) ?? []);
    },
    async usage(signal) {
      const container = await options.container();
      // Without `one-shot` an engine takes two samples, a second apart.
      const request = { stream: false, "one-shot": true, abortSignal: signal };
      const figures = (await container.stats(request as { stream: false }).catch(ignoreMissing)) as Figures | undefined;
      if (figures?.memory_stats?.usage === undefined) return undefined;
      const atMs = performance.now();
      const cpuNs = figures.cpu_stats?.cpu_usage?.total_usage ?? 0;
      const elapsedNs = last ? (atMs - last.atMs) * 1e6 : 0;
      const cpuPct = last && elapsedNs > 0 ? (100 * Math.max(0, cpuNs - last.cpuNs)) / elapsedNs : 0;
      last = { atMs, cpuNs };
      const { usage, limit = 0, stats = {} } = figures.memory_stats;
      // As `docker stats`: what the kernel can take back at once isn't in use. The names are those of cgroup 1 and 2.
      const idle = stats.total_inactive_file ?? stats.inactive_file ?? 0;
      return { cpuPct, memoryBytes: Math.max(0, usage - idle), memoryLimitBytes: limit };
    },
    async destroy() {
      isGone = true;
      await guest[Symbol.asyncDispose]();
      options.console?.[Symbol.dispose]();
      await options.remove();
    },
  };
};

/** Of the reference that is stored. */
dockerRuntime.refVersion = 1;

import { errorCatalogue } from "@stacyvm/contract";
import type { sandboxesOf } from "./api.ts";

/** Longest time that one call may take, whatever ends meanwhile, milliseconds. */
export const callMaxMs = 25_000;

/** Calls that come again and again while something is killed. */
export interface Traffic {
  /** What is under way now, for example "exec+spawn". */
  doing(): string;
  /**
   * Lets what is under way end.
   * @returns what no client can make sense of: errors that no catalogue has, calls that took too long
   */
  stop(): Promise<readonly string[]>;
}

/** The server says why in its own words, or it is gone and says nothing. */
const isDocumented = (error: unknown, serverMayDie: boolean): boolean => {
  const text = error instanceof Error ? error.message : String(error);
  const reason = /^\d{3} .*"reason":"([a-z_]+)"/.exec(text)?.[1];
  if (reason !== undefined) return reason !== "internal" && Object.hasOwn(errorCatalogue, reason);
  return serverMayDie && /fetch failed|terminated/.test(text);
};

export const startTraffic = (options: {
  readonly sandboxes: ReturnType<typeof sandboxesOf>;
  readonly provider: string;
  readonly serverMayDie: boolean;
  readonly lanes: number;
}): Traffic => {
  const { sandboxes, provider, serverMayDie } = options;
  const unexplained: string[] = [];
  const underWay = new Map<number, string>();
  let stopping = false;

  const lane = async (number: number): Promise<void> => {
    const call = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
      underWay.set(number, name);
      const startedAt = performance.now();
      try {
        return await work();
      } catch (error) {
        if (!isDocumented(error, serverMayDie)) unexplained.push(`${name}: ${error}`);
        if (!/^\d{3} /.test(error instanceof Error ? error.message : "")) stopping = true; // no server is there
        throw error;
      } finally {
        underWay.delete(number);
        const tookMs = performance.now() - startedAt;
        if (tookMs > callMaxMs) unexplained.push(`${name} took ${Math.round(tookMs)} ms`);
      }
    };
    while (!stopping) {
      try {
        const { id } = await call("spawn", () => sandboxes.spawn(provider));
        try {
          await call("exec", () => sandboxes.sh(id, "true"));
        } finally {
          if (!stopping) await call("destroy", () => sandboxes.destroy(id));
        }
      } catch {
        // It is noted where it is no answer; the next round is another sandbox.
      }
    }
  };
  const lanes = Promise.all(Array.from({ length: options.lanes }, (_, number) => lane(number)));
  return {
    doing: () => [...underWay.values()].sort().join("+") || "nothing",
    async stop() {
      stopping = true;
      await lanes;
      return unexplained;
    },
  };
};

import type { LeakScope } from "../leaks/snapshot.ts";
import { destroyOwned, ownedBy } from "./owned.ts";

/** A sandbox as whoever runs it has it. */
interface Owned {
  readonly id: string;
  readonly alive: boolean;
}

/** What a target's server stands on beside its data directory: the truth, not the server under test. */
export interface FaultGround extends AsyncDisposable {
  /** What its server is configured with beyond the others'. */
  readonly config: Readonly<Record<string, string>>;
  /** Sockets of container engines to look at for what is left over. */
  readonly engines: NonNullable<LeakScope["engines"]>;
  owned(dataDir: string): Promise<readonly Owned[]>;
  /** kill -9 of the sandbox's first process. */
  killAgent(dataDir: string, id: string): Promise<void>;
  /** kill -9 of the engine's process that holds the sandbox; absent where there is none. */
  killShim?(id: string): Promise<void>;
  /** Ends what servers left behind that nobody starts again. */
  clear(dataDir: string): Promise<void>;
}

/** For the providers whose runtimes stacyvm-host makes. */
export const hostGround = async (config: FaultGround["config"] = {}): Promise<FaultGround> => ({
  config,
  engines: [],
  owned: async (dataDir) => (await ownedBy(dataDir)).map(({ sandbox_id, alive }) => ({ id: sandbox_id, alive })),
  killAgent: async (dataDir, id) => {
    const pid = (await ownedBy(dataDir)).find(({ sandbox_id }) => sandbox_id === id)?.pid;
    if (pid === undefined) throw new Error(`the host has no ${id}`);
    process.kill(pid, "SIGKILL");
  },
  clear: destroyOwned,
  [Symbol.asyncDispose]: async () => {},
});

import { StacyError } from "@stacyvm/contract";
import type { Egress } from "../egress/egress.ts";
import { KeyMutex } from "../lib/key-mutex.ts";
import type { Provider, Runtime, RuntimeRef } from "../providers/provider.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { about } from "./about.ts";
import type { Denials } from "./denials.ts";
import { letOut } from "./network.ts";

/** Undefined where the record has none yet, or one that nobody can read. */
export function readRuntimeRef({ runtimeRef }: SandboxRecord): RuntimeRef | undefined {
  try {
    const { version, data } = JSON.parse(runtimeRef) as Partial<RuntimeRef>;
    return typeof version === "number" && typeof data === "object" && data !== null ? { version, data } : undefined;
  } catch {
    return undefined; // Written by nobody of ours: what the provider lists decides.
  }
}

/**
 * The runtimes this process is connected to. A cache of handles and nothing else: whether a sandbox exists, and what
 * state it is in, is the store's to say.
 */
export class LiveRuntimes {
  readonly #runtimes = new Map<string, Runtime>();
  readonly #attaching = new KeyMutex();
  readonly #provider: (name: string) => Provider | undefined;

  readonly #egress: Egress;
  readonly #denials: Denials;

  constructor(options: {
    readonly provider: (name: string) => Provider | undefined;
    readonly egress: Egress;
    readonly denials: Denials;
  }) {
    this.#provider = options.provider;
    this.#egress = options.egress;
    this.#denials = options.denials;
  }

  /** Lets the sandbox out before anybody is given the runtime; refused, the throw is passed on and nobody is. */
  async add(record: SandboxRecord, runtime: Runtime): Promise<void> {
    try {
      this.#denials.watch(record.id, about(record));
      await letOut(this.#egress, record, runtime);
    } catch (error) {
      this.#shutOut(record.id);
      await runtime.guest[Symbol.asyncDispose]();
      throw error;
    }
    this.#runtimes.set(record.id, runtime);
  }

  #shutOut(sandboxId: string): void {
    this.#egress.drop(sandboxId);
    this.#denials.forget(sandboxId);
  }

  peek(sandboxId: string): Runtime | undefined {
    return this.#runtimes.get(sandboxId);
  }

  /** The record's runtime, attached to when this process isn't connected yet. Undefined: it is gone. */
  async find(record: SandboxRecord, signal: AbortSignal): Promise<Runtime | undefined> {
    const known = this.#runtimes.get(record.id);
    if (known !== undefined) return known;
    return await this.#attaching.run(record.id, async () => {
      const meanwhile = this.#runtimes.get(record.id);
      if (meanwhile !== undefined) return meanwhile;
      const provider = this.#provider(record.provider);
      if (provider === undefined) {
        throw new StacyError("provider_unavailable", `provider unavailable: ${record.provider}`);
      }
      const ref = readRuntimeRef(record);
      if (ref === undefined) return undefined;
      const runtime = await provider.attach(record.id, ref, signal);
      if (runtime !== undefined) await this.add(record, runtime);
      return runtime;
    });
  }

  /** Lets go of the connection; the sandbox itself is not touched. */
  async drop(sandboxId: string): Promise<void> {
    const runtime = this.#runtimes.get(sandboxId);
    this.#runtimes.delete(sandboxId);
    this.#shutOut(sandboxId);
    await runtime?.guest[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#runtimes.keys()].map((id) => this.drop(id)));
  }
}

import { StacyError } from "@stacyvm/contract";
import type { Admission, Egress } from "../egress/egress.ts";
import { KeyMutex } from "../lib/key-mutex.ts";
import type { Provider, Runtime, RuntimeRef } from "../providers/provider.ts";
import type { SandboxRecord } from "../sandbox/sandbox.ts";
import { type Place, placeOf } from "../sandbox/scope.ts";
import { about } from "./about.ts";
import type { Denials } from "./denials.ts";
import { letOut } from "./let-out.ts";
import type { SecretSource } from "./secret-uses.ts";

/** Undefined where the record has none yet, or one that nobody can read. */
export function readRuntimeRef({ runtimeRef }: SandboxRecord): RuntimeRef | undefined {
  try {
    const { version, data } = JSON.parse(runtimeRef) as Partial<RuntimeRef>;
    return typeof version === "number" && typeof data === "object" && data !== null ? { version, data } : undefined;
  } catch {
    return undefined; // Written by nobody of ours: what the provider lists decides.
  }
}

export interface ToldSecrets {
  /** Whose secrets they are. */
  readonly place: Place;
  /** By name; empty for one that wasn't to be had. */
  readonly versions: ReadonlyMap<string, string>;
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
  readonly #secrets: SecretSource;
  readonly #denials: Denials;
  readonly #changing = new KeyMutex();
  /** Of each sandbox that uses secrets what the gateway was told of them. */
  readonly #toldSecrets = new Map<string, ToldSecrets>();

  constructor(options: {
    readonly provider: (name: string) => Provider | undefined;
    readonly egress: Egress;
    readonly secrets: SecretSource;
    readonly denials: Denials;
  }) {
    this.#provider = options.provider;
    this.#egress = options.egress;
    this.#secrets = options.secrets;
    this.#denials = options.denials;
  }

  /** Lets the sandbox out before anybody is given the runtime; refused, the throw is passed on and nobody is. */
  async add(record: SandboxRecord, runtime: Runtime): Promise<Admission> {
    try {
      this.#denials.watch(record.id, about(record));
      const admission = await this.#admit(record, runtime);
      this.#runtimes.set(record.id, runtime);
      return admission;
    } catch (error) {
      this.#shutOut(record.id);
      await runtime.guest[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Lets it out anew by what `change` answers: nothing else about its way out changes meanwhile. Undefined where it answers nothing, or the runtime
   * isn't one of this process.
   */
  async readmit(
    sandboxId: string,
    change: () => Promise<SandboxRecord | undefined>,
  ): Promise<{ readonly record: SandboxRecord; readonly admission: Admission } | undefined> {
    return await this.#changing.run(sandboxId, async () => {
      const runtime = this.#runtimes.get(sandboxId);
      const record = runtime && (await change());
      if (runtime === undefined || record === undefined) return undefined;
      return { record, admission: await this.#admit(record, runtime) };
    });
  }

  get toldSecrets(): ReadonlyMap<string, ToldSecrets> {
    return this.#toldSecrets;
  }

  async #admit(record: SandboxRecord, runtime: Runtime): Promise<Admission> {
    const { versions, ...admission } = await letOut(this.#egress, this.#secrets, record, runtime);
    if (versions.size > 0) this.#toldSecrets.set(record.id, { place: placeOf(record), versions });
    else this.#toldSecrets.delete(record.id);
    return admission;
  }

  #shutOut(sandboxId: string): void {
    this.#toldSecrets.delete(sandboxId);
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

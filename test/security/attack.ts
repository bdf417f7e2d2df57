import type { ExecRequest, Guest } from "../../packages/server/src/guest/guest.ts";
import type { ImageRoot } from "../../packages/server/src/images/image-store.ts";
import type { Runtime, SandboxSpec } from "../../packages/server/src/providers/provider.ts";
import type { Canary } from "./canary.ts";
import type { HostTargets } from "./host-targets.ts";
import type { OpenTarget } from "./targets.ts";

/** Of the classes of the threat model: files, the runtime's boundary, resources, and what can be reached. */
export type AttackClass = "A" | "B" | "C" | "D";

/** What came of one attack, as it was seen in this run. */
export interface Evidence {
  /** The attacker has got something that the wall is there to keep. */
  readonly through: boolean;
  /** What the attack printed, or what was found from outside: one line. */
  readonly said: string;
}

/** One way over the wall. */
export interface Attack {
  readonly id: string;
  readonly kind: AttackClass;
  readonly title: string;
  /** How it is tried. */
  readonly tried: string;
  /** What stops it. */
  readonly control: string;
  /** The controls without which it gets through, each by itself. */
  readonly redWithout?: readonly string[];
  /** Numbers of the published escape scenarios whose precondition this is. */
  readonly scenarios?: readonly number[];
  /** The one call that it makes, by wall-probe's name of it. */
  readonly call?: string;
  /** Takes minutes, or measures time: left out of quick runs. */
  readonly long?: true;
  attempt(field: Field): Promise<Evidence>;
}

export interface ShellAnswer {
  readonly out: string;
  readonly err: string;
  readonly exitCode: number;
}

/** Where attacks are tried: a hostile sandbox, its neighbour, and a host with something to lose. */
export interface Field {
  readonly quick: boolean;
  /** Times are this much longer than promised where the machine is shared with other work. */
  readonly patience: number;
  readonly profile: SandboxSpec["security"];
  readonly dataRoot: string;
  /** Programs of the host that a sandbox uses, by what they are. */
  readonly programs: Readonly<Record<string, string>>;
  readonly image: ImageRoot | undefined;
  readonly makeImage: OpenTarget["makeImage"];
  readonly runtime: Runtime;
  readonly guest: Guest;
  readonly neighbour: Runtime;
  readonly canary: Canary;
  readonly host: HostTargets;
  /** Anew, as after a restart of the server. */
  attach(runtime: Runtime): Promise<Runtime | undefined>;
  /** The sandbox's first process as the host numbers it, where the provider tells. */
  pidOf(runtime: Runtime): number | undefined;
  /** Every process of the sandbox, as the host numbers them. */
  processesOf(runtime: Runtime): Promise<readonly number[]>;
  sh(script: string, more?: Partial<ExecRequest>, guest?: Guest): Promise<ShellAnswer>;
  /** What wall-probe printed in the sandbox, without the last newline; its error output where it printed nothing. */
  probe(args: readonly string[], more?: Partial<ExecRequest>, guest?: Guest): Promise<string>;
  /** A sandbox for this one attack, with wall-probe in it; tells how long its end took. */
  withSandbox<T>(more: Partial<SandboxSpec>, body: (runtime: Runtime) => Promise<T>): Promise<[T, destroyMs: number]>;
}

export const probePath = "/tmp/wall-probe";

const oneLine = (text: string): string => {
  const line = text.trim().replace(/\s+/g, " ");
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
};

/** Through where the condition holds. */
export const judged = (through: boolean, said: string): Evidence => ({ through, said: oneLine(said) || "nothing" });

/** Answers that say no before anything was done. Others say that the kernel took the request up. */
const refusals = new Set(
  "EPERM EACCES EAFNOSUPPORT EPROTONOSUPPORT ENOTSUP EOPNOTSUPP ENOTTY ENOENT ENODATA ENOSPC EROFS ENOSYS ENXIO ENODEV ECONNREFUSED ENETUNREACH EHOSTUNREACH EADDRNOTAVAIL".split(
    " ",
  ),
);
export const isRefusal = (answer: string): boolean => refusals.has(answer.split("\n").at(-1)?.trim() ?? "");

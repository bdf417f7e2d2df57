import type { Secret } from "../lib/secret.ts";
import type { CompiledPolicy, NetworkPolicy } from "../sandbox/network-policy.ts";
import type { Destination } from "../sandbox/secret-use.ts";

/** Where a sandbox's agent takes connections of the gateway. */
export interface EgressDoor {
  /** Absolute path of a unix socket on this host. */
  readonly path: string;
  /** The socket lies where the sandbox can put something else in its place. */
  readonly guestMade: boolean;
  /** Somebody carries what is said there to the agent, who can't tell a reset from an end. */
  readonly isRelayed?: boolean;
}

/** What of the always-denied addresses the operator opens. */
export interface OpenNetwork {
  /** For example 10.1.2.3/32. */
  readonly cidr: string;
  readonly ports: readonly (readonly [first: number, last: number])[];
}

/** What the host's packet filter lets the gateway's user reach of the always-denied; the rest it refuses, even if the gateway doesn't. */
export interface EgressWall {
  readonly uid: number;
  readonly open: readonly OpenNetwork[];
  /** Address and port, for example "203.0.113.53:53" or "[2001:db8::53]:53". */
  readonly resolvers: readonly string[];
}

/** What the gateway decided, or what came of it. Texts in it are the sandbox's own words. */
export interface Decision {
  readonly type: "decision" | "closed" | "missed";
  readonly atMs: number;
  /** Joins a connection's decision and its end. */
  readonly flow?: number;
  readonly kind?: "connect" | "resolve" | "query" | "request" | "response";
  readonly host?: string;
  /** What was dialled, or would have been. */
  readonly address?: string;
  readonly port?: number;
  /** `masked`: an answer held a secret, and stars came in its place. */
  readonly decision?: "allowed" | "denied" | "failed" | "masked";
  readonly reason?: string;
  readonly rule?: string;
  readonly policy?: string;
  /** Of a request that was looked into; its path without the query. */
  readonly method?: string;
  readonly path?: string;
  /** Names of those that were put in, or masked. */
  readonly secrets?: readonly string[];
  /** Bytes out of the sandbox and into it. */
  readonly sent?: number;
  readonly received?: number;
  /** Decisions that were not told one by one. */
  readonly count?: number;
}

/** Decisions kept of one sandbox. */
export const decisionsMax = 1_000;

/** A secret for one destination; without a value it isn't to be had now, and what would use it is denied. */
interface Usable extends Destination {
  readonly name: string;
  readonly value: Secret | undefined;
}

/** What the gateway puts into requests of a sandbox, and into no answer. */
export interface SecretUses {
  readonly placeholders: readonly Usable[];
  readonly inject: readonly (Usable & { readonly header: string; readonly before: string; readonly after: string })[];
}

export const noSecrets: SecretUses = { placeholders: [], inject: [] };

export interface Admission {
  /** Connections that the change ended. */
  readonly cut: number;
  /** Some of what it says is looked into, so that it has to trust the gateway. */
  readonly isInspected: boolean;
  /** PEM of the certificate to trust then; undefined where nothing is looked into, and where the gateway is down. */
  readonly authority: string | undefined;
}

/** Since the gateway started. */
export interface EgressCounts {
  readonly open: number;
  readonly allowed: number;
  readonly denied: number;
  readonly failed: number;
  readonly sent: number;
  readonly received: number;
}

/** The way out of sandboxes: one gateway on this host, which decides about every connection. */
export interface Egress extends AsyncDisposable {
  /** What no sandbox may go beyond. Its mode `none`: there is no way out. */
  readonly serverPolicy: NetworkPolicy;
  /**
   * Lets a sandbox out as far as its policy and the server's permit, and ends connections that are no longer allowed.
   * Before the first call nothing goes out. A gateway that is down gets it when it is back.
   */
  admit(sandboxId: string, door: EgressDoor, policy: CompiledPolicy, secrets: SecretUses): Promise<Admission>;
  /** What a sandbox has in a secret's place; the same as long as it lives. */
  placeholder(sandboxId: string, secretName: string): string;
  /** Ends all its connections and forgets it. */
  drop(sandboxId: string): void;
  /** The last so many decisions, oldest first. */
  decisions(sandboxId: string, limit: number): readonly Decision[];
  /** What comes from now on; ends with the signal, and when the sandbox is dropped. */
  follow(sandboxId: string, signal: AbortSignal): AsyncIterable<Decision>;
  /** Undefined where the gateway has none of it, or is down. */
  counts(sandboxId: string, signal: AbortSignal): Promise<EgressCounts | undefined>;
  /** Of all sandboxes, those that have ended among them; undefined where the gateway is down. */
  total(signal: AbortSignal): Promise<EgressCounts | undefined>;
}

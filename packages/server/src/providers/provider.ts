import type { EgressDoor } from "../egress/egress.ts";
import type { Guest } from "../guest/guest.ts";
import type { ImageRoot } from "../images/image-store.ts";

/** Strength of the wall, weakest first. */
export type IsolationClass = "none" | "userspace" | "container" | "kernel" | "microvm";

/** `default`: root of its own user namespace with eight capabilities. `restricted`: uid 1000, none. */
export type SecurityProfile = "default" | "restricted";

/**
 * Outbound network. `egress`: what the sandbox opens goes through its egress door to the gateway, and nowhere without one. `bridge` is an engine's
 * own network, `host` this host's; each offered only where the operator configured it.
 */
export type NetworkMode = "none" | "egress" | "bridge" | "host";

/**
 * What of a sandbox's programs reaches the gateway. `transparent`: every TCP connection and question for a name. `proxy`: what programs ask of
 * the HTTP proxy inside; whatever doesn't goes nowhere, as there is no route.
 */
export type EgressLevel = "transparent" | "proxy";

export interface Capabilities {
  readonly isolation: IsolationClass;
  /** Strings of the public provider object, for example "spawn", "exec", "files", "container". */
  readonly tags: readonly string[];
  /** Needs an image's root file system; false where the provider brings its own, or finds images by their reference. */
  readonly needsImage: boolean;
  /** The first stands where the server's default is not among them. */
  readonly securityProfiles: readonly SecurityProfile[];
  /** For a profile that isn't offered here: what of the host would have to change. */
  readonly profileRemedies?: Partial<Readonly<Record<SecurityProfile, string>>>;
  /** The first stands where `none` is not among them. */
  readonly networks: readonly NetworkMode[];
  /** Of `egress`, where it is offered; absent: transparent. */
  readonly egressLevel?: EgressLevel;
  /** Why `egress` is not among them, and what would help, where that is known. */
  readonly noEgress?: string;
  readonly limits: {
    readonly memory: boolean;
    readonly cpu: boolean;
    readonly pids: boolean;
    readonly disk: boolean;
    readonly treeKill: "cgroup" | "pid-namespace" | "best-effort";
  };
}

export interface Fingerprint {
  readonly healthy: boolean;
  /** Why not, and the command or setting that would help ("what; remedy"); empty when healthy. */
  readonly missing: readonly string[];
  /** Component to version, for example { runc: "1.1.5" }. */
  readonly versions: Readonly<Record<string, string>>;
}

export interface SandboxSpec {
  readonly id: string;
  /** Undefined for providers that don't need one. */
  readonly image: ImageRoot | undefined;
  /** As the caller asked for it; what a provider with images of its own looks for. */
  readonly imageReference: string;
  /** Empty: nobody's. Kept beside the runtime, as the next four are, for whoever looks at the host. */
  readonly ownerId: string;
  /** Empty: of no tenant. */
  readonly tenantId: string;
  /** Empty: of its tenant as a whole. */
  readonly projectId: string;
  /** At its start, epoch milliseconds; an extension is in the store alone. */
  readonly expiresAtMs: number;
  readonly memoryMb: number;
  readonly vcpus: number;
  readonly diskMb: number;
  readonly pidsMax: number;
  readonly security: SecurityProfile;
  readonly network: NetworkMode;
  /** Written beside the runtime so that list() can tell whose it is. */
  readonly generation: number;
}

/** Opaque to everybody but the provider; persisted. */
export interface RuntimeRef {
  readonly version: number;
  readonly data: Readonly<Record<string, string | number>>;
}

export interface RuntimeUsage {
  readonly cpuPct: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
}

export interface Runtime {
  readonly sandboxId: string;
  readonly ref: RuntimeRef;
  readonly guest: Guest;
  /** Of a new sandbox whose image the provider found by itself: its content address, and the environment it asks for. */
  readonly image?: { readonly digest: string; readonly env: Readonly<Record<string, string>> };
  /** Of a sandbox whose network is `egress`, also after attach. */
  readonly egressDoor?: EgressDoor;
  /** Last lines of what the first process printed, oldest first. */
  consoleLog(lines: number): Promise<readonly string[]>;
  usage(signal: AbortSignal): Promise<RuntimeUsage | undefined>;
  /** Idempotent and legal in every state; resolves when nothing is left on the host. */
  destroy(signal: AbortSignal): Promise<void>;
}

export interface OwnedRuntime {
  readonly sandboxId: string;
  readonly ref: RuntimeRef;
  readonly generation: number;
  readonly alive: boolean;
  /** How the first process of one that isn't alive ended, for people; absent or empty where nobody knows. */
  readonly endedBy?: string;
  readonly createdAtMs: number;
  /** Of the image tree it stands on; empty where there is none. */
  readonly rootfsPath: string;
}

export interface Provider extends AsyncDisposable {
  readonly name: string;
  readonly capabilities: Capabilities;
  /** False until a fingerprint has told what the host can; absent where `capabilities` are known from the start. */
  readonly capabilitiesKnown?: boolean;
  /** The `config` map of the public provider detail; no secrets. */
  readonly publicConfig: Readonly<Record<string, string>>;
  /** Fast, without side effects. */
  fingerprint(signal: AbortSignal): Promise<Fingerprint>;
  /** Resolves when the agent answers. A throw has undone everything; an abort too. */
  spawn(spec: SandboxSpec, signal: AbortSignal): Promise<Runtime>;
  /** After a restart of our own; undefined means that it is gone. */
  attach(sandboxId: string, ref: RuntimeRef, signal: AbortSignal): Promise<Runtime | undefined>;
  /** Everything this server's provider owns on the host, half-made ones included: truth, not memory. */
  list(signal: AbortSignal): Promise<readonly OwnedRuntime[]>;
  /** Removes what list() shows, whether or not it can be attached to. Idempotent. */
  reap(sandboxId: string, signal: AbortSignal): Promise<void>;
}

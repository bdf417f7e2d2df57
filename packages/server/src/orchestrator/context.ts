import type { Egress } from "../egress/egress.ts";
import type { ImageStore } from "../images/image-store.ts";
import type { Clock } from "../lib/clock.ts";
import type { Failpoint } from "../lib/failpoint.ts";
import type { Ids } from "../lib/id.ts";
import type { Fingerprint, Provider, SecurityProfile } from "../providers/provider.ts";
import type { Limits } from "../sandbox/limits.ts";
import { everywhere, type Scope } from "../sandbox/scope.ts";
import type { OperationAudit, Store } from "../store/store.ts";
import type { DiskSpace } from "../telemetry/disk-space.ts";
import type { NewEvent } from "../telemetry/events.ts";
import type { Observation } from "../telemetry/metrics.ts";
import type { LiveRuntimes } from "./live-runtimes.ts";
import type { SecretSource } from "./secret-uses.ts";

/** The providers this server was configured with. */
export interface ProviderDirectory {
  list(): readonly Provider[];
  get(name: string): Provider | undefined;
  /** The name that an absent `provider` stands for. */
  readonly defaultName: string;
  /** At most seconds old. Never throws. */
  fingerprint(name: string): Promise<Fingerprint>;
  /** Made now. Never throws. */
  recheck(name: string): Promise<Fingerprint>;
  /** Whatever its age; undefined where none was made. */
  lastKnown(name: string): Fingerprint | undefined;
}

export interface SpawnDefaults {
  readonly image: string;
  readonly memoryMb: number;
  readonly vcpus: number;
  readonly diskMb: number;
  readonly pidsMax: number;
  readonly security: SecurityProfile;
  /** What to do at a cap: refuse, or wait. */
  readonly overflow: "reject" | "queue";
  /** Spawns that may wait, and how long each. */
  readonly maxQueue: number;
  readonly queueTimeoutMs: number;
}

export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What every use case is given. */
export interface Context {
  readonly store: Store;
  readonly providers: ProviderDirectory;
  readonly images: ImageStore;
  readonly live: LiveRuntimes;
  /** The way out of sandboxes. */
  readonly egress: Egress;
  readonly secrets: SecretSource;
  readonly disks: DiskSpace;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly limits: Limits;
  readonly spawnDefaults: SpawnDefaults;
  /** Who this server is as a holder of leases; the same after a restart. */
  readonly holderId: string;
  readonly leaseTtlMs: number;
  /** Name of this server as a worker on the wire. */
  readonly workerId: string;
  readonly publish: (event: NewEvent) => void;
  readonly observe: (observation: Observation) => void;
  /** Queues a row; written in batches. */
  readonly audit: (row: OperationAudit) => void;
  /** Something speaks for a runtime that ended: the records and the providers are compared without delay. */
  readonly reconcileSoon: () => void;
  readonly failpoint: Failpoint;
  readonly log: Log;
}

/** Who asks. */
export interface Caller {
  /** For the audit. */
  readonly actor: string;
  /** The rows that there are for this caller. */
  readonly scope: Scope;
}

export const systemCaller: Caller = { actor: "system", scope: everywhere };

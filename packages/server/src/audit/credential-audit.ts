import type { Clock } from "../lib/clock.ts";
import type { OperationAudit } from "../store/store.ts";

export interface CredentialAuditOptions {
  readonly add: (row: OperationAudit) => void;
  readonly clock: Clock;
}

/** What was done with a credential, and by whom. */
export interface CredentialNote {
  readonly action:
    | "session.create"
    | "session.end"
    | "session.replace"
    | "session.expire"
    | "session.evict"
    | "key.create"
    | "key.revoke"
    | "registry_credential.save"
    | "registry_credential.delete"
    | "secret.save"
    | "secret.delete"
    | "secret.rotate"
    | "login.token";
  readonly actor: string;
  readonly tenantId: string;
  /** What it is known by; never what opens anything. */
  readonly resource: string;
  /** Where the request came from; absent: nobody asked for it. */
  readonly address?: string;
  readonly detail?: string;
}

/** Addresses whose first refusal in a minute has a row of its own; what is more is told by one row a minute. */
const refusedListedMax = 10;
/** Most addresses that are told apart in a minute. */
const refusedAddressesMax = 10_000;
/** A token's bearer is noted once in this time for each address, milliseconds. */
const bearerNotedEveryMs = 3_600_000;
/** Most bearers at addresses that are remembered; the one noted longest ago is forgotten for the next. */
const bearersMax = 10_000;
/** Longest detail of a row, characters. */
const credentialDetailMax = 512;

/** How often refusals that had no row of their own are told, milliseconds. */
export const refusedToldEveryMs = 60_000;

/** Rows about who came in, who didn't, and what that hangs on. */
export class CredentialAudit {
  readonly #options: CredentialAuditOptions;
  readonly #bearers = new Map<string, number>();
  readonly #refused = new Set<string>();
  #untold = 0;

  constructor(options: CredentialAuditOptions) {
    this.#options = options;
  }

  note({ action, actor, tenantId, resource, address, detail = "" }: CredentialNote): void {
    const from = address === undefined ? "" : `from=${address}`;
    this.#add({ action, actor, tenantId, resource, detail: [detail, from].filter(Boolean).join(" ") });
  }

  /** Notes that somebody uses a token, at most once an hour for each address. */
  bearer(who: { readonly actor: string; readonly tenantId: string; readonly address: string }): void {
    const { actor, tenantId, address } = who;
    const nowMs = this.#options.clock.now();
    const key = JSON.stringify([actor, tenantId, address]);
    if (nowMs - (this.#bearers.get(key) ?? Number.NEGATIVE_INFINITY) < bearerNotedEveryMs) return;
    this.#bearers.delete(key);
    this.#bearers.set(key, nowMs);
    if (this.#bearers.size > bearersMax) this.#bearers.delete(this.#bearers.keys().next().value ?? "");
    this.note({ action: "login.token", actor, tenantId, resource: "", address });
  }

  /** A credential didn't count. However many come, a minute has eleven rows at most. */
  refused(address: string, why: string): void {
    const isNew = !this.#refused.has(address);
    if (this.#refused.size < refusedAddressesMax) this.#refused.add(address);
    if (isNew && this.#refused.size <= refusedListedMax) this.#addRefused(`${why} from=${address}`);
    else this.#untold += 1;
  }

  /** Writes what had no row of its own, and begins anew. */
  tellRefused(): void {
    const [untold, addresses] = [this.#untold, this.#refused.size];
    this.#untold = 0;
    this.#refused.clear();
    if (untold === 0) return;
    const many = addresses >= refusedAddressesMax ? `at least ${addresses}` : String(addresses);
    this.#addRefused(`${untold} more in this minute, of ${many} addresses`);
  }

  #addRefused(detail: string): void {
    this.#add({ action: "login.refused", actor: "anonymous", tenantId: "", resource: "", status: "failure", detail });
  }

  #add(
    row: Pick<OperationAudit, "action" | "actor" | "tenantId" | "resource" | "detail"> & Partial<OperationAudit>,
  ): void {
    const createdAtMs = this.#options.clock.now();
    const detail = row.detail.slice(0, credentialDetailMax);
    this.#options.add({ sandboxId: "", provider: "", status: "success", createdAtMs, ...row, detail });
  }
}

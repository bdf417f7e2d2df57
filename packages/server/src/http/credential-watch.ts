import { StacyError } from "@stacyvm/contract";
import type { ApiKeys } from "../auth/api-keys.ts";
import { mayPerform } from "../auth/roles.ts";
import type { Sessions } from "../auth/sessions.ts";
import type { Holder, Standing, Tenancy } from "../auth/tenancy.ts";
import type { Clock } from "../lib/clock.ts";
import { every } from "../lib/every.ts";
import { placeOf, type Scope } from "../sandbox/scope.ts";
import {
  abortedTimeoutMs,
  credentialLookIntervalMs,
  credentialLookTimeoutMs,
  credentialUnknownMaxMs,
} from "./bounds.ts";
import type { Identity } from "./identity.ts";
import type { InFlight, ServedRequest, Visitor } from "./in-flight.ts";

export interface CredentialWatchOptions {
  readonly inFlight: Pick<InFlight, "open">;
  readonly keys: Pick<ApiKeys, "unrevoked">;
  readonly sessions: Pick<Sessions, "goingOn">;
  readonly tenancy: Pick<Tenancy, "stand">;
  readonly clock: Clock;
  /** The database could not be asked. */
  readonly onFailure: (error: unknown) => void;
  readonly onEnded: (reason: StacyError, identity: Identity) => void;
}

/** Why a credential counts no more; undefined: it does. */
type Verdict = StacyError | undefined;

interface Watched {
  /** When it was last known to count, epoch milliseconds. */
  countedAtMs: number;
  /** When it was ended, epoch milliseconds. */
  endedAtMs: number | undefined;
}

const over = (why: string): StacyError =>
  new StacyError("unauthenticated", `this request's credential counts no more: ${why}`);

/** Whether a request's credential is looked at: signed links and open routes need none. */
const isHeld = ({ identity, permission }: Visitor): boolean =>
  identity.holder !== undefined && permission !== "public" && permission !== "signature";

const sameScope = (a: Scope, b: Scope): boolean => a.tenantId === b.tenantId && a.projectId === b.projectId;

/** The only key there is may do what administrators do, by the rule of the admin area: its role isn't its standing's. */
const isConfiguredKey = ({ keyId, member, holder, keyHeader }: Identity): boolean =>
  keyId === "" && member === undefined && holder?.credential === "key" && keyHeader !== "Authorization";

/**
 * Ends what is open when its credential ends: an answer goes on only while its caller would still be let in for it.
 * All credentials are asked about together, every two seconds and at once where this server changed one. Where the
 * database doesn't answer what is open goes on for `credentialUnknownMaxMs`, and then ends too.
 */
export const createCredentialWatch = (options: CredentialWatchOptions) => {
  const { inFlight, clock, tenancy } = options;
  const watched = new WeakMap<ServedRequest, Watched>();

  const stand = async (holder: Holder, scope: Scope): Promise<Standing | StacyError> => {
    try {
      return await tenancy.stand(holder, placeOf(scope));
    } catch (error) {
      if (error instanceof StacyError && error.reason !== "store_unavailable") return error;
      throw error;
    }
  };

  /** Every credential once, however many requests it has open. */
  const look = async (visitors: readonly Visitor[]): Promise<(visitor: Visitor) => Verdict> => {
    const of = (pick: (identity: Identity) => string | undefined): readonly string[] =>
      [
        ...new Set(visitors.map(({ identity }) => pick(identity)).filter((id) => id !== undefined && id !== "")),
      ] as readonly string[];
    const [keys, sessions] = await Promise.all([
      options.keys.unrevoked(of(({ keyId }) => keyId)),
      options.sessions.goingOn(of(({ session }) => session)),
    ]);
    const standings = new Map<string, Standing | StacyError>();
    const placeKey = ({ holder, scope }: Identity): string => JSON.stringify([holder, scope]);
    for (const { identity } of visitors) {
      const key = placeKey(identity);
      if (identity.holder === undefined || standings.has(key)) continue;
      standings.set(key, await stand(identity.holder, identity.scope));
    }
    return ({ identity, permission }) => {
      if (identity.keyId !== "" && !keys.has(identity.keyId)) return over("the API key was revoked");
      if (identity.session !== undefined && !sessions.has(identity.session)) return over("the session has ended");
      const standing = standings.get(placeKey(identity));
      if (standing === undefined) return undefined;
      if (standing instanceof StacyError) return over(standing.message);
      const may =
        isConfiguredKey(identity) ||
        permission === undefined ||
        mayPerform(standing.role, permission, standing.ofTenant);
      return may && sameScope(standing.scope, identity.scope) ? undefined : over("it may not do this any more");
    };
  };

  const end = (request: ServedRequest, state: Watched, reason: StacyError, { identity }: Visitor): void => {
    state.endedAtMs = clock.now();
    options.onEnded(reason, identity);
    request.end(reason);
  };

  const round = async (): Promise<void> => {
    const startedMs = clock.now();
    const held: { readonly request: ServedRequest; readonly visitor: Visitor; readonly state: Watched }[] = [];
    for (const request of inFlight.open) {
      const { visitor, carrier } = request;
      if (visitor === undefined || !isHeld(visitor)) continue;
      const state = watched.get(request);
      if (state === undefined) watched.set(request, { countedAtMs: startedMs, endedAtMs: undefined });
      // What is answered in a moment may be the very request that ends its own credential.
      if (state === undefined && !carrier.begun) continue;
      if (state?.endedAtMs !== undefined) {
        if (startedMs - state.endedAtMs >= abortedTimeoutMs) carrier.cut();
        continue;
      }
      held.push({ request, visitor, state: watched.get(request) as Watched });
    }
    if (held.length === 0) return;
    let verdictOf: (visitor: Visitor) => Verdict = () => undefined;
    let failure: unknown;
    try {
      verdictOf = await within(credentialLookTimeoutMs, look(held.map(({ visitor }) => visitor)));
    } catch (error) {
      failure = error;
    }
    const nowMs = clock.now();
    for (const { request, visitor, state } of held) {
      const { endsAtMs } = visitor.identity;
      const verdict = endsAtMs !== undefined && endsAtMs <= nowMs ? over("it has expired") : verdictOf(visitor);
      if (verdict !== undefined) end(request, state, verdict, visitor);
      else if (failure === undefined) state.countedAtMs = startedMs;
      else if (nowMs - state.countedAtMs >= credentialUnknownMaxMs) end(request, state, unknown(failure), visitor);
    }
    if (failure !== undefined) throw failure;
  };

  return {
    round,
    /** Looks again and again; `soon` looks now. */
    start: () =>
      every({
        intervalMs: credentialLookIntervalMs,
        work: round,
        onFailure: options.onFailure,
      }),
  };
};

const unknown = (cause: unknown): StacyError =>
  new StacyError("store_unavailable", "whether this request's credential still counts can't be known", { cause });

/** A database that doesn't answer must not hold up what ends by the clock. */
const within = async <T>(ms: number, work: Promise<T>): Promise<T> => {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`the database took longer than ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    clearTimeout(timer);
  }
};

import { StacyError } from "@stacyvm/contract";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTHeaderParameters, type JWTVerifyGetKey } from "jose";
import type { Clock } from "../lib/clock.ts";
import { isLoopback } from "../lib/networks.ts";

export interface IssuerKeysOptions {
  /** As its tokens name it; its discovery document tells where the keys are when `jwksUrl` is empty. */
  readonly issuer: string;
  readonly jwksUrl: string;
  /** How long the last good keys count while the issuer can't be asked, milliseconds. */
  readonly keptMs: number;
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  /** Told when keys can't be had, at most once for each attempt. */
  readonly onFailure?: (error: unknown) => void;
}

/** Keys older than this are asked for anew, beside the request that noticed. Milliseconds. */
const freshMs = 300_000;
/** The issuer is asked at most this often, whatever tokens come. Milliseconds. */
const askEveryMs = 5_000;
/** Time that one answer of the issuer may take, milliseconds. */
const answerTimeoutMs = 5_000;
/** Largest answer of the issuer, bytes. */
const answerMaxBytes = 262_144;
/** Most keys of an issuer. */
const keysMax = 100;

type Fetch = typeof fetch;

interface KeySet {
  readonly find: JWTVerifyGetKey;
  readonly fetchedAtMs: number;
}

/**
 * The public keys of an issuer. A key that isn't known asks the issuer again, so that a rotation is noticed in
 * seconds; a flood of such tokens makes one question every five seconds.
 */
export const createIssuerKeys = (options: IssuerKeysOptions) => {
  const { clock, fetch } = options;
  let known: KeySet | undefined;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> | undefined;

  const ask = async (): Promise<void> => {
    const startedAtMs = clock.now();
    askedAtMs = startedAtMs;
    try {
      const url = options.jwksUrl === "" ? await discover(fetch, options.issuer) : options.jwksUrl;
      known = { find: createLocalJWKSet(asKeySet(await fetchJson(fetch, url))), fetchedAtMs: startedAtMs };
    } catch (error) {
      options.onFailure?.(error);
    } finally {
      asking = undefined;
    }
  };

  /** One question at a time, and none sooner than five seconds after the last. */
  const mayAsk = (): Promise<void> | undefined => {
    if (asking === undefined && clock.now() - askedAtMs >= askEveryMs) asking = ask();
    return asking;
  };

  const usable = (): KeySet | undefined =>
    known !== undefined && clock.now() - known.fetchedAtMs <= options.keptMs ? known : undefined;

  /** Throws issuer_unavailable, or jose's error where no key matches. */
  const find = async (header: JWTHeaderParameters, token: Parameters<JWTVerifyGetKey>[1]) => {
    if (usable() === undefined) await mayAsk();
    const keys = usable();
    if (keys === undefined) {
      throw new StacyError("issuer_unavailable", "the issuer's keys can't be had, so its tokens can't be checked");
    }
    if (clock.now() - keys.fetchedAtMs >= freshMs) void mayAsk();
    try {
      return await keys.find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await mayAsk();
      const fresh = usable();
      if (fresh === undefined || fresh === keys) throw error;
      return await fresh.find(header, token);
    }
  };
  return { find };
};

const discover = async (fetch: Fetch, issuer: string): Promise<string> => {
  const document = await fetchJson(fetch, `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  const { issuer: named, jwks_uri: url } = document as { issuer?: unknown; jwks_uri?: unknown };
  if (named !== issuer) throw new Error(`the discovery document names the issuer ${JSON.stringify(named)}`);
  if (typeof url !== "string") throw new Error("the discovery document names no jwks_uri");
  return url;
};

/** Public keys only: with a symmetric one whoever can read the set could sign. */
const asKeySet = (document: unknown): JSONWebKeySet => {
  const { keys } = document as { keys?: unknown };
  if (!Array.isArray(keys) || keys.length > keysMax) throw new Error(`the keys are no set of at most ${keysMax}`);
  const asymmetric = keys.filter((key) => ["RSA", "EC", "OKP"].includes((key as { kty?: string } | null)?.kty ?? ""));
  if (asymmetric.length === 0) throw new Error("the set has no public key");
  return { keys: asymmetric };
};

const fetchJson = async (fetch: Fetch, url: string): Promise<unknown> => {
  const { protocol, hostname } = new URL(url);
  if (protocol !== "https:" && !(protocol === "http:" && isLoopback(hostname))) throw new Error(`${url} is not https`);
  const answer = await fetch(url, {
    headers: { accept: "application/json" },
    redirect: "error",
    signal: AbortSignal.timeout(answerTimeoutMs),
  });
  if (!answer.ok || answer.body === null) throw new Error(`${url} answered ${answer.status}`);
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of answer.body) {
    size += part.byteLength;
    if (size > answerMaxBytes) throw new Error(`${url} answers more than ${answerMaxBytes} bytes`);
    parts.push(part);
  }
  const document: unknown = JSON.parse(Buffer.concat(parts).toString("utf8"));
  if (typeof document !== "object" || document === null) throw new Error(`${url} answered no JSON object`);
  return document;
};

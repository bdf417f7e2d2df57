import { type RetryOptions, retryPolicy } from "./retry.ts";
import { Transport } from "./transport.ts";

export interface StacyVMClientConfig {
  /** Host name or address, used when `baseUrl` is absent. Default `localhost`. */
  host?: string | undefined;
  /** Default 7423. */
  port?: number | undefined;
  /** Default `http://localhost:7423`. */
  baseUrl?: string | undefined;
  /** Sent as X-API-Key. */
  apiKey?: string | undefined;
  /** Sent as X-Admin-API-Key. */
  adminApiKey?: string | undefined;
  /** An issuer's token, sent as Authorization: Bearer. It counts before any key. */
  token?: string | undefined;
  /** Sent as X-User-ID: the owner of what this client spawns. */
  userId?: string | undefined;
  /** Sent as X-Tenant-ID: which tenant, of a server that has some. */
  tenant?: string | undefined;
  /** Sent as X-Project-ID: which of the tenant's projects. */
  project?: string | undefined;
  /** Milliseconds a call may take, retries counted; 0 for none. Streams are bound only until they begin. Default 30 000. */
  timeout?: number | undefined;
  /** How reads and deletes are repeated; false for never. */
  retry?: RetryOptions | false | undefined;
  /** Replaces the global fetch. */
  fetch?: typeof fetch | undefined;
}

/** A base URL, or a configuration. */
export type StacyVMClientOptions = string | StacyVMClientConfig;

const defaultHost = "localhost";
const defaultPort = 7423;
const defaultTimeoutMs = 30_000;

function addressOf(config: StacyVMClientConfig): string {
  if (config.baseUrl !== undefined && config.baseUrl !== "") return config.baseUrl.replace(/\/+$/, "");
  const host = config.host || defaultHost;
  const literal = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
  return `http://${literal}:${config.port ?? defaultPort}`;
}

export function transportOf(options: StacyVMClientOptions | undefined): Transport {
  const config = typeof options === "string" ? { baseUrl: options } : (options ?? {});
  const headers: Record<string, string> = {};
  if (config.apiKey) headers["X-API-Key"] = config.apiKey;
  if (config.adminApiKey) headers["X-Admin-API-Key"] = config.adminApiKey;
  if (config.token) headers.Authorization = `Bearer ${config.token}`;
  if (config.userId) headers["X-User-ID"] = config.userId;
  if (config.tenant) headers["X-Tenant-ID"] = config.tenant;
  if (config.project) headers["X-Project-ID"] = config.project;
  return new Transport({
    baseUrl: addressOf(config),
    headers,
    timeoutMs: config.timeout ?? defaultTimeoutMs,
    retry: retryPolicy(config.retry),
    // Looked up at each call, so that a fetch replaced later counts.
    fetch: config.fetch ?? ((input, init) => fetch(input, init)),
  });
}

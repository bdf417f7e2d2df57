import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { join } from "node:path";
import { inspect } from "node:util";
import { StacyError } from "@stacyvm/contract";
import type Docker from "dockerode";
import { parseEngineAddress } from "./address.ts";

export interface EngineOptions {
  /** `/path`, `unix:///path` or `tcp://host[:port]`. */
  readonly address: string;
  /** Of ca.pem, cert.pem and key.pem; empty for a plain connection. */
  readonly tlsDir: string;
}

/** Silence after which an engine is given up, milliseconds. */
const callTimeoutMs = 60_000;
/** Docker 20.10; what comes before has no cgroup namespaces and no quick figures. */
export const oldestApi = "1.41";
/** The newest one that was read for differences; newer engines speak it too. */
const newestApi = "1.51";

const apiNumber = (version: string): number => {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major * 1000 + minor;
};

/** The version that both sides speak; undefined where there is none. */
export const commonApi = (engine: { readonly least: string; readonly most: string }): string | undefined => {
  if (apiNumber(engine.most) < apiNumber(oldestApi) || apiNumber(engine.least) > apiNumber(newestApi)) return undefined;
  return apiNumber(engine.most) < apiNumber(newestApi) ? engine.most : newestApi;
};

/**
 * Shows nothing of itself. The client describes each request, its agent with every connection included, for a log that nobody
 * keeps; with twenty of them that took most of the server's time.
 */
const terse = <A extends http.Agent>(agent: A): A =>
  Object.defineProperty(agent, inspect.custom, { value: () => "[connections]" });

export interface Engine extends Disposable {
  /** A client of the version that was agreed upon. Throws provider_unavailable. */
  client(): Promise<Docker>;
  /** The same for what may be silent for as long as it likes: pulls, consoles. */
  patient(): Promise<Docker>;
  /** A client that asks in whatever version the engine likes best. */
  anyVersion(): Promise<Docker>;
  agree(version: string): void;
}

/** Connections to one engine. Nothing is asked, and no file read, until the first call. */
export const connectEngine = ({ address, tlsDir }: EngineOptions): Engine => {
  let agent: http.Agent | undefined;
  let version = oldestApi;
  const clients = new Map<string, Promise<Docker>>();

  const connect = async (spoken: string, timeout: number): Promise<Docker> => {
    const hasTls = tlsDir !== "";
    const where = parseEngineAddress(address, hasTls);
    // Loaded when it is needed: it brings a good deal that a server without an engine has no use for.
    const { default: Client } = await import("dockerode");
    agent ??= terse(hasTls ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true }));
    const common = { agent, timeout, ...(spoken === "" ? {} : { version: `v${spoken}` }) };
    if (where.kind === "socket") return new Client({ ...common, socketPath: where.path, host: undefined });
    const files = hasTls
      ? { ca: read(join(tlsDir, "ca.pem")), cert: read(join(tlsDir, "cert.pem")), key: read(join(tlsDir, "key.pem")) }
      : {};
    return new Client({ ...common, ...files, host: where.host, port: where.port, protocol: hasTls ? "https" : "http" });
  };

  const kept = (spoken: string, timeoutMs: number): Promise<Docker> => {
    const key = `${spoken} ${timeoutMs}`;
    const made = clients.get(key) ?? connect(spoken, timeoutMs);
    clients.set(key, made);
    made.catch(() => clients.delete(key)); // A certificate may be there the next time.
    return made;
  };

  return {
    client: () => kept(version, callTimeoutMs),
    patient: () => kept(version, 0),
    anyVersion: () => kept("", callTimeoutMs),
    agree(agreed) {
      version = agreed;
    },
    [Symbol.dispose]() {
      agent?.destroy();
    },
  };
};

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new StacyError("provider_unavailable", `the engine's certificate ${path} can't be read`, { cause: error });
  }
};

/** The HTTP status of an engine's refusal; undefined where it didn't answer. */
export const statusOf = (error: unknown): number | undefined =>
  error instanceof Error && "statusCode" in error && typeof error.statusCode === "number"
    ? error.statusCode
    : undefined;

/** For a `catch`: what the engine doesn't have is undefined, and all else fails. */
export const ignoreMissing = (error: unknown): undefined => {
  if (statusOf(error) === 404) return undefined;
  throw error;
};

/** What the engine said, in one bounded line. */
export const engineWords = (error: unknown): string => {
  const json = error instanceof Error && "json" in error ? error.json : undefined;
  const said = typeof json === "object" && json !== null && "message" in json ? String(json.message) : undefined;
  return (said ?? (error instanceof Error ? error.message : String(error)))
    .replaceAll(/\s+/g, " ")
    .trim()
    .slice(0, 500);
};

const codeOf = (error: unknown): string =>
  error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";

/** Why an engine can't be reached, and what would help; undefined for an error that is something else. */
export const unreachable = (error: unknown, address: string): string | undefined => {
  switch (codeOf(error)) {
    case "EACCES":
      return `${address} may not be opened: add the server's user to the group docker, which makes it root's equal`;
    case "ENOENT":
    case "ECONNREFUSED":
      return `no engine answers at ${address}: systemctl start docker, or set providers.docker.socket`;
    case "ECONNRESET":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENOTFOUND":
    case "ETIMEDOUT":
      return `no engine answers at ${address} (${codeOf(error)}): check providers.docker.socket and the network between`;
    default:
      return undefined;
  }
};

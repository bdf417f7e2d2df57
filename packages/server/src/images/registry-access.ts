import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StacyError } from "@stacyvm/contract";
import { isLoopback } from "../lib/networks.ts";
import type { Outbound } from "../lib/outbound.ts";
import type { Secret } from "../lib/secret.ts";

/** Where registries are, what they are told about who asks, and the way to them. */
export interface RegistryOptions {
  /** `host` or `host:port` that may be spoken to in plain HTTP or with an unknown certificate; also internal ones. */
  readonly insecure?: readonly string[];
  /** Registries on internal addresses that may be asked, with TLS verified. */
  readonly internal?: readonly string[];
  /** Credentials file in the format of containers-auth.json(5), or Docker's; for registries that `credentials` lacks. */
  readonly authFile?: string;
  /** `user:password` by registry, as image names spell it: `ghcr.io`, `localhost:5000`, `docker.io`. */
  readonly credentials?: Readonly<Record<string, Secret>>;
  readonly proxies?: Proxies;
  /** The credentials are a tenant's own. */
  readonly ofTenant?: boolean;
}

export interface Proxies {
  /** Address, with credentials where it wants some, for registries in plain HTTP. */
  readonly http?: Secret | undefined;
  /** The same for registries over TLS. */
  readonly https?: Secret | undefined;
  /** Host names, domains and networks that are asked directly. */
  readonly none: readonly string[];
}

/** The key of the configuration that gave a registry's credentials. */
export type CredentialKey = "images.registry_credentials" | "images.auth_file" | "the tenant's registry credential";

export interface Access {
  /** An option of skopeo, without its dashes or `--src-`, where every user of the host can read it: never a secret. */
  readonly argument: string;
  /** Absent where none are sent. */
  readonly key?: CredentialKey;
}

/** Writes what this one registry may know into `workDir`, which is closed to others and goes with the pull. */
export async function registryAccess(
  registry: string,
  { credentials = {}, authFile, ofTenant = false }: RegistryOptions,
  workDir: string,
): Promise<Access> {
  const own = Object.entries(credentials).find(([name]) => name.toLowerCase() === registry)?.[1];
  if (own !== undefined) {
    const file = join(workDir, "auth.json");
    const auth = Buffer.from(own.reveal()).toString("base64");
    await writeFile(file, JSON.stringify({ auths: { [registry]: { auth } } }), { mode: 0o600, flag: "wx" });
    const key = ofTenant ? "the tenant's registry credential" : "images.registry_credentials";
    return { argument: `authfile=${file}`, key };
  }
  if (authFile === undefined) return { argument: "no-creds" };
  await checkAuthFile(authFile);
  return { argument: `authfile=${authFile}`, key: "images.auth_file" };
}

/** Hosts with ports of the registries that the operator named. */
export const knownHosts = ({ insecure = [], internal = [] }: RegistryOptions): readonly string[] => [
  ...insecure.flatMap((registry) => (hasPort(registry) ? [registry] : [`${registry}:443`, `${registry}:80`])),
  ...internal.map((registry) => (hasPort(registry) ? registry : `${registry}:443`)),
];

const hasPort = (registry: string): boolean => /:\d+$/.test(registry);

/** Whether the operator named it. */
export const isNamed = (registry: string, { insecure, internal }: RegistryOptions): boolean =>
  (insecure?.includes(registry) || internal?.includes(registry)) ?? false;

/** Whether the name says so by itself. */
export const isThisHost = (registry: string): boolean => isLoopback(registry.replace(/:\d+$/, ""));

/**
 * For an engine that pulls by itself: the registry's user and password, if any. The file is as for a pull of our own,
 * but for programs that keep credentials, which it may name and only skopeo asks. What the engine then reaches is up to
 * its own network: only the registry's name is looked at here.
 */
export async function registryLogin(
  registry: string,
  options: RegistryOptions,
  outbound: Pick<Outbound, "isInternal"> | undefined,
  signal: AbortSignal,
) {
  const unasked = (cause: unknown): never => {
    signal.throwIfAborted();
    throw new StacyError("image_pull_failed", `image: where ${registry} is couldn't be found out`, {
      cause,
      remediation: `See the server's log for why, or name ${registry} in images.internal_registries.`,
    });
  };
  if (!isNamed(registry, options)) {
    const authority = hasPort(registry) ? registry : `${registry}:443`;
    const isInternal = isThisHost(registry) || (await outbound?.isInternal(authority, signal).catch(unasked)) !== false;
    if (isInternal) throw internalRegistry(`the registry ${registry}`);
  }
  const own = Object.entries(options.credentials ?? {}).find(([name]) => name.toLowerCase() === registry)?.[1];
  const pair = own?.reveal() ?? (await fileLogin(registry, options.authFile));
  const colon = pair?.indexOf(":") ?? -1;
  if (pair === undefined || colon < 1) return undefined;
  return { username: pair.slice(0, colon), password: pair.slice(colon + 1), serveraddress: registry };
}

async function fileLogin(registry: string, authFile: string | undefined): Promise<string | undefined> {
  if (authFile === undefined) return undefined;
  await checkAuthFile(authFile);
  const { auths = {} } = JSON.parse(await readFile(authFile, "utf8"));
  const hub = registry === "docker.io" ? auths["https://index.docker.io/v1/"] : undefined;
  const auth: unknown = (auths[registry] ?? hub)?.auth;
  return typeof auth === "string" ? Buffer.from(auth, "base64").toString() : undefined;
}

/** What skopeo says about a bad file may quote it, so that it is looked at first. */
async function checkAuthFile(file: string): Promise<void> {
  let why: string;
  try {
    const content: unknown = JSON.parse(await readFile(file, "utf8"));
    if (typeof content === "object" && content !== null && !Array.isArray(content)) return;
    why = "it is no JSON object";
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    why = code === undefined ? "it is no JSON" : `it can't be read (${code})`;
  }
  throw new StacyError("image_pull_failed", `image: the file that images.auth_file names is of no use: ${why}`, {
    remediation: "Write it with skopeo login --authfile, or remove images.auth_file.",
  });
}

/** Environment of the tool that pulls. Nothing of the server's own is passed on, so what isn't named here is no proxy. */
export function proxyEnvironment({ http, https, none }: Proxies = { none: [] }): Record<string, string> {
  return {
    ...(http && { HTTP_PROXY: http.reveal() }),
    ...(https && { HTTPS_PROXY: https.reveal() }),
    ...(none.length > 0 && { NO_PROXY: none.join(",") }),
  };
}

export const internalRegistry = (host: string, cause?: unknown): StacyError =>
  new StacyError("image_pull_failed", `image: ${host} is on an internal address`, {
    cause,
    remediation: "The operator permits it with images.insecure_registries or images.internal_registries.",
  });

/** What must not be seen in anything that a tool prints: a registry or a proxy may repeat what it was told. */
export function registrySecrets({ credentials = {}, proxies }: RegistryOptions): string[] {
  const given = Object.values(credentials).map((secret) => secret.reveal());
  const addresses = [proxies?.http, proxies?.https].flatMap((secret) => secret?.reveal() ?? []);
  const passwords = [
    ...given.map((pair) => pair.replace(/^[^:]*:/, "")),
    ...addresses.map((address) => URL.parse(address)?.password ?? ""),
  ];
  const encoded = given.map((pair) => Buffer.from(pair).toString("base64"));
  return [...encoded, ...given, ...addresses, ...passwords].filter((secret) => secret !== "");
}

import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { chmod, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { UsageFailure } from "../failure.ts";

/** What a login left behind for one server. */
export interface Profile {
  /** How the credential is sent: as X-API-Key, or as a bearer. */
  readonly kind: "key" | "token";
  readonly credential: string;
  /** RFC 3339; from then on it isn't sent any more. */
  readonly expiresAt: string;
  /** Who gave the token; empty for keys. */
  readonly issuer: string;
}

type Profiles = Readonly<Record<string, Profile>>;

/** Longest file of profiles, bytes. */
const profilesMaxBytes = 1024 * 1024;

/** Below $XDG_CONFIG_HOME, else ~/.config. */
export const profilesPath = (env: Readonly<Record<string, string | undefined>> = process.env): string => {
  const { XDG_CONFIG_HOME: own = "" } = env;
  return join(isAbsolute(own) ? own : join(homedir(), ".config"), "stacyvm", "profiles.json");
};

/** One spelling for each server. Throws UsageFailure where it is no address. */
export const serverName = (url: string): string => {
  const parsed = URL.parse(url);
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    throw new UsageFailure(`${JSON.stringify(url)} is no http or https address of a server`);
  }
  return parsed.origin + parsed.pathname.replace(/\/+$/, "");
};

const isProfile = (value: unknown): value is Profile => {
  if (typeof value !== "object" || value === null) return false;
  const { kind, credential, expiresAt, issuer } = value as Record<keyof Profile, unknown>;
  const texts = [credential, expiresAt, issuer].every((text) => typeof text === "string");
  return (kind === "key" || kind === "token") && texts && !Number.isNaN(Date.parse(String(expiresAt)));
};

const read = (path: string): Profiles => {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw new UsageFailure(`${path} can't be read: ${(error as Error).message}`);
  }
  try {
    const { mode, uid, size } = fstatSync(file);
    if ((mode & 0o077) !== 0 || uid !== process.getuid?.()) {
      throw new UsageFailure(`${path} holds credentials and isn't this user's alone: chmod 600 it, or remove it`);
    }
    if (size > profilesMaxBytes) throw new UsageFailure(`${path} is larger than ${profilesMaxBytes} bytes: remove it`);
    const { servers }: { servers?: unknown } = JSON.parse(readFileSync(file, "utf8"));
    if (typeof servers !== "object" || servers === null) throw new SyntaxError("no servers");
    return Object.fromEntries(Object.entries(servers).filter(([, profile]) => isProfile(profile)));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
    throw new UsageFailure(`${path} is damaged: remove it, and log in again`);
  } finally {
    closeSync(file);
  }
};

/** Undefined without a login. Throws UsageFailure where the file is damaged or others can read it. */
export const profileOf = (url: string): Profile | undefined => {
  const all = read(profilesPath());
  const name = serverName(url);
  return Object.hasOwn(all, name) ? all[name] : undefined;
};

const write = async (profiles: Profiles): Promise<void> => {
  const path = profilesPath();
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const fresh = `${path}.${process.pid}`;
  try {
    await rm(fresh, { force: true });
    await writeFile(fresh, `${JSON.stringify({ servers: profiles }, undefined, 2)}\n`, { mode: 0o600, flag: "wx" });
    await rename(fresh, path);
  } finally {
    await rm(fresh, { force: true });
  }
};

/** In the place of the server's last one. */
export const keepProfile = async (url: string, profile: Profile): Promise<void> =>
  await write({ ...read(profilesPath()), [serverName(url)]: profile });

/** False where there was none. */
export const dropProfile = async (url: string): Promise<boolean> => {
  const { [serverName(url)]: dropped, ...others } = read(profilesPath());
  if (dropped !== undefined) await write(others);
  return dropped !== undefined;
};

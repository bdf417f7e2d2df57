import { createHash } from "node:crypto";
import { accessSync, constants, createReadStream } from "node:fs";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { StacyError } from "@stacyvm/contract";
import { programDirs } from "../../lib/find-program.ts";
import type { Environment } from "../image-store.ts";
import { runTool, ToolError } from "../run-tool.ts";

export interface PinnedPackage {
  readonly name: string;
  readonly version: string;
  /** Of the archive that the registry gives, as in a lockfile: `sha512-` and base64. */
  readonly integrity: string;
}

export interface FetchOptions {
  /** The archive comes into it. */
  readonly directory: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Where npm is looked for and what configures it; empty where absent. */
  readonly environment?: Environment | undefined;
}

/**
 * Path of a package's archive, got by this host's npm with the configuration that it has (registry, proxy, certificates, cache),
 * whatever of it answers: only the pinned bytes count. Throws image_pull_failed.
 */
export async function fetchPackage(pinned: PinnedPackage, options: FetchOptions): Promise<string> {
  const { name, version, integrity } = pinned;
  const failed = (why: string, cause?: unknown) =>
    new StacyError("image_pull_failed", `${name} ${version} could not be had from npm: ${why}`, {
      ...(cause === undefined ? {} : { cause }),
      remediation: "Check that `npm ping` works on this host, or build the variant `minimal`.",
    });
  const { environment = {} } = options;
  const npm = findNpm(environment);
  if (npm === undefined) throw failed("npm is not installed");
  const pack = ["pack", `${name}@${version}`, "--pack-destination", options.directory];
  try {
    await runTool({
      argv: [npm, ...pack, "--ignore-scripts", "--prefer-offline", "--loglevel=error"],
      signal: options.signal,
      timeoutMs: options.timeoutMs,
      env: npmEnvironment(npm, environment),
    });
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause;
    throw failed([cause.message, ...cause.stderr.trim().split("\n").slice(-2)].filter(Boolean).join("; "), cause);
  }
  const archive = join(options.directory, `${name}-${version}.tgz`);
  const hash = createHash("sha512");
  await pipeline(createReadStream(archive), hash, { signal: options.signal });
  const found = `sha512-${hash.digest("base64")}`;
  if (found !== integrity) throw failed(`the archive has ${found}, and ${integrity} is pinned`);
  return archive;
}

/** Where programs of the distribution are, else by PATH: where Node was installed by a version manager, npm came with it. */
function findNpm(environment: Environment): string | undefined {
  const directories = [...programDirs, ...(environment.PATH ?? "").split(delimiter).filter(isAbsolute)];
  return directories
    .map((directory) => join(directory, "npm"))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** What npm is configured by, and nothing else of the environment. */
const configuring = /^(?:HOME|npm_config_\w+|https?_proxy|no_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(?:FILE|DIR))$/i;

function npmEnvironment(npm: string, environment: Environment): Record<string, string> {
  const kept = Object.entries(environment).filter(([name, value]) => configuring.test(name) && value !== undefined);
  // Its first line asks for the `node` of the PATH, which has to be one that it came with or that does as well.
  const path = [dirname(npm), dirname(process.execPath), ...programDirs].join(delimiter);
  return { ...(Object.fromEntries(kept) as Record<string, string>), PATH: path };
}

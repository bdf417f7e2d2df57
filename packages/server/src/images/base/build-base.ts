import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { StacyError } from "@stacyvm/contract";
import { rootfsImage } from "../archive.ts";
import type { BaseVariant, Environment } from "../image-store.ts";
import type { LayeredImage } from "../layered-image.ts";
import { runTool, ToolError } from "../run-tool.ts";
import { aptSourcesFor, hostAptOptions } from "./host-apt.ts";
import { distributionNode, nodeLayer } from "./node.ts";
import { readBaseFacts, settingsLayer } from "./settings.ts";
import { partsOf } from "./variants.ts";

export interface BuildBaseOptions {
  readonly variant: BaseVariant;
  /** Code name; the host's own when undefined. */
  readonly suite: string | undefined;
  /** Of whoever builds: npm is looked for and configured by it. */
  readonly environment: Environment | undefined;
  readonly workDir: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly onMessage: (message: string) => void;
}

/**
 * A Debian or Ubuntu root file system from the host's own package sources, which leave no trace in it. Throws invalid_input or
 * image_pull_failed.
 */
export async function buildBase(options: BuildBaseOptions): Promise<LayeredImage> {
  const { node, account, env } = partsOf(options.variant);
  const suite = options.suite ?? (await hostSuite());
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(suite)) {
    throw new StacyError("invalid_input", `suite: ${JSON.stringify(suite)} is not a release's code name`);
  }
  // First what takes seconds and may fail.
  const { workDir: directory, signal, timeoutMs, environment } = options;
  if (node) options.onMessage("fetching Node and npm");
  const nodes = node ? await nodeLayer(process.arch, { directory, signal, timeoutMs, environment }) : undefined;
  const base = await bootstrap(options, suite, node && nodes === undefined ? distributionNode : []);
  const settings = settingsLayer(await readBaseFacts(base, signal), {
    suite,
    arch: process.arch,
    account,
    nodeVersion: nodes?.version,
  });
  const { layers } = rootfsImage(base, signal);
  return { layers: [...layers, settings, ...(nodes === undefined ? [] : [nodes.layer])], env };
}

/** Path of the tar that mmdebstrap makes. */
async function bootstrap(options: BuildBaseOptions, suite: string, more: readonly string[]): Promise<string> {
  const { packages, excluded } = partsOf(options.variant);
  const sources = join(options.workDir, "base.sources");
  const known = await aptSourcesFor(suite);
  await writeFile(sources, known, { mode: 0o600 });
  const target = join(options.workDir, "base.tar");
  const aptOptions = (await hostAptOptions(options.signal)).map((line) => `--aptopt=${line}`);
  try {
    await runTool({
      argv: [
        "mmdebstrap",
        // Without root it takes a user namespace, and where none can be had, fakechroot.
        `--mode=${process.getuid?.() === 0 ? "root" : "auto"}`,
        "--variant=minbase",
        "--format=tar",
        `--include=${[...packages, ...more].join(",")}`,
        ...aptOptions,
        ...excluded.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--",
        suite,
        "-",
        // Where the host knows none of that release, mmdebstrap does.
        ...(known === "" ? [] : [sources]),
      ],
      signal: options.signal,
      timeoutMs: options.timeoutMs,
      env: { TMPDIR: options.workDir }, // Whatever ends it, the half-made tree is swept with ours.
      onLine: (line) => options.onMessage(line.replace(/^I: /, "")),
      stdout: (stdout) => pipeline(stdout, createWriteStream(target, { flags: "wx", mode: 0o600 })),
    });
  } catch (cause) {
    if (!(cause instanceof ToolError)) throw cause;
    const last = cause.stderr.trim().split("\n").slice(-3).join("; ");
    throw new StacyError("image_pull_failed", `the base could not be built: ${cause.message}: ${last}`, {
      cause,
      remediation: "Check that apt-get update works on this host and that mmdebstrap is installed.",
    });
  }
  return target;
}

async function hostSuite(): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const suite = /^VERSION_CODENAME="?([^"\n]+)"?$/m.exec(release)?.[1];
  if (suite !== undefined) return suite;
  throw new StacyError("invalid_input", "suite: this host's release has no code name; name the suite", {
    remediation: "Give the code name of a Debian or Ubuntu release, or import a root file system.",
  });
}

import { createWriteStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { StacyError } from "@stacyvm/contract";
import { aptSourcesFor, hostAptOptions } from "./apt-sources.ts";
import { rootfsImage } from "./archive.ts";
import type { LayeredImage } from "./layered-image.ts";
import { runTool, ToolError } from "./run-tool.ts";

/** Beyond Debian's essential packages: TLS roots, and ps, top and pkill. */
const packages = ["ca-certificates", "procps"];

/** What a sandbox has no use for; a third of the base's size. */
const excluded = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*"];

export interface BuildBaseOptions {
  /** Code name; the host's own when undefined. */
  readonly suite: string | undefined;
  readonly workDir: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  readonly onMessage: (message: string) => void;
}

/** A minimal Debian or Ubuntu root file system from the host's own package sources. */
export async function buildBase(options: BuildBaseOptions): Promise<LayeredImage> {
  const suite = options.suite ?? (await hostSuite());
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(suite)) {
    throw new StacyError("invalid_input", `suite: ${JSON.stringify(suite)} is not a release's code name`);
  }
  const sources = join(options.workDir, "base.sources");
  await writeFile(sources, await aptSourcesFor(suite), { mode: 0o600 });
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
        `--include=${packages.join(",")}`,
        ...aptOptions,
        ...excluded.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        "--",
        suite,
        "-",
        sources,
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
  return rootfsImage(target, options.signal);
}

async function hostSuite(): Promise<string> {
  const release = await readFile("/etc/os-release", "utf8").catch(() => "");
  const suite = /^VERSION_CODENAME="?([^"\n]+)"?$/m.exec(release)?.[1];
  if (suite !== undefined) return suite;
  throw new StacyError("invalid_input", "suite: this host's release has no code name; name the suite", {
    remediation: "Give the code name of a Debian or Ubuntu release, or import a root file system.",
  });
}

import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setInterval } from "node:timers/promises";
import { StacyError } from "@stacyvm/contract";
import { findProgram } from "../lib/find-program.ts";
import type { OnProgress } from "./image-store.ts";
import type { LayeredImage } from "./layered-image.ts";
import { imageOfIndex, layoutBlobs, readDocument } from "./oci-layout.ts";
import { formatReference, type ImageReference } from "./references.ts";
import {
  type Access,
  proxyEnvironment,
  type RegistryOptions,
  registryAccess,
  registrySecrets,
} from "./registry-access.ts";
import { refuseInternalRegistry } from "./registry-address.ts";
import { runTool, ToolError } from "./run-tool.ts";

export interface PullOptions {
  readonly reference: ImageReference;
  readonly registries: RegistryOptions;
  readonly workDir: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Bytes on disk before anything is unpacked. */
  readonly maxBytes: number;
  readonly onProgress: OnProgress;
}

/** Milliseconds between two looks at how much a pull has put on disk. */
const watchMs = 250;

/** Copies an image from its registry into an OCI layout. Throws image_not_found or image_pull_failed. */
export async function pullImage(options: PullOptions): Promise<LayeredImage> {
  const { reference, registries, workDir, signal, onProgress } = options;
  const layout = join(workDir, "pulled");
  await mkdir(layout, { mode: 0o700 });
  const policy = join(workDir, "policy.json");
  // Whom to trust is said by TLS and by digests; signatures are not asked for.
  await writeFile(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  const insecure = registries.insecure?.includes(reference.registry) ?? false;
  if (!insecure && !registries.internal?.includes(reference.registry)) await refuseInternalRegistry(reference.registry);
  const access = await registryAccess(reference.registry, registries, workDir);
  onProgress({ phase: "resolve", message: `asking ${reference.registry} for ${reference.repository}` });

  const limit = new AbortController();
  const watching = new AbortController();
  const watch = watchSize(layout, options.maxBytes, limit, watching.signal);
  try {
    await runTool({
      argv: [
        // A server that is killed must not leave it pulling into a directory that the next one sweeps.
        "setpriv",
        "--pdeathsig=KILL",
        "--",
        findProgram("skopeo"),
        `--policy=${policy}`,
        "--override-os=linux",
        "copy",
        "--retry-times=2",
        `--src-tls-verify=${!insecure}`,
        access.argument,
        "--",
        `docker://${skopeoName(reference)}`,
        `oci:${layout}:pulled`,
      ],
      signal: AbortSignal.any([signal, limit.signal]),
      timeoutMs: options.timeoutMs,
      onLine: (line) => {
        const digest = /^Copying (?:blob|config) (?:sha256:)?([0-9a-f]{12})/.exec(line)?.[1];
        if (digest !== undefined) onProgress({ phase: "download", message: `layer ${digest}` });
      },
      env: { TMPDIR: workDir, HOME: "/nonexistent", ...proxyEnvironment(registries.proxies) },
      secrets: registrySecrets(registries),
    });
  } catch (cause) {
    signal.throwIfAborted();
    throw pullFailure(formatReference(reference), reference.registry, limit.signal.aborted, options, access, cause);
  } finally {
    watching.abort();
    await watch;
  }
  // It may have ended between two looks.
  if ((await sizeOf(layout)) > options.maxBytes) throw tooLarge(formatReference(reference), options.maxBytes);
  return await imageOfIndex(await readDocument(join(layout, "index.json")), layoutBlobs(layout));
}

/** skopeo takes a tag or a digest; the digest is what counts. */
function skopeoName({ registry, repository, tag, digest }: ImageReference): string {
  return digest === undefined ? `${registry}/${repository}:${tag}` : `${registry}/${repository}@${digest}`;
}

async function watchSize(layout: string, maxBytes: number, limit: AbortController, signal: AbortSignal): Promise<void> {
  try {
    for await (const _ of setInterval(watchMs, undefined, { signal })) {
      if ((await sizeOf(layout)) > maxBytes) return limit.abort();
    }
  } catch {
    // The pull is over.
  }
}

async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const found = entry.isFile() ? await stat(join(entry.parentPath, entry.name)).catch(() => undefined) : undefined;
    bytes += found?.size ?? 0; // A temporary file may have been renamed under us.
  }
  return bytes;
}

function pullFailure(
  name: string,
  registry: string,
  isTooLarge: boolean,
  options: PullOptions,
  access: Access,
  cause: unknown,
): unknown {
  if (isTooLarge) {
    return tooLarge(name, options.maxBytes, cause);
  }
  if (!(cause instanceof ToolError)) return cause;
  const import_ = `stacyvm image import ${name} <file>`;
  const said = cause.stderr;
  if (/manifest unknown|name unknown|not found|StatusCode: 404/i.test(said)) {
    return new StacyError("image_not_found", `image: ${registry} has no ${name}`, {
      cause,
      remediation: `Check the name, or bring the image in with: ${import_}`,
    });
  }
  if (!throughProxy.test(said) && /unauthorized|denied|authentication required/i.test(said)) {
    return refusedAccess(name, registry, access, cause);
  }
  const why = cause.timedOut ? `it took longer than ${options.timeoutMs} ms` : reasonOf(said);
  return new StacyError("image_pull_failed", `image: ${name} could not be pulled from ${registry}: ${why}`, {
    cause,
    remediation: `Check that this host reaches ${registry}, or bring the image in with: ${import_}`,
  });
}

/** Something between here and the registry, which has words in common with it. */
const throughProxy = /proxy authentication required|proxyconnect/i;

function refusedAccess(name: string, registry: string, { key }: Access, cause: unknown): StacyError {
  if (key === undefined) {
    return new StacyError("image_not_found", `image: ${registry} has no ${name}, or wants credentials for it`, {
      cause,
      remediation:
        "Check the name; the operator gives credentials by images.registry_credentials or images.auth_file. " +
        `Or bring the image in with: stacyvm image import ${name} <file>`,
    });
  }
  const given = key === "images.auth_file" ? "what images.auth_file has for it" : `the credentials of ${key}`;
  return new StacyError("image_pull_failed", `image: ${registry} refused ${given}, for ${name}`, {
    cause,
    remediation: `Check ${key} (for ${registry}): the user, the password or token, and what it may read.`,
  });
}

const tooLarge = (name: string, maxBytes: number, cause?: unknown) =>
  new StacyError("image_pull_failed", `image: ${name} is larger than ${maxBytes} bytes`, { cause });

function reasonOf(said: string): string {
  if (throughProxy.test(said)) return "the proxy refused or didn't answer (images.http_proxy, images.https_proxy)";
  if (/no such host|server misbehaving|name resolution/i.test(said)) return "its name doesn't resolve";
  if (/connection refused|no route to host|network is unreachable|i\/o timeout|EOF/i.test(said))
    return "it doesn't answer";
  if (/http: server gave HTTP response to HTTPS client|x509|tls:/i.test(said)) {
    return "its TLS certificate can't be verified (images.insecure_registries names registries that may do without)";
  }
  if (/digest|unexpected size|does not match/i.test(said)) return "what it sent doesn't have the digest it should";
  return "it answered with an error";
}

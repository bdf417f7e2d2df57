import { createHash } from "node:crypto";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setInterval } from "node:timers/promises";
import { StacyError } from "@stacyvm/contract";
import { findProgram } from "../lib/find-program.ts";
import type { Outbound } from "../lib/outbound.ts";
import { imageBounds } from "./bounds.ts";
import type { OnProgress } from "./image-store.ts";
import type { LayeredImage } from "./layered-image.ts";
import { imageOfIndex, layoutBlobs, readDocument } from "./oci-layout.ts";
import { formatReference, type ImageReference } from "./references.ts";
import {
  type Access,
  internalRegistry,
  isNamed,
  isThisHost,
  knownHosts,
  proxyEnvironment,
  type RegistryOptions,
  registryAccess,
  registrySecrets,
} from "./registry-access.ts";
import { runTool, ToolError, type ToolOptions } from "./run-tool.ts";

export interface PullOptions {
  readonly reference: ImageReference;
  readonly registries: RegistryOptions;
  readonly outbound: Outbound;
  readonly workDir: string;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** Bytes on disk before anything is unpacked. */
  readonly maxBytes: number;
  readonly onProgress: OnProgress;
}

/** Milliseconds between two looks at how much a pull has put on disk. */
const watchMs = 250;

interface Asking
  extends Pick<PullOptions, "reference" | "registries" | "outbound" | "workDir" | "signal" | "timeoutMs"> {
  readonly access: Access;
  /** Prefix of skopeo's options about what is asked. */
  readonly side: "" | "src-";
}

/** skopeo, with what this asker shows. A server that is killed must not leave it at work in a directory that the next one sweeps. */
const skopeo = (
  { reference, registries, outbound, workDir, signal, timeoutMs, access, side }: Asking,
  command: readonly string[],
  more: Pick<ToolOptions, "onLine" | "stdout">,
): Promise<void> => {
  const { argv, env } = outbound.confine(
    [
      findProgram("skopeo"),
      `--policy=${join(workDir, "policy.json")}`,
      "--override-os=linux",
      ...command.slice(0, 1),
      `--${side}tls-verify=${!(registries.insecure?.includes(reference.registry) ?? false)}`,
      `--${side}${access.argument}`,
      ...command.slice(1),
    ],
    { known: knownHosts(registries), proxies: proxyEnvironment(registries.proxies) },
  );
  return runTool({
    argv: ["setpriv", "--pdeathsig=KILL", "--", ...argv],
    signal,
    timeoutMs,
    ...more,
    env: { TMPDIR: workDir, HOME: "/nonexistent", ...env },
    secrets: registrySecrets(registries),
  });
};

/** Refuses this host itself; resolves to what the registry may know. */
async function prepare({ reference, registries, workDir }: PullOptions): Promise<Access> {
  // Whom to trust is said by TLS and by digests; signatures are not asked for.
  await writeFile(join(workDir, "policy.json"), JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  // A confined program has a loopback of its own, on which nothing answers; one that can't be confined has this host's.
  const { registry } = reference;
  if (isThisHost(registry) && !isNamed(registry, registries)) throw internalRegistry(`the registry ${registry}`);
  return await registryAccess(registry, registries, workDir);
}

/** Digest of the manifest (or the index of several) that the registry has under the reference. */
async function manifestOf(options: PullOptions, access: Access): Promise<string> {
  const { reference } = options;
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    await skopeo({ ...options, access, side: "" }, ["inspect", "--raw", "--", `docker://${skopeoName(reference)}`], {
      stdout: async (stdout) => {
        for await (const part of stdout) {
          bytes += part.length;
          if (bytes > imageBounds.documentBytes) throw tooLarge(formatReference(reference), imageBounds.documentBytes);
          hash.update(part);
        }
      },
    });
  } catch (cause) {
    options.signal.throwIfAborted();
    throw pullFailure(formatReference(reference), reference.registry, false, options, access, cause);
  }
  return `sha256:${hash.digest("hex")}`;
}

/**
 * Whether the registry lets the asker have this very manifest. Throws image_pull_failed where the registry can't be
 * asked: who isn't known to be let in is not.
 */
export async function mayHaveManifest(options: PullOptions, manifest: string): Promise<boolean> {
  const access = await prepare(options);
  const { registry, repository } = options.reference;
  const reference = { registry, repository, tag: undefined, digest: manifest };
  try {
    return (await manifestOf({ ...options, reference }, access)) === manifest;
  } catch (error) {
    if (error instanceof StacyError && (error.reason === "image_not_found" || isRefusal(error))) return false;
    throw error;
  }
}

/** Copies an image from its registry into an OCI layout. Throws image_not_found or image_pull_failed. */
export async function pullImage(options: PullOptions): Promise<LayeredImage> {
  const { reference, workDir, signal, onProgress } = options;
  const layout = join(workDir, "pulled");
  await mkdir(layout, { mode: 0o700 });
  const access = await prepare(options);
  onProgress({ phase: "resolve", message: `asking ${reference.registry} for ${reference.repository}` });
  // What is shown to nobody in particular is everybody's; of all else the manifest is what others may be asked about.
  const manifest = access.key === undefined ? undefined : await manifestOf(options, access);
  const exact = manifest === undefined ? reference : { ...reference, digest: manifest };

  const limit = new AbortController();
  const watching = new AbortController();
  const watch = watchSize(layout, options.maxBytes, limit, watching.signal);
  try {
    await skopeo(
      { ...options, access, side: "src-", signal: AbortSignal.any([signal, limit.signal]) },
      ["copy", "--retry-times=2", "--", `docker://${skopeoName(exact)}`, `oci:${layout}:pulled`],
      {
        onLine: (line) => {
          const digest = /^Copying (?:blob|config) (?:sha256:)?([0-9a-f]{12})/.exec(line)?.[1];
          if (digest !== undefined) onProgress({ phase: "download", message: `layer ${digest}` });
        },
      },
    );
  } catch (cause) {
    signal.throwIfAborted();
    throw pullFailure(formatReference(reference), reference.registry, limit.signal.aborted, options, access, cause);
  } finally {
    watching.abort();
    await watch;
  }
  // It may have ended between two looks.
  if ((await sizeOf(layout)) > options.maxBytes) throw tooLarge(formatReference(reference), options.maxBytes);
  const image = await imageOfIndex(await readDocument(join(layout, "index.json")), layoutBlobs(layout));
  return { ...image, access: manifest === undefined ? "public" : { manifest, pulledBy: [] } };
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
  const internal = /([\w.:[\]-]+) is on an internal address/.exec(said)?.[1];
  if (internal !== undefined) return internalRegistry(`${name} can't be pulled from ${registry}: ${internal}`, cause);
  if (/manifest unknown|name unknown|not found|StatusCode: 404/i.test(said)) {
    return new StacyError("image_not_found", `image: ${registry} has no ${name}`, {
      cause,
      remediation: `Check the name, or bring the image in with: ${import_}`,
    });
  }
  if (!throughProxy.test(said) && /unauthorized|denied|authentication required/i.test(said)) {
    return refusedAccess(name, registry, access, options.registries.ofTenant === true, cause);
  }
  const why = cause.timedOut ? `it took longer than ${options.timeoutMs} ms` : reasonOf(said);
  return new StacyError("image_pull_failed", `image: ${name} could not be pulled from ${registry}: ${why}`, {
    cause,
    remediation: `Check that this host reaches ${registry}, or bring the image in with: ${import_}`,
  });
}

/** Something between here and the registry, which has words in common with it. */
const throughProxy = /proxy authentication required|proxyconnect/i;

const refusals = new WeakSet<StacyError>();
/** The registry refused what it was shown. */
const isRefusal = (error: StacyError): boolean => refusals.has(error);

function refusedAccess(name: string, registry: string, { key }: Access, ofTenant: boolean, cause: unknown): StacyError {
  if (key === undefined) {
    const giver = ofTenant
      ? `the tenant's administrator gives a credential by PUT /api/v1/tenant/registry-credentials/${registry}.`
      : "the operator gives credentials by images.registry_credentials or images.auth_file.";
    return new StacyError("image_not_found", `image: ${registry} has no ${name}, or wants credentials for it`, {
      cause,
      remediation: `Check the name; ${giver} Or bring the image in with: stacyvm image import ${name} <file>`,
    });
  }
  const given =
    key === "images.auth_file"
      ? "what images.auth_file has for it"
      : key === "images.registry_credentials"
        ? `the credentials of ${key}`
        : key;
  const refusal = new StacyError("image_pull_failed", `image: ${registry} refused ${given}, for ${name}`, {
    cause,
    remediation: `Check ${key} (for ${registry}): the user, the password or token, and what it may read.`,
  });
  refusals.add(refusal);
  return refusal;
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

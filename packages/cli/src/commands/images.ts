import { openLocalImages } from "@stacyvm/server/local-images";
import { interruptible } from "../interrupt.ts";
import type { Output } from "../output.ts";
import { table } from "../table.ts";

/** How a command of the image family finds this host's store: the server's own configuration. */
export interface ImageFlags {
  readonly config?: string;
}

const open = (flags: ImageFlags) => openLocalImages(flags.config === undefined ? {} : { argvConfigPath: flags.config });

/** Progress goes to stderr, and only where somebody watches. */
const progress = (output: Output) => {
  if (output.json || process.stderr.isTTY !== true) return undefined;
  return ({ phase, message }: { readonly phase: string; readonly message: string }) =>
    output.errorLine(`${phase}: ${message}`);
};

export async function pullImage(output: Output, reference: string, flags: ImageFlags): Promise<void> {
  const images = await open(flags);
  const image = await interruptible((signal) => images.pull(reference, signal, progress(output)));
  output.result(image, `${image.reference} pulled (${image.digest})`);
}

export async function importImage(output: Output, reference: string, source: string, flags: ImageFlags): Promise<void> {
  const images = await open(flags);
  const image = await interruptible((signal) => images.importFrom(reference, source, signal, progress(output)));
  output.result(image, `${image.reference} imported (${image.digest})`);
}

export async function buildBaseImage(
  output: Output,
  reference: string | undefined,
  { suite, variant, ...flags }: ImageFlags & { readonly suite?: string; readonly variant: "minimal" | "code" },
): Promise<void> {
  const images = await open(flags);
  const options = { variant, environment: process.env, ...(suite === undefined ? {} : { suite }) };
  const name = reference ?? (variant === "code" ? "stacyvm/code" : "stacyvm/base");
  const image = await interruptible((signal) => images.buildBase(name, options, signal, progress(output)));
  output.result(image, `${image.reference} built (${image.digest})`);
}

const minute = (ms: number) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");

const megabytes = (bytes: number) => `${Math.round(bytes / 1_000_000)} MB`;

export async function listImages(output: Output, flags: ImageFlags): Promise<void> {
  const all = await (await open(flags)).list();
  const heading = ["REFERENCE", "DIGEST", "SIZE", "SOURCE", "CREATED", "USED"];
  const rows = all.map((image) => [
    image.reference,
    image.digest.slice(7, 19),
    megabytes(image.sizeBytes),
    image.source,
    minute(image.createdAtMs),
    minute(image.lastUsedAtMs),
  ]);
  output.result(all, all.length === 0 ? "No images" : table([heading, ...rows], { elastic: [0], width: output.width }));
}

export async function removeImage(output: Output, reference: string, flags: ImageFlags): Promise<void> {
  await (await open(flags)).remove(reference);
  output.result({ reference, status: "removed" }, `${reference} removed`);
}

export async function collectImages(
  output: Output,
  flags: ImageFlags & { readonly dryRun?: true; readonly maxSize?: string; readonly maxAge?: string },
): Promise<void> {
  const images = await open(flags);
  const { maxSize, maxAge, dryRun = false } = flags;
  const collected = await interruptible((signal) => images.collect({ dryRun, maxSize, maxAge, signal }));
  const { removed, freedBytes, storedBytes } = collected;
  const heading = ["REFERENCE", "DIGEST", "SIZE", "USED", "REASON"];
  const rows = removed.map(({ references, digest, sizeBytes, lastUsedAtMs, reason }) => [
    references.join(", ") || "-",
    digest.slice(7, 19),
    megabytes(sizeBytes),
    lastUsedAtMs === 0 ? "-" : minute(lastUsedAtMs),
    reason,
  ]);
  const what = removed.length === 1 ? "1 image" : `${removed.length} images`;
  const last = `${what} ${dryRun ? "would be removed" : "removed"} (${megabytes(freedBytes)}), ${megabytes(storedBytes)} ${dryRun ? "would stay" : "stay"}`;
  const text =
    rows.length === 0 ? last : `${table([heading, ...rows], { elastic: [0], width: output.width })}\n${last}`;
  output.result(collected, text);
}

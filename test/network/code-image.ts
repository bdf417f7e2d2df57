import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { StacyError } from "@stacyvm/contract";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";

const storeDir = resolve(import.meta.dirname, "../../.cache/debian-code");
const reference = "stacyvm/code";
/** For making the image, once, milliseconds. */
export const codeImageTimeoutMs = 900_000;

/** The image with Python, Node and git, made once and kept in .cache, as a tar in the folder; or why there is none. */
export const codeImageTar = async (
  folder: string,
): Promise<{ readonly tar: string } | { readonly missing: string }> => {
  const signal = AbortSignal.timeout(codeImageTimeoutMs);
  await mkdir(join(storeDir, ".."), { recursive: true });
  const store = await createImageStore({ storeDir, aliases: {}, clock: systemClock });
  try {
    if ((await store.list()).length === 0) await store.buildBase(reference, { variant: "code" }, signal);
  } catch (error) {
    if (!(error instanceof StacyError) || error.reason !== "image_pull_failed") throw error;
    return { missing: error.message };
  }
  const { rootfsPath } = await store.ensure(reference, signal);
  const tar = join(folder, "code.tar");
  execFileSync("tar", ["--create", "--file", tar, "--numeric-owner", "--directory", rootfsPath, "."]);
  return { tar };
};

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import type { ImageStore } from "../../packages/server/src/images/image-store.ts";
import { tarOf } from "../../packages/server/src/images/tar/tar-fixture.ts";
import { baseReference, codeReference, type FirstImage, firstImage } from "./image.ts";

interface Trial {
  readonly said: string[];
  /** Stores something under that name. */
  store(reference: string): Promise<void>;
  first(): Promise<FirstImage>;
}

/** A store of its own in which nothing can be built: a millisecond is too short. */
async function tried(body: (trial: Trial) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "stacyvm-up-"));
  try {
    const timeouts = { buildBaseMs: 1 };
    const options = { storeDir: join(directory, "images"), clock: { now: () => 0 }, timeouts };
    const images: ImageStore = await createImageStore(options);
    const archive = join(directory, "a.tar");
    await writeFile(archive, tarOf({ name: "a", content: "a" }));
    const signal = AbortSignal.timeout(60_000);
    const said: string[] = [];
    await body({
      said,
      store: async (reference) => void (await images.importFrom(reference, archive, signal)),
      first: () => firstImage(images, "localhost:1/alpine:latest", (line) => said.push(line), signal),
    });
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("an image that is stored is taken, then the one for code, and neither asks a registry or builds anything", async () => {
  await tried(async ({ said, store, first }) => {
    await store(baseReference);
    await store(codeReference);
    expect(await first()).toEqual({ kind: "made", reference: codeReference });
    await store("localhost:1/alpine");
    expect(await first()).toEqual({ kind: "stored" });
    expect(said).toEqual([]);
  });
});

test("where the image for code can't be made, a base that is stored does, and what was wrong is said", async () => {
  await tried(async ({ said, store, first }) => {
    await store(baseReference);
    expect(await first()).toEqual({ kind: "made", reference: baseReference });
    expect(said.at(-1)).toMatch(
      /^it could not be made: node-linux-\w+ [\d.]+ could not be had from npm: .* ran longer than 1 ms/,
    );
  });
});

test("without that a registry is asked, and a machine on which nothing works says what the last way lacked", async () => {
  await tried(async ({ said, first }) => {
    await expect(first()).rejects.toMatchObject({ reason: "image_pull_failed" });
    expect(said.filter((line) => /^(?:it could|asking|no registry|making)/.test(line))).toEqual([
      expect.stringContaining("making an image with Python"),
      expect.stringContaining("it could not be made"),
      "asking the registry for localhost:1/alpine:latest",
      expect.stringContaining("no registry gave it"),
      expect.stringContaining("making a minimal base"),
    ]);
  });
});

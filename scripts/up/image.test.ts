import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { tarOf } from "../../packages/server/src/images/tar/tar-fixture.ts";
import { baseReference, firstImage } from "./image.ts";

test("an image that is stored is taken, then a base that is stored, and neither asks a registry", async () => {
  const directory = await mkdtemp(join(tmpdir(), "stacyvm-up-"));
  try {
    const images = await createImageStore({ storeDir: join(directory, "images"), clock: { now: () => 0 } });
    const archive = join(directory, "a.tar");
    await writeFile(archive, tarOf({ name: "a", content: "a" }));
    const signal = AbortSignal.timeout(30_000);
    const said: string[] = [];
    const first = () => firstImage(images, "alpine:latest", (line) => said.push(line), signal);
    await images.importFrom(baseReference, archive, signal);
    expect(await first()).toEqual({ kind: "base", built: false });
    await images.importFrom("alpine", archive, signal);
    expect(await first()).toEqual({ kind: "stored" });
    expect(said).toEqual([]);
  } finally {
    await rm(directory, { recursive: true });
  }
});

import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseFreeFloor } from "../lib/free-floor.ts";
import { createDiskSpace } from "../telemetry/disk-space.ts";
import { createImageStore } from "./create-image-store.ts";
import { ociLayout, pushLayout, realOutbound, registryFixture, runFixtureTool } from "./images-fixture.ts";
import { tarOf } from "./tar/tar-fixture.ts";

const signal = AbortSignal.timeout(300_000);
let directory: string;
let disk: string;

/** A disk of 128 MiB. */
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "stacyvm-room-"));
  disk = join(directory, "disk");
  await mkdir(disk);
  if (process.getuid?.() === 0) await runFixtureTool("mount", ["-t", "tmpfs", "-o", "size=128m", "tmpfs", disk]);
});

afterEach(async () => {
  if (process.getuid?.() === 0) await runFixtureTool("umount", [disk]);
  await rm(directory, { recursive: true, force: true });
});

const opened = async (minFree: string, insecure: readonly string[] = []) => {
  const store = join(disk, "store");
  const disks = createDiskSpace({
    directories: { data: directory, images: store, sandboxes: directory },
    minFree: parseFreeFloor(minFree),
  });
  const images = await createImageStore({
    storeDir: store,
    clock: { now: () => 1_000 },
    registries: { insecure },
    outbound: realOutbound(directory),
    requireRoom: () => disks.requireRoom("images"),
  });
  return { store, images };
};

const freeBytes = async () => {
  const { bavail, bsize } = await statfs(disk);
  return bavail * bsize;
};

describe.runIf(process.getuid?.() === 0)("on a disk of 128 MiB", () => {
  test("an image isn't asked for while less is free than has to stay", async () => {
    await using registry = await registryFixture();
    const { images } = await opened("129m", [registry.host]);
    await expect(images.ensure(`${registry.host}/app:1`, signal)).rejects.toMatchObject({
      reason: "host_disk_low",
      entry: { status: 507, retryable: true },
      message: expect.stringContaining("disk.min_free (129m)"),
      remediation: expect.stringContaining("stacyvm image gc"),
    });
    expect(registry.requests()).toEqual([]);
    await expect(images.importFrom("a", "/dev/null", signal)).rejects.toMatchObject({ reason: "host_disk_low" });
  });

  test("an image that leaves too little is given up on the way, and everything of it goes", async () => {
    await using registry = await registryFixture();
    const layer = tarOf({ name: "noise", content: randomBytes(20 * 1024 ** 2).toString("latin1") });
    await pushLayout(await ociLayout(directory, [layer]), `${registry.host}/large:1`);
    const { images, store } = await opened("110m", [registry.host]);
    const before = await freeBytes();
    await expect(images.ensure(`${registry.host}/large:1`, signal)).rejects.toMatchObject({ reason: "host_disk_low" });
    for (const name of ["trees", "refs", "tmp", "pins"]) expect(await readdir(join(store, name))).toEqual([]);
    // The disk has it back only once nobody holds a file of it open.
    await expect.poll(async () => before - (await freeBytes())).toBeLessThan(1024 ** 2);

    const roomy = await opened("1m", [registry.host]);
    await expect(roomy.images.ensure(`${registry.host}/large:1`, signal)).resolves.toBeDefined();
  });
});

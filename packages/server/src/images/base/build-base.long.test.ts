import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runFixtureTool, storeFixture } from "../images-fixture.ts";

const signal = AbortSignal.timeout(900_000);

test("a base made from the host's package sources has a shell, ps and TLS roots, and nothing is left beside it", async () => {
  await using fixture = await storeFixture();
  const stored = await fixture.store.buildBase("stacyvm/base", {}, signal);
  expect(stored).toMatchObject({ reference: "docker.io/stacyvm/base:latest", source: "build-base" });
  const { rootfsPath } = await fixture.store.ensure("stacyvm/base:latest", signal);
  const { stdout } = await runFixtureTool("chroot", [rootfsPath, "/bin/bash", "-c", "command -v ps apt-get"]);
  expect(stdout.split("\n")).toHaveLength(3);
  expect(existsSync(join(rootfsPath, "etc/ssl/certs/ca-certificates.crt"))).toBe(true);
  expect(await readdir(join(rootfsPath, "dev"))).not.toContain("sda");
  expect(await readdir(join(fixture.directory, "store", "tmp"))).toEqual([]);
});

test("a release that the host has no sources for comes from its distribution's own", async () => {
  await using fixture = await storeFixture();
  const suite = (await readFile("/etc/os-release", "utf8")).includes("trixie") ? "bookworm" : "trixie";
  await fixture.store.buildBase("stacyvm/other", { suite }, signal);
  const { rootfsPath } = await fixture.store.ensure("stacyvm/other", signal);
  expect(await readFile(join(rootfsPath, "etc/os-release"), "utf8")).toContain(`VERSION_CODENAME=${suite}`);
  expect(await readdir(join(rootfsPath, "etc/apt/sources.list.d"))).toEqual(["debian.sources"]);
});

test("a suite that is no code name is refused before anything runs", async () => {
  await using fixture = await storeFixture();
  for (const suite of ["--help", "Bookworm", "a/b", "", "a b"]) {
    await expect(fixture.store.buildBase("x", { suite }, signal)).rejects.toMatchObject({ reason: "invalid_input" });
  }
});

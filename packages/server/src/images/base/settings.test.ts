import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { rootfsImage } from "../archive.ts";
import { type FixtureEntry, tarOf } from "../tar/tar-fixture.ts";
import { unpackImage } from "../unpack.ts";
import { readBaseFacts, type SettingsOptions, settingsLayer } from "./settings.ts";
import { partsOf } from "./variants.ts";

const signal = AbortSignal.timeout(60_000);
const mirror = "http://mirror.internal/debian";
const proxy = 'Acquire::http::Proxy "http://me:secret@proxy.internal:3128/";\n';

/** A base as mmdebstrap leaves it, with this much of it. */
const baseOf = (release: string, ...more: readonly FixtureEntry[]): Buffer =>
  tarOf(
    { name: "./usr/lib/os-release", content: `NAME="x"\nID=${release}\n` },
    { name: "./etc/hostname", content: "builder\n" },
    { name: "./etc/resolv.conf", content: "nameserver 192.0.2.53\n" },
    { name: "./etc/apt/sources.list.d/", type: "directory", mode: 0o755 },
    { name: "./etc/apt/sources.list.d/0000base.sources", content: `URIs: ${mirror}\n` },
    { name: "./etc/apt/apt.conf.d/99mmdebstrap", content: proxy },
    { name: "./etc/apt/apt.conf.d/70debconf", content: "of the distribution\n" },
    { name: "./etc/passwd", content: "root:x:0:0:root:/root:/bin/bash\n" },
    { name: "./etc/group", content: "root:x:0:\n" },
    ...more,
  );

async function settled(base: Buffer, options: SettingsOptions, body: (rootfs: string) => Promise<void>): Promise<void> {
  const workDir = await mkdtemp(join(tmpdir(), "stacyvm-settings-"));
  try {
    const tar = join(workDir, "base.tar");
    await writeFile(tar, base);
    const layer = settingsLayer(await readBaseFacts(tar, signal), options);
    const image = { layers: [...rootfsImage(tar, signal).layers, layer], env: {} };
    const unpacking = join(workDir, "unpacking");
    await mkdir(unpacking);
    const bounds = { timeoutMs: 60_000, maxUnpackedBytes: 1024 ** 2 };
    await unpackImage({ image, workDir: unpacking, signal, ...bounds, exists: async () => false });
    await body(join(unpacking, "rootfs"));
  } finally {
    await rm(workDir, { recursive: true });
  }
}

const { account } = partsOf("code");

test("a base names neither the machine that made it, nor its resolver, mirror and proxy", async () => {
  await settled(baseOf("debian"), { suite: "bookworm", arch: "x64", account: undefined }, async (rootfs) => {
    const found = execFileSync("grep", ["--recursive", "--no-filename", "", join(rootfs, "etc")], { encoding: "utf8" });
    expect(found).not.toMatch(/builder|192\.0\.2|internal|secret/);
    expect(await readdir(join(rootfs, "etc/apt/apt.conf.d"))).toEqual(["70debconf"]);
    expect(await readFile(join(rootfs, "etc/resolv.conf"), "utf8")).toBe("");
  });
});

test.each([
  ["debian", "bookworm", "x64", ["http://deb.debian.org/debian", "http://deb.debian.org/debian-security"]],
  ["debian", "sid", "arm64", ["http://deb.debian.org/debian"]],
  ["ubuntu", "noble", "x64", ["http://archive.ubuntu.com/ubuntu", "http://security.ubuntu.com/ubuntu"]],
  ["ubuntu", "noble", "arm64", ["http://ports.ubuntu.com/ubuntu-ports", "http://ports.ubuntu.com/ubuntu-ports"]],
] as const)("apt inside %s %s on %s asks the distribution itself", async (release, suite, arch, uris) => {
  await settled(baseOf(release), { suite, arch, account: undefined }, async (rootfs) => {
    const directory = join(rootfs, "etc/apt/sources.list.d");
    expect(await readdir(directory)).toEqual([`${release}.sources`]);
    const text = await readFile(join(directory, `${release}.sources`), "utf8");
    expect([...text.matchAll(/^URIs: (.*)$/gm)].map((match) => match[1])).toEqual(uris);
    expect(text).toContain(`Signed-By: /usr/share/keyrings/${release}-archive-keyring.gpg`);
    expect([...text.matchAll(/^Suites: (\S+)/gm)].map((match) => match[1])).toEqual(
      uris.map((_, i) => (i === 0 ? suite : `${suite}-security`)),
    );
  });
});

test("a distribution that isn't known keeps the sources that its host has", async () => {
  await settled(baseOf("kali"), { suite: "kali-rolling", arch: "x64", account: undefined }, async (rootfs) => {
    expect(await readdir(join(rootfs, "etc/apt/sources.list.d"))).toEqual(["0000base.sources"]);
    expect(await readdir(join(rootfs, "etc/apt/apt.conf.d"))).toEqual(["70debconf"]);
  });
});

test("uid 1000 has a name and a home of its own, beside the users that there are", async () => {
  await settled(baseOf("debian"), { suite: "bookworm", arch: "x64", account }, async (rootfs) => {
    expect(await readFile(join(rootfs, "etc/passwd"), "utf8")).toBe(
      "root:x:0:0:root:/root:/bin/bash\nuser:x:1000:1000::/home/user:/bin/bash\n",
    );
    expect(await readFile(join(rootfs, "etc/group"), "utf8")).toBe("root:x:0:\nuser:x:1000:\n");
    const home = await stat(join(rootfs, "home/user"));
    const isRoot = process.getuid?.() === 0;
    expect([home.mode & 0o777, home.uid]).toEqual([0o755, isRoot ? 1000 : process.getuid?.()]);
  });
});

test("a user who has uid 1000 already keeps it", async () => {
  const passwd = "root:x:0:0:root:/root:/bin/bash\nubuntu:x:1000:1000::/home/ubuntu:/bin/bash\n";
  const base = baseOf("ubuntu", { name: "./etc/passwd", content: passwd });
  await settled(base, { suite: "noble", arch: "x64", account }, async (rootfs) => {
    expect(await readFile(join(rootfs, "etc/passwd"), "utf8")).toBe(passwd);
  });
});

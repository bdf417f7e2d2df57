import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import { type ArchiveCompression, archiveCompressions } from "../../guest/guest-folders.ts";
import { bytes, expectAlive, type ProviderSuite, placeProbe, sh, shell, signal, until } from "./suite.testing.ts";
import { gnuLongName, paxHeader, tarOf } from "./tar-entries.testing.ts";

const mebibyte = 1024 * 1024;

const packed = async (guest: Guest, path: string, compression: ArchiveCompression = "none"): Promise<Buffer> => {
  const { body } = await guest.folders.pack(path, compression, signal());
  return Buffer.concat(await Array.fromAsync(body, (part) => Buffer.from(part)));
};

const unpack = (guest: Guest, path: string, archive: Buffer, compression: ArchiveCompression = "none") =>
  guest.folders.unpack(path, Readable.from([archive], { objectMode: false }), compression, signal());

/** Every attribute that an archive keeps of what is below, one line each. */
const attributes = async (guest: Guest, path: string): Promise<string> =>
  (await sh(guest, `cd ${path} && find . -mindepth 1 -exec stat -c '%n %f %u %g %Y %h' {} + | sort; cat ./* */* 2>&1`))
    .out;

/** Runs a command for as long as the scope lasts. */
const keepDoing = (guest: Guest, argv: readonly string[], cwd: string): AsyncDisposable => {
  const away = new AbortController();
  const doing = (async () => {
    for await (const _ of guest.exec({ argv, cwd }, away.signal));
  })().catch(() => "ended");
  return {
    [Symbol.asyncDispose]: async () => {
      away.abort();
      expect(await doing).toBe("ended");
    },
  };
};

/** Whole folders as archives. */
export const foldersContract = (suite: ProviderSuite): void => {
  suite.each(
    "carries a folder out and in again: modes, owners, times, links and odd names",
    async ({ guest }, profile) => {
      const own = profile === "default" ? "chown 3:4 from/d/f; chmod 4755 from/d/f; chown -h 5:6 from/link;" : "";
      const made = await sh(
        guest,
        `mkdir -p from/d from/empty; echo one > from/d/f; ln -s d/f from/link; ln from/d/f from/hard; ln -s /nowhere from/dangling
       echo odd > "from/-rf"; echo odd > "from/new
line"; echo odd > "$(printf 'from/no\\377utf8')"; : > "from/ŋame"; ${own} chmod 640 from/-rf; chmod 1750 from/d
       find from -exec touch -h -d '2001-02-03 04:05:06' {} +`,
      );
      expect(made.err).toBe("");
      for (const compression of archiveCompressions) {
        const to = `/workspace/to-${compression}`;
        const { entries, bytes } = await unpack(
          guest,
          to,
          await packed(guest, "/workspace/from", compression),
          compression,
        );
        expect([entries, bytes]).toEqual([11, 16]);
        const there = await attributes(guest, to);
        expect(there).toBe(await attributes(guest, "/workspace/from"));
        expect(there.split("\n").length).toBeGreaterThan(11);
      }
      await sh(guest, "rm -rf from to-*");
    },
  );

  suite.each("keeps the archive's mode, and its owner where the profile lets it", async ({ guest }, profile) => {
    const archive = tarOf(
      { name: "d/", type: "5", mode: 0o700, uid: 7, gid: 8 },
      { name: "d/f", mode: 0o4711, uid: 7, gid: 8, content: "x" },
      { name: "outside", mode: 0o4711, uid: 2 ** 21 - 1, gid: 0 },
    );
    await unpack(guest, "/workspace/owned", archive);
    const { out } = await sh(guest, "cd owned; stat -c '%a %u %g %Y' d d/f; stat -c '%A' outside");
    // What isn't given away is nobody's way to somebody else's rights.
    const wanted = {
      default: "700 7 8 1000000000\n4711 7 8 1000000000\n",
      restricted: "700 1000 1000 1000000000\n711 1000 1000 1000000000\n",
    };
    expect(out.startsWith(wanted[profile]), out).toBe(true);
    if (suite.provider().capabilities.limits.disk) expect(out.slice(wanted[profile].length)).toBe("-rwx--x--x\n");
    await sh(guest, "rm -rf owned");
  });

  suite.each("reads the long names of both kinds", async ({ guest }) => {
    const long = (start: string) => `${start}/${"n".repeat(120)}/${"m".repeat(200)}`;
    const archive = tarOf(
      gnuLongName(long("gnu")),
      { name: "cut", content: "gnu" },
      paxHeader({ path: long("pax"), mtime: "1000000000.5", comment: "x".repeat(5000) }),
      { name: "cut", content: "pax" },
    );
    expect(await unpack(guest, "/workspace/long", archive)).toEqual({ entries: 2, bytes: 6 });
    expect((await sh(guest, `cd long; cat ${long("gnu")} ${long("pax")}; ls`)).out).toBe("gnupaxgnu\npax\n");
    const back = await packed(guest, "/workspace/long");
    expect(await unpack(guest, "/workspace/again", back)).toMatchObject({ bytes: 6 });
    await sh(guest, "rm -rf long again");
  });

  suite.each("refuses what leads out of the folder or is no file, and names the entry", async ({ guest }) => {
    await sh(
      guest,
      "mkdir outside; echo safe > outside/file; mkfifo outside/fifo; ln -s ../outside here; ln -s /workspace/outside to",
    );
    const before = { name: "before", content: "1" };
    const hostile = {
      "an absolute name": [{ name: "/workspace/outside/file", content: "no" }],
      "a name with ..": [{ name: "a/../../outside/file", content: "no" }],
      "a PAX path with ..": [paxHeader({ path: "../outside/file" }), { name: "x", content: "no" }],
      "a long name with ..": [gnuLongName("../outside/file"), { name: "x", content: "no" }],
      "a file through its own symlink": [
        { name: "way", type: "2", linkName: "../outside" },
        { name: "way/file", content: "no" },
      ],
      "a directory through its own symlink": [
        { name: "way", type: "2", linkName: "/workspace/outside" },
        { name: "way/new/", type: "5" },
      ],
      "a directory in a symlink's place": [
        { name: "way", type: "2", linkName: "/workspace/outside" },
        { name: "way/", type: "5", mode: 0o700 },
      ],
      "a hard link to an absolute name": [{ name: "hard", type: "1", linkName: "/workspace/outside/file" }],
      "a hard link with ..": [{ name: "hard", type: "1", linkName: "../outside/file" }],
      "a hard link through a symlink": [
        { name: "way", type: "2", linkName: "../outside" },
        { name: "hard", type: "1", linkName: "way/file" },
      ],
      "a character device": [{ name: "device", type: "3" }],
      "a block device": [{ name: "device", type: "4" }],
      "a FIFO": [{ name: "fifo", type: "6" }],
      "an unknown kind": [{ name: "kind", type: "Z" }],
      "a file for the folder itself": [{ name: ".", content: "no" }],
      "a file where a directory is": [
        { name: "d/", type: "5" },
        { name: "d", content: "no" },
      ],
      "a name of too many bytes": [paxHeader({ path: "n".repeat(256) }), { name: "x" }],
    };
    for (const [what, entries] of Object.entries(hostile)) {
      await expect(unpack(guest, "/workspace/into", tarOf(before, ...entries)), what).rejects.toMatchObject({
        reason: "archive_invalid",
        message: expect.stringMatching(/^entry ".+": .+; entries written before: [12]$/),
      });
      const { out } = await sh(
        guest,
        "cat into/before outside/file; ls outside; stat -c %h outside/file; ls -A into | grep tmp; rm -rf into",
      );
      expect(out, what).toBe("1safe\nfifo\nfile\n1\n");
    }
    // A link that stands there already is as little a way as one from the archive.
    await sh(guest, "mkdir into; ln -s ../outside into/old");
    await expect(unpack(guest, "/workspace/into", tarOf({ name: "old/file", content: "no" }))).rejects.toMatchObject({
      reason: "archive_invalid",
    });
    expect((await sh(guest, "cat outside/file")).out).toBe("safe\n");
    // In a name's own place a link is replaced, not written through.
    await unpack(guest, "/workspace/into", tarOf({ name: "old", content: "new" }));
    expect((await sh(guest, "cat into/old; ls outside")).out).toBe("newfifo\nfile\n");
    await sh(guest, "rm -rf into outside here to");
  });

  suite.each("calls an archive broken that is cut anywhere, and keeps no part of a file", async ({ guest }) => {
    const whole = tarOf({ name: "a", content: "a".repeat(700) }, { name: "d/b", content: "b".repeat(700) });
    const cuts = [0, 1, 511, 512, 600, 1211, 1212, 1536, 1537, 2047, 2048, 2500, 3071, 3072];
    for (const cut of cuts) {
      const sent = unpack(guest, "/workspace/cut", whole.subarray(0, cut));
      await expect(sent, `${cut}`).rejects.toMatchObject({ reason: "archive_invalid" });
      const { out } = await sh(
        guest,
        "cd cut && find . -type f -exec stat -c '%n %s' {} + | sort; rm -rf /workspace/cut",
      );
      expect(out, `${cut}`).toBe(`${cut >= 1212 ? "./a 700\n" : ""}${cut >= 2748 ? "./d/b 700\n" : ""}`);
    }
    await sh(guest, "mkdir one; echo 1 > one/f");
    for (const compression of ["gzip", "zstd"] as const) {
      const archive = await packed(guest, "/workspace/one", compression);
      for (const bad of [archive.subarray(0, -1), Buffer.concat([archive.subarray(0, 40), randomBytes(40)])]) {
        await expect(unpack(guest, "/workspace/cut", bad, compression), compression).rejects.toMatchObject({
          reason: "archive_invalid",
        });
      }
    }
    await sh(guest, "rm -rf one cut");
  });

  suite.each("stays in its folder while a directory there turns into a symlink and back", async ({ guest }) => {
    const probe = await placeProbe(suite, guest);
    await sh(guest, "mkdir -p outside race/real; echo safe > outside/canary; ln -sfn ../outside race/link");
    await using _swapping = keepDoing(guest, [probe, "swap", "real", "link"], "/workspace/race");
    const entries = Array.from({ length: 200 }, (_, at) => ({ name: `real/f${at % 20}`, content: `round ${at}` }));
    const seen = new Set<string>();
    const both = async () => {
      const sent = unpack(guest, "/workspace/race", tarOf(...entries));
      return seen.add(
        await sent.then(
          () => "written",
          (error) => `${error.reason}`,
        ),
      );
    };
    for (let round = 0; round < 20; round++) await both();
    await until(both, (all) => all.size === 2);
    expect([...seen].sort()).toEqual(["archive_invalid", "written"]);
    expect((await sh(guest, "ls -A outside; cat outside/canary")).out).toBe("canary\nsafe\n");
  });

  suite.test("says that the disk is full, and leaves the files whole that were there", async () => {
    if (!suite.provider().capabilities.limits.disk) return;
    await suite.withSandbox({}, async ({ guest }) => {
      const old = randomBytes(mebibyte);
      await guest.writeFile("/workspace/in/kept", old, {}, signal());
      const full = { reason: "disk_full" };
      const large = { name: "kept", content: randomBytes(80 * mebibyte) };
      await expect(unpack(guest, "/workspace/in", tarOf(large))).rejects.toMatchObject(full);
      // What can't fit isn't begun, whatever follows.
      const huge = { name: "kept", content: "x", claimedSize: 2 ** 50 };
      await expect(unpack(guest, "/workspace/in", tarOf(huge))).rejects.toMatchObject(full);
      const many = Array.from({ length: 80 }, (_, at) => ({ name: `m${at}`, content: randomBytes(mebibyte) }));
      await expect(unpack(guest, "/workspace/in", tarOf(...many, { name: "kept" }))).rejects.toMatchObject(full);
      const { out } = await sh(
        guest,
        "cd in; ls -A | grep -c tmp; wc -c < kept; find . -name 'm*' ! -size 1024k | wc -l",
      );
      expect(out).toBe(`0\n${mebibyte}\n0\n`);
      await sh(guest, "rm -rf in/m*");
      await unpack(guest, "/workspace/in", tarOf({ name: "kept", content: "new" }));
      await expectAlive(guest);
    });
  });

  suite.each(
    "packs what is there: no socket, FIFO or device is opened, and a file that changes makes no broken tar",
    async ({ guest }) => {
      await sh(
        guest,
        "mkdir -p live/d; mkfifo live/fifo; seq 100000 > live/grows; seq 100000 > live/shrinks; ln -s /proc live/proc",
      );
      const change = "while :; do seq 1000 >> grows; seq 9000 > shrinks; : > shrinks; touch d/new; rm d/new; done";
      await using _changing = keepDoing(guest, shell(change), "/workspace/live");
      for (let round = 0; round < 8; round++) {
        const archive = await packed(guest, "/workspace/live");
        expect(archive.length % 512).toBe(0);
        const { entries } = await unpack(guest, "/workspace/copy", archive);
        expect(entries).toBeGreaterThanOrEqual(5);
      }
      const { body, skipped } = await guest.folders.pack("/workspace/live", "none", signal());
      for await (const part of body) expect(part.length).toBeGreaterThan(0);
      expect(skipped()).toBe(1);
      expect((await sh(guest, "test -L copy/proc && ls copy")).out).toMatch(/^d\ngrows\n(proc\nshrinks)\n$/);
    },
  );

  suite.each("packs the whole root without what the kernel makes up", async ({ guest }) => {
    const { body, skipped } = await guest.folders.pack("/", "zstd", AbortSignal.timeout(50_000));
    let size = 0;
    for await (const part of body) {
      size += part.length;
      if (size > 32 * mebibyte) break;
    }
    expect(size).toBeGreaterThan(1000);
    expect(skipped()).toBeGreaterThanOrEqual(0);
    await expect(guest.folders.pack("/proc", "none", signal())).rejects.toMatchObject({ reason: "not_a_file" });
    await expect(guest.folders.pack("/dev/null", "none", signal())).rejects.toMatchObject({ reason: "not_a_file" });
    await expect(guest.folders.pack("/missing", "none", signal())).rejects.toMatchObject({ reason: "file_not_found" });
  });

  suite.each("makes directories, with parents when told to", async ({ guest }) => {
    const make = (path: string, parents = false) => guest.folders.make(path, { parents, mode: 0o2750 }, signal());
    await expect(make("/workspace/made/deep")).rejects.toMatchObject({ reason: "file_not_found" });
    expect([await make("/workspace/made/deep", true), await make("/workspace/made/deep")]).toEqual([true, false]);
    expect((await guest.stat("/workspace/made/deep", signal())).mode).toBe(0o2750);
    await guest.writeFile("/workspace/made/file", bytes("x"), {}, signal());
    await expect(make("/workspace/made/file")).rejects.toMatchObject({ reason: "already_exists" });
    await expect(make("/workspace/made/file/below", true)).rejects.toMatchObject({ reason: "not_a_directory" });
    expect((await guest.list("/workspace/made", signal(), { depth: 2 })).map(({ path }) => path)).toEqual([
      "/workspace/made/deep",
      "/workspace/made/file",
    ]);
    await guest.remove("/workspace/made", { recursive: true }, signal());
  });
};

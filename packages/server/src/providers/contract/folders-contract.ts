import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import { archiveCompressions } from "../../guest/guest-folders.ts";
import { guestPathMaxBytes } from "../../sandbox/guest-path.ts";
import { keepDoing, packed, unpack } from "./folders.testing.ts";
import { bytes, type ProviderSuite, sh, shell, signal } from "./suite.testing.ts";
import { gnuLongName, paxHeader, tarOf } from "./tar-entries.testing.ts";

const mebibyte = 1024 * 1024;

/** Every attribute that an archive keeps of what is below, one line each. */
const attributes = async (guest: Guest, path: string): Promise<string> =>
  (await sh(guest, `cd ${path} && find . -mindepth 1 -exec stat -c '%n %f %u %g %Y %h' {} + | sort; cat ./* */* 2>&1`))
    .out;

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

  suite.test("makes a path as deep as one may be, and lists 64 levels and no more", async () => {
    const [{ guest } = { guest: undefined }] = suite.runtimes.values();
    if (guest === undefined) throw new Error("no sandbox");
    const levels = `/tmp/deep${"/d".repeat(65)}`;
    const left = guestPathMaxBytes - levels.length;
    const deepest = `${levels}${`/${"n".repeat(199)}`.repeat(left / 200)}/${"m".repeat((left % 200) - 1)}`;
    expect(deepest).toHaveLength(guestPathMaxBytes);
    expect(await guest.folders.make(deepest, { parents: true }, signal())).toBe(true);
    expect(await guest.stat(deepest, signal())).toMatchObject({ path: deepest, type: "directory" });
    expect(await guest.list("/tmp/deep", signal(), { depth: 64 })).toHaveLength(64);
    await expect(guest.list("/tmp/deep", signal(), { depth: 65 })).rejects.toMatchObject({ reason: "sandbox_limit" });
    await sh(guest, "rm -rf /tmp/deep");
  });
};

import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import { keepDoing, packed, unpack } from "./folders.testing.ts";
import { expectAlive, type ProviderSuite, placeProbe, sh, signal, until } from "./suite.testing.ts";
import { gnuLongName, paxHeader, tarOf } from "./tar-entries.testing.ts";

const mebibyte = 1024 * 1024;

/** Archives that were made to mislead whoever unpacks them. */
export const hostileArchivesContract = (suite: ProviderSuite): void => {
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
    await sh(
      guest,
      "rm -rf outside race; mkdir -p outside race/real; echo safe > outside/canary; ln -sfn ../outside race/link",
    );
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
};

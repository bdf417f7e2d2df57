import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import {
  gnuLongName,
  paxHeader,
  type TarEntry,
  tarOf,
} from "../../../packages/server/src/providers/contract/tar-entries.testing.ts";
import { type Attack, type Field, judged } from "../attack.ts";

const unpackTimeoutMs = 60_000;

const unpacked = (it: Field, archive: Buffer, compression: "none" | "gzip" = "none"): Promise<string> =>
  it.guest.folders
    .unpack(
      "/workspace/into",
      Readable.from([archive], { objectMode: false }),
      compression,
      AbortSignal.timeout(unpackTimeoutMs),
    )
    .then(
      () => "written",
      (error) => String(error.reason ?? error),
    );

/** Archives by what is wrong with them, each leading to the same place. */
const hostile = (outside: string): Readonly<Record<string, readonly (TarEntry | Buffer)[]>> => {
  const up = `${"../".repeat(40)}${outside.slice(1)}`;
  return {
    absolute: [{ name: `${outside}/file`, content: "no" }],
    "dot-dot": [{ name: `${up}/file`, content: "no" }],
    "PAX path": [paxHeader({ path: `${up}/file` }), { name: "x", content: "no" }],
    "long name": [gnuLongName(`${up}/file`), { name: "x", content: "no" }],
    "symlink, then file": [
      { name: "way", type: "2", linkName: outside },
      { name: "way/file", content: "no" },
    ],
    "symlink, then directory": [
      { name: "way", type: "2", linkName: outside },
      { name: "way/made/", type: "5" },
    ],
    "hard link": [
      { name: "hard", type: "1", linkName: `${outside}/file` },
      { name: "hard", content: "no" },
    ],
    "hard link through a symlink": [
      { name: "way", type: "2", linkName: outside },
      { name: "hard", type: "1", linkName: "way/file" },
    ],
    "symlink's mode": [
      { name: "way", type: "2", linkName: `${outside}/file` },
      { name: "way", mode: 0o4777, content: "" },
    ],
    "directory in a symlink's place": [
      { name: "way", type: "2", linkName: outside },
      { name: "way/", type: "5", mode: 0o700 },
    ],
  };
};

export const archiveAttacks: readonly Attack[] = [
  {
    id: "archive-out",
    kind: "A",
    title: "writes out of a folder by an archive",
    tried:
      "absolute names, `..` in every header, symlink-then-file, hard links; to a canary of the host and of the sandbox",
    control: "names are judged part by part, directories opened by descriptors",
    scenarios: [2],
    async attempt(it) {
      await it.sh("mkdir -p /tmp/outside; echo safe > /tmp/outside/file");
      const answers = new Set<string>();
      const wrong: string[] = [];
      for (const outside of [it.canary.path, "/tmp/outside"]) {
        for (const [what, entries] of Object.entries(hostile(outside))) {
          await it.sh("rm -rf /workspace/into; mkdir /workspace/into");
          answers.add(await unpacked(it, tarOf(...entries)));
          const { out } = await it.sh(
            "cat /tmp/outside/file; ls -A /tmp/outside; stat -c '%a %h' /tmp/outside /tmp/outside/file",
          );
          if (out !== "safe\nfile\n755 2\n644 1\n") wrong.push(`${what}: ${out}`);
        }
      }
      await it.sh("rm -rf /workspace/into /tmp/outside");
      const changes = await it.canary.changes();
      return judged(wrong.length > 0 || changes.length > 0, [...wrong, ...changes][0] ?? [...answers].join(", "));
    },
  },
  {
    id: "archive-devices",
    kind: "A",
    title: "makes devices or a setuid program of another's by an archive",
    tried: "block and character devices, FIFOs, sockets, and files with owner 0 and mode 4755",
    control: "only files, directories and links are made; setuid stays with the archive's own owner",
    async attempt(it) {
      const wrong: string[] = [];
      for (const type of ["3", "4", "6", "7", "Z"]) {
        await it.sh("rm -rf /workspace/into");
        await unpacked(it, tarOf({ name: "node", type }));
        const { out } = await it.sh("find /workspace/into ! -type f ! -type d ! -type l 2>/dev/null");
        if (out !== "") wrong.push(`type ${type}: ${out}`);
      }
      await it.sh("rm -rf /workspace/into");
      // Somebody else's program must not become a way to be root.
      await unpacked(it, tarOf({ name: "program", content: "x", mode: 0o4755, uid: 4242, gid: 4242 }));
      const { out } = await it.sh("stat -c '%a %u' /workspace/into/program");
      const [mode = "", uid = ""] = out.trim().split(" ");
      if (mode.length > 3 && uid !== "4242") wrong.push(`setuid became ${uid}'s`);
      await it.sh("rm -rf /workspace/into");
      return judged(wrong.length > 0, wrong[0] ?? `no node made; the program is ${out}`);
    },
  },
  {
    id: "archive-bomb",
    kind: "A",
    title: "fills the host by a small archive that becomes a large one",
    tried: "1 GiB of zeros in 1 MiB, unpacked on a disk of 64 MiB",
    control: "unpacked inside, on the sandbox's own disk",
    redWithout: ["disk"],
    async attempt(it) {
      const zeros = Buffer.alloc(2 ** 28);
      const archive = gzipSync(Buffer.concat([tarOf({ name: "zeros", content: zeros })]), { level: 1 });
      const before = process.memoryUsage.rss();
      const said = await unpacked(it, archive, "gzip");
      const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
      const { out } = await it.sh("du -sm /workspace | cut -f 1; rm -rf /workspace/into");
      return judged(Number(out) > 64 || grown > 128, `${said}, ${out.trim()} MB written`);
    },
  },
  {
    id: "hostile-image",
    kind: "A",
    title: "leads the runtime out by an image whose directories are symlinks",
    tried: "images whose /proc, /dev, /sys, /tmp, /workspace or /etc is a symlink to a canary of the host",
    control: "the host program hides such names by directories of the writable layer",
    redWithout: ["host-mounts", "image-directories"],
    async attempt(it) {
      if (it.makeImage === undefined) throw new Error("has no image");
      const said: string[] = [];
      for (const name of ["proc", "dev", "sys", "tmp", "workspace", "etc"]) {
        const image = await it.makeImage(async (rootfs) => {
          await rm(join(rootfs, name), { recursive: true, force: true });
          await symlink(it.canary.path, join(rootfs, name));
          await mkdir(join(rootfs, "srv"), { recursive: true });
        });
        const answer = await it
          .withSandbox({ image }, async ({ guest }) => {
            await it.sh(
              `cat /${name}/file /${name}/inner/deep 2>/dev/null; echo x > /${name}/file; mkdir -p /${name}/made`,
              {},
              guest,
            );
            const { out } = await it.sh(`cat ${it.canary.file} 2>/dev/null; :`, {}, guest);
            return out.includes(it.canary.secret) ? `/${name} leads out: ${out}` : "contained";
          })
          .then(
            ([seen]) => seen,
            (error) => String(error.reason ?? error),
          );
        said.push(answer);
      }
      const changes = await it.canary.changes();
      return judged(
        changes.length > 0 || said.some((one) => one.includes("leads out")),
        [...changes, ...new Set(said)].join(", "),
      );
    },
  },
];

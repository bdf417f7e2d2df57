import { randomBytes } from "node:crypto";
import { chmod, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { Guest } from "../../guest/guest.ts";
import { bytes, contentOf, type ProviderSuite, placeProbe, sh, signal, until } from "./suite.testing.ts";

/** Each makes every operation twice. */
const rounds = 40;
const agentMemoryMax = 64 * 1024 * 1024;

/** A directory of the host that everybody may read and write, were it to be reached. */
const placeCanary = async (suite: ProviderSuite) => {
  const path = join(suite.under().dataRoot, "canary");
  const secret = randomBytes(16).toString("hex");
  await mkdir(path, { recursive: true });
  await chmod(path, 0o777);
  await writeFile(join(path, "file"), secret, { mode: 0o666 });
  return {
    path,
    secret,
    async expectUntouched() {
      expect(await readdir(path)).toEqual(["file"]);
      expect(await readFile(join(path, "file"), "utf8")).toBe(secret);
    },
    remove: () => rm(path, { recursive: true }),
  };
};

const textAt = async (guest: Guest, path: string): Promise<string> =>
  (await contentOf(await guest.readFile(path, {}, AbortSignal.timeout(5000)))).toString();

/** What an operation gave, or the reason why it gave nothing. */
const outcome = (operation: Promise<unknown>): Promise<string> =>
  operation.then(
    (value) => JSON.stringify(value) ?? "",
    (error) => String(error.reason ?? error),
  );

/** Every file operation once, below a directory that somebody else changes meanwhile. */
const operateBelow = (guest: Guest, directory: string, round: number): Promise<string>[] => [
  outcome(textAt(guest, `${directory}/file`)),
  outcome(guest.writeFile(`${directory}/file`, bytes(`round ${round}`), {}, signal())),
  outcome(guest.writeFile(`${directory}/new/${round}`, bytes("new"), {}, signal())),
  outcome(guest.stat(`${directory}/file`, signal())),
  outcome(guest.list(directory, signal())),
  outcome(guest.glob(`${directory}/*`, signal())),
  outcome(guest.chmod(`${directory}/file`, 0o600, signal())),
  outcome(guest.move(`${directory}/file`, `${directory}/moved`, signal())),
  outcome(guest.move(`${directory}/moved`, `${directory}/file`, signal())),
  outcome(guest.remove(`${directory}/new`, { recursive: true }, signal())),
];

/** Paths that the sandbox made to mislead whoever follows them. */
export const hostilePathsContract = (suite: ProviderSuite): void => {
  suite.each("keeps every path inside: dots and symlinks end in the sandbox's own root", async ({ guest }) => {
    const canary = await placeCanary(suite);
    const up = "../".repeat(40);
    await sh(
      guest,
      `ln -sfn / root; ln -sfn ${canary.path} absolute; ln -sfn ${up}${canary.path.slice(1)} relative
       ln -sfn absolute chained; ln -sfn /etc/passwd passwd; ln -sfn loop loop`,
    );
    await guest.writeFile("/workspace/root/tmp/inside", bytes("in"), {}, signal());
    expect((await sh(guest, "cat /tmp/inside")).out).toBe("in");
    const own = (await sh(guest, "cat /etc/passwd")).out;
    for (const path of ["/workspace/passwd", "/../../../etc/passwd", `/workspace/${up}etc/passwd`]) {
      expect(await textAt(guest, path), path).toBe(own);
    }
    expect(own).not.toBe(await readFile("/etc/passwd", "utf8"));
    const ways = ["absolute", "relative", "chained", `root${canary.path}`, `${up}${canary.path.slice(1)}`, "loop"];
    for (const way of ways) {
      for (const seen of await Promise.all(operateBelow(guest, `/workspace/${way}`, 0))) {
        expect(seen, way).not.toContain(canary.secret);
      }
    }
    await canary.expectUntouched();
    await canary.remove();
    for (const way of ways) await outcome(guest.remove(`/workspace/${way}`, { recursive: true }, signal()));
  });

  suite.each("follows no link that the kernel makes up", async ({ guest }) => {
    for (const door of ["1/root", "1/cwd", "1/fd/1", "1/fd/3", "1/exe", "self/root", "self/cwd", "self/fd/3"]) {
      for (const path of [`/proc/${door}`, `/proc/${door}/etc/passwd`]) {
        expect(await outcome(textAt(guest, path)), path).toMatch(
          /^(file_permission_denied|file_not_found|not_a_file)$/,
        );
      }
    }
  });

  suite.each("reaches nothing outside while a directory turns into a symlink and back", async ({ guest }) => {
    const canary = await placeCanary(suite);
    const probe = await placeProbe(suite, guest);
    await sh(guest, `mkdir -p race/real; echo inside > race/real/file; ln -sfn ${canary.path} race/link`);
    const away = new AbortController();
    const swapping = (async () => {
      const swap = { argv: [probe, "swap", "real", "link"], cwd: "/workspace/race" };
      for await (const _ of guest.exec(swap, away.signal));
    })().catch(() => "ended");
    const seen = new Set<string>();
    for (let round = 0; round < rounds; round++) {
      for (const directory of ["/workspace/race/real", "/workspace/race/link"]) {
        for (const one of await Promise.all(operateBelow(guest, directory, round))) seen.add(one);
      }
    }
    away.abort();
    expect(await swapping).toBe("ended");
    expect([...seen].filter((one) => one.includes(canary.secret))).toEqual([]);
    // Both sides of the race were met.
    expect([...seen]).toEqual(expect.arrayContaining(["file_not_found", expect.stringMatching(/^"round \d/)]));
    await canary.expectUntouched();
    await canary.remove();
    const removing = () => outcome(guest.remove("/workspace/race", { recursive: true }, signal()));
    expect(await until(removing, (seen) => seen === "")).toBe("");
  });

  suite.each("removes a symlink, never what it points at", async ({ guest }) => {
    await sh(
      guest,
      "mkdir -p kept tree; echo kept > kept/file; ln -s /workspace/kept tree/a; ln -s ../kept/file tree/b",
    );
    await guest.remove("/workspace/tree", { recursive: true }, signal());
    expect(await textAt(guest, "/workspace/kept/file")).toBe("kept\n");
    await sh(guest, "ln -s kept single");
    await guest.remove("/workspace/single", { recursive: true }, signal());
    expect((await sh(guest, "ls /workspace/kept; ls /workspace/single 2>&1 >/dev/null | wc -l")).out).toBe("file\n1\n");
    await guest.remove("/workspace/kept", { recursive: true }, signal());
  });

  suite.each("refuses FIFOs, devices and endless files without hanging", async ({ guest }) => {
    await sh(guest, "mkfifo fifo; ln -sfn fifo to-fifo; ln -sfn /dev/zero to-zero");
    const unreadable = /^(not_a_file|file_permission_denied)$/;
    const paths = ["fifo", "to-fifo", "to-zero", "/dev/zero", "/dev/full", "/dev/tty", "/proc/self/mem", ""];
    for (const path of paths.map((name) => (name.startsWith("/") ? name : `/workspace/${name}`))) {
      await expect(guest.readFile(path, {}, AbortSignal.timeout(3000)), path).rejects.toMatchObject({
        reason: expect.stringMatching(unreadable),
      });
      await expect(guest.writeFile(path, bytes("x"), {}, AbortSignal.timeout(3000)), path).rejects.toMatchObject({
        reason: expect.stringMatching(/^(invalid_input|file_permission_denied|file_not_found)$/),
      });
    }
    expect((await guest.list("/workspace", signal())).find((entry) => entry.path.endsWith("/fifo"))?.type).toBe(
      "other",
    );
    await guest.move("/workspace/fifo", "/workspace/moved", signal());
    await guest.remove("/workspace/moved", { recursive: false }, signal());
  });

  suite.each("sends a sparse terabyte piece by piece, and holds none of it", async ({ guest }) => {
    const made = await sh(guest, "truncate -s 1024G sparse");
    if (made.exitCode !== 0) throw new Error(made.err);
    const read = await guest.readFile("/workspace/sparse", {}, signal());
    expect(read.sizeBytes).toBe(2 ** 40);
    let received = 0;
    for await (const chunk of read.body) {
      received += chunk.length;
      if (received > 32 * 1024 * 1024) break;
    }
    const end = await guest.readFile("/workspace/sparse", { range: "bytes=-4" }, signal());
    expect((await contentOf(end)).length).toBe(4);
    const status = await textAt(guest, "/proc/1/status");
    expect(Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024).toBeLessThan(agentMemoryMax);
    await guest.remove("/workspace/sparse", { recursive: false }, signal());
  });
};

import { Readable } from "node:stream";
import type { Guest } from "../../../packages/server/src/guest/guest.ts";
import { contentOf } from "../../../packages/server/src/providers/contract/suite.testing.ts";
import { tarOf } from "../../../packages/server/src/providers/contract/tar-entries.testing.ts";
import { type Attack, type Field, judged, probePath } from "../attack.ts";

const operationTimeoutMs = 10_000;
const soon = (): AbortSignal => AbortSignal.timeout(operationTimeoutMs);
const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const content = new TextEncoder().encode("written by an attack");

/** What an operation gave, or the reason why it gave nothing. */
const outcome = (operation: Promise<unknown>): Promise<string> =>
  operation.then(
    (value) => JSON.stringify(value) ?? "done",
    (error) => String(error.reason ?? error),
  );

const readText = async (guest: Guest, path: string): Promise<string> =>
  text(await contentOf(await guest.readFile(path, {}, soon())));

const packText = async (guest: Guest, path: string): Promise<string> => {
  const { body } = await guest.folders.pack(path, "none", soon());
  return text(Buffer.concat(await Array.fromAsync(body, (part) => Buffer.from(part))));
};

let uploads = 0;
const upload = async (guest: Guest, path: string): Promise<string> => {
  const id = `attack-${uploads++}`;
  await guest.uploads.begin(id, { path, mode: 0o600, sizeBytes: content.length }, soon());
  try {
    await guest.uploads.append(id, 0, Readable.from([Buffer.from(content)], { objectMode: false }), soon());
    return JSON.stringify(await guest.uploads.commit(id, undefined, soon()));
  } catch (error) {
    await guest.uploads.abort(id, soon()).catch(() => {});
    throw error;
  }
};

const firstEvent = async (guest: Guest, path: string): Promise<string> => {
  const away = new AbortController();
  for await (const event of guest.watch(path, { recursive: true }, AbortSignal.any([away.signal, soon()]))) {
    away.abort();
    return event.type;
  }
  return "nothing";
};

type Operation = (guest: Guest, directory: string, round: number) => Promise<unknown>;

/** Every operation on files, below a directory that is not what it seems. */
export const operations: Readonly<Record<string, Operation>> = {
  read: (guest, directory) => readText(guest, `${directory}/file`),
  write: (guest, directory) => guest.writeFile(`${directory}/file`, content, {}, soon()),
  "write new": (guest, directory, round) => guest.writeFile(`${directory}/new/${round}`, content, {}, soon()),
  stat: (guest, directory) => guest.stat(`${directory}/file`, soon()),
  list: (guest, directory) => guest.list(directory, soon(), { depth: 3 }),
  glob: (guest, directory) => guest.glob(`${directory}/**`, soon()),
  chmod: (guest, directory) => guest.chmod(`${directory}/file`, 0o640, soon()),
  mkdir: (guest, directory, round) => guest.folders.make(`${directory}/made-${round}`, { parents: true }, soon()),
  move: (guest, directory) => guest.move(`${directory}/file`, `${directory}/moved`, soon()),
  "move back": (guest, directory) => guest.move(`${directory}/moved`, `${directory}/file`, soon()),
  "archive out": (guest, directory) => packText(guest, directory),
  "archive in": (guest, directory) =>
    guest.folders.unpack(
      directory,
      Readable.from([tarOf({ name: "file", content: "archived" })], { objectMode: false }),
      "none",
      soon(),
    ),
  upload: (guest, directory) => upload(guest, `${directory}/file`),
  watch: (guest, directory) => firstEvent(guest, directory),
  delete: (guest, directory) => guest.remove(`${directory}/new`, { recursive: true }, soon()),
  "delete made": (guest, directory, round) => guest.remove(`${directory}/made-${round}`, { recursive: true }, soon()),
};

/** Every operation below each directory; what showed a secret or changed the canary. */
const operateBelow = async ({ guest, canary }: Field, directories: readonly string[]) => {
  const said = new Set<string>();
  const reached: string[] = [];
  for (const directory of directories) {
    for (const [name, operate] of Object.entries(operations)) {
      const seen = await outcome(operate(guest, directory, 0));
      said.add(seen.length > 40 ? "content of its own" : seen);
      if (seen.includes(canary.secret)) reached.push(`${name} ${directory}`);
    }
  }
  const changes = await canary.changes();
  const through = reached.length > 0 || changes.length > 0;
  return judged(through, through ? [...reached, ...changes].join(", ") : [...said].join(", "));
};

const emptied = ({ sh }: Field) => sh("find /workspace -mindepth 1 -maxdepth 1 -exec rm -rf {} +");

const up = "../".repeat(40);

const pathAttack = (
  id: string,
  title: string,
  tried: string,
  directories: (canaryPath: string) => readonly string[],
  prepare?: (canaryPath: string) => string,
): Attack => ({
  id,
  kind: "A",
  title,
  tried,
  control: "the agent resolves paths by descriptors, inside the sandbox's own root",
  redWithout: ["host-mounts"],
  async attempt(it) {
    if (prepare !== undefined) await it.sh(prepare(it.canary.path), { cwd: "/workspace" });
    const evidence = await operateBelow(it, directories(it.canary.path));
    await emptied(it);
    return evidence;
  },
});

export const pathAttacks: readonly Attack[] = [
  pathAttack(
    "dot-dot",
    "leaves the root by `..`",
    "every file operation below /../../… to a canary of the host",
    (path) => [path, `/workspace/${up}${path.slice(1)}`, `/${up}${path.slice(1)}`, `/proc/self/root${path}`],
  ),
  pathAttack(
    "symlink-out",
    "leaves the root by its own symlinks",
    "every file operation through absolute, relative, chained and looping symlinks to a canary of the host",
    () => ["absolute", "relative", "chained", "loop", "whole"].map((name) => `/workspace/${name}`),
    (path) =>
      `ln -sfn ${path} absolute; ln -sfn ${up}${path.slice(1)} relative; ln -sfn absolute chained; ln -sfn loop loop
       mkdir -p whole; ln -sfn ${path}/file whole/file; ln -sfn ${path} whole/new; ln -sfn ${path} whole/inner`,
  ),
  {
    id: "encoded-path",
    kind: "A",
    title: "leaves the root by encoded, backslashed or over-long names",
    tried: "%2e%2e, double-encoded, `..\\\\`, UTF-8 overlong, NUL, names of 256 and paths of 5,000 bytes",
    control: "names are bytes: nothing is decoded; NUL and lengths are refused",
    async attempt(it) {
      const back = it.canary.path.slice(1);
      const spelt = [
        "%2e%2e/",
        "%252e%252e/",
        "..%2f",
        "..\\",
        "\\..\\",
        "..\u2215",
        "\u002e\u002e\u2044",
        "\uff0e\uff0e/",
      ];
      const evidence = await operateBelow(it, [
        ...spelt.map((dots) => `/workspace/${dots.repeat(8)}${back}`),
        `/workspace/x\0/../../..${it.canary.path}`,
        `${it.canary.path}\0`,
        `/workspace/${"n".repeat(256)}`,
        `/workspace/${"d/".repeat(2500)}`,
        it.canary.path.replaceAll("/", "\\"),
      ]);
      await emptied(it);
      return evidence;
    },
  },
  {
    id: "odd-names",
    kind: "A",
    title: "breaks whoever lists its names",
    tried:
      "names that are no UTF-8, with line feeds, escape sequences, `__proto__`, and 255 bytes; list, glob, archive, watch",
    control: "names are checked on their way out",
    async attempt({ guest, sh, canary }) {
      await sh(
        `mkdir odd && cd odd && printf x > "$(printf '\\377\\376')" && printf x > "$(printf 'a\\nb')" && printf x > "$(printf '\\033[2J')" &&
         printf x > __proto__ && printf x > "$(head -c 255 /dev/zero | tr '\\0' n)" && printf x > -rf && printf x > 'a;reboot'`,
      );
      const seen = [
        await outcome(guest.list("/workspace/odd", soon())),
        await outcome(guest.glob("/workspace/odd/*", soon())),
        await outcome(packText(guest, "/workspace/odd")),
        await outcome(firstEvent(guest, "/workspace/odd")),
        await outcome(guest.remove("/workspace/odd", { recursive: true }, soon())),
      ];
      const left = (await sh("ls -A /workspace")).out;
      const polluted = Object.hasOwn(Object.prototype, "path") || ({} as { type?: unknown }).type !== undefined;
      const failed = seen.some((one) => one.includes("Error")) || (await canary.changes()).length > 0;
      return judged(
        polluted || failed || left !== "",
        failed || left !== "" ? `${seen.join(", ").slice(0, 150)} ${left}` : `${seen.length} answers, all whole`,
      );
    },
  },
  {
    id: "kernel-links",
    kind: "A",
    title: "leads the agent through links that the kernel makes up",
    tried: "every file operation on /proc/1/root, /proc/1/cwd, /proc/1/fd/N, /proc/self/…, and symlinks to them",
    control: "links that the kernel makes up are never followed",
    redWithout: ["kernel-links"],
    async attempt(it) {
      const doors = ["1/root", "1/cwd", "self/root", "self/cwd", "thread-self/root", "1/fd/3", "1/fd/4", "1/fd/5"];
      await it.sh(doors.map((door, at) => `ln -sfn /proc/${door} door-${at}`).join("; "), { cwd: "/workspace" });
      const ways = [...doors.map((door) => `/proc/${door}`), ...doors.map((_, at) => `/workspace/door-${at}`)];
      const opened: string[] = [];
      for (const way of ways) {
        for (const path of [`${way}/etc/passwd`, `${way}/bin`]) {
          for (const seen of [
            await outcome(readText(it.guest, path)),
            await outcome(it.guest.list(path, soon())),
            await outcome(it.guest.writeFile(`${way}/tmp/by-link`, content, {}, soon())),
          ]) {
            if (!/^(file_permission_denied|file_not_found|not_a_file|not_a_directory|invalid_input)$/.test(seen))
              opened.push(`${path}: ${seen.slice(0, 40)}`);
          }
        }
      }
      await it.sh("rm -rf /workspace/*; rm -f /tmp/by-link");
      return judged(opened.length > 0, opened[0] ?? `${ways.length} ways, all refused`);
    },
  },
  {
    id: "swap-race",
    kind: "A",
    title: "swaps a directory for a symlink while the server works in it",
    tried:
      "every file operation in rounds while the sandbox exchanges the two; a canary of the host behind the symlink",
    control: "each directory is opened from its parent's descriptor",
    redWithout: ["host-mounts"],
    async attempt(it) {
      const rounds = it.quick ? 40 : 10_000;
      await it.sh(
        `rm -rf /workspace/race; mkdir -p /workspace/race/real; echo inside > /workspace/race/real/file
         ln -sfn ${it.canary.path} /workspace/race/link`,
      );
      const away = new AbortController();
      const swapping = (async () => {
        const swap = { argv: [probePath, "swap", "real", "link"], cwd: "/workspace/race" };
        for await (const _ of it.guest.exec(swap, away.signal));
      })().catch(() => "ended");
      const reached: string[] = [];
      const sides = new Set<string>();
      const counts = new Map<string, number>();
      for (let round = 0; round < rounds; round++) {
        const directory = round % 2 === 0 ? "/workspace/race/real" : "/workspace/race/link";
        const all = Object.entries(operations).map(async ([name, operate]) => {
          const seen = await outcome(operate(it.guest, directory, round % 50));
          counts.set(name, (counts.get(name) ?? 0) + 1);
          sides.add(/^[a-z_]+$/.test(seen) ? "refused" : "done");
          if (seen.includes(it.canary.secret)) reached.push(`${name} in round ${round}`);
        });
        await Promise.all(all);
      }
      away.abort();
      const ended = await swapping;
      const changes = await it.canary.changes();
      await it.sh("rm -rf /workspace/race");
      const unfair = sides.size < 2 || ended !== "ended" || [...counts.values()].some((count) => count < rounds);
      if (unfair) throw new Error(`the race was not run: ${[...sides]}, ${ended}, ${JSON.stringify([...counts])}`);
      return judged(
        reached.length > 0 || changes.length > 0,
        [...reached.slice(0, 3), ...changes].join(", ") ||
          `${rounds} rounds of ${counts.size} operations, both sides met`,
      );
    },
  },
  {
    id: "fifo-device",
    kind: "A",
    title: "hangs the server at a FIFO, a device, a socket or /proc/self/mem",
    tried: "read, write, archive and upload of each, within three seconds",
    control: "only regular files are opened",
    async attempt({ guest, sh }) {
      await sh("mkfifo fifo; ln -sfn fifo to-fifo; ln -sfn /dev/zero zero; ln -sfn /proc/self/mem mem", {
        cwd: "/workspace",
      });
      const paths = ["/workspace/fifo", "/workspace/to-fifo", "/workspace/zero", "/workspace/mem"];
      paths.push("/dev/zero", "/dev/full", "/dev/tty", "/proc/self/mem", "/proc/kmsg", "/proc/1/mem", "/dev/random");
      const wrong: string[] = [];
      const reasons = new Set<string>();
      for (const path of paths) {
        const startedMs = performance.now();
        for (const seen of [
          await outcome(guest.readFile(path, {}, AbortSignal.timeout(3000)).then((read) => contentOf(read))),
          await outcome(guest.writeFile(path, content, {}, AbortSignal.timeout(3000))),
        ]) {
          reasons.add(seen.slice(0, 40));
          if (!/^(not_a_file|file_permission_denied|file_not_found|invalid_input)$/.test(seen))
            wrong.push(`${path}: ${seen}`);
        }
        if (performance.now() - startedMs > 3000) wrong.push(`${path} took its time`);
      }
      await outcome(packText(guest, "/workspace"));
      await sh("rm -rf /workspace/*");
      return judged(wrong.length > 0, wrong[0] ?? [...reasons].join(", "));
    },
  },
  {
    id: "sparse-terabyte",
    kind: "A",
    title: "fills the server's or the agent's memory with a sparse terabyte",
    tried: "a file of 1 TiB, read and archived for 256 MiB; memory of both compared",
    control: "content is passed on piece by piece",
    async attempt({ guest, sh, pidOf, runtime }) {
      const made = await sh("truncate -s 1024G sparse || truncate -s 8G sparse", { cwd: "/workspace" });
      if (made.exitCode !== 0) return judged(false, `can't be made: ${made.err}`);
      const before = process.memoryUsage.rss();
      let received = 0;
      const { body } = await guest.readFile("/workspace/sparse", {}, AbortSignal.timeout(30_000));
      for await (const part of body) {
        received += part.length;
        if (received > 256 * 2 ** 20) break;
      }
      const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
      const agent = await (await import("node:fs/promises")).readFile(
        `/proc/${pidOf(runtime) ?? "self"}/status`,
        "utf8",
      );
      const agentMb = Number(/^VmRSS:\s+(\d+)/m.exec(agent)?.[1] ?? 0) / 1024;
      await sh("rm /workspace/sparse");
      return judged(
        grown > 128 || agentMb > 128,
        grown > 128 || agentMb > 128
          ? `server ${grown.toFixed(0)}, agent ${agentMb.toFixed(0)} MB`
          : "both stay below 128 MB",
      );
    },
  },
];

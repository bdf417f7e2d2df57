import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { buildNative, busyboxImage } from "../host.testing.ts";

/** An agent in a root of its own, reached as an engine hands out a container: by its stdin and stdout alone. */
export interface AttachedAgent {
  readonly root: string;
  /** The program wall-probe. */
  readonly probePath: string;
  readonly key: Buffer;
  readonly agent: ChildProcess;
  /** What the agent has written to its stderr. */
  console(): string;
  /** Where anybody may attach, as often as they like, beside others. */
  readonly enginePath: string;
  attach(): Promise<Duplex>;
  close(): Promise<void>;
}

const start = [
  "mount --make-rprivate /",
  "/bin/busybox ip link set lo up",
  'mount -t proc proc "$1/proc"',
  'mount -t tmpfs -o mode=0755 dev "$1/dev"',
  'mkdir "$1/dev/pts"',
  'mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/dev/pts"',
  'ln -s pts/ptmx "$1/dev/ptmx"',
  'mknod -m 0666 "$1/dev/null" c 1 3',
  'mknod -m 0666 "$1/dev/zero" c 1 5',
  'mknod -m 0666 "$1/dev/urandom" c 1 9',
  'exec chroot "$1" /agent serve --stdio',
].join(" && ");

export const attachedAgent = async (): Promise<AttachedAgent> => {
  const root = await mkdtemp(join(tmpdir(), "stacyvm-attached-"));
  await chmod(root, 0o755);
  await busyboxImage(root);
  const programs = await mkdtemp(join(tmpdir(), "stacyvm-engine-"));
  const probePath = buildNative("wall-probe", programs);
  await copyFile(buildNative("stacyvm-agent", programs), join(root, "agent"));
  // The end of its stdin ends the agent, and with it everything in its namespace.
  const namespaces = ["--mount", "--pid", "--ipc", "--net", "--fork", "--kill-child"];
  // Through pipes, as an engine has them: the sockets that a child is given can't be opened by their names in /proc.
  const agent = spawn("sh", ["-c", 'cat | "$@" | cat', "sh", "unshare", ...namespaces, "sh", "-c", start, "sh", root], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const { stdin, stdout, stderr } = agent;
  let told = "";
  stderr.setEncoding("utf8").on("data", (text: string) => {
    told += text;
  });
  const attached = new Set<Socket>();
  const resume = (): void => {
    if ([...attached].every((socket) => socket.writableLength < 1 << 20)) stdout.resume();
  };
  // With nobody attached the output is lost, and one who doesn't read holds up all others: as engines have it.
  stdout.on("data", (bytes: Buffer) => {
    for (const socket of attached) if (!socket.write(bytes)) stdout.pause();
  });
  const engine = createServer((socket) => {
    attached.add(socket);
    const left = (): void => {
      attached.delete(socket);
      resume();
    };
    socket.on("drain", resume).on("error", left).on("close", left);
    socket.on("data", (bytes) => {
      if (!stdin.write(bytes)) {
        socket.pause();
        stdin.once("drain", () => socket.resume());
      }
    });
  });
  stdin.on("error", () => {});
  const enginePath = join(programs, "engine.sock");
  await new Promise<void>((resolve) => engine.listen(enginePath, resolve));
  return {
    root,
    probePath,
    key: randomBytes(16),
    agent,
    console: () => told,
    enginePath,
    attach: () =>
      new Promise((resolve, reject) => {
        const socket = connect(enginePath, () => resolve(socket.off("error", reject))).once("error", reject);
      }),
    async close() {
      const ended = new Promise((resolve) => agent.once("exit", resolve));
      for (const socket of attached) socket.destroy();
      engine.close();
      stdin.end();
      if (agent.exitCode === null && agent.signalCode === null) await ended;
      await rm(root, { recursive: true });
      await rm(programs, { recursive: true });
    },
  };
};

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { closeSync, existsSync, openSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { findProgram } from "../../lib/find-program.ts";
import { until } from "../contract/suite.testing.ts";

export interface TestEngine {
  /** As `providers.docker.socket`. */
  readonly socket: string;
  /** The same over TLS, and the directory with the certificate that it asks for. */
  readonly tcp: string;
  readonly tlsDir: string;
  readonly client: Docker;
  /** The root of its own data, and all that it writes. */
  readonly directory: string;
  /** Makes an image of a root file system. */
  importTree(tree: string, name: string, changes?: readonly string[]): Promise<void>;
  /** Ends the engine as a crash of its machine would, containers and all, and starts it anew over the same data. */
  restart(options?: TestEngineOptions): Promise<void>;
  close(): Promise<void>;
}

export interface TestEngineOptions {
  /** Maps the users of containers. */
  readonly remap?: boolean;
  /** Keeps its data on a disk of its own whose file system bounds containers. */
  readonly boundsDisk?: boolean;
  /** A command line that enters namespaces and runs what follows it there: the engine's own are made within those. */
  readonly inside?: readonly string[];
}

/** Where a remapped engine's root is on the host; the suite knows it from the other providers. */
export const remappedRoot = 0x70000000;

const runscPath = "/usr/bin/runsc";

/** What this machine lacks for an engine of the tests' own with this runtime; undefined for nothing. */
export const engineLacks = (runtime: "runc" | "runsc" = "runc"): string | undefined => {
  if (runtime === "runsc" && !existsSync(runscPath)) return "no runsc: apt-get install runsc";
  if (process.getuid?.() !== 0) return "an engine is started by root";
  const missing = ["dockerd", "containerd", "docker-init", "setpriv", "openssl"].filter(
    (name) => !existsSync(findProgram(name)),
  );
  return missing.length > 0 ? `no ${missing.join(", ")} in the PATH: apt-get install docker.io openssl` : undefined;
};

const startWithinMs = 30_000;

/**
 * A Docker engine of the test's own in namespaces of its own, which go with it: with its last process every mount and
 * container is gone, whether it is closed or the test dies. It touches no network and no file of /etc.
 */
export const startEngine = async ({
  remap = false,
  boundsDisk = false,
  inside = [],
}: TestEngineOptions = {}): Promise<TestEngine> => {
  const directory = await mkdtemp(join(tmpdir(), "stacyvm-engine-"));
  await chmod(directory, 0o711); // A remapped root passes through it.
  const cgroup = `stacyvm-engine-${randomBytes(4).toString("hex")}`;
  const socket = join(directory, "docker.sock");
  const users = join(directory, "users");
  await writeFile(users, `nobody:${remappedRoot}:65536\n`);
  const runsc = { path: runscPath, runtimeArgs: ["--network=none", "--platform=ptrace", "--host-uds=create"] };
  await writeFile(join(directory, "daemon.json"), JSON.stringify({ runtimes: { runsc } }));
  const client = new Docker({ socketPath: socket });
  const tlsDir = join(directory, "tls");
  makeCertificates(tlsDir);
  const tcp = `tcp://127.0.0.1:${await freePort()}`;
  const argv = (maps: boolean): string[] => [
    ...["--config-file", join(directory, "daemon.json")],
    ...["--data-root", join(directory, "data"), "--exec-root", join(directory, "exec")],
    ...[
      "--pidfile",
      join(directory, "pid"),
      "--host",
      `unix://${socket}`,
      "--host",
      tcp,
      "--cgroup-parent",
      `/${cgroup}`,
    ],
    ...["--bridge", "none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"],
    ...(boundsDisk ? ["--storage-driver", "btrfs"] : []),
    ...["--tlsverify", "--tlscacert", join(tlsDir, "ca.pem")],
    ...["--tlscert", join(tlsDir, "server.pem"), "--tlskey", join(tlsDir, "server-key.pem")],
    ...["--log-level", "warn", ...(maps ? ["--userns-remap", "nobody:nogroup"] : [])],
  ];
  // The users file is shown only to this engine, and the shims' sockets, which lie in /run, only in its namespace.
  const disk = join(directory, "disk");
  const data = boundsDisk ? `mount -o loop ${disk} ${join(directory, "data")} && ` : "";
  const script = `${data}mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && mount -t tmpfs tmpfs /run && exec docker-init -s -- dockerd "$@"`;
  const namespaces = ["--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"];
  let running: ChildProcess | undefined;

  const start = async (maps: boolean): Promise<void> => {
    // What the last one left there would be taken for a living one's.
    for (const name of ["exec", "pid", "docker.sock"])
      await rm(join(directory, name), { recursive: true, force: true });
    const log = openSync(join(directory, "log"), "a");
    const mortal = ["setpriv", "--pdeathsig", "KILL"];
    const [program = "", ...args] = inside.length > 0 ? [...mortal, ...inside, ...mortal] : mortal;
    const child = spawn(program, [...args, "unshare", ...namespaces, "sh", "-c", script, users, ...argv(maps)], {
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    running = child;
    const answers = () =>
      client.ping().then(
        () => true,
        () => child.exitCode !== null,
      );
    await until(answers, Boolean, startWithinMs);
    await client.ping().catch(async (error) => {
      throw new Error(`the engine did not start: ${await readFile(join(directory, "log"), "utf8")}`, { cause: error });
    });
  };

  const stop = async (): Promise<void> => {
    const child = running;
    running = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("close", resolve));
    // What entered other namespaces has to reap its child, which else stays a zombie there for as long as nobody else does.
    const entered = inside.length > 0 ? await readFile(`/proc/${child.pid}/task/${child.pid}/children`, "utf8") : "";
    if (entered.trim() === "") child.kill("SIGKILL");
    else process.kill(Number.parseInt(entered, 10), "SIGKILL");
    await ended;
  };

  const close = async (): Promise<void> => {
    await stop();
    await removeCgroups(cgroup);
    await until(
      () =>
        rm(directory, { recursive: true, force: true }).then(
          () => true,
          () => false,
        ),
      Boolean,
      5000,
    );
  };

  await mkdir(join(directory, "data"), { mode: 0o711 });
  if (boundsDisk) {
    execFileSync("truncate", ["--size", "1G", disk]);
    execFileSync("mkfs.btrfs", ["--quiet", disk]);
  }
  await start(remap).catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    socket: `unix://${socket}`,
    tcp,
    tlsDir,
    client,
    directory,
    async importTree(tree, name, changes = []) {
      const tar = spawn("tar", ["--numeric-owner", "-C", tree, "-cf", "-", "."], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const [repo, tag] = name.split(":");
      const answer = await client.importImage(tar.stdout, { repo, tag, changes: [...changes] });
      for await (const _ of answer);
    },
    async restart(options = {}) {
      await stop();
      await start(options.remap ?? remap);
    },
    close,
  };
};

/** An authority of this engine's own, and what it has signed: the engine's certificate and that of who may use it. */
const makeCertificates = (directory: string): void => {
  const script = `
    set -e; mkdir -m 0700 "$0"; cd "$0"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=authority -days 2 -keyout ca-key.pem -out ca.pem
    sign() {
      openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$2-key.pem" -out "$2.csr"
      printf '%s' "$3" > "$2.ext"
      openssl x509 -req -in "$2.csr" -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile "$2.ext" -out "$2.pem"
    }
    sign engine server 'subjectAltName=IP:127.0.0.1
    extendedKeyUsage=serverAuth'
    sign client client 'extendedKeyUsage=clientAuth'
    mv client.pem cert.pem; mv client-key.pem key.pem`;
  execFileSync("sh", ["-c", script, directory], { stdio: "ignore" });
};

const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};

/** Every hierarchy has a directory of that name; those in it are empty once nothing runs. */
const removeCgroups = async (name: string): Promise<void> => {
  const roots = ["", ...(await readdir("/sys/fs/cgroup"))].map((each) => join("/sys/fs/cgroup", each, name));
  const removed = async (root: string): Promise<boolean> => {
    if (!existsSync(root)) return true;
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])) {
      if (entry.isDirectory()) await rmdir(join(entry.parentPath, entry.name)).catch(() => {});
    }
    return await rmdir(root).then(
      () => true,
      () => false,
    );
  };
  for (const root of roots) await until(() => removed(root), Boolean, 5000);
};

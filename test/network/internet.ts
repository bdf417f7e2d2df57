import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readlink, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { makeAuthority } from "../../packages/server/src/config/certificates.testing.ts";
import { buildNative } from "../../packages/server/src/providers/host.testing.ts";
import type { ServerTask } from "../faults/server-program.ts";
import type { DnsQuery, Zone } from "./dns-server.ts";
import type { Connection } from "./far-ends.ts";
import type { HostTask, OwnConnection, Ran, StartedServer } from "./host.ts";
import type { Packet } from "./packets.ts";
import { certifiedNames, uplink, worldLink } from "./plan.ts";
import { type Caller, callerOf } from "./rpc.ts";
import type { WorldTask } from "./world.ts";

/** What the far ends and the host itself have recorded since the start or the last `forget`. */
export interface Records {
  /** That came out of the host by its uplink, whatever became of them. */
  readonly packets: readonly Packet[];
  readonly queries: readonly DnsQuery[];
  readonly connections: readonly Connection[];
  /** That the host sent to itself, the test's own requests left out. */
  readonly loopback: readonly Packet[];
  /** To the host's own ports. */
  readonly own: readonly OwnConnection[];
}

/** A server under test, within the host's namespaces, with its API at `url` for the test. */
export interface HostServer {
  readonly url: string;
  /** That it listens on, on the host. */
  readonly port: number;
  /** Resolves, when its process has ended, to the signal's name or the exit code. */
  ended(): Promise<string>;
  signal(name: NodeJS.Signals): Promise<void>;
  log(): Promise<string>;
}

export interface Internet extends AsyncDisposable {
  /** With the authority's certificate in `ca.pem`, and `www/<host>/…`, which the web servers serve. */
  readonly directory: string;
  readonly caFile: string;
  /** network-probe, for the host and, copied, for sandboxes. */
  readonly probePath: string;
  /** Process ids of the namespaces' holders, as this process sees them. */
  readonly holders: { readonly world: number; readonly host: number };
  say(zone: Zone): Promise<void>;
  /** Complete for everything that was sent before the call. */
  records(): Promise<Records>;
  forget(): Promise<void>;
  /** Runs a program in the host's namespaces, no sandbox around it. */
  run(...argv: readonly string[]): Promise<Ran>;
  /** Processes of the host whose program has this name, as this process numbers them. */
  pidsOf(program: string): Promise<readonly number[]>;
  startServer(task: ServerTask): Promise<HostServer>;
}

const programs = ["ip", "unshare", "nsenter", "openssl", "curl", "go"];

/** Why there can be no test Internet here; undefined where there can. */
export const cannotNetwork = (): string | undefined => {
  if (process.getuid?.() !== 0) return "network namespaces are made by root alone";
  const missing = programs.filter((name) => !hasProgram(name));
  return missing.length > 0 ? `no ${missing.join(", ")} in the PATH: node scripts/setup.js test` : undefined;
};

const gatewayPath = resolve(import.meta.dirname, "../../build/stacyvm-egress");

/** Why no sandbox gets out into it; undefined where one does. */
export const cannotReach = (): string | undefined =>
  cannotNetwork() ?? (existsSync(gatewayPath) ? undefined : "no stacyvm-egress: npm run build");

const hasProgram = (name: string): boolean =>
  (process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, name)));

/** Prefix of the directories in the temporary one; what a test leaves behind is known by it. */
export const directoryPrefix = "stacyvm-network-";

const startProgram = (argv: readonly string[], program: string, directory: string): ChildProcess => {
  const [name = "", ...args] = argv;
  // The directory is in the command line for whoever looks for what is left of a test.
  return spawn(name, [...args, process.execPath, resolve(import.meta.dirname, program), directory], {
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
};

const pidsIn = async (holder: number, program: string): Promise<readonly number[]> => {
  const found: number[] = [];
  const wanted = await readlink(`/proc/${holder}/ns/net`);
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const [space, path] = await Promise.all(
      ["ns/net", "exe"].map((name) => readlink(`/proc/${pid}/${name}`).catch(() => "")),
    );
    if (space === wanted && basename(path ?? "") === program) found.push(Number(pid));
  }
  return found;
};

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) done();
    else child.once("exit", () => done());
  });

/** The first process of a namespace has no one to reap for it: a shell that waits does. */
const reaper = ["sh", "-c", '"$@" & wait $!', "sh"];
const hostNamespaces = ["--mount", "--pid", "--ipc", "--fork", "--kill-child=KILL", "--mount-proc"];

/**
 * An Internet of this test's own, and the host under test in it. Both end with this process too, however it ends.
 * The host has one link, and at its other end every address there is answers and is recorded.
 */
export const startInternet = async (): Promise<Internet> => {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), directoryPrefix));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  await chmod(directory, 0o711);
  const wwwDir = join(directory, "www");
  await mkdir(wwwDir);
  const authority = makeAuthority(directory);
  const pair = authority.issue("world", { names: certifiedNames });
  const packetLogPath = buildNative("packet-log", directory);
  const probePath = buildNative("network-probe", directory);

  const start = (argv: readonly string[], program: string): [ChildProcess, Caller] => {
    const child = startProgram(argv, program, directory);
    stack.defer(async () => {
      if (child.connected) child.disconnect();
      await ended(child);
    });
    return [child, callerOf(child, program)];
  };
  const [worldChild, world] = start(["unshare", "--net"], "world.ts");
  const [hostChild, host] = start(["unshare", "--net", "unshare", ...hostNamespaces, ...reaper], "host.ts");
  await Promise.all([world("ready"), host("ready")]);
  const holders = { world: worldChild.pid ?? 0, host: hostChild.pid ?? 0 };
  const link = ["ip", "link", "add", worldLink, "type", "veth", "peer", "name", uplink, "netns", `${holders.host}`];
  execFileSync("nsenter", ["-t", `${holders.world}`, "-n", ...link], { stdio: ["ignore", "ignore", "pipe"] });
  await world("open", { packetLogPath, wwwDir, ...pair } satisfies WorldTask);
  await host("open", { packetLogPath, directory } satisfies HostTask);

  const settle = async (): Promise<void> => {
    const text = randomBytes(16).toString("hex");
    await Promise.all([world("marker", text), host("mark", text)]);
  };
  const running = stack.move();
  return {
    directory,
    caFile: authority.caFile,
    probePath,
    holders,
    say: (zone) => world("say", zone),
    async records() {
      await settle();
      const [outside, inside] = await Promise.all([world<object>("records"), host<object>("records")]);
      return { ...outside, ...inside } as Records;
    },
    async forget() {
      await settle();
      await Promise.all([world("forget"), host("forget")]);
    },
    run: (...argv) => host("run", argv),
    pidsOf: (program) => pidsIn(holders.host, program),
    async startServer(task) {
      // The same port inside as out here, as the server answers for its own address alone.
      let socket = "";
      const door = createServer((client) => {
        const inside = connect(socket);
        client.on("error", () => inside.destroy()).pipe(inside);
        inside.on("error", () => client.destroy()).pipe(client);
      });
      await new Promise<void>((done, fail) => door.once("error", fail).listen(0, "127.0.0.1", done));
      running.defer(() => void door.close());
      const { port } = door.address() as { port: number };
      const config = { ...task.config, "server.port": `${port}` };
      const started = await host<StartedServer>("startServer", { ...task, config } satisfies ServerTask);
      const { id } = started;
      socket = started.socket;
      return {
        port,
        url: `http://127.0.0.1:${port}`,
        ended: () => host("ended", id),
        signal: (name) => host("signal", { id, name }),
        log: () => host("log", id),
      };
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
};

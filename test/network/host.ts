// The host under test: started by internet.ts in namespaces of its own, whose only link leads to the test Internet.
import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { join, resolve } from "node:path";
import type { ServerTask } from "../faults/server-program.ts";
import { logPackets, type Packet } from "./packets.ts";
import { addresses, markerPort, ownPorts, relayAddress, uplink } from "./plan.ts";
import { serveVerbs } from "./rpc.ts";

export interface HostTask {
  readonly packetLogPath: string;
  /** Removed when whoever started this is gone without having done so. */
  readonly directory: string;
}

/** What a program of the host said and came to. */
export interface Ran {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A connection to a port of the host itself. */
export interface OwnConnection {
  readonly at: string;
  readonly from: string;
}

export interface StartedServer {
  readonly id: number;
  /** Leads to that port from outside. */
  readonly socket: string;
}

const serverProgram = resolve(import.meta.dirname, "../faults/server-program.ts");
const ip = (...args: readonly string[]) => execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });

let directory = "";
let loopback: Packet[] = [];
let own: OwnConnection[] = [];
const servers = new Map<number, { readonly child: ChildProcess; readonly ended: Promise<string>; log: string }>();

const run = (argv: readonly string[]): Promise<Ran> =>
  new Promise((done, fail) => {
    const [program = "", ...args] = argv;
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (chunk) => {
      stdout += chunk;
    });
    child.stderr.on("data", (chunk) => {
      stderr += chunk;
    });
    child.once("error", fail).once("close", (status) => done({ status, stdout, stderr }));
  });

/** Ports of the host as a database's and an engine's, on all its addresses. */
const openOwnPorts = async (): Promise<void> => {
  for (const port of ownPorts) {
    const server = createServer((socket) => {
      own.push({ at: `${socket.localAddress}:${port}`, from: `${socket.remoteAddress}` });
      socket.on("error", () => {}).end("a service of the host\n");
    });
    await new Promise<void>((done, fail) => server.once("error", fail).listen({ port, host: "::" }, done));
  }
};

const startServer = async (task: ServerTask): Promise<StartedServer> => {
  const child = fork(serverProgram, [JSON.stringify(task)], {
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const id = child.pid ?? 0;
  const ended = new Promise<string>((done) => {
    child.once("exit", (code, signal) => done(String(signal ?? code)));
  });
  const server = { child, ended, log: "" };
  servers.set(id, server);
  child.stderr?.on("data", (chunk: Buffer) => {
    server.log = (server.log + chunk.toString()).slice(-20_000);
  });
  const said = new Promise<string>((done) => {
    child.on("message", (message: { readonly url?: string }) => message.url && done(message.url));
  });
  const failed = ended.then((how) => Promise.reject(new Error(`the server ended with ${how}; its log: ${server.log}`)));
  const { port } = new URL(await Promise.race([said, failed]));
  failed.catch(() => {});
  const socket = join(directory, `api-${id}.sock`);
  const relay = createServer((outside) => pass(outside, Number(port)));
  await new Promise<void>((done, fail) => relay.once("error", fail).listen(socket, done));
  return { id, socket };
};

/** From an address of its own, so that nobody else's connection to the port is taken for one of the test's. */
const pass = (outside: Socket, port: number): void => {
  const inside = connect({ port, host: "127.0.0.1", localAddress: relayAddress });
  outside.on("error", () => inside.destroy()).pipe(inside);
  inside.on("error", () => outside.destroy()).pipe(outside);
};

const serverOf = (id: number) => {
  const server = servers.get(id);
  if (server === undefined) throw new Error(`no server ${id}`);
  return server;
};

serveVerbs(
  {
    ready: () => true,
    async open(task: HostTask) {
      directory = task.directory;
      ip("link", "set", "lo", "up");
      ip("addr", "add", `${addresses.host4}/32`, "dev", uplink);
      ip("addr", "add", `${addresses.host6}/128`, "dev", uplink, "nodad");
      ip("link", "set", uplink, "up");
      ip("route", "add", "default", "via", addresses.router4, "dev", uplink, "onlink", "src", addresses.host4);
      ip("-6", "route", "add", `${addresses.router6}/128`, "dev", uplink);
      ip("-6", "route", "add", "default", "via", addresses.router6, "dev", uplink, "src", addresses.host6);
      await logPackets(task.packetLogPath, "lo", (packet) => {
        if (packet.source !== relayAddress) loopback.push(packet);
      });
      await openOwnPorts();
    },
    run,
    mark: async (text: string) => {
      const socket = createSocket("udp4");
      await new Promise((done) => socket.send(text, markerPort, addresses.router4, done));
      socket.close();
    },
    startServer,
    signal: ({ id, name }: { readonly id: number; readonly name: NodeJS.Signals }) => serverOf(id).child.kill(name),
    ended: (id: number) => serverOf(id).ended,
    log: (id: number) => serverOf(id).log,
    records: () => ({ loopback, own }),
    forget: () => {
      [loopback, own] = [[], []];
    },
  },
  async () => {
    for (const { child } of servers.values()) child.kill("SIGTERM");
    await Promise.all([...servers.values()].map(({ ended }) => ended));
    if (directory !== "") await rm(directory, { recursive: true, force: true });
  },
);

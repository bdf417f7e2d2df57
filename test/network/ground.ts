import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, realpathSync } from "node:fs";
import { chmod, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import type { NetworkDecision } from "stacyvm";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";
import { post } from "../e2e/api.ts";
import { busyboxTar } from "../e2e/server.ts";
import type { ServerTask } from "../faults/server-program.ts";
import { type HostServer, type Internet, startInternet } from "./internet.ts";
import { addresses } from "./plan.ts";
import { type Probe, probeBy, type Runner, type Way } from "./probe.ts";

export interface Policy {
  readonly mode: "none" | "public" | "allowlist";
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly inject?: readonly {
    readonly host: string;
    readonly header: string;
    readonly secret: string;
    readonly value?: string;
  }[];
}

export interface NetworkSandbox extends AsyncDisposable {
  readonly id: string;
  readonly url: string;
  readonly probe: Probe;
  via(way: Way): Probe;
  readonly run: Runner;
  sh(script: string): ReturnType<Runner>;
  write(path: string, content: string): Promise<void>;
  /** Changes what it may reach; resolves to how many connections that cut. */
  put(policy: Policy): Promise<number>;
  log(): Promise<readonly NetworkDecision[]>;
}

/** A server on one host of a test Internet, with sandboxes that have the probe and trust the authority. */
export interface Ground extends AsyncDisposable {
  readonly internet: Internet;
  readonly dataDir: string;
  /** The server that runs now; `restart` makes another. */
  readonly server: () => HostServer;
  restart(signal: "SIGTERM" | "SIGKILL", config?: Readonly<Record<string, string>>): Promise<void>;
  /** Without a policy: the server's own. */
  spawn(policy?: Policy, more?: object): Promise<NetworkSandbox>;
}

export interface GroundOptions {
  readonly config?: Readonly<Record<string, string>>;
  /** Where the native programs are; the built ones where absent. */
  readonly nativeDir?: string;
  /** Imported under this name beside alpine:latest, from a tar. */
  readonly images?: Readonly<Record<string, string>>;
  /** Starts what the server needs beside itself, in the host's namespaces. */
  readonly beside?: (internet: Internet) => Promise<Beside>;
}

export interface Beside extends AsyncDisposable {
  readonly config: Readonly<Record<string, string>>;
}

export const probeInside = "/usr/bin/network-probe";
export const caInside = "/etc/ssl/test-authority.pem";

const imageTar = (internet: Internet, folder: string): string =>
  busyboxTar(folder, (rootfs) => addPrograms(internet, rootfs));

/** The host's curl with its libraries: the image's own wget is a static program, which can't look names up. */
const addCurl = (rootfs: string): void => {
  const curl = execFileSync("which", ["curl"], { encoding: "utf8" }).trim();
  const libraries = [...execFileSync("ldd", [curl], { encoding: "utf8" }).matchAll(/(\/\S+)/g)].map(([path]) => path);
  for (const path of new Set(libraries)) {
    mkdirSync(join(rootfs, dirname(path)), { recursive: true });
    copyFileSync(realpathSync(path), join(rootfs, path));
  }
  copyFileSync(curl, join(rootfs, "usr/bin/curl"));
};

/** The probe, and the authority's certificate where curl looks for it. */
const addPrograms = (internet: Internet, rootfs: string): void => {
  for (const name of ["usr/bin", "etc/ssl/certs"]) mkdirSync(join(rootfs, name), { recursive: true });
  addCurl(rootfs);
  copyFileSync(internet.probePath, join(rootfs, probeInside));
  copyFileSync(internet.caFile, join(rootfs, caInside));
  copyFileSync(internet.caFile, join(rootfs, "etc/ssl/certs/ca-certificates.crt"));
  // Programs of a restricted sandbox aren't root's.
  mkdirSync(join(rootfs, "tmp"), { recursive: true });
  chmodSync(join(rootfs, "tmp"), 0o1777);
};

export const startGround = async (options: GroundOptions = {}): Promise<Ground> => {
  await using stack = new AsyncDisposableStack();
  const internet = stack.use(await startInternet());
  const dataDir = join(internet.directory, "data");
  await mkdir(dataDir, { mode: 0o711 });
  await chmod(dataDir, 0o711);
  const images = await createImageStore({ storeDir: join(dataDir, "images"), aliases: {}, clock: systemClock });
  await images.importFrom("alpine:latest", imageTar(internet, dataDir), AbortSignal.timeout(60_000));
  for (const [name, tar] of Object.entries(options.images ?? {}))
    await images.importFrom(name, tar, AbortSignal.timeout(300_000));
  const beside = options.beside === undefined ? undefined : stack.use(await options.beside(internet));
  const task = (config: Readonly<Record<string, string>> = {}): ServerTask => ({
    dataDir,
    config: {
      data_dir: dataDir,
      "database.path": join(dataDir, "stacyvm.db"),
      "providers.default": "oci",
      "network.resolvers": `${addresses.resolver4}:53`,
      ...beside?.config,
      "network.ca_file": internet.caFile,
      ...options.config,
      ...config,
    },
    markerPath: join(dataDir, "steps-hit"),
    ...(options.nativeDir === undefined ? {} : { nativeDir: options.nativeDir }),
  });
  let server = await internet.startServer(task());
  stack.defer(async () => {
    const answer = await fetch(`${server.url}/api/v1/sandboxes`);
    if (!answer.ok) throw new Error(`the list of sandboxes answered ${answer.status}: ${await answer.text()}`);
    for (const { id } of (await answer.json()) as readonly { id: string }[])
      await fetch(`${server.url}/api/v1/sandboxes/${id}`, { method: "DELETE" });
    await server.signal("SIGTERM");
    await server.ended();
  });
  const running = stack.move();
  return {
    internet,
    dataDir,
    server: () => server,
    async restart(signal, config) {
      await server.signal(signal);
      await server.ended();
      server = await internet.startServer(task(config));
    },
    async spawn(policy, more = {}) {
      const spec = { ...(policy === undefined ? {} : { network: policy }), ...more };
      const answer = await post(`${server.url}/api/v1/sandboxes`, spec);
      if (answer.status !== 201) throw new Error(`spawn answered ${answer.status}: ${await answer.text()}`);
      const { id } = (await answer.json()) as { id: string };
      return sandboxAt(() => `${server.url}/api/v1/sandboxes/${id}`, id);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
};

/** Of the server that runs now: a sandbox outlives one. */
const sandboxAt = (url: () => string, id: string): NetworkSandbox => {
  const exec = async (body: object): ReturnType<Runner> => {
    const answer = await post(`${url()}/exec`, body);
    if (answer.status !== 200) throw new Error(`exec answered ${answer.status}: ${await answer.text()}`);
    const { exit_code, stdout, stderr } = (await answer.json()) as Record<string, never>;
    return { status: exit_code ?? null, stdout: stdout ?? "", stderr: stderr ?? "" };
  };
  const run: Runner = ([command = "", ...args]) => exec({ command, args, mode: "argv", timeout: "60s" });
  return {
    id,
    get url() {
      return url();
    },
    run,
    probe: probeBy(run, probeInside, caInside),
    via: (way) => probeBy(run, probeInside, caInside, way),
    sh: (script) => exec({ command: script, timeout: "60s" }),
    async write(path, content) {
      const { status, stderr } = await exec({
        command: `mkdir -p "$(dirname ${path})" && cat >${path}`,
        stdin: content,
      });
      if (status !== 0) throw new Error(`${path} was not written: ${stderr}`);
    },
    async put(policy) {
      const answer = await fetch(`${url()}/network`, { method: "PUT", body: JSON.stringify(policy) });
      if (answer.status !== 200) throw new Error(`PUT network answered ${answer.status}: ${await answer.text()}`);
      return ((await answer.json()) as { readonly cut?: number }).cut ?? 0;
    },
    async log() {
      const text = await (await fetch(`${url()}/network/log`)).text();
      return text
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as NetworkDecision);
    },
    [Symbol.asyncDispose]: async () => {
      await fetch(url(), { method: "DELETE" });
    },
  };
};

/** What comes in a sandbox's network log from now on, line by line. */
export const followed = async ({ url }: NetworkSandbox) => {
  const stop = new AbortController();
  const answer = await fetch(`${url}/network/log?follow=true&limit=0`, { signal: stop.signal });
  const input = Readable.from(answer.body ?? []).on("error", () => {}); // ends with the abort, or the server
  const lines = createInterface({ input })[Symbol.asyncIterator]();
  return {
    next: async (): Promise<NetworkDecision> => {
      const { value, done } = await lines.next();
      if (done) throw new Error("the log has ended");
      return JSON.parse(value) as NetworkDecision;
    },
    [Symbol.asyncDispose]: async () => stop.abort(),
  };
};

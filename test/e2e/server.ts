import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { loadConfig } from "../../packages/server/src/config/load.ts";
import { startControlPlane } from "../../packages/server/src/control-plane.ts";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly dataDir: string;
  readonly defaultProvider: string;
  /** Ends the server alone: its sandboxes and its data stay until it is disposed of. */
  stop(): Promise<void>;
}

export interface TestServerOptions {
  /** Keys of the configuration as in a file, for example `"auth.api_key"`; values as text. */
  readonly config?: Readonly<Record<string, string>>;
  /** Where its data directory is made; the host's temporary directory where absent. */
  readonly parentDir?: string;
  /** What an administrator sends, to end what a test left; where absent the configured key. */
  readonly adminHeaders?: () => Promise<Record<string, string>>;
  /** Silent where absent. */
  readonly log?: pino.Logger;
}

/** The smallest root file system with a shell, and what is added to it, as a tar. */
export const busyboxTar = (folder: string, add?: (rootfs: string) => void): string => {
  const rootfs = mkdtempSync(join(folder, "rootfs-"));
  for (const name of ["bin", "etc", "root", "tmp"]) mkdirSync(join(rootfs, name));
  const busybox = join(rootfs, "bin", "busybox");
  copyFileSync("/bin/busybox", busybox);
  const applets = execFileSync(busybox, ["--list"], { encoding: "utf8" }).trim().split("\n");
  for (const name of applets) if (name !== "busybox") symlinkSync("busybox", join(rootfs, "bin", name));
  writeFileSync(join(rootfs, "etc", "passwd"), "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/workspace:/bin/sh\n");
  add?.(rootfs);
  const tar = join(folder, "busybox.tar");
  execFileSync("tar", ["--create", "--file", tar, "--numeric-owner", "--directory", rootfs, "."]);
  rmSync(rootfs, { recursive: true });
  return tar;
};

const destroyAll = async (url: string, headers: Record<string, string>): Promise<void> => {
  const answer = await fetch(`${url}/api/v1/sandboxes`, { headers });
  const sandboxes = (await answer.json()) as readonly { readonly id: string }[];
  for (const { id } of sandboxes) await fetch(`${url}/api/v1/sandboxes/${id}`, { method: "DELETE", headers });
};

/**
 * A real control plane on a port of its own, with a data directory of its own that goes away with it, and one image,
 * busybox, under the name alpine:latest. Every answer is checked against its operation.
 */
export const startServer = async (options: TestServerOptions = {}): Promise<TestServer> => {
  await using stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(options.parentDir ?? tmpdir(), "stacyvm-e2e-"));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  await chmod(dataDir, 0o711);
  // Nobody answers there: no test asks a real network for names.
  const overrides = { data_dir: dataDir, "server.port": "0", "network.resolvers": "127.0.0.1:1", ...options.config };
  const { config } = loadConfig({ overrides, env: {}, cwd: dataDir, home: dataDir });
  const images = await createImageStore({ storeDir: join(dataDir, "images"), aliases: {}, clock: systemClock });
  await images.importFrom("alpine:latest", busyboxTar(dataDir), AbortSignal.timeout(60_000));
  const log = options.log ?? pino({ level: "silent" });
  const server = await startControlPlane({ config, log, version: "v0.0.0-test", validateResponses: true });
  let stopped: Promise<void> | undefined;
  const stop = () => (stopped ??= Promise.resolve(server[Symbol.asyncDispose]()));
  stack.defer(stop);
  // Sandboxes outlive their server; those of a test don't.
  stack.defer(async () => {
    if (stopped !== undefined) return;
    const key = options.config?.["auth.admin_api_key"] ?? options.config?.["auth.api_key"];
    const byKey: Record<string, string> = key === undefined ? {} : { "X-API-Key": key };
    await destroyAll(server.url, (await options.adminHeaders?.()) ?? byKey);
  });
  const running = stack.move();
  return {
    url: server.url,
    dataDir,
    defaultProvider: server.defaultProvider,
    stop,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
};

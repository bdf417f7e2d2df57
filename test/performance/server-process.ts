import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { ImageRoot } from "../../packages/server/src/images/image-store.ts";
import { busyboxImage } from "../../packages/server/src/providers/host.testing.ts";

export interface BenchServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
  readonly databasePath: string;
  /** The unpacked image that every sandbox stands on. */
  readonly image: ImageRoot;
  readonly dataDir: string;
}

const keys = {
  "providers.default": "oci",
  "defaults.disk_size_mb": "4096",
  "defaults.memory_mb": "512",
};

/** A real server under the name alpine:latest for busybox, its log in a file, as an operator's would be. */
export const startServerProcess = async (options: {
  readonly nodeArgs: readonly string[];
  /** Configuration beyond what every server here has. */
  readonly keys: Readonly<Record<string, string>>;
}): Promise<BenchServer> => {
  await using stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), "stacyvm-bench-"));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  await chmod(dataDir, 0o711);
  const image = await busyboxImage(join(dataDir, "busybox"));
  const imageTar = join(dataDir, "busybox.tar");
  execFileSync("tar", ["--create", "--file", imageTar, "--numeric-owner", "--directory", image.rootfsPath, "."]);

  const log = openSync(join(dataDir, "server.log"), "w");
  const main = join(import.meta.dirname, "server-main.ts");
  const configuration = JSON.stringify({ dataDir, imageTar, keys: { ...keys, ...options.keys } });
  const child = spawn(process.execPath, [...options.nodeArgs, main, configuration], {
    stdio: ["pipe", log, "inherit", "pipe"],
  });
  const exited = once(child, "exit");
  stack.defer(async () => {
    child.stdin?.end();
    await exited;
  });
  const lines = createInterface(child.stdio[3] as Readable);
  const first = await Promise.race([once(lines, "line"), exited.then(() => undefined)]);
  lines.close();
  if (first === undefined || child.pid === undefined) throw new Error("the server ended before it answered");
  const { url, databasePath } = JSON.parse(String(first[0])) as { readonly url: string; readonly databasePath: string };
  const running = stack.move();
  return { url, databasePath, image, dataDir, pid: child.pid, [Symbol.asyncDispose]: () => running.disposeAsync() };
};

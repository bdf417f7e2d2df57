import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createImageStore } from "../../packages/server/src/images/create-image-store.ts";
import { systemClock } from "../../packages/server/src/lib/clock.ts";
import type { FailpointStep } from "../../packages/server/src/lib/failpoint.ts";
import { busyboxTar } from "../e2e/server.ts";
import { destroyOwned } from "./owned.ts";
import type { ServerTask } from "./server-program.ts";

const program = fileURLToPath(new URL("./server-program.ts", import.meta.url));
/** Time for a server to start, reconciliation included, or to drain, milliseconds. */
const startTimeoutMs = 30_000;

/** A server in a process of its own. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** The end of what it has logged: warnings and errors. */
  readonly log: () => string;
  /** From now on the process ends, as by `kill -9`, when it gets to the step. */
  readonly arm: (step: FailpointStep) => Promise<void>;
  readonly signal: (name: "SIGKILL" | "SIGTERM") => void;
  /** Resolves when the process has ended, with what ended it: a signal's name or an exit code. */
  readonly ended: Promise<string>;
}

/** One data directory, with busybox as alpine:latest, on which servers start one after the other. */
export interface FaultHost extends AsyncDisposable {
  readonly dataDir: string;
  /** With keys of the configuration beyond the host's own. */
  readonly start: (config?: Readonly<Record<string, string>>) => Promise<ServerProcess>;
  /** Steps that ended a process so far, oldest first. */
  readonly stepsHit: () => Promise<readonly string[]>;
}

const message = async (child: ChildProcess, wanted: string): Promise<string> => {
  const controller = new AbortController();
  const signal = AbortSignal.any([controller.signal, AbortSignal.timeout(startTimeoutMs)]);
  const ended = once(child, "exit", { signal }).then(() => {
    throw new Error(`the server ended before it sent its ${wanted}`);
  });
  const sent = once(child, "message", { signal }).then(([one]) => String((one as Record<string, unknown>)[wanted]));
  try {
    return await Promise.race([sent, ended]);
  } finally {
    ended.catch(() => {});
    sent.catch(() => {});
    controller.abort();
  }
};

export const makeFaultHost = async (
  config: Readonly<Record<string, string>> = {},
  options: { readonly nativeDir?: string } = {},
): Promise<FaultHost> => {
  await using stack = new AsyncDisposableStack();
  const dataDir = await mkdtemp(join(tmpdir(), "stacyvm-faults-"));
  stack.defer(() => rm(dataDir, { recursive: true, force: true }));
  await chmod(dataDir, 0o711);
  stack.defer(() => destroyOwned(dataDir));
  const images = await createImageStore({ storeDir: join(dataDir, "images"), aliases: {}, clock: systemClock });
  await images.importFrom("alpine:latest", busyboxTar(dataDir), AbortSignal.timeout(60_000));
  const task: ServerTask = {
    dataDir,
    config: {
      data_dir: dataDir,
      "database.path": join(dataDir, "stacyvm.db"),
      "server.port": "0",
      "providers.mock.enabled": "true",
      ...config,
    },
    markerPath: join(dataDir, "steps-hit"),
    ...options,
  };
  await writeFile(task.markerPath, "");
  const children = new Set<ChildProcess>();
  stack.defer(async () => {
    for (const child of children) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
  });
  const running = stack.move();
  return {
    dataDir,
    async start(more = {}) {
      const whole: ServerTask = { ...task, config: { ...task.config, ...more } };
      const child = fork(program, [JSON.stringify(whole)], {
        execArgv: [],
        stdio: ["ignore", "ignore", "pipe", "ipc"],
      });
      children.add(child);
      let log = "";
      child.stderr?.on("data", (chunk: Buffer) => {
        log = (log + chunk.toString()).slice(-20_000);
      });
      const ended = once(child, "exit").then(([code, signal]) => {
        children.delete(child);
        return String(signal ?? code);
      });
      const url = await message(child, "url").catch((error: Error) => {
        throw new Error(`${error.message}; its log: ${log}`, { cause: error });
      });
      return {
        url,
        pid: child.pid ?? 0,
        log: () => log,
        async arm(step) {
          child.send(step);
          await message(child, "armed");
        },
        signal: (name) => void child.kill(name),
        ended,
      };
    },
    async stepsHit() {
      const text = await readFile(task.markerPath, "utf8");
      return text.split("\n").filter((step) => step !== "");
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
};

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { type ErrorReason, StacyError } from "@stacyvm/contract";
import type { EgressWall } from "../egress/egress.ts";

/** Everything that stacyvm-host does: arguments and answer of each verb. */
export interface HostVerbs {
  spawn: {
    args: {
      sandbox_id: string;
      server_id: string;
      generation: number;
      rootfs_path: string;
      disk_mb: number;
      agent_uid: number;
      /** With an egress door, which the configuration's arguments then name, and under a runtime of containers a TUN. */
      egress: boolean;
      config: unknown;
    };
    answer: HostSpawned;
  };
  "spawn-mock": {
    args: {
      sandbox_id: string;
      server_id: string;
      generation: number;
      disk_mb: number;
    };
    answer: HostSpawned;
  };
  "spawn-proot": {
    args: {
      sandbox_id: string;
      server_id: string;
      generation: number;
      rootfs_path: string;
      agent_uid: number;
      file_mb: number;
      pids_max: number;
      open_files: number;
      host_network: boolean;
      /** With an egress door, for the agent's proxy. */
      egress: boolean;
    };
    answer: HostSpawned;
  };
  destroy: { args: { sandbox_id: string }; answer: object };
  list: { args: object; answer: readonly HostOwned[] };
  inspect: { args: { sandbox_id: string }; answer: HostOwned };
  usage: { args: { sandbox_id: string }; answer: HostUsage };
  console: { args: { sandbox_id: string; max_bytes: number }; answer: { text: string } };
  probe: { args: object; answer: HostProbe };
  /** Of a sandbox that this program has not made, once its agent listens. */
  "egress-tun": { args: { sandbox_id: string }; answer: object };
  "egress-wall": { args: EgressWall | { remove: true }; answer: object };
}

export interface HostSpawned {
  readonly socket_path: string;
  /** The socket lies where the sandbox can put a link in its place. */
  readonly guest_made: boolean;
  readonly pid: number;
  readonly start_ticks: number;
  readonly uid_base: number;
  /** Of the egress door; empty where there is none. */
  readonly egress_path: string;
  /** The egress door lies where the sandbox can put a link in its place. */
  readonly egress_guest_made: boolean;
  readonly steps_us: Readonly<Record<string, number>>;
}

export interface HostOwned {
  readonly provider: string;
  readonly server_id: string;
  readonly sandbox_id: string;
  readonly generation: number;
  readonly created_at_ms: number;
  /** Absent where the sandbox stands on no image. */
  readonly rootfs_path?: string;
  readonly socket_path: string;
  /** As in HostSpawned. */
  readonly guest_made: boolean;
  /** As in HostSpawned. */
  readonly egress_path: string;
  /** As in HostSpawned. */
  readonly egress_guest_made: boolean;
  readonly pid: number;
  readonly start_ticks: number;
  readonly alive: boolean;
  /** How its first process ended, where that is known. */
  readonly ended_by?: string;
}

export interface HostUsage {
  readonly cpu_us: number;
  readonly memory_bytes: number;
  readonly memory_limit_bytes: number;
  readonly processes: number;
}

export type RuntimeKind = "container" | "gvisor" | "kata";

export interface HostProbe {
  /** unified, hybrid, legacy or none. */
  readonly cgroup_mode: string;
  /** What wall the OCI runtime makes, by what it says of itself. */
  readonly runtime_kind: RuntimeKind;
  readonly open_files_max: number;
  readonly versions: Readonly<Record<string, string>>;
  /** For each provider, and `egress`, what is missing and the command or setting that would help. */
  readonly missing: Readonly<Record<string, readonly string[]>>;
  /** Why a sandbox without privileges can't have namespaces of its own; empty where it can. */
  readonly no_namespaces: string;
  /** Why sandboxes can't have a TUN; empty where they can. */
  readonly no_tun: string;
  /** The kernel's version of Landlock, 0 where it is off. */
  readonly landlock: number;
}

export interface HostHelper extends AsyncDisposable {
  /** Throws StacyErrors. Aborting a spawn resolves only after it was undone. */
  call<V extends keyof HostVerbs>(
    verb: V,
    args: HostVerbs[V]["args"],
    signal: AbortSignal,
  ): Promise<HostVerbs[V]["answer"]>;
}

export interface HostHelperOptions {
  readonly programPath: string;
  readonly dataRoot: string;
  readonly imagesRoot?: string;
  readonly agentPath: string;
  readonly runtimePath?: string;
  readonly runtimeArgs?: readonly string[];
  readonly prootPath?: string;
  /** The whole environment of the program. */
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the id of a sandbox whose first process has ended unasked, as soon as it has. */
  readonly onEnded?: (sandboxId: string) => void;
  /** Called with what the program prints on its error output when it ends unasked. */
  readonly onExit?: (reason: string) => void;
}

interface HostAnswer {
  readonly id: number;
  readonly ok?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

interface Waiting {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Running {
  readonly child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly waiting: Map<number, Waiting>;
  readonly ended: Promise<void>;
  lastWords: string;
}

const maxLastWords = 4096;
const restartPauseMs = { first: 50, max: 5000 };

const reasons: Readonly<Record<string, ErrorReason>> = {
  invalid: "invalid_input",
  conflict: "already_exists",
  missing: "sandbox_not_found",
  exhausted: "sandbox_limit",
  unavailable: "provider_unavailable",
  failed: "spawn_failed",
};

const failure = (verb: string, error: { code: string; message: string }): StacyError => {
  const reason =
    verb.startsWith("spawn") || verb === "egress-tun" || error.code !== "failed" ? reasons[error.code] : undefined;
  return new StacyError(reason ?? "internal", `host ${verb}: ${error.message}`);
};

/** Talks to one long-lived `stacyvm-host serve`, started at the first call and again, after a pause, when it has died. */
export const hostHelper = (options: HostHelperOptions): HostHelper => {
  let running: Running | undefined;
  let lastId = 0;
  let closed = false;
  let pauseMs = restartPauseMs.first;
  let notBefore = 0;

  const argv = [
    "serve",
    "--data",
    options.dataRoot,
    "--agent",
    options.agentPath,
    ...(options.imagesRoot ? ["--images", options.imagesRoot] : []),
    ...(options.runtimePath ? ["--runtime", options.runtimePath] : []),
    ...(options.prootPath ? ["--proot", options.prootPath] : []),
    ...(options.runtimeArgs ?? []).flatMap((arg) => ["--runtime-arg", arg]),
  ];

  const start = (): Running => {
    // A session of its own: a terminal's interrupt must not end it before its work is undone or finished.
    const child = spawn(options.programPath, argv, {
      env: { ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    const waiting = new Map<number, Waiting>();
    let started: Running;
    const ended = new Promise<void>((resolve) => {
      const end = (why: string): void => {
        if (running === started) running = undefined;
        const reason = started.lastWords.trim() || why;
        for (const one of waiting.values()) {
          one.reject(new StacyError("provider_unavailable", `stacyvm-host ended: ${reason}`));
        }
        waiting.clear();
        if (!closed) {
          notBefore = performance.now() + pauseMs;
          pauseMs = Math.min(pauseMs * 2, restartPauseMs.max);
          options.onExit?.(reason);
        }
        resolve();
      };
      child.once("error", (error) => end(error.message));
      child.once("close", (code, signal) => end(signal ?? `exit ${code}`));
    });
    started = { child, waiting, ended, lastWords: "" };
    child.stdin.on("error", () => {}); // shows as the end of the program
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      started.lastWords = (started.lastWords + text).slice(-maxLastWords);
    });
    createInterface({ input: child.stdout }).on("line", (line) => {
      const said = JSON.parse(line) as HostAnswer | { readonly event: "ended"; readonly sandbox_id: string };
      if ("event" in said) return options.onEnded?.(said.sandbox_id);
      const answer = said;
      const one = waiting.get(answer.id);
      waiting.delete(answer.id);
      pauseMs = restartPauseMs.first;
      if (answer.error) one?.reject(answer.error);
      else one?.resolve(answer.ok);
    });
    return started;
  };

  const connected = async (signal: AbortSignal): Promise<Running> => {
    const waitMs = notBefore - performance.now();
    if (!running && waitMs > 0) await setTimeout(waitMs, undefined, { signal });
    if (closed) throw new StacyError("shutting_down", "the host program is closed");
    running ??= start();
    return running;
  };

  return {
    async call(verb, args, signal) {
      signal.throwIfAborted();
      const { child, waiting } = await connected(signal);
      const id = ++lastId;
      const withdraw = (): void => {
        child.stdin.write(`${JSON.stringify({ id, cancel: true })}\n`);
      };
      signal.addEventListener("abort", withdraw, { once: true });
      try {
        return (await new Promise<unknown>((resolve, reject) => {
          waiting.set(id, { resolve, reject });
          child.stdin.write(`${JSON.stringify({ id, verb, args })}\n`);
        })) as HostVerbs[typeof verb]["answer"];
      } catch (error) {
        if (error instanceof StacyError) throw error;
        const told = error as { code: string; message: string };
        if (told.code === "cancelled") signal.throwIfAborted();
        throw failure(verb, told);
      } finally {
        signal.removeEventListener("abort", withdraw);
      }
    },
    async [Symbol.asyncDispose]() {
      closed = true;
      const last = running;
      last?.child.stdin.end();
      await last?.ended;
    },
  };
};

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { StacyError } from "@stacyvm/contract";
import { z } from "zod";
import type { CompiledPolicy } from "../sandbox/network-policy.ts";
import type { OpenNetwork } from "./egress.ts";

/** Bounds of one sandbox; 0 is none. */
export interface EgressLimits {
  readonly connections: number;
  readonly connectionsPerSecond: number;
  /** In a second, both directions together. */
  readonly bandwidthBytes: number;
  readonly idleTimeoutMs: number;
}

interface WireSecret {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** In clear: the pipe is between two processes of ours. */
  readonly value?: string;
}

export interface WireInterception {
  /** 32 bytes in base64, from which the sandbox's authority is made. */
  readonly seed: string;
  readonly secrets: readonly (WireSecret & { readonly placeholder: string })[];
  readonly inject: readonly (WireSecret & {
    readonly header: string;
    readonly before: string;
    readonly after: string;
  })[];
}

/** What the gateway is told, and what it answers. */
export interface GatewayCalls {
  configure: {
    args: { resolvers: readonly string[]; open: readonly OpenNetwork[]; roots?: string };
    answer: { cut: number };
  };
  set: {
    args: {
      sandbox: string;
      door: string;
      guest_made: boolean;
      relayed: boolean;
      policies: readonly CompiledPolicy[];
      limits: {
        connections: number;
        connections_per_second: number;
        bytes_per_second: number;
        idle_seconds: number;
      };
      interception?: WireInterception;
    };
    answer: { cut: number; authority?: string | undefined };
  };
  drop: { args: { sandbox: string }; answer: object };
  /** Of all sandboxes, or of the one named; the total is everybody's. */
  usage: {
    args: { readonly sandbox?: string };
    answer: { sandboxes: Readonly<Record<string, Counts>>; total: Counts };
  };
}

const Counts = z.object({
  open: z.int(),
  allowed: z.int(),
  denied: z.int(),
  failed: z.int(),
  sent: z.int(),
  received: z.int(),
});
type Counts = z.output<typeof Counts>;

const answers = {
  configure: z.object({ cut: z.int().default(0) }),
  set: z.object({ cut: z.int().default(0), authority: z.string().optional() }),
  drop: z.object({}),
  usage: z.object({ sandboxes: z.record(z.string(), Counts), total: Counts }),
} as const;

const Told = z.object({
  event: z.enum(["decision", "closed", "missed"]),
  sandbox: z.string(),
  at_ms: z.int().optional(),
  flow: z.int().optional(),
  kind: z.enum(["connect", "resolve", "query", "request", "response"]).optional(),
  host: z.string().optional(),
  address: z.string().optional(),
  port: z.int().optional(),
  decision: z.enum(["allowed", "denied", "failed", "masked"]).optional(),
  reason: z.string().optional(),
  rule: z.string().optional(),
  policy: z.string().optional(),
  method: z.string().optional(),
  path: z.string().optional(),
  secrets: z.array(z.string()).optional(),
  sent: z.int().optional(),
  received: z.int().optional(),
  count: z.int().optional(),
});
export type Told = z.output<typeof Told>;

const Answer = z.object({ id: z.int(), ok: z.unknown().optional(), error: z.string().optional() });

export interface GatewayProcessOptions {
  readonly programPath: string;
  readonly args: readonly string[];
  /** Whom it runs as; this process's own user where absent. */
  readonly user: number | undefined;
  readonly onTold: (told: Told) => void;
  /** It has ended, whether asked to or not; the last of what it printed. */
  readonly onEnd: (reason: string) => void;
}

export interface GatewayProcess {
  /** Rejects with provider_unavailable once it has ended, and with invalid_input for what it refuses. */
  call<C extends keyof GatewayCalls>(call: C, args: GatewayCalls[C]["args"]): Promise<GatewayCalls[C]["answer"]>;
  /** Ends it; resolves when it has. */
  end(): Promise<void>;
}

const lastWordsMax = 4_096;
/** How long a gateway may take to end its connections, milliseconds. */
const endTimeoutMs = 5_000;

function readJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

/** One run of `stacyvm-egress`: JSON lines on its standard input and output. */
export function startGateway(options: GatewayProcessOptions): GatewayProcess {
  const { user } = options;
  const child = spawn(options.programPath, options.args, {
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
    // Ctrl-C in the server's terminal is for the server, which ends it.
    detached: true,
    env: {},
    ...(user === undefined ? {} : { uid: user, gid: user }),
  });
  const waiting = new Map<number, { readonly resolve: (ok: unknown) => void; readonly reject: (e: Error) => void }>();
  let lastId = 0;
  let lastWords = "";
  let isOver = false;
  const gone = (): StacyError => new StacyError("provider_unavailable", `the egress gateway has ended: ${lastWords}`);
  const ended = new Promise<void>((resolve) => {
    const end = (reason: string): void => {
      if (isOver) return;
      isOver = true;
      lastWords = lastWords.trim() || reason;
      for (const { reject } of waiting.values()) reject(gone());
      waiting.clear();
      resolve();
      options.onEnd(lastWords);
    };
    child.once("error", (error) => end(error.message));
    child.once("close", (code, signal) => end(signal ?? `exit ${code}`));
  });
  child.stdin.on("error", () => {}); // shows as its end
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    lastWords = (lastWords + text).slice(-lastWordsMax);
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const said = readJson(line);
    const told = Told.safeParse(said);
    if (told.success) return options.onTold(told.data);
    const answer = Answer.safeParse(said);
    if (!answer.success) {
      lastWords = `it said what nobody understands: ${line.slice(0, 200)}`;
      child.kill("SIGKILL");
      return;
    }
    const { id, ok, error } = answer.data;
    const one = waiting.get(id);
    waiting.delete(id);
    if (error !== undefined) one?.reject(new StacyError("invalid_input", `the egress gateway refuses: ${error}`));
    else one?.resolve(ok);
  });
  return {
    async call(op, args) {
      if (isOver) throw gone();
      const id = ++lastId;
      const ok = await new Promise<unknown>((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        child.stdin.write(`${JSON.stringify({ id, op, ...args })}\n`);
      });
      return answers[op].parse(ok ?? {}) as GatewayCalls[typeof op]["answer"];
    },
    async end() {
      child.stdin.end();
      const timer = setTimeout(() => child.kill("SIGKILL"), endTimeoutMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

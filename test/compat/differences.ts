import type { Answer, Exchange } from "./exchange.ts";

export interface Difference {
  readonly reason: string;
  /** Replaces parts of the recorded answer; keys of `json` are laid over the recorded ones. */
  readonly instead: Partial<Answer>;
  /** Keys of the recorded JSON that are gone. */
  readonly without?: readonly string[];
  /** Asked in another way, because it is the question that became possible. */
  readonly ask?: Partial<Exchange["request"]>;
  /** Keys of the answer whose value is one that an earlier row saved under this name. */
  readonly same?: Readonly<Record<string, string>>;
  /** The answer comes within this time, milliseconds. */
  readonly withinMs?: number;
}

const badRequest = (naming: RegExp): Partial<Answer> => ({
  status: 400,
  json: { code: "BAD_REQUEST", message: naming },
});
const notFound = (path: RegExp): Partial<Answer> => ({ status: 404, json: { code: "NOT_FOUND", message: path } });
const callersFault = "the caller's mistake is no failure of the server";
const vanished = "a missing path is the caller's to know";
const octal = "a mode is four octal digits, as chmod takes it";

/** Rows in which the recorded server is wrong, and the answer that is right. */
export const differences: Readonly<Record<string, Difference>> = {
  "spawn bad ttl": { reason: callersFault, instead: badRequest(/ttl/i) },
  "exec bad timeout": { reason: callersFault, instead: badRequest(/timeout/) },
  "template invalid": { reason: callersFault, instead: badRequest(/name/) },
  "exec not found command": {
    reason: "the shells' number for a missing command, and its words where errors go",
    instead: { json: { exit_code: 127, stdout: "", stderr: /nope-nope/ } },
  },
  "exec timeout": {
    reason: "what the command wrote before its deadline is kept",
    instead: { json: { details: { stdout: "", stderr: "" } } },
    withinMs: 800,
  },
  "exec stream": {
    reason: "without an exit line a cut stream looks like a finished one",
    instead: {
      text: '{"stream":"stdout","data":"a"}\n{"stream":"stderr","data":"b"}\n{"stream":"exit","data":"","exit_code":0,"timed_out":false}\n',
    },
  },
  "file read missing": { reason: vanished, instead: notFound(/\/workspace\/none/) },
  "file stat missing": { reason: vanished, instead: notFound(/\/none/) },
  "file list missing": { reason: vanished, instead: notFound(/\/none/) },
  "move missing": { reason: vanished, instead: notFound(/\/none/) },
  "chmod missing": { reason: vanished, instead: notFound(/\/none/) },
  "delete dir without recursive": { reason: callersFault, instead: badRequest(/recursive/) },
  "file stat": { reason: octal, instead: { json: { mode: "0644" } } },
  "file list": { reason: octal, instead: { json: [{ mode: "0755" }, { mode: "0644" }] } },
  "glob none": { reason: "an empty list is a list", instead: { json: [] } },
  admission: {
    reason: "the Python client reads a closed set of keys and fails on these",
    instead: {},
    without: ["selected_worker_id", "eligible_workers", "worker_reason"],
  },
  "template put": {
    reason: "what a change doesn't name stays",
    instead: { json: { description: "d" } },
    same: { created_at: "templateCreatedAt" },
  },
  "health without key": {
    reason: "a probe has no key, and the answer says nothing that a stranger shouldn't know",
    instead: { status: 200, json: { status: "ok" } },
    without: ["code", "message"],
  },
  preflight: {
    reason: "a browser sends no key with a preflight",
    instead: {},
    ask: { headers: { Origin: "http://a.example" } },
  },
};

/** Values of answers that a difference refers to, by row. */
export const savedFor: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "template create": { templateCreatedAt: "created_at" },
};

/** Differences that every sandbox has: its id is longer, and its preview address has the listener's port. */
export const sandboxDifferences: Readonly<Record<string, string>> = {
  id: "sixteen digits can't be guessed, eight could",
  preview_domain: "without the port an old client builds an address where nobody listens",
};

/** Keys of answers that the Python client reads as closed sets. */
export const closedSets: Readonly<Record<string, readonly string[]>> = {
  admission: [
    "allowed",
    "queueable",
    "reason",
    "active_sandboxes",
    "max_sandboxes",
    "active_owner_sandboxes",
    "max_owner_sandboxes",
    "max_ttl",
  ],
  "quota summary": ["total", "with_max_sandboxes", "with_max_ttl", "with_max_exec_timeout"],
};

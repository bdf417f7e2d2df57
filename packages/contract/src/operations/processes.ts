import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { durationAnswer, durationText, oneOf, status, text, textMap, timestamp } from "../wire.ts";
import { guestErrors, sandboxParams } from "./sandboxes.ts";

const mebibyte = 1_048_576;

const flag = oneOf(["true", "false"]);
const cells = z.int("must be a whole number").min(1, "must be 1 or more").max(1000, "must be 1000 or less");

/** A terminal's size in cells. */
export const TerminalSize = z.strictObject({ cols: cells, rows: cells }).meta({ id: "TerminalSize" });

/** Signals by their names on Linux. */
export const signalNames = [
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGABRT",
  "SIGKILL",
  "SIGUSR1",
  "SIGUSR2",
  "SIGALRM",
  "SIGTERM",
  "SIGCHLD",
  "SIGCONT",
  "SIGSTOP",
  "SIGTSTP",
  "SIGTTIN",
  "SIGTTOU",
  "SIGWINCH",
] as const;
export type SignalName = (typeof signalNames)[number];

export const StartProcessRequest = z
  .strictObject({
    command: text(mebibyte).min(1, "must not be empty"),
    args: z.array(text(mebibyte)).max(4096, "must have 4096 items or fewer").optional(),
    mode: oneOf(["shell", "argv"]).optional().meta({ description: "shell (the default) or argv." }),
    env: textMap({ entries: 1024, key: 1024, value: mebibyte })
      .refine((map) => !Object.keys(map).some((name) => name.includes("=")), "names must not contain =")
      .optional(),
    workdir: text(4096).optional(),
    user: text(64).optional(),
    tag: text(64).optional().meta({ description: "A name of the caller's own; several may share one." }),
    stdin: z
      .boolean()
      .optional()
      .meta({ description: "Keeps stdin open for later input; without it, and without a terminal, stdin is empty." }),
    pty: TerminalSize.optional().meta({ description: "Gives the process a terminal of this size." }),
    timeout: durationText
      .optional()
      .meta({ description: "Go duration after which the whole process tree is ended; none where absent." }),
  })
  .meta({ id: "StartProcessRequest" });
export type StartProcessRequest = z.output<typeof StartProcessRequest>;

export const ProcessExit = z
  .strictObject({
    exit_code: z.int().meta({ description: "128 and its number after death by a signal." }),
    signal: z.int().optional().meta({ description: "The signal's number; absent where none ended it." }),
    timed_out: z.boolean(),
    background: z.boolean().meta({ description: "Processes that it started lived on." }),
    duration: durationAnswer,
  })
  .meta({ id: "ProcessExit" });
export type ProcessExit = z.output<typeof ProcessExit>;

const usage = { cpu_ms: z.int(), memory_bytes: z.int() };

export const Process = z
  .strictObject({
    id: z.string(),
    pid: z.int().meta({ description: "Inside the sandbox; given again after the end. 0: never started." }),
    argv: z
      .array(z.string())
      .meta({ description: "In a list and after the end only the first 4 KiB; a cut argument ends with …." }),
    workdir: z.string(),
    user: z.string(),
    tag: z.string().optional(),
    state: z
      .enum(["running", "background", "exited"])
      .meta({ description: "background: the command has exited, processes that it started live on." }),
    exit: ProcessExit.optional(),
    pty: z.boolean(),
    stdin_open: z.boolean(),
    started_at: timestamp,
    ended_at: timestamp.optional(),
    first_offset: z.int().meta({ description: "Of the oldest byte of output that can still be replayed." }),
    next_offset: z.int().meta({ description: "Of the next byte of output." }),
    processes: z.int().meta({ description: "Living ones in its tree, itself included." }),
    ...usage,
    children: z
      .array(z.strictObject({ pid: z.int(), parent_pid: z.int(), name: z.string(), ...usage }))
      .optional()
      .meta({ description: "Living members of its tree, itself included; not told in a list." }),
  })
  .meta({ id: "Process" });
export type Process = z.output<typeof Process>;

/** One step of a process's output. Which other keys there are follows from `type`. */
export const ProcessEvent = z
  .strictObject({
    type: z.enum(["output", "gap", "live", "exit"]),
    stream: z.enum(["stdout", "stderr", "pty"]).optional(),
    offset: z.int().optional().meta({ description: "output, gap, live: of the first byte." }),
    until: z.int().optional().meta({ description: "gap: the first byte after what is lost." }),
    encoding: z.literal("base64").optional(),
    data: z.string().optional(),
    exit: ProcessExit.optional(),
  })
  .meta({ id: "ProcessEvent" });
export type ProcessEvent = z.output<typeof ProcessEvent>;

const processErrors = [...guestErrors, "process_not_found"] as const;

const processes = "/api/v1/sandboxes/{id}/processes";
const one = { params: z.strictObject({ ...sandboxParams.shape, pid: text(64).min(1) }) } as const;
const named = { id: "public", pid: "public" } as const;
const offset = z.int("must be a whole number").min(0, "cannot be negative").optional();

export const startProcess = defineOperation({
  id: "processes.start",
  method: "POST",
  path: processes,
  summary: "Start a process that outlives the connection; its id stays valid over a restart of the server",
  permission: "sandbox:exec",
  auditClass: "write",
  auditFields: {
    id: "public",
    command: "sensitive",
    args: "sensitive",
    mode: "public",
    workdir: "sensitive",
    user: "public",
    tag: "public",
    stdin: "public",
    pty: "public",
    timeout: "public",
  },
  errors: [...guestErrors, "not_supported", "disk_full"],
  stream: "none",
  params: sandboxParams,
  body: StartProcessRequest,
  bodyBytesMax: 4 * mebibyte,
  answers: { 201: json(Process) },
});

export const listProcesses = defineOperation({
  id: "processes.list",
  method: "GET",
  path: processes,
  summary: "List processes, oldest first; ended ones stay for 24 hours or until 100 others have ended",
  permission: "sandbox:read",
  auditClass: "none",
  errors: guestErrors,
  stream: "none",
  untrusted: true,
  params: sandboxParams,
  answers: { 200: json(z.array(Process)) },
});

export const getProcess = defineOperation({
  ...one,
  id: "processes.get",
  method: "GET",
  path: `${processes}/{pid}`,
  summary: "Get one process with its state, exit, processor and memory use, and children",
  permission: "sandbox:read",
  auditClass: "none",
  errors: processErrors,
  stream: "none",
  untrusted: true,
  answers: { 200: json(Process) },
});

export const processOutput = defineOperation({
  ...one,
  id: "processes.output",
  method: "GET",
  path: `${processes}/{pid}/output`,
  summary: "Replay output from an offset, then follow it; as NDJSON, server-sent events or raw bytes (Accept)",
  permission: "sandbox:exec",
  auditClass: "read",
  auditFields: { ...named, offset: "public", follow: "public", encoding: "public" },
  errors: processErrors,
  stream: "ndjson",
  endless: true,
  untrusted: true,
  query: z.strictObject({
    offset: offset.meta({ description: "Of the first byte wanted; 0, or what Last-Event-ID says, where absent." }),
    follow: flag.optional().meta({ description: "Goes on until everything that it started has ended." }),
    encoding: oneOf(["text", "base64"]).optional().meta({
      description: "base64 keeps every byte; text (the default) puts U+FFFD where bytes are no UTF-8.",
    }),
  }),
  answers: {
    200: {
      "application/x-ndjson": ProcessEvent,
      "text/event-stream": ProcessEvent,
      "application/octet-stream": "bytes",
    },
  },
});

export const writeProcessStdin = defineOperation({
  ...one,
  id: "processes.stdin",
  method: "POST",
  path: `${processes}/{pid}/stdin`,
  summary: "Write the request's raw bytes to stdin or the terminal",
  permission: "sandbox:exec",
  auditClass: "write",
  auditFields: named,
  errors: [...processErrors, "process_state_conflict", "stdin_full"],
  stream: "none",
  body: "bytes",
  answers: { 200: json(z.strictObject({ written: z.int() })) },
});

export const closeProcessStdin = defineOperation({
  ...one,
  id: "processes.closeStdin",
  method: "DELETE",
  path: `${processes}/{pid}/stdin`,
  summary: "Close stdin after what was written; repeating it is no error",
  permission: "sandbox:exec",
  auditClass: "write",
  auditFields: named,
  errors: [...processErrors, "process_state_conflict"],
  stream: "none",
  answers: { 200: json(status("closed")) },
});

export const signalProcess = defineOperation({
  ...one,
  id: "processes.signal",
  method: "POST",
  path: `${processes}/{pid}/signal`,
  summary: "Send a signal to a process and everything that it started",
  permission: "sandbox:exec",
  auditClass: "write",
  auditFields: { ...named, signal: "public", tree: "public" },
  errors: [...processErrors, "process_state_conflict"],
  stream: "none",
  body: z
    .strictObject({
      signal: oneOf(signalNames),
      tree: z.boolean().optional().meta({ description: "false: only the process itself." }),
    })
    .meta({ id: "SignalProcessRequest" }),
  answers: { 200: json(status("sent")) },
});

export const resizeProcess = defineOperation({
  ...one,
  id: "processes.resize",
  method: "POST",
  path: `${processes}/{pid}/resize`,
  summary: "Change the size of a process's terminal",
  permission: "sandbox:exec",
  auditClass: "none",
  errors: [...processErrors, "process_state_conflict"],
  stream: "none",
  body: TerminalSize,
  answers: { 200: json(status("resized")) },
});

export const waitForProcess = defineOperation({
  ...one,
  id: "processes.wait",
  method: "GET",
  path: `${processes}/{pid}/wait`,
  summary: "Answer when the process has exited or the time is over, with what it is then",
  permission: "sandbox:read",
  auditClass: "none",
  errors: processErrors,
  stream: "none",
  endless: true,
  untrusted: true,
  query: z.strictObject({
    timeout: durationText.optional().meta({ description: "Go duration from 0s to 10m; 30s where absent." }),
  }),
  answers: { 200: json(Process) },
});

export const processSocket = defineOperation({
  ...one,
  id: "processes.socket",
  method: "GET",
  path: `${processes}/{pid}/socket`,
  summary: "Attach to a process over a WebSocket: output from an offset, input, terminal size, signals",
  permission: "sandbox:exec",
  auditClass: "write",
  auditFields: { ...named, offset: "public" },
  errors: [...processErrors, "upgrade_required"],
  stream: "websocket",
  query: z.strictObject({ offset }),
  answers: { 101: {} },
});

/** A client's message on the WebSocket of a process, as text. Binary frames are input. */
export const ProcessSocketMessage = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("stdin_close") }),
  z.strictObject({ type: z.literal("resize"), cols: cells, rows: cells }),
  z.strictObject({ type: z.literal("signal"), signal: oneOf(signalNames) }),
]);
export type ProcessSocketMessage = z.output<typeof ProcessSocketMessage>;

export const processOperations = [
  startProcess,
  listProcesses,
  getProcess,
  processOutput,
  writeProcessStdin,
  closeProcessStdin,
  signalProcess,
  resizeProcess,
  waitForProcess,
  processSocket,
] as const;

import { z } from "zod";
import { defineOperation } from "../operation.ts";
import { durationAnswer, durationText, text, textMap } from "../wire.ts";
import { sandboxParams } from "./sandboxes.ts";

const mebibyte = 1_048_576;

export const ExecRequest = z
  .object({
    command: text(mebibyte).optional(),
    args: z.array(text(mebibyte)).max(4096, "must have 4096 items or fewer").optional(),
    mode: text(64).optional().meta({ description: "shell (the default) or argv." }),
    env: textMap({ entries: 1024, key: 1024, value: mebibyte })
      .refine((map) => !Object.keys(map).some((name) => name.includes("=")), "names must not contain =")
      .optional(),
    workdir: text(4096).optional(),
    timeout: durationText.optional(),
    stream: z.boolean().optional(),
    user: text(64).optional(),
    stdin: z
      .string()
      .max(8 * mebibyte, `must be ${8 * mebibyte} characters or fewer`)
      .optional(),
    max_output_bytes: z
      .int()
      .min(0, "cannot be negative")
      .optional()
      .meta({ description: "Both streams together; the head is kept. 0 or absent: 16 MiB." }),
  })
  .meta({ id: "ExecRequest" });
export type ExecRequest = z.output<typeof ExecRequest>;

export const ExecResult = z
  .strictObject({
    exit_code: z.int(),
    stdout: z.string(),
    stderr: z.string(),
    duration: durationAnswer,
    timed_out: z.boolean(),
    truncated: z.boolean(),
  })
  .meta({ id: "ExecResult" });
export type ExecResult = z.output<typeof ExecResult>;

/** One line of the stream. Only the last has `exit_code`; a failure after the first byte is a line with `error`. */
export const ExecLine = z
  .strictObject({
    stream: z.enum(["stdout", "stderr", "exit"]),
    data: z.string(),
    exit_code: z.int().optional(),
    timed_out: z.boolean().optional(),
    truncated: z.boolean().optional(),
    error: z.string().optional(),
  })
  .meta({ id: "ExecLine" });
export type ExecLine = z.output<typeof ExecLine>;

const execErrors = [
  "sandbox_not_found",
  "sandbox_destroyed",
  "state_conflict",
  "exec_timeout",
  "timeout_above_max",
  "file_not_found",
  "not_a_directory",
  "sandbox_limit",
  "disk_full",
  "not_supported",
  "provider_unavailable",
  "guest_unreachable",
  "guest_protocol",
  "lease_lost",
] as const;

export const execInSandbox = defineOperation({
  id: "sandboxes.exec",
  method: "POST",
  path: "/api/v1/sandboxes/{id}/exec",
  summary: "Run a command; as one document, as NDJSON lines (stream), or stdout as raw bytes (Accept)",
  permission: "sandbox:exec",
  auditClass: "write",
  auditFields: {
    id: "public",
    command: "sensitive",
    args: "sensitive",
    mode: "public",
    workdir: "sensitive",
    timeout: "public",
    stream: "public",
    user: "public",
    max_output_bytes: "public",
  },
  errors: execErrors,
  stream: "ndjson",
  untrusted: true,
  lenient: true,
  params: sandboxParams,
  body: ExecRequest,
  bodyBytesMax: 16 * mebibyte,
  answers: {
    200: {
      "application/json": ExecResult,
      "application/x-ndjson": ExecLine,
      "application/octet-stream": "bytes",
    },
  },
});

export const execOverWebSocket = defineOperation({
  id: "sandboxes.execWebSocket",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/exec/ws",
  summary: "Run a command over a WebSocket, with input, terminal size and signals",
  permission: "sandbox:exec",
  auditClass: "write",
  auditFields: { id: "public" },
  errors: [...execErrors, "upgrade_required"],
  stream: "websocket",
  lenient: true,
  params: sandboxParams,
  answers: { 101: {} },
});

export const execOperations = [execInSandbox, execOverWebSocket] as const;

import type http from "node:http";
import type { Readable } from "node:stream";
import { type ErrorReason, StacyError } from "@stacyvm/contract";
import type { GuestUploads, UploadState } from "../guest-uploads.ts";
import { unexpected } from "./envelope.ts";
import { agentText, guestFailure } from "./failures.ts";
import { sendContent } from "./files.ts";
import { readAtMost } from "./read-at-most.ts";

/** Longest answer about an upload read from an agent, bytes. */
const answerMaxBytes = 16 * 1024;
/** Deadline of a call that brings no bytes, milliseconds. */
const uploadCallTimeoutMs = 30_000;

const reasons: Partial<Record<number, ErrorReason>> = {
  400: "invalid_input",
  403: "file_permission_denied",
  404: "upload_not_found",
  409: "upload_conflict",
  422: "checksum_mismatch",
  429: "sandbox_limit",
  507: "disk_full",
};
/** Where no upload is named, what isn't found is a file. */
const beginReasons = { ...reasons, 404: "file_not_found" } as const satisfies typeof reasons;

const noContent = new Uint8Array();

interface Call {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly path?: string;
  readonly query: Readonly<Record<string, string>>;
  readonly content?: Readable;
  readonly reading?: Partial<Record<number, ErrorReason>>;
}

/** The uploads behind an agent. */
export const agentUploads = (connections: http.Agent): GuestUploads => {
  const call = async (request: Call, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> => {
    const within =
      request.content === undefined ? AbortSignal.any([signal, AbortSignal.timeout(uploadCallTimeoutMs)]) : signal;
    try {
      const target = `${request.path ?? "/uploads"}?${new URLSearchParams(request.query)}`;
      const { method, content = noContent } = request;
      const response = await sendContent(connections, method, target, content, within);
      const answer = await answerOf(response);
      const status = response.statusCode ?? 0;
      if (status !== 200 && status !== 201) throw failure(status, answer, request.reading ?? reasons);
      return answer;
    } catch (error) {
      throw guestFailure(error, within);
    }
  };

  return {
    begin: async (id, { path, mode, sizeBytes }, signal) => {
      const size: { size?: string } = sizeBytes === undefined ? {} : { size: String(sizeBytes) };
      const query = { id, path, mode: mode.toString(8).padStart(4, "0"), ...size };
      return state(await call({ method: "POST", query, reading: beginReasons }, signal));
    },
    append: async (id, offset, content, signal) =>
      state(await call({ method: "PATCH", query: { id, offset: String(offset) }, content }, signal)),
    get: async (id, signal) => state(await call({ method: "GET", query: { id } }, signal)),
    commit: async (id, sha256, signal) => {
      const query = { id, ...(sha256 === undefined ? {} : { sha256 }) };
      const answer = await call({ method: "POST", path: "/uploads/commit", query }, signal);
      if (typeof answer.sha256 !== "string" || !/^[0-9a-f]{64}$/.test(answer.sha256)) throw unexpected("no checksum");
      return { sizeBytes: whole(answer.size), sha256: answer.sha256 };
    },
    abort: async (id, signal) => {
      await call({ method: "DELETE", query: { id } }, signal);
    },
  };
};

async function answerOf(response: http.IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const text = (await readAtMost(response, answerMaxBytes)).toString("utf8");
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (cause) {
    throw unexpected("an answer that is no JSON", cause);
  }
  throw unexpected("an answer that is no object");
}

function failure(
  status: number,
  { message, offset }: Readonly<Record<string, unknown>>,
  reading: Partial<Record<number, ErrorReason>>,
): StacyError {
  const reason = reading[status];
  if (reason === undefined) throw unexpected(`status ${status}`);
  const told = reason === "upload_conflict" || reason === "disk_full";
  return new StacyError(reason, typeof message === "string" ? agentText(message) : reason, {
    ...(told && offset !== undefined ? { details: { offset: whole(offset) } } : {}),
  });
}

function state({ offset, size, expires_at_ms: expiresAtMs }: Readonly<Record<string, unknown>>): UploadState {
  return {
    offset: whole(offset),
    sizeBytes: size === undefined ? undefined : whole(size),
    // The latest time that a date can hold.
    expiresAtMs: Math.min(whole(expiresAtMs), 8.64e15),
  };
}

function whole(value: unknown): number {
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) throw unexpected("a number that is none");
  return value;
}

import http from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type ErrorReason, StacyError } from "@stacyvm/contract";
import type { FileContent, ReadFileOptions } from "../guest.ts";
import { agentText, guestFailure } from "./failures.ts";
import type { PlainConnections } from "./plain-connections.ts";
import { readAtMost } from "./read-at-most.ts";

/** Longest error body read from an agent, bytes. */
const errorBodyMaxBytes = 16 * 1024;

const readReasons: Partial<Record<number, ErrorReason>> = {
  400: "not_a_file",
  403: "file_permission_denied",
  404: "file_not_found",
};
const writeReasons: Partial<Record<number, ErrorReason>> = {
  400: "invalid_input",
  403: "file_permission_denied",
  404: "file_not_found",
  413: "payload_too_large",
  507: "disk_full",
};

/** A file's bytes on a plain connection. */
export async function readFile(
  connections: PlainConnections,
  path: string,
  options: ReadFileOptions,
  signal: AbortSignal,
): Promise<FileContent> {
  const headers = {
    "accept-encoding": "identity",
    ...(options.range === undefined ? {} : { range: options.range }),
    ...(options.ifNoneMatch === undefined ? {} : { "if-none-match": options.ifNoneMatch }),
  };
  try {
    const request = { method: options.method ?? "GET", path: `/files?${new URLSearchParams({ path })}`, headers };
    const { status, headers: found, body } = await connections.send(request, signal);
    if (![200, 206, 304, 416].includes(status)) throw await failureOf(status, body, path, readReasons);
    return {
      status,
      sizeBytes: lengthOf(found.get("content-length")),
      etag: header(found.get("etag"), /^"[\w.:-]{1,128}"$/),
      contentRange: header(found.get("content-range"), /^bytes [\d*/-]{1,64}$/),
      modifiedAt: header(found.get("last-modified"), /^[\w, :]{1,40}$/),
      body,
    };
  } catch (error) {
    throw guestFailure(error, signal);
  }
}

/** Writes a whole file; the agent puts it under its name only when every byte has arrived. */
export async function writeFile(
  connections: http.Agent,
  path: string,
  content: Readable | Uint8Array,
  mode: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  try {
    const query = mode === undefined ? {} : { mode: mode.toString(8).padStart(4, "0") };
    const target = `/files?${new URLSearchParams({ path, ...query })}`;
    const response = await sendContent(connections, "POST", target, content, signal);
    const status = response.statusCode ?? 0;
    if (status !== 200) throw await failureOf(status, response, path, writeReasons);
    response.resume();
  } catch (error) {
    throw guestFailure(error, signal);
  }
}

/**
 * Sends a content as it comes, to a target in the agent's own form. Not by `Expect: 100-continue`: an agent that was asked
 * so closes at once when it answers before it has read everything, and the answer would be lost to the broken connection.
 */
export function sendContent(
  connections: http.Agent,
  method: "GET" | "POST" | "PATCH" | "DELETE",
  target: string,
  content: Readable | Uint8Array,
  signal: AbortSignal,
): Promise<http.IncomingMessage> {
  const headers = { "content-type": "application/octet-stream" };
  return new Promise((resolve, reject) => {
    const request = http.request({
      agent: connections,
      host: "agent",
      method,
      path: target,
      signal,
      headers: content instanceof Uint8Array ? { ...headers, "content-length": content.length } : headers,
    });
    let answered = false;
    request.on("response", (response) => {
      answered = true;
      resolve(response);
    });
    request.on("error", reject);
    if (content instanceof Uint8Array) {
      request.end(content);
      return;
    }
    pipeline(content, request).catch((error: unknown) => {
      // An agent that answers before it has read everything (a full disk) closes; its answer is what counts.
      if (!answered) reject(error);
    });
  });
}

/** Why the agent refused, by its status and in its words. */
export async function failureOf(
  status: number,
  body: AsyncIterable<Buffer>,
  path: string,
  reasons: Partial<Record<number, ErrorReason>>,
): Promise<StacyError> {
  const reason = reasons[status];
  const text = agentText(messageIn((await readAtMost(body, errorBodyMaxBytes)).toString("utf8")));
  if (reason === undefined) {
    return new StacyError("guest_protocol", `the sandbox's agent answered with status ${status}`);
  }
  return new StacyError(reason, reason === "file_not_found" ? `no such file or directory: ${path}` : text || path);
}

function messageIn(body: string): string {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value === "object" && value !== null && "message" in value && typeof value.message === "string") {
      return value.message;
    }
  } catch {
    // Not JSON: the text itself will do.
  }
  return body;
}

function lengthOf(value: string | undefined): number | undefined {
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

function header(value: string | undefined, form: RegExp): string | undefined {
  return value !== undefined && form.test(value) ? value : undefined;
}

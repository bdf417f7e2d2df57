import http from "node:http";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type ErrorReason, StacyError } from "@stacyvm/contract";
import type { FileContent, ReadFileOptions } from "../guest.ts";
import { agentText, guestFailure } from "./failures.ts";

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

/** A file's bytes on a plain connection. The body must be consumed or destroyed. */
export async function readFile(
  connections: http.Agent,
  path: string,
  options: ReadFileOptions,
  signal: AbortSignal,
): Promise<FileContent> {
  try {
    const response = await send(connections, options.method ?? "GET", path, {}, signal, {
      "accept-encoding": "identity",
      ...(options.range === undefined ? {} : { range: options.range }),
      ...(options.ifNoneMatch === undefined ? {} : { "if-none-match": options.ifNoneMatch }),
    });
    const status = response.statusCode ?? 0;
    if (![200, 206, 304, 416].includes(status)) throw await failureOf(response, path, readReasons);
    return {
      status,
      sizeBytes: lengthOf(response.headers["content-length"]),
      etag: header(response.headers.etag, /^"[\w.:-]{1,128}"$/),
      contentRange: header(response.headers["content-range"], /^bytes [\d*/-]{1,64}$/),
      modifiedAt: header(response.headers["last-modified"], /^[\w, :]{1,40}$/),
      body: response,
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
    const response = await send(
      connections,
      "POST",
      path,
      query,
      signal,
      { "content-type": "application/octet-stream" },
      content,
    );
    if (response.statusCode !== 200) throw await failureOf(response, path, writeReasons);
    response.resume();
  } catch (error) {
    throw guestFailure(error, signal);
  }
}

function send(
  connections: http.Agent,
  method: string,
  path: string,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
  headers: http.OutgoingHttpHeaders,
  content?: Readable | Uint8Array,
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = http.request({
      agent: connections,
      host: "agent",
      method,
      path: `/files?${new URLSearchParams({ path, ...query })}`,
      signal,
      headers: content instanceof Uint8Array ? { ...headers, "content-length": content.length } : headers,
    });
    let answered = false;
    request.on("response", (response) => {
      answered = true;
      resolve(response);
    });
    request.on("error", reject);
    if (content === undefined || content instanceof Uint8Array) {
      request.end(content);
      return;
    }
    pipeline(content, request).catch((error: unknown) => {
      // An agent that answers before it has read everything (a full disk) closes; its answer is what counts.
      if (!answered) reject(error);
    });
  });
}

async function failureOf(
  response: http.IncomingMessage,
  path: string,
  reasons: Partial<Record<number, ErrorReason>>,
): Promise<StacyError> {
  const reason = reasons[response.statusCode ?? 0];
  const chunks: Buffer[] = [];
  let held = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    held += chunk.length;
    if (held > errorBodyMaxBytes) break;
    chunks.push(chunk);
  }
  const text = agentText(messageIn(Buffer.concat(chunks).toString("utf8")));
  if (reason === undefined) {
    return new StacyError("guest_protocol", `the sandbox's agent answered with status ${response.statusCode}`);
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

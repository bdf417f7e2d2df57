import type http from "node:http";
import { type ErrorReason, StacyError } from "@stacyvm/contract";
import { z } from "zod";
import type { GuestFolders } from "../guest-folders.ts";
import { agentText, guestFailure } from "./failures.ts";
import { failureOf, sendContent } from "./files.ts";
import type { Answer, PlainConnections } from "./plain-connections.ts";
import { readAtMost } from "./read-at-most.ts";

/** Longest answer about what was written, bytes. */
const answerMaxBytes = 4096;

const packReasons: Partial<Record<number, ErrorReason>> = {
  400: "not_a_file",
  403: "file_permission_denied",
  404: "file_not_found",
};
const unpackReasons: Partial<Record<number, ErrorReason>> = {
  400: "not_a_directory",
  403: "file_permission_denied",
  404: "file_not_found",
  422: "archive_invalid",
  429: "sandbox_limit",
  507: "disk_full",
};
const makeReasons: Partial<Record<number, ErrorReason>> = {
  400: "not_a_directory",
  403: "file_permission_denied",
  404: "file_not_found",
  409: "already_exists",
  507: "disk_full",
};

const Unpacked = z.object({ entries: z.int().min(0), bytes: z.int().min(0) });
const Made = z.object({ created: z.boolean() });

export interface AgentFoldersOptions {
  readonly connections: PlainConnections;
  readonly uploads: http.Agent;
  /** Deadline of a call that moves no bulk, milliseconds. */
  readonly callTimeoutMs: number;
}

/** The folders behind an agent, on plain connections. */
export const agentFolders = ({ connections, uploads, callTimeoutMs }: AgentFoldersOptions): GuestFolders => ({
  pack: async (path, compression, signal) => {
    try {
      const target = `/files/archive?${new URLSearchParams({ path, compression })}`;
      const answer = await connections.send({ method: "GET", path: target, headers: {} }, signal);
      if (answer.status !== 200) throw await failureOf(answer.status, answer.body, path, packReasons);
      const { body, trailers } = answer;
      return {
        body: { discard: () => body.discard(), [Symbol.asyncIterator]: () => finished(answer, signal) },
        skipped: () => Number(/^\d{1,9}$/.exec(trailers.get("x-archive-skipped") ?? "")?.[0] ?? 0),
      };
    } catch (error) {
      throw guestFailure(error, signal);
    }
  },
  unpack: async (path, content, compression, signal) => {
    try {
      const target = `/files/archive?${new URLSearchParams({ path, compression })}`;
      const response = await sendContent(uploads, "POST", target, content, signal);
      const status = response.statusCode ?? 0;
      if (status !== 200) throw await failureOf(status, response, path, unpackReasons);
      return await documentOf(response, Unpacked);
    } catch (error) {
      throw guestFailure(error, signal);
    }
  },
  make: async (path, { mode, parents }, signal) => {
    const query = { path, parents: String(parents), ...(mode === undefined ? {} : { mode: mode.toString(8) }) };
    const limited = AbortSignal.any([signal, AbortSignal.timeout(callTimeoutMs)]);
    try {
      const target = `/files/directory?${new URLSearchParams(query)}`;
      const request = { method: "POST", path: target, headers: {}, body: new Uint8Array() } as const;
      const { status, body } = await connections.send(request, limited);
      if (status !== 200) throw await failureOf(status, body, path, makeReasons);
      return (await documentOf(body, Made)).created;
    } catch (error) {
      throw guestFailure(error, limited);
    }
  },
});

/** The archive's bytes; at their end a throw where the agent says that they are not all. */
async function* finished({ body, trailers }: Answer, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    yield* body;
  } catch (error) {
    throw guestFailure(error, signal);
  }
  const failed = trailers.get("x-archive-failed");
  if (failed !== undefined) throw new StacyError("guest_protocol", `the archive has no end: ${agentText(failed)}`);
  if (!trailers.has("x-archive-skipped")) throw new StacyError("guest_protocol", "the archive has no end");
}

async function documentOf<S extends z.ZodType>(body: AsyncIterable<Buffer>, schema: S): Promise<z.output<S>> {
  return schema.parse(JSON.parse((await readAtMost(body, answerMaxBytes)).toString("utf8")));
}

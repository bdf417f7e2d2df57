import type { ServerResponse } from "node:http";
import type { FastifyReply } from "fastify";
import type { StreamAnswer } from "./handler.ts";
import { closeIfUnread } from "./unread-body.ts";

/**
 * Sends parts one by one: the next is asked for when the last has left this process, so a part's memory may be used
 * again; an empty one sends the head. What fails before the first part throws; later the connection is cut, so that no
 * end is faked.
 */
export const sendParts = async (
  reply: FastifyReply,
  { stream, trailers = {} }: StreamAnswer,
): Promise<FastifyReply> => {
  const parts = stream[Symbol.asyncIterator]();
  let next = await parts.next();
  const { raw, request } = reply;
  const names = Object.keys(trailers);
  if (names.length > 0) reply.header("Trailer", names.join(", "));
  closeIfUnread(request, reply);
  reply.hijack();
  raw.writeHead(reply.statusCode, reply.getHeaders() as Record<string, string>);
  const [write, encode] = [writer(raw), encoder()];
  try {
    for (; next.done !== true && !raw.destroyed; next = await parts.next()) {
      const part = typeof next.value === "string" ? encode(next.value) : next.value;
      request.served.sentBytes += part.length;
      if (part.length === 0) raw.flushHeaders();
      else await write(part);
    }
    if (next.done !== true) await parts.return?.();
    raw.addTrailers(Object.fromEntries(Object.entries(trailers).map(([name, value]) => [name, value()])));
    raw.end();
  } catch (error) {
    if (!raw.destroyed) request.log.warn({ err: error, request_id: request.id }, "answer cut short");
    raw.destroy();
  }
  return reply;
};

/** Resolves when a part has left this process, or can't any more; the answer is then destroyed. */
const writer = (raw: ServerResponse): ((part: Uint8Array) => Promise<void>) => {
  let settle = (): void => {};
  raw.once("close", () => settle());
  return (part) =>
    new Promise((resolve) => {
      settle = resolve;
      raw.write(part, (error) => {
        // Node 26 fails writes at once and for ever here, and leaves no turn in which the answer would be destroyed.
        if (error) raw.destroy();
        resolve();
      });
    });
};

/** Text as bytes in memory that the next text overwrites. */
const encoder = (): ((text: string) => Uint8Array) => {
  let memory = Buffer.alloc(0);
  return (text) => {
    const length = Buffer.byteLength(text);
    if (length > memory.length) memory = Buffer.allocUnsafeSlow(length * 2);
    return memory.subarray(0, memory.write(text));
  };
};

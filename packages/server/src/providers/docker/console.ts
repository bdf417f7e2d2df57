import type { Readable } from "node:stream";
import type Docker from "dockerode";

/** What is kept of a console, bytes. */
const keptConsoleBytes = 64 * 1024;
const headerBytes = 8;

export interface Console extends Disposable {
  /** Aborted when the container has ended, or the engine has. */
  readonly ended: AbortSignal;
  /** Oldest first. */
  lines(last: number): readonly string[];
}

/**
 * What a container prints from now on. No log is kept by the engine, where it would grow without bound; only the agent
 * can write there, so it is next to nothing. Where stdout carries its connections that is left out.
 */
export const attachConsole = async (
  container: Docker.Container,
  { stdout }: { readonly stdout: boolean },
): Promise<Console> => {
  const stream = (await container.attach({ stream: true, stdout, stderr: true })) as unknown as Readable;
  const over = new AbortController();
  let pending = Buffer.alloc(0);
  let kept = Buffer.alloc(0);
  // Frames of the engine: a byte for the stream, three of nothing, four of length, then the content.
  stream.on("data", (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= headerBytes) {
      const end = headerBytes + pending.readUInt32BE(4);
      if (end > keptConsoleBytes) return stream.destroy(); // Nothing that an agent prints.
      if (pending.length < end) return;
      kept = Buffer.concat([kept, pending.subarray(headerBytes, end)]).subarray(-keptConsoleBytes);
      pending = pending.subarray(end);
    }
  });
  stream.once("close", () => over.abort());
  stream.on("error", () => over.abort());
  return {
    ended: over.signal,
    lines(last) {
      const all = kept.toString().split("\n");
      if (all.at(-1) === "") all.pop();
      return last > 0 ? all.slice(-last) : [];
    },
    [Symbol.dispose]() {
      stream.destroy();
    },
  };
};

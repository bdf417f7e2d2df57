import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type Docker from "dockerode";

const headerSize = 8;
const stdoutStream = 1;
/** How often a quiet connection to the engine is asked whether it stands, milliseconds. */
const keepAliveIntervalMs = 15_000;

/**
 * The first process's stdin and stdout as one stream. It ends when the container does; leaving it does nothing to the
 * container.
 */
export const attachAgent = async (container: Docker.Container, signal: AbortSignal): Promise<Duplex> => {
  const options = { stream: true, stdin: true, stdout: true, stderr: false, hijack: true, abortSignal: signal };
  const connection = (await container.attach(options)) as unknown as Socket;
  // Over TCP the engine's machine may vanish without a word, and small frames must not wait for large ones.
  connection.setKeepAlive?.(true, keepAliveIntervalMs);
  connection.setNoDelay?.(true);
  return withoutHeaders(connection);
};

/**
 * Takes the engine's own frames from what is read: a byte for the stream, three of nothing, four of length, the content.
 * What isn't stdout is dropped.
 */
export const withoutHeaders = (connection: Duplex): Duplex => {
  const header = Buffer.alloc(headerSize);
  let held = 0;
  let left = 0;
  const take = (chunk: Buffer): boolean => {
    let more = true;
    for (let at = 0; at < chunk.length; ) {
      if (left === 0) {
        const copied = chunk.copy(header, held, at);
        held += copied;
        at += copied;
        if (held < headerSize) return more;
        held = 0;
        left = header.readUInt32BE(4);
      }
      const part = chunk.subarray(at, at + left);
      at += part.length;
      left -= part.length;
      if (part.length > 0 && header[0] === stdoutStream) more = stream.push(part);
    }
    return more;
  };
  const stream = new Duplex({
    allowHalfOpen: false,
    read: () => void connection.resume(),
    write: (chunk: Buffer, _encoding, done) => void connection.write(chunk, done),
    writev: (chunks: readonly { readonly chunk: Buffer }[], done) => {
      connection.cork();
      for (const [at, { chunk }] of chunks.entries())
        connection.write(chunk, at === chunks.length - 1 ? done : undefined);
      connection.uncork();
    },
    final: (done) => void connection.end(done),
    destroy: (error, done) => {
      connection.destroy();
      done(error);
    },
  });
  connection
    .on("data", (chunk: Buffer) => {
      if (!take(chunk)) connection.pause();
    })
    .once("end", () => stream.push(null))
    .on("error", (error) => stream.destroy(error))
    .once("close", () => stream.destroy());
  return stream;
};

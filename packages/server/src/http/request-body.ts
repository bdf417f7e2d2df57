import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { StacyError } from "@stacyvm/contract";
import { uploadIdleTimeoutMs } from "./bounds.ts";

export interface ReadBodyOptions {
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

/** The whole body. Throws payload_too_large, request_timeout, or invalid_body when the client goes away within it. */
export const readBody = (request: IncomingMessage, options: ReadBodyOptions): Promise<Buffer> => {
  const tooLarge = () =>
    new StacyError("payload_too_large", `invalid input: the body must be ${options.bytesMax} bytes or fewer`);
  if (Number(request.headers["content-length"] ?? 0) > options.bytesMax) return Promise.reject(tooLarge());
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (action: () => void): void => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("close", onClose);
      action();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= options.bytesMax) chunks.push(chunk);
      else {
        request.pause();
        settle(() => reject(tooLarge()));
      }
    };
    const onEnd = (): void => settle(() => resolve(Buffer.concat(chunks, size)));
    const onClose = (): void => settle(() => reject(new StacyError("invalid_body", "invalid request body")));
    const timer = setTimeout(
      () => settle(() => reject(new StacyError("request_timeout", "the request body did not arrive in time"))),
      options.timeoutMs,
    );
    request.on("data", onData).on("end", onEnd).on("close", onClose);
    request.on("error", () => {
      // "close" follows and settles; without a listener the process would end.
    });
  });
};

/** The body as a stream that fails with request_timeout when nothing moves for too long. */
export const streamBody = (request: IncomingMessage, idleTimeoutMs: number = uploadIdleTimeoutMs): Readable => {
  const { socket } = request;
  const onIdle = (): void => {
    request.destroy(new StacyError("request_timeout", "the request body stopped arriving"));
  };
  const disarm = (): void => {
    socket.off("timeout", onIdle);
    socket.setTimeout(0);
  };
  socket.setTimeout(idleTimeoutMs);
  socket.on("timeout", onIdle);
  request.once("end", disarm).once("close", disarm);
  return request;
};

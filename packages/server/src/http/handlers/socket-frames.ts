import type { WebSocket } from "ws";
import { toStacyError } from "../errors.ts";

/** Resolves when the frame has left: a client that doesn't read holds up whoever sends, and costs no memory. */
export const sendFrame = (socket: WebSocket, frame: Buffer | object): Promise<void> =>
  new Promise((resolve, reject) => {
    socket.send(Buffer.isBuffer(frame) ? frame : JSON.stringify(frame), (error) => (error ? reject(error) : resolve()));
  });

/** The message that says why there is no more. */
export const failureMessage = (error: unknown) => ({
  type: "error",
  reason: toStacyError(error).reason,
  error: failureText(error),
});

/** Closes; the other side's answer to that has to be read. */
export const endSocket = (socket: WebSocket, code: number, reason: string): void => {
  socket.resume();
  socket.close(code, reason);
};

/** What a client is told of a failure: nothing of the cause where the server is at fault. */
export const failureText = (error: unknown): string => {
  const failure = toStacyError(error);
  return failure.entry.status >= 500 ? failure.entry.summary : failure.message;
};

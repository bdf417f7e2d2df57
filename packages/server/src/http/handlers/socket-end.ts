import type { WebSocket } from "ws";
import { toStacyError } from "../errors.ts";

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

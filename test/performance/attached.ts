import { WebSocket } from "ws";
import type { ApiClient } from "./api-client.ts";

/** The stream's number and the offset stand before a frame's bytes. */
const frameHead = 9;

/** A client that is attached to a process by WebSocket from its first byte of output. */
export interface Attached extends Disposable {
  write(input: Uint8Array): void;
  /** Resolves when the process has ended; rejects on anything else, a missing byte included. */
  readonly ended: Promise<void>;
}

export interface AttachOptions {
  readonly serverUrl: string;
  /** Of the process. */
  readonly path: string;
  /** Gets each piece of output, in order. */
  readonly onOutput: (bytes: Buffer) => void;
}

/** Resolves once the replay is over. */
export const attach = async ({ serverUrl, path, onOutput }: AttachOptions): Promise<Attached> => {
  const socket = new WebSocket(`${serverUrl.replace("http", "ws")}${path}/socket?offset=0`);
  const live = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  // Who disposes of it doesn't wait for an end.
  ended.promise.catch(() => {});
  let next = 0n;
  const fail = (error: Error): void => {
    live.reject(error);
    ended.reject(error);
    socket.terminate();
  };
  socket.on("message", (data: Buffer, binary) => {
    if (!binary) {
      const message = JSON.parse(data.toString("utf8")) as { readonly type: string };
      if (message.type === "live") live.resolve();
      else if (message.type !== "exit") fail(new Error(`${path}: ${data}`));
      return;
    }
    if (data.readBigUInt64BE(1) !== next) {
      fail(new Error(`${path}: bytes from ${next} are missing`));
      return;
    }
    next += BigInt(data.length - frameHead);
    onOutput(data.subarray(frameHead));
  });
  socket.on("error", fail);
  socket.on("close", (code) => {
    if (code === 1000) ended.resolve();
    else fail(new Error(`${path}: closed with ${code}`));
  });
  await live.promise;
  return {
    write: (input) => socket.send(input),
    ended: ended.promise,
    [Symbol.dispose]: () => socket.terminate(),
  };
};

/** Starts a process; its path under the server's URL. */
export const startProcess = async (api: ApiClient, sandboxId: string, process: object): Promise<string> => {
  const path = `/api/v1/sandboxes/${sandboxId}/processes`;
  const { id } = await api.json<{ readonly id: string }>("POST", path, process);
  return `${path}/${id}`;
};

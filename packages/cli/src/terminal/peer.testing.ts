import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

export const exit = { type: "exit", exit: { exit_code: 3 } };

export const tell = (socket: WebSocket, message: object): void => socket.send(JSON.stringify(message));
export const output = (socket: WebSocket, offset: number, bytes: Uint8Array, replayed = false): void => {
  const head = Buffer.alloc(9);
  head[0] = replayed ? 0x83 : 3;
  head.writeBigUInt64BE(BigInt(offset), 1);
  socket.send(Buffer.concat([head, bytes]));
};

export interface Peer extends AsyncDisposable {
  readonly url: string;
  /** The offset that each connection asked for. */
  readonly asked: readonly number[];
  /** What all of them sent. */
  readonly received: readonly string[];
  stop(): Promise<void>;
}

/** A server of process sockets. The nth connection is served by the nth; the last one serves all that follow. */
export const peer = async (...serves: readonly ((socket: WebSocket, offset: number) => void)[]): Promise<Peer> => {
  const asked: number[] = [];
  const received: string[] = [];
  const http = createServer((_request, response) => response.writeHead(404).end());
  const sockets = new WebSocketServer({ server: http });
  sockets.on("connection", (socket, request) => {
    const offset = Number(new URL(request.url ?? "", "http://peer").searchParams.get("offset"));
    socket.on("message", (data) => received.push(String(data)));
    asked.push(offset);
    (serves[asked.length - 1] ?? serves.at(-1))?.(socket, offset);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const stop = async (): Promise<void> => {
    for (const socket of sockets.clients) socket.terminate();
    if (http.listening) await new Promise((resolve) => http.close(resolve));
  };
  const { port } = http.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked, received, stop, [Symbol.asyncDispose]: stop };
};

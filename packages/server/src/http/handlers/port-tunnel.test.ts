import net, { type AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import { stranger } from "../identity.ts";
import { portTunnelHandler } from "./port-tunnel.ts";

let app: net.Server;
let door: WebSocketServer;
beforeAll(async () => {
  app = net.createServer((socket) => socket.on("error", () => {}).write("hello"));
  door = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await Promise.all([
    new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve)),
    new Promise((resolve) => door.once("listening", resolve)),
  ]);
});
afterAll(() => {
  door.close();
  app.close();
});
const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;

test("a client that left while its connection was made keeps none", async () => {
  const accepted = new Promise<WebSocket>((resolve) => door.once("connection", resolve));
  const client = new WebSocket(`ws://127.0.0.1:${portOf(door)}`);
  const closed = new Promise((resolve) => client.once("close", resolve));
  const socket = await accepted;
  const leaving = new AbortController();
  let connection: net.Socket | undefined;
  const dial = async (): Promise<net.Socket> => {
    connection = net.connect(portOf(app), "127.0.0.1");
    await new Promise((resolve) => connection?.once("connect", resolve));
    leaving.abort(new Error("the client left"));
    return connection;
  };
  const handler = portTunnelHandler({ useCases: { ports: { dial } } as unknown as UseCases });
  const request = {
    params: { id: "sb-0000000000000000", port: 3000 },
    identity: stranger,
    signal: leaving.signal,
  };
  await handler(request as unknown as Parameters<typeof handler>[0], socket);
  expect(connection?.destroyed).toBe(true);
  await closed;
});

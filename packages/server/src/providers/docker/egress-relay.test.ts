import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { egressRelays } from "./egress-relay.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "stacyvm-relay-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

const connected = (path: string): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    socket.once("connect", () => resolve(socket)).once("error", reject);
  });
const ended = (socket: Socket): Promise<boolean> =>
  new Promise((resolve) => {
    const over = (): void => resolve(true);
    socket.once("end", over).once("close", over).on("error", over).resume();
  });

it("a sandbox's connections leave room for calls to its agent", async () => {
  using relays = egressRelays({ pathOf: (id) => join(directory, id), user: undefined });
  let asked = 0;
  const { path } = relays.open("many", async () => {
    asked += 1;
    return new PassThrough();
  });
  const sockets = await Promise.all(Array.from({ length: 256 }, () => connected(path)));
  await expect.poll(() => asked).toBe(256);
  expect(await ended(await connected(path))).toBe(true);
  expect(asked).toBe(256);
  // One that has ended makes room.
  sockets[0]?.destroy();
  await expect
    .poll(async () => {
      const next = await connected(path);
      const gone = await Promise.race([
        ended(next),
        new Promise<false>((resolve) => next.once("data", () => resolve(false)).write("x")),
      ]);
      return gone;
    })
    .toBe(false);
  for (const socket of sockets) socket.destroy();
});

it("ends the gateway's connections where the agent takes none, and all with the sandbox", async () => {
  using relays = egressRelays({ pathOf: (id) => join(directory, id), user: undefined });
  const refused = relays.open("refused", () => Promise.reject(new Error("no such sandbox")));
  expect(await ended(await connected(refused.path))).toBe(true);
  const { path } = relays.open("closed", async () => new PassThrough());
  const one = await connected(path);
  const over = ended(one);
  relays.close("closed");
  expect(await over).toBe(true);
  await expect(connected(path)).rejects.toMatchObject({ code: "ENOENT" });
});

import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { secretText } from "./canary.ts";

/** What of the host, or beside it, a sandbox must not reach; each tells the secret to whoever connects. */
export interface HostTargets extends AsyncDisposable {
  readonly secret: string;
  /** As the control plane's own port. */
  readonly port: number;
  /** Addresses of this host beside loopback. */
  readonly addresses: readonly string[];
  /** As an engine's socket: in a directory that everybody can pass. */
  readonly socketPath: string;
  /** As containerd's shims': without @. */
  readonly abstractName: string;
  /** Of System V shared memory. */
  readonly sharedKey: number;
  /** How many have connected so far. */
  connections(): number;
}

export const metadataAddress = "169.254.169.254";
export const metadataPort = 80;

const listening = async (server: Server, where: object): Promise<Server> => {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(where, () => resolve());
  });
  return server;
};

export const openHostTargets = async (directory: string, probePath: string): Promise<HostTargets> => {
  await using stack = new AsyncDisposableStack();
  const secret = secretText();
  let connections = 0;
  const open = async (where: object): Promise<Server> => {
    const server = createServer((socket) => {
      connections++;
      socket
        .on("error", () => {})
        .resume()
        .end(secret);
    });
    stack.defer(() => new Promise<void>((resolve) => server.close(() => resolve())));
    return await listening(server, where);
  };
  const own = await open({ host: "::", port: 0, ipv6Only: false });
  const { port } = own.address() as { port: number };
  // Only in a network namespace made for this run does the address belong to anybody.
  await open({ host: metadataAddress, port: metadataPort }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EADDRNOTAVAIL") throw error;
  });
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const socketPath = join(directory, "engine.sock");
  await open({ path: socketPath, readableAll: true, writableAll: true });
  const abstractName = `stacyvm-shim-${port}`;
  await open({ path: `\0${abstractName}` });
  const sharedKey = 0x5afe0000 + (port & 0xffff);
  const sharing = spawn(probePath, ["share", `${sharedKey}`, secret], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => sharing.once("close", resolve));
  const addresses = Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).map(({ address }) => address).filter((address) => !/^(127\.|::1$|fe80:|169\.254\.)/.test(address)),
  );
  const running = stack.move();
  return {
    secret,
    port,
    addresses,
    socketPath,
    abstractName,
    sharedKey,
    connections: () => connections,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
};

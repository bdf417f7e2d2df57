import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A packet that came in by an interface; of TCP only those that open a connection. */
export interface Packet {
  readonly protocol: string;
  readonly source: string;
  readonly source_port?: number;
  readonly destination: string;
  readonly destination_port?: number;
  /** First bytes of a datagram, base64. */
  readonly payload?: string;
}

/** Runs packet-log on an interface of this network namespace; resolves when nothing is missed any more. */
export const logPackets = async (programPath: string, link: string, onPacket: (packet: Packet) => void) => {
  const child = spawn(programPath, [link], { stdio: ["ignore", "pipe", "inherit"] });
  const listening = Promise.withResolvers<void>();
  child.once("error", listening.reject);
  child.once("exit", (code, signal) => listening.reject(new Error(`packet-log ended with ${signal ?? code}`)));
  createInterface({ input: child.stdout }).on("line", (line) => {
    const one = JSON.parse(line) as Packet & { readonly listening?: true };
    if (one.listening) listening.resolve();
    else onPacket(one);
  });
  await listening.promise;
  child.once("exit", () => process.exit(1)); // a far end that sees nothing would prove anything
};

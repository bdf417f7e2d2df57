// Everything beyond the host's uplink: started by internet.ts in a network namespace where every address is local.
import { execFileSync } from "node:child_process";
import { type DnsQuery, startDns, type Zone } from "./dns-server.ts";
import { type FarEndFiles, startFarEnds } from "./far-ends.ts";
import { logPackets, type Packet } from "./packets.ts";
import { addresses, markerPort, worldLink } from "./plan.ts";
import { serveVerbs } from "./rpc.ts";

export interface WorldTask extends FarEndFiles {
  readonly packetLogPath: string;
}

const ip = (...args: readonly string[]) => execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });

let packets: Packet[] = [];
let queries: DnsQuery[] = [];
const waiting = new Map<string, () => void>();
const passed = new Set<string>();
let running: {
  readonly dns: Awaited<ReturnType<typeof startDns>>;
  readonly ends: Awaited<ReturnType<typeof startFarEnds>>;
};

serveVerbs(
  {
    ready: () => true,
    /** Once the link is there. */
    async open({ packetLogPath, ...files }: WorldTask) {
      ip("link", "set", "lo", "up");
      ip("addr", "add", `${addresses.router4}/32`, "dev", worldLink);
      ip("addr", "add", `${addresses.router6}/128`, "dev", worldLink, "nodad");
      ip("link", "set", worldLink, "up");
      ip("route", "add", `${addresses.host4}/32`, "dev", worldLink);
      ip("-6", "route", "add", `${addresses.host6}/128`, "dev", worldLink);
      // Whatever else is dialled is answered here, and so seen.
      ip("route", "add", "local", "0.0.0.0/0", "dev", "lo", "table", "main");
      ip("-6", "route", "add", "local", "::/0", "dev", "lo", "table", "main");
      ip("addr", "add", `${addresses.resolver6}/128`, "dev", "lo", "nodad");
      await logPackets(packetLogPath, worldLink, (packet) => {
        if (packet.destination_port !== markerPort) return void packets.push(packet);
        const marker = Buffer.from(packet.payload ?? "", "base64").toString("latin1");
        passed.add(marker);
        waiting.get(marker)?.();
      });
      const resolvers = [addresses.resolver4, addresses.resolver6, ...addresses.publicResolvers];
      running = { dns: await startDns(resolvers, (query) => queries.push(query)), ends: await startFarEnds(files) };
    },
    say: (zone: Zone) => running.dns.say(zone),
    /** Resolves once a datagram with this text has come by the uplink, and so everything sent before it. */
    marker: async (text: string) => {
      if (!passed.has(text)) await new Promise<void>((resolve) => waiting.set(text, resolve));
      // Connections that were waiting are accepted in a turn of the loop.
      for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
    },
    records: () => ({ packets, queries, connections: running.ends.records() }),
    forget: () => {
      [packets, queries] = [[], []];
      running.ends.forget();
    },
  },
  async () => {},
);

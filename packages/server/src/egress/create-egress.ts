import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Config } from "../config/schema.ts";
import { gatewayUser } from "../lib/gateway-user.ts";
import { parseRule } from "../lib/network-rule.ts";
import type { Secret } from "../lib/secret.ts";
import type { Egress, EgressWall } from "./egress.ts";
import { createGateway, type GatewayOptions, noEgress } from "./gateway.ts";
import { sandboxKeys } from "./sandbox-keys.ts";

export interface EgressOptions extends Pick<GatewayOptions, "clock" | "onDecision" | "onEnd"> {
  readonly config: Config["network"];
  /** Of running sandboxes. */
  readonly stateDir: string;
  readonly nativeDir: string;
  /** What sandboxes' authorities and placeholders are made from: this host's own, and the same after each start. */
  readonly hostKey: Secret;
  /** Puts up the second wall for the gateway's user; not called where the server isn't root, and so can't. */
  readonly raiseWall: (wall: EgressWall) => Promise<void>;
}

/** The way out as the operator configured it. */
export function createEgress({ config, stateDir, nativeDir, hostKey, raiseWall, ...options }: EgressOptions): Egress {
  const { mode, allow, deny } = config;
  if (mode === "none") return noEgress;
  const user = gatewayUser(stateDir);
  const isRoot = process.geteuid?.() === 0;
  const resolvers = resolverAddresses(config.resolvers.length > 0 ? config.resolvers : systemResolvers());
  const open = config.open.map(parseRule).flatMap(({ cidr, ports }) => (cidr === undefined ? [] : [{ cidr, ports }]));
  return createGateway({
    ...options,
    programPath: join(nativeDir, "stacyvm-egress"),
    serverPolicy: { mode, allow, deny, inject: [] },
    resolvers,
    open,
    limits: config.limits,
    keys: sandboxKeys(hostKey),
    roots: config.caFile === "" ? "" : readFileSync(config.caFile, "utf8"),
    user: isRoot ? user : undefined,
    beforeStart: async () => {
      if (isRoot) await raiseWall({ uid: user, open, resolvers });
    },
  });
}

const dnsPort = 53;

/** Each as address:port, IPv6 in brackets. */
const resolverAddresses = (written: readonly string[]): readonly string[] =>
  written.map((text) => {
    const { cidr = "", ports } = parseRule(text);
    const address = cidr.replace(/\/\d+$/, "");
    const port = ports[0]?.[0] ?? dnsPort;
    return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
  });

/** Those of this host; none where there is no such file. */
function systemResolvers(): readonly string[] {
  try {
    const text = readFileSync("/etc/resolv.conf", "utf8");
    const found = [...text.matchAll(/^nameserver[ \t]+([0-9a-f.:]+)/gim)].map(([, address = ""]) => address);
    return found.filter((address) => isIP(address) !== 0);
  } catch {
    return [];
  }
}

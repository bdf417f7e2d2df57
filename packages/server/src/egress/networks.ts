import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import type { Config } from "../config/schema.ts";
import { parseRule } from "../lib/network-rule.ts";
import type { OpenNetwork } from "./egress.ts";

export interface Networks {
  /** Whom names are asked of: address and port, IPv6 in brackets. */
  readonly resolvers: readonly string[];
  /** What of the always-denied the operator opens. */
  readonly open: readonly OpenNetwork[];
}

/** As the operator configured them, and this host where the configuration says nothing. */
export const networksOf = ({ resolvers, open }: Pick<Config["network"], "resolvers" | "open">): Networks => ({
  resolvers: resolverAddresses(resolvers.length > 0 ? resolvers : systemResolvers()),
  open: open.map(parseRule).flatMap(({ cidr, ports }) => (cidr === undefined ? [] : [{ cidr, ports }])),
});

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

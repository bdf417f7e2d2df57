import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import { StacyError } from "@stacyvm/contract";

const internal = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["224.0.0.0", 3],
] as const) {
  internal.addSubnet(net, bits, "ipv4");
}
for (const [net, bits] of [
  ["::", 96], // Unspecified, loopback and v4-compatible.
  ["64:ff9b::", 96],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  internal.addSubnet(net, bits, "ipv6");
}

/** Loopback, private, link-local, shared and reserved addresses, v4-mapped ones included. */
export function isInternalAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0) return true;
  return internal.check(address, family === 4 ? "ipv4" : "ipv6");
}

/**
 * A name in an API request must not make this server speak to its own network. skopeo resolves once more, so a name
 * that changes in between is not caught here.
 */
export async function refuseInternalRegistry(registry: string): Promise<void> {
  const host = registry.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  // A name that doesn't resolve here may still be known to a proxy, which makes its own rules.
  const addresses = isIP(host) ? [{ address: host }] : await lookup(host, { all: true }).catch(() => []);
  if (host !== "localhost" && !addresses.some(({ address }) => isInternalAddress(address))) return;
  throw new StacyError("image_pull_failed", `image: the registry ${registry} is on an internal address`, {
    remediation: "The operator permits it with images.insecure_registries or images.internal_registries.",
  });
}

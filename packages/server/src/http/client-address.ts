import type { IncomingMessage } from "node:http";
import { type BlockList, isIP, isIPv4 } from "node:net";

/** Most hops of a forwarding header that are looked at, from the right. */
const hopsMax = 32;

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

const plain = (address: string): string => mapped.exec(address)?.[1] ?? address;

/** The first 64 bits of an IPv6 address: what one subscriber has. */
const subscriber = (address: string): string => {
  if (isIPv4(address)) return address;
  const full = new URL(`http://[${address.split("%")[0]}]`).hostname.slice(1, -1);
  const [head = "", tail] = full.split("::");
  const left = head === "" ? [] : head.split(":");
  const right = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: zeros }, () => "0"), ...right];
  return `${groups.slice(0, 4).join(":")}::/64`;
};

/**
 * Where a request comes from: the connection's other end, or, where that is a proxy of ours, the rightmost hop of
 * X-Forwarded-For that is none. What a client writes into the header itself is never reached. IPv6 counts by /64.
 */
export const createClientAddress = (proxies: BlockList) => {
  const isOurs = (address: string): boolean => proxies.check(address, isIPv4(address) ? "ipv4" : "ipv6");
  return ({
    socket,
    headers,
  }: Pick<IncomingMessage, "headers"> & { socket: { remoteAddress?: string | undefined } }): string => {
    let address = plain(socket.remoteAddress ?? "");
    if (isIP(address) === 0) return "unknown";
    const forwarded = headers["x-forwarded-for"];
    const hops = (typeof forwarded === "string" ? forwarded.split(",") : []).slice(-hopsMax);
    while (isOurs(address)) {
      const hop = plain((hops.pop() ?? "").trim());
      if (isIP(hop) === 0) break;
      address = hop;
    }
    return subscriber(address);
  };
};

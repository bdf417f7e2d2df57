import { expect, test } from "vitest";
import { parseNetworks } from "../lib/networks.ts";
import { createClientAddress } from "./client-address.ts";

const addressOf = (remoteAddress: string, forwarded: string | undefined, proxies: readonly string[] = []) =>
  createClientAddress(parseNetworks(proxies))({
    socket: { remoteAddress },
    headers: forwarded === undefined ? {} : { "x-forwarded-for": forwarded },
  });

test.each([
  ["203.0.113.9", "198.51.100.1", [], "203.0.113.9"],
  ["::ffff:203.0.113.9", undefined, [], "203.0.113.9"],
  ["10.0.0.2", "198.51.100.1", ["10.0.0.0/8"], "198.51.100.1"],
  ["10.0.0.2", "192.0.2.66, 198.51.100.1", ["10.0.0.0/8"], "198.51.100.1"],
  ["10.0.0.2", "198.51.100.1, 10.0.0.9", ["10.0.0.0/8"], "198.51.100.1"],
  ["10.0.0.2", "198.51.100.1, garbage", ["10.0.0.0/8"], "10.0.0.2"],
  ["10.0.0.2", "10.0.0.3, 10.0.0.4", ["10.0.0.0/8"], "10.0.0.3"],
  ["10.0.0.2", undefined, ["10.0.0.0/8"], "10.0.0.2"],
  ["10.0.0.2", "", ["10.0.0.2"], "10.0.0.2"],
  ["fd00::1", "2001:db8:1:2:3:4:5:6", ["fd00::/8"], "2001:db8:1:2::/64"],
  ["2001:db8:1:2:ffff::1", undefined, [], "2001:db8:1:2::/64"],
  ["2001:DB8::1", undefined, [], "2001:db8:0:0::/64"],
  ["fe80::1%eth0", undefined, [], "fe80:0:0:0::/64"],
  ["", undefined, [], "unknown"],
])(
  "a connection from %s that forwards %s behind the proxies %j comes from %s",
  (remote, forwarded, proxies, wanted) => {
    expect(addressOf(remote, forwarded, proxies)).toBe(wanted);
  },
);

test("of a header with many hops only the last ones are looked at", () => {
  const hops = ["198.51.100.1", ...Array.from({ length: 40 }, () => "10.0.0.3")].join(",");
  expect(addressOf("10.0.0.2", hops, ["10.0.0.0/8"])).toBe("10.0.0.3");
});

test.each(["10.0.0.0/33", "10.0.0.0/", "::/129", "proxy.example", "10.0.0.0/8/8", "10.0.0/8", "1.2.3.4/-1"])(
  "%s is no network",
  (entry) => {
    expect(() => parseNetworks([entry])).toThrow(`${JSON.stringify(entry)} is neither an address nor a network`);
  },
);

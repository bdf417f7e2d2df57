import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";

/** Throws an Error that names the entry which is no address and no network. */
export const parseNetworks = (entries: readonly string[]): BlockList => {
  const list = new BlockList();
  for (const entry of entries) {
    const [address = "", bits, ...more] = entry.trim().split("/");
    const version = isIP(address);
    const most = version === 4 ? 32 : 128;
    const prefix = bits === undefined ? most : Number(bits);
    if (version === 0 || more.length > 0 || !/^\d*$/.test(bits ?? "") || bits === "" || prefix > most) {
      throw new Error(`${JSON.stringify(entry)} is neither an address nor a network such as 10.0.0.0/8`);
    }
    list.addSubnet(address, prefix, version === 4 ? "ipv4" : "ipv6");
  }
  return list;
};

/** Whether only this machine can reach a host, as a name, an address or one in brackets. */
export const isLoopback = (host: string): boolean => {
  const name = host.replace(/^\[(.*)\]$/, "$1").toLowerCase();
  if (isIPv4(name)) return name.startsWith("127.");
  if (isIPv6(name)) return new URL(`http://[${name}]`).hostname === "[::1]";
  return name === "localhost";
};

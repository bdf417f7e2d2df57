// Addresses that no sandbox reaches unless the operator opens them.

/** One address of each class; the far end answers at all of them. By a literal. */
export const deniedLiterals: Readonly<Record<string, string>> = {
  "this network": "0.1.2.3",
  "private, 10/8": "10.99.0.7",
  "carrier-grade NAT": "100.64.0.7",
  "a cloud's metadata in there": "100.100.100.200",
  "a cloud's agent in public space": "168.63.129.16",
  "link-local": "169.254.0.7",
  metadata: "169.254.169.254",
  "a container service's credentials": "169.254.170.2",
  "private, 172.16/12": "172.31.255.7",
  "protocol assignments": "192.0.0.192",
  "private, 192.168/16": "192.168.0.7",
  benchmarks: "198.18.0.77",
  "benchmarks, second half": "198.19.255.255",
  multicast: "224.0.0.251",
  reserved: "240.0.0.7",
  broadcast: "255.255.255.255",
};

/** By what a name resolves to, beside the literals. */
export const deniedAnswers4: Readonly<Record<string, string>> = {
  ...deniedLiterals,
  loopback: "127.0.0.1",
  "loopback, elsewhere": "127.1.2.3",
  "any address": "0.0.0.0",
};

export const deniedAnswers6: Readonly<Record<string, string>> = {
  "any address": "::",
  loopback: "::1",
  "link-local": "fe80::7",
  "site-local": "fec0::7",
  "unique local": "fc00::7",
  metadata: "fd00:ec2::254",
  multicast: "ff02::1",
  discard: "100::7",
  "segment routing": "5f00::7",
  "mapped private": "::ffff:10.99.0.7",
  "mapped metadata": "::ffff:169.254.169.254",
  "mapped loopback": "::ffff:127.0.0.1",
  "compatible private": "::10.99.0.7",
  "NAT64 of private": "64:ff9b::a63:7",
  "NAT64 of public": "64:ff9b::cb00:7114",
  "local NAT64 of private": "64:ff9b:1::a63:7",
  "6to4 of private": "2002:a63:7::1",
  Teredo: "2001:0:a63:7::1",
};

/** Spellings of 169.254.169.254 that programs read as it, as they stand in a URL. */
export const metadataSpellings: readonly string[] = [
  "169.254.169.254",
  "2852039166",
  "0xa9fea9fe",
  "0251.0376.0251.0376",
  "0xa9.0xfe.0xa9.0xfe",
  "169.254.43518",
  "169.16689662",
  "[::ffff:169.254.169.254]",
  "[::ffff:a9fe:a9fe]",
  "[0:0:0:0:0:ffff:a9fe:a9fe]",
  "[::169.254.169.254]",
  "[64:ff9b::a9fe:a9fe]",
  "[64:ff9b::169.254.169.254]",
  "[fd00:ec2::254]",
];

/** Addresses of the test Internet. The documentation ranges are the public ones here; all others must not be reached. */
export const addresses = {
  /** The host under test, on its uplink. */
  host4: "203.0.113.10",
  host6: "2001:db8::10",
  router4: "203.0.113.1",
  router6: "2001:db8::1",
  /** The resolver that the host is configured with. */
  resolver4: "203.0.113.53",
  resolver6: "2001:db8::53",
  /** Resolvers that a program may know by heart. */
  publicResolvers: ["8.8.8.8", "1.1.1.1"],
} as const;

/** The link's end in the world, and in the host's namespace. */
export const worldLink = "svmworld";
export const uplink = "svmuplink";

/** The port that a marker is sent to. */
export const markerPort = 9;

/** Ports of the host itself, open on all its addresses: as a database's and an engine's. */
export const ownPorts = [5432, 2375];

/** Where the test's own requests come from to the host's API. */
export const relayAddress = "127.0.0.9";

/** What the web servers' certificate is for. */
export const certifiedNames = ["example.com", "*.example.com", "*.deep.example.com", "*.example.net", "*.example.org"];

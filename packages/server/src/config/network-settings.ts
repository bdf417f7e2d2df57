import { choice, duration, integer, list, path, size } from "./kinds.ts";

export const network = {
  mode: choice(
    "public",
    ["none", "public", "allowlist"],
    "What sandboxes may reach at most: the public Internet over TCP, what `network.allow` names, or nothing.",
  ),
  allow: list(
    [],
    "Rules of what sandboxes may reach at most, such as `pypi.org:443`, `*.example.com` or `203.0.113.0/24:80`.",
  ),
  deny: list([], "Rules of what no sandbox reaches, whatever else allows it."),
  open: list(
    [],
    "Networks with ports, such as `10.1.2.3/32:5432`, that are otherwise always denied: private ones, this host's own.",
  ),
  resolvers: list([], "Servers that sandboxes' names are asked of, as address or address:port.", "/etc/resolv.conf"),
  caFile: path(
    "",
    "Further authorities, as PEM, that servers may have which are looked into on the way out; beside this host's own.",
  ),
  limits: {
    connections: integer(256, "Connections that one sandbox may have at once.", { least: 1, most: 4_096 }),
    connectionsPerSecond: integer(100, "New connections of one sandbox in a second; 0 is any number."),
    bandwidthBytes: size(0, "Bytes of one sandbox in a second, both directions together; 0 is any number."),
    idleTimeoutMs: duration(3_600_000, "Time after which a connection without a byte ends; 0s is never."),
  },
} as const;

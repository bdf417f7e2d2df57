import { cpSync, mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { buildEdited, type SourceEdit } from "../security/native-build.ts";

/** How one control is taken out of the way of a build, with no switch in the product. */
export interface BrokenWay {
  readonly title: string;
  readonly gateway?: readonly SourceEdit[];
  readonly host?: readonly SourceEdit[];
  /** The rows that get through without it; exactly these. */
  readonly red: readonly string[];
  /** Further ones where a proxy leads to the gateway. */
  readonly redByProxy?: readonly string[];
}

const begin = (file: string, signature: string, instead: string): SourceEdit => ({
  file,
  from: `${signature}\n`,
  to: `${signature}\n${instead}\n`,
});

/** The gateway judges no address, not even by where a connection led. */
const noTable: readonly SourceEdit[] = [
  begin(
    "internal/egress/addresses/table.go",
    "func (t *Table) Denies(address netip.Addr, port uint16) bool {",
    "\tif t != nil {\n\t\treturn false\n\t}",
  ),
  begin(
    "internal/egress/flow.go",
    "func leadsHome(conn *net.TCPConn) bool {",
    "\tif conn != nil {\n\t\treturn false\n\t}",
  ),
];

/** The packet filter is never put up. */
const noFilter: readonly SourceEdit[] = [
  begin(
    "internal/host/wall.go",
    "func (h *Host) Wall(ctx context.Context, request WallRequest) error {",
    "\tif h != nil {\n\t\treturn nil\n\t}",
  ),
];

const policy = "internal/egress/policy/policy.go";
const allowed = "\tif s != nil {\n\t\treturn Verdict{Allowed: true, Reason: ByRule}\n\t}";

export const addressRowsHeld = [
  "net-denied-literal",
  "net-denied-name",
  "net-metadata-spellings",
  "net-rebinding",
  "net-many-answers",
  "net-cname-private",
  "net-host-ports",
  "net-other-sandbox",
  "net-ipv6", // a mapped literal is one of version 4
] as const;

export const brokenWays: Readonly<Record<string, BrokenWay>> = {
  table: { title: "the gateway judges no address; the packet filter stands", gateway: noTable, red: [] },
  filter: { title: "no packet filter; the gateway judges addresses", host: noFilter, red: [] },
  addresses: {
    title: "neither the gateway nor a packet filter judges addresses",
    gateway: noTable,
    host: noFilter,
    red: addressRowsHeld,
  },
  names: {
    title: "the gateway lets every name through",
    gateway: [
      begin(policy, "func (s *Set) Name(host string, port uint16) Verdict {", allowed),
      begin(policy, "func (s *Set) Resolve(host string) Verdict {", allowed),
    ],
    red: ["net-dns-tunnel", "net-lookalikes", "net-apex", "net-other-port", "net-shared-address", "net-redirect"],
    redByProxy: ["net-proxy-requests"],
  },
  literals: {
    title: "the gateway lets every public literal through",
    gateway: [begin(policy, "func (s *Set) Address(address netip.Addr, port uint16) Verdict {", allowed)],
    red: ["net-other-port", "net-literal-of-name", "net-redirect"],
    redByProxy: ["net-ipv6", "net-own-resolver", "net-dns-tunnel"],
  },
  looking: {
    title: "the gateway doesn't look at what a client says first",
    gateway: [
      begin("internal/egress/look.go", "func (f *flow) look() error {", "\tif f != nil {\n\t\treturn nil\n\t}"),
    ],
    red: ["net-sni", "net-host-header"],
    redByProxy: ["net-proxy-requests"],
  },
};

const programs = ["stacyvm-host", "stacyvm-agent", "stacyvm-egress"] as const;

/** Builds the native programs without the control; the directory is for a server's `nativeDir`. */
export const buildBroken = ({ gateway = [], host = [] }: BrokenWay, directory: string): string => {
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  cpSync(resolve(import.meta.dirname, "../../build"), directory, { recursive: true });
  const edits = { "stacyvm-host": host, "stacyvm-egress": gateway, "stacyvm-agent": [] };
  for (const program of programs) if (edits[program].length > 0) buildEdited(program, directory, edits[program]);
  return directory;
};

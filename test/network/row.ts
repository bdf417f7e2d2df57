import { type Evidence, judged } from "../security/attack.ts";
import type { Zone } from "./dns-server.ts";
import type { Connection } from "./far-ends.ts";
import { type Ground, type GroundOptions, type NetworkSandbox, probeInside, startGround } from "./ground.ts";
import type { Records } from "./internet.ts";
import type { Packet } from "./packets.ts";
import { addresses } from "./plan.ts";
import type { Probe } from "./probe.ts";
import { type Level, type NetworkTarget, networkTargets } from "./targets.ts";

/** Where the rows are tried: a server whose policy is `public`, and sandboxes on it. */
export interface NetworkField extends Pick<Ground, "internet" | "server" | "spawn"> {
  readonly level: Level;
  /** With the server's own policy. */
  readonly open: NetworkSandbox;
  /** With an allowlist: {@link narrowRules}. */
  readonly narrow: NetworkSandbox;
  /** Another's, with programs that listen. */
  readonly neighbour: NetworkSandbox;
}

/** One way out that a sandbox must not have. */
export interface NetworkRow {
  readonly id: string;
  readonly title: string;
  /** How it is tried. */
  readonly tried: string;
  /** What stops it. */
  readonly control: string;
  /** Where it can't be tried, and why. */
  readonly notAt?: Partial<Record<Level, string>>;
  attempt(field: NetworkField): Promise<Evidence>;
}

export const narrowRules = [
  "api.example.com:443",
  "web.example.com:80",
  "web.example.com:443",
  "one.example.com:443",
  "*.wild.example.com:443",
  "*.wild.example.com:80",
  "198.51.100.0/24:80",
  "away.example.com:80",
];

export const apiAddress = "203.0.113.20";
export const otherAddress = "203.0.113.21";
export const wildAddress = "203.0.113.22";
/** Of one.example.com and two.example.com alike. */
export const sharedAddress = "203.0.113.30";

const fieldZone: Zone = {
  "api.example.com": { a: [apiAddress], aaaa: ["2001:db8::20"] },
  "web.example.com": { a: [apiAddress] },
  "other.example.com": { a: [otherAddress] },
  "one.example.com": { a: [sharedAddress] },
  "two.example.com": { a: [sharedAddress] },
  "wild.example.com": { a: [wildAddress] },
  "*.wild.example.com": { a: [wildAddress] },
  "away.example.com": { cname: "other.example.com" },
  "*.tunnel.example.net": { a: [otherAddress], txt: "what the tunnel brings" },
};

export const neighbourPort = 8000;
export const neighbourText = "the neighbour's secret";

/** Every way in which `talk` may be tried: at the level `proxy` directly, by CONNECT, and by a request for a URL. */
export const waysOf = ({ level }: Pick<NetworkField, "level">, sandbox: NetworkSandbox): readonly Probe[] => [
  ...tunnelsOf({ level }, sandbox),
  ...(level === "proxy" ? [sandbox.via("forward")] : []),
];

/** The ways that carry any bytes. */
export const tunnelsOf = ({ level }: Pick<NetworkField, "level">, sandbox: NetworkSandbox): readonly Probe[] =>
  level === "proxy" ? [sandbox.probe, sandbox.via("connect")] : [sandbox.probe];

export const openField = async (
  options: GroundOptions = {},
  { level, ground: own }: NetworkTarget = networkTargets[0],
): Promise<NetworkField & AsyncDisposable> => {
  await using stack = new AsyncDisposableStack();
  const ground = stack.use(await startGround({ ...own, ...options }));
  await ground.internet.say(fieldZone);
  const open = await ground.spawn();
  const narrow = await ground.spawn({ mode: "allowlist", allow: narrowRules });
  const neighbour = await ground.spawn();
  await neighbour.sh(
    `${probeInside} listen 0.0.0.0:${neighbourPort} "${neighbourText}" >/tmp/listens 2>&1 &
     until grep -q listening /tmp/listens; do :; done`,
  );
  // Were the way out broken altogether, nothing would get through, and nothing be proven.
  for (const sandbox of [open, narrow]) {
    const probe = tunnelsOf({ level }, sandbox).at(-1);
    const { status, error } = (await probe?.https("https://api.example.com/")) ?? {};
    if (status !== 200) throw new Error(`a sandbox gets nothing from where it may: ${error ?? status}`);
  }
  const running = stack.move();
  const { internet, server, spawn } = ground;
  return {
    level,
    internet,
    server,
    spawn,
    open,
    narrow,
    neighbour,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
};

/** A question, or what the host's kernel says of an answer that nobody waits for any more. */
const isQuery = ({ protocol, destination, destination_port }: Packet): boolean =>
  destination === addresses.resolver4 && (destination_port === 53 || protocol === "icmp");

/** What left the host beside questions to its own resolver. */
export const strays = ({ packets }: Records): readonly Packet[] => packets.filter((packet) => !isQuery(packet));

const wordOf = ({ protocol, destination, destination_port = 0 }: Packet): string =>
  `${protocol} ${destination}:${destination_port}`;

/** Runs the attempts and judges by what came out of the host: everything that `allowed` doesn't name is a way out. */
export const judgedByWire = async (
  { internet }: NetworkField,
  attempt: () => Promise<readonly string[]>,
  allowed: (packet: Packet) => boolean = () => false,
): Promise<Evidence> => {
  await internet.forget();
  const said = await attempt();
  const records = await internet.records();
  const out = [...strays(records).filter((packet) => !allowed(packet)), ...records.loopback].map(wordOf);
  const own = records.own.map(({ at, from }) => `${at} from ${from}`);
  const found = [...out, ...own];
  return judged(found.length > 0, found.length > 0 ? [...new Set(found)].join(", ") : [...new Set(said)].join(", "));
};

/** Runs the attempts and judges by the connections that a far end had: one for which `wrong` holds is a way out. */
export const judgedByFarEnd = async (
  { internet }: NetworkField,
  attempt: () => Promise<readonly string[]>,
  wrong: (connection: Connection) => boolean,
): Promise<Evidence> => {
  await internet.forget();
  const said = await attempt();
  const found = (await internet.records()).connections.filter(wrong);
  const words = found.map(({ at, sni, requests, received }) => {
    const hosts = requests.map(({ host }) => host).join(" ");
    return `${at} got ${received} bytes, SNI ${sni ?? "none"}, Host ${hosts || "none"}`;
  });
  return judged(found.length > 0, found.length > 0 ? words.join("; ") : [...new Set(said)].join(", "));
};

/** Talks to each target in each way, and tells what a program inside gets to see. */
export const talked = async (
  field: Pick<NetworkField, "level">,
  sandbox: NetworkSandbox,
  targets: readonly string[],
  text = "GET / HTTP/1.0\r\n\r\n",
): Promise<readonly string[]> => {
  const said: string[] = [];
  for (const probe of waysOf(field, sandbox))
    for (const target of targets) said.push(outcomeWord(await probe.talk(target, text)));
  return said;
};

/** `connected` or why not: what a program inside gets to see. */
export const outcomeWord = ({ connected, error }: { readonly connected: boolean; readonly error?: string }): string =>
  connected ? `connected${error === undefined ? "" : `, then ${error}`}` : (error ?? "nothing");

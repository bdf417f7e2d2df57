import type { IncomingMessage } from "node:http";

/** Names and values in turn, as Node tells and takes them. */
type RawHeaders = readonly string[];

/** About one connection alone; each side of the proxy has its own. */
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Our callers' credentials, what a proxy in front says of them, and what we say ourselves. */
const keptFromApp: ReadonlySet<string> = new Set([
  "authorization",
  "cookie",
  "expect",
  "forwarded",
  "host",
  "x-admin-api-key",
  "x-api-key",
  "x-real-ip",
  "x-tenant-id",
  "x-project-id",
  "x-user-id",
]);

/** What an app may not say in our name: it would bind browsers, or let other pages in. */
const keptFromClient: ReadonlySet<string> = new Set([
  "alt-svc",
  "clear-site-data",
  "content-security-policy",
  "content-security-policy-report-only",
  "referrer-policy",
  "refresh",
  "service-worker-allowed",
  "set-cookie",
  "strict-transport-security",
  "x-content-type-options",
  "x-request-id",
]);

/** Without the headers of the connection, those that `Connection` names among them. */
const endToEnd = (raw: RawHeaders, dropped: (name: string) => boolean): string[] => {
  const named = new Set<string>();
  for (let at = 0; at < raw.length; at += 2) {
    if (raw[at]?.toLowerCase() !== "connection") continue;
    for (const name of (raw[at + 1] ?? "").split(",")) named.add(name.trim().toLowerCase());
  }
  const kept: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const [name = "", value = ""] = [raw[at], raw[at + 1]];
    const lower = name.toLowerCase();
    if (!hopByHop.has(lower) && !named.has(lower) && !dropped(lower)) kept.push(name, value);
  }
  return kept;
};

/**
 * What the app is told: the client's own headers without anything that is a credential here. `Host` is the app's own, as
 * development servers insist.
 */
export const headersForApp = (request: IncomingMessage, port: number, prefix: string): string[] => [
  "Host",
  `localhost:${port}`,
  ...endToEnd(request.rawHeaders, (name) => keptFromApp.has(name) || name.startsWith("x-forwarded-")),
  "X-Forwarded-Host",
  request.headers.host ?? "",
  "X-Forwarded-Prefix",
  prefix,
];

/** What the client is told: the app's headers, and ours on top, under which no browser runs the answer as our origin. */
export const headersForClient = (answer: IncomingMessage, own: Readonly<Record<string, unknown>>): string[] => {
  // How long an answer may be kept is the app's to say.
  const ours = Object.entries(own).filter(([name, value]) => value !== undefined && name !== "cache-control");
  const names = new Set(ours.map(([name]) => name));
  const dropped = (name: string) => keptFromClient.has(name) || names.has(name) || name.startsWith("access-control-");
  return [...endToEnd(answer.rawHeaders, dropped), ...ours.flatMap(([name, value]) => [name, String(value)])];
};

import type { IncomingHttpHeaders } from "node:http";
import { isLoopback } from "../lib/networks.ts";

/** Where browsers reach the server, and so where their sessions live. */
export interface SessionSite {
  /** As browsers send it in Origin, for example https://sandboxes.example. */
  readonly origin: string;
  /** As browsers send it in Host. */
  readonly authority: string;
  /** What the server's paths come below: the origin, or the path too under which a proxy shows it. */
  readonly base: string;
  /** Both carry the port: cookies ignore ports, so two servers of one host would take each other's away. */
  readonly sessionCookie: string;
  readonly transactionCookie: string;
}

/**
 * On loopback it is `app.localhost` and no other name: what listens on another port of `localhost` would be sent the
 * cookies of `localhost`. Undefined where browsers keep no secure cookie: on plain HTTP, and where nothing says how the
 * server is reached.
 */
export const sessionSiteOf = (
  publicUrl: string,
  host: string,
  port: number,
  scheme: "http" | "https" = "http",
): SessionSite | undefined => {
  if (publicUrl === "" && !isLoopback(host)) return undefined;
  const url = new URL(publicUrl === "" ? `${scheme}://localhost:${port}` : publicUrl);
  if (isLoopback(url.hostname)) url.hostname = "app.localhost";
  if (url.protocol !== "https:" && !url.hostname.endsWith(".localhost")) return undefined;
  const name = url.port || (url.protocol === "https:" ? "443" : "80");
  return {
    origin: url.origin,
    authority: url.host,
    base: url.origin + url.pathname.replace(/\/+$/, ""),
    sessionCookie: `__Host-stacyvm-${name}`,
    transactionCookie: `__Host-stacyvm-login-${name}`,
  };
};

/** Of a cookie that came once; undefined otherwise. */
export const cookieOf = (headers: IncomingHttpHeaders, name: string): string | undefined => {
  const found = (headers.cookie ?? "")
    .split(";")
    .map((part) => part.trim())
    .filter((part) => part.startsWith(`${name}=`));
  return found.length === 1 ? found[0]?.slice(name.length + 1) : undefined;
};

export interface CookieOptions {
  readonly sameSite: "Strict" | "Lax";
  readonly lifeMs: number;
}

/** No script reads it, only this very host gets it, and it goes over connections alone that nobody listens to. */
export const setCookie = (name: string, value: string, { sameSite, lifeMs }: CookieOptions): string =>
  `${name}=${value}; Path=/; Max-Age=${Math.max(0, Math.ceil(lifeMs / 1000))}; Secure; HttpOnly; SameSite=${sameSite}`;

export const dropCookie = (name: string): string => `${name}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict`;

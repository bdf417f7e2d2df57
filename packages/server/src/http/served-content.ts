import { hstsMaxAgeSeconds } from "./bounds.ts";

/**
 * On every answer: nothing that the API serves may run as our origin, be sniffed into another type, be kept by a
 * cache, or be framed.
 */
export const safeHeaders: Readonly<Record<string, string>> = {
  "X-Content-Type-Options": "nosniff",
  "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-store",
};

const loopbackName = /^(?:[^:]*\.)?localhost(?::|$)/i;

/**
 * Over TLS: browsers come by TLS alone from now on. Not said of localhost, where other programs listen on other ports,
 * which the rule doesn't tell apart; nor of the names below, which may be previews.
 */
export const strictTransport = (host: string | undefined): Readonly<Record<string, string>> =>
  host === undefined || loopbackName.test(host) ? {} : { "Strict-Transport-Security": `max-age=${hstsMaxAgeSeconds}` };

/** Content-Disposition under which a browser stores what a sandbox wrote. The name is the sandbox's own text. */
export const attachment = (name: string = ""): string => {
  const last = name.split("/").at(-1) ?? "";
  if (last === "") return "attachment";
  const encoded = encodeURIComponent(last.toWellFormed()).replace(
    /['()*]/g,
    (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename*=UTF-8''${encoded}`;
};

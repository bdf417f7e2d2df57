export interface HostRules {
  /** Only reachable from this host; then an unknown name in the Host header means that a web page was tricked. */
  readonly loopback: boolean;
  /** Host names beside localhost; a leading `*.` covers every name below. Lower case, without port. */
  readonly names: readonly string[];
  /** `host:port` pairs of the configured public address, as a browser would send them. */
  readonly authorities: readonly string[];
  /** The server speaks TLS and nothing else: no page of its own has come by plain HTTP. */
  readonly secure: boolean;
}

const hostPattern = /^(\[[0-9a-f:.]+\]|[^\s[\]:/@?#\\,]+)(?::(\d{1,5}))?$/;

/** Host and port of a Host header; undefined when it isn't one. */
export const parseHost = (header: string): { readonly name: string; readonly port: string } | undefined => {
  const match = hostPattern.exec(header.toLowerCase());
  return match?.[1] === undefined ? undefined : { name: match[1], port: match[2] ?? "" };
};

const loopbackNames = ["localhost", "*.localhost", "127.0.0.1", "[::1]"];

const covers = (pattern: string, name: string): boolean =>
  pattern.startsWith("*.") ? name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1 : name === pattern;

/** Whether a request with this Host header may be answered on the port. A port may be left out, but not be another. */
export const isKnownHost = (header: string | undefined, port: number | undefined, rules: HostRules): boolean => {
  if (header === undefined) return false;
  const host = parseHost(header);
  if (host === undefined) return false;
  if (!rules.loopback || rules.authorities.includes(header.toLowerCase())) return true;
  if (host.port !== "" && host.port !== String(port ?? 80)) return false;
  return [...loopbackNames, ...rules.names].some((pattern) => covers(pattern, host.name));
};

/** Whether an Origin is another site than the one that the request went to. No Origin is not foreign. */
export const isForeignOrigin = (origin: string | undefined, host: string | undefined, rules: HostRules): boolean => {
  if (origin === undefined) return false;
  const authority = /^https?:\/\/([^/]+)$/.exec(origin.toLowerCase())?.[1];
  if (authority === undefined || (rules.secure && origin.toLowerCase().startsWith("http:"))) return true;
  return authority !== host?.toLowerCase() && !rules.authorities.includes(authority);
};

/** Whether a browser says that another site (or another port of this one) made the request. */
export const isForeignFetch = (secFetchSite: string | string[] | undefined): boolean =>
  secFetchSite !== undefined && secFetchSite !== "same-origin" && secFetchSite !== "none";

import type { Provider } from "../providers/provider.ts";

/** Where the agent's proxy listens inside; `native/internal/outbound/proxy` has the same. */
const proxyUrl = "http://127.0.0.1:3128";
const direct = "localhost,127.0.0.1,::1";

/**
 * What programs need to find the way out where it is a proxy: curl and libraries in C read the lower-case names, and of HTTP_PROXY nothing else;
 * Node reads none without the last. ALL_PROXY would send there what is no HTTP.
 */
const variables = {
  HTTP_PROXY: proxyUrl,
  HTTPS_PROXY: proxyUrl,
  http_proxy: proxyUrl,
  https_proxy: proxyUrl,
  NO_PROXY: direct,
  no_proxy: direct,
  NODE_USE_ENV_PROXY: "1",
} as const;

/**
 * What is set already, with it, and counts: in whatever case it was written, as programs differ in which they read first. Nothing is added where every
 * program's connections are carried, or there is no way out.
 */
export function withProxyVariables(
  { capabilities }: Pick<Provider, "capabilities">,
  networkMode: string,
  set: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (networkMode !== "egress" || capabilities.egressLevel !== "proxy") return set;
  const taken = new Set(Object.keys(set).map((name) => name.toLowerCase()));
  const free = Object.entries(variables).filter(([name]) => !taken.has(name.toLowerCase()));
  return { ...Object.fromEntries(free), ...set };
}

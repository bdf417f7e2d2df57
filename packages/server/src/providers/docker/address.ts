import { StacyError } from "@stacyvm/contract";
import { isLoopback } from "../../lib/networks.ts";

/** Where an engine answers. */
export type EngineAddress =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

const tlsPort = 2376;
const plainPort = 2375;

const refuse = (text: string, why: string) =>
  new StacyError("provider_unavailable", `providers.docker.socket ${JSON.stringify(text)}: ${why}`, {
    remediation: "Write unix:///path/to/docker.sock, or tcp://host:2376 with providers.docker.tls_dir.",
  });

/**
 * Reads `/path`, `unix:///path` or `tcp://host[:port]`. Whoever reaches an engine is root on its host, so that without
 * TLS only one on this machine is spoken to. Throws provider_unavailable.
 */
export const parseEngineAddress = (text: string, hasTls: boolean): EngineAddress => {
  if (text.startsWith("/")) return { kind: "socket", path: text };
  const url = URL.parse(text);
  if (url === null) throw refuse(text, "it is no address");
  if (url.protocol === "unix:") {
    if (url.host !== "" || url.pathname === "") throw refuse(text, "it names no absolute path");
    return { kind: "socket", path: decodeURIComponent(url.pathname) };
  }
  if (url.protocol !== "tcp:" && url.protocol !== "https:") throw refuse(text, `${url.protocol} is not supported`);
  if (url.hostname === "" || url.username !== "" || url.password !== "") throw refuse(text, "it is not host:port");
  if (!hasTls && !isLoopback(url.hostname)) {
    throw refuse(text, "an engine on another machine is only spoken to over TLS, with a certificate of ours");
  }
  const port = url.port === "" ? (hasTls ? tlsPort : plainPort) : Number(url.port);
  return { kind: "tcp", host: url.hostname.replace(/^\[(.*)\]$/, "$1"), port };
};

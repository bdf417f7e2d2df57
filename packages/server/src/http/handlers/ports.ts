import { type portOperations, StacyError } from "@stacyvm/contract";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { HandlersOf, OperationRequest } from "../handler.ts";
import { type ProxyCarrier, proxyToPort } from "../port-proxy.ts";
import { targetOf } from "./files.ts";

/** What stands before the app's own part of an address, and that part, byte for byte. */
const splitAddress = (url: string): { readonly prefix: string; readonly target: string } => {
  const [prefix = ""] = /^\/api\/v1\/sandboxes\/[^/?]+\/ports\/[^/?]+\/proxy(?=[/?]|$)/.exec(url) ?? [];
  if (prefix === "") throw new StacyError("invalid_input", "invalid input: the address is spelled in an unusual way");
  const rest = url.slice(prefix.length);
  return { prefix, target: rest.startsWith("/") ? rest : `/${rest}` };
};

type Proxied = Pick<OperationRequest, "identity" | "signal" | "raw"> & {
  readonly params: { readonly id: string; readonly port: number };
};

export const portHandlers = ({
  useCases,
}: {
  readonly useCases: UseCases;
}): Omit<HandlersOf<typeof portOperations>, "ports.tunnel"> => {
  const proxy = async (request: Proxied, carrier: ProxyCarrier): Promise<void> => {
    const { port } = request.params;
    const { prefix, target } = splitAddress(request.raw.url ?? "");
    const { signal } = request;
    const connection = await useCases.ports.dial(targetOf(request), port);
    await proxyToPort(carrier, { port, prefix, target, connection, signal });
  };
  return {
    "ports.list": async (request) => {
      const ports = await useCases.ports.list(targetOf(request));
      const body = ports.map(({ port, address, pid, command }) => ({
        port,
        address,
        ...(pid === 0 ? {} : { pid }),
        ...(command === "" ? {} : { command }),
      }));
      return { status: 200, body };
    },
    "ports.get": proxy,
    "ports.head": proxy,
    "ports.post": proxy,
    "ports.put": proxy,
    "ports.patch": proxy,
    "ports.delete": proxy,
  };
};

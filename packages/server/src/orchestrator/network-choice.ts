import { StacyError } from "@stacyvm/contract";
import type { NetworkMode, Provider } from "../providers/provider.ts";
import { checkPolicy, closedPolicy, type NetworkPolicy, publicPolicy } from "../sandbox/network-policy.ts";
import type { Context } from "./context.ts";

/** How a sandbox gets out, and how far; no policy where no gateway decides. */
export interface NetworkChoice {
  readonly networkMode: NetworkMode;
  readonly network: NetworkPolicy | undefined;
}

const withoutNetwork: NetworkChoice = { networkMode: "none", network: undefined };
const throughGateway = (network: NetworkPolicy): NetworkChoice => ({ networkMode: "egress", network });

/** What was asked for, or else all that the operator permits, where the provider can. Throws not_supported and policy_denied. */
export function networkOf(
  context: Pick<Context, "egress">,
  provider: Provider,
  asked: { readonly network?: NetworkPolicy; readonly networkMode?: string },
): NetworkChoice {
  if (asked.network !== undefined && asked.networkMode !== undefined) {
    throw new StacyError("invalid_input", "invalid input: network and network_mode say the same in two ways; give one");
  }
  const { networks } = provider.capabilities;
  const isClosed = context.egress.serverPolicy.mode === "none";
  const hasGateway = networks.includes("egress") && !isClosed;
  const policy = asked.network === undefined ? policyOf(asked.networkMode, hasGateway) : checkPolicy(asked.network);
  if (policy === undefined) return engineNetwork(provider, asked.networkMode, hasGateway);
  if (policy.mode === "none" && networks.includes("none")) return withoutNetwork;
  if (policy.mode !== "none" && hasGateway) return throughGateway(policy);
  if (policy.mode !== "none" && isClosed) {
    throw new StacyError("policy_denied", "no sandbox of this server has a network: network.mode is none", {
      remediation: "Leave network out, or have the operator set network.mode.",
    });
  }
  throw notOffered(provider, policy.mode, hasGateway);
}

/** What a word of old clients means where the gateway serves. */
function policyOf(mode: string | undefined, hasGateway: boolean): NetworkPolicy | undefined {
  if (mode === "none") return closedPolicy;
  return hasGateway && (mode === undefined || mode === "bridge" || mode === "public") ? publicPolicy : undefined;
}

function engineNetwork(provider: Provider, asked: string | undefined, hasGateway: boolean): NetworkChoice {
  const networks = provider.capabilities.networks.filter((offered) => offered !== "egress");
  const usual = networks.includes("none") ? "none" : networks[0];
  const found = networks.find((offered) => offered === (asked ?? usual));
  if (found === undefined) throw notOffered(provider, asked ?? "none", hasGateway);
  return { networkMode: found, network: undefined };
}

function notOffered({ name, capabilities }: Provider, asked: string, hasGateway: boolean): StacyError {
  const own = capabilities.networks.filter((offered) => offered !== "egress");
  const offered = [...own, ...(hasGateway ? ["public", "allowlist"] : [])].join(", ");
  const why = hasGateway || capabilities.noEgress === undefined ? "" : ` (${capabilities.noEgress})`;
  return new StacyError(
    "not_supported",
    asked === "host"
      ? "network_mode host is not offered: on the host's network a sandbox reaches what listens on its loopback, this server too"
      : `provider ${name} does not offer network ${JSON.stringify(asked)} here, but ${offered || "none at all"}${why}`,
    offered === "" ? {} : { remediation: `Ask for one of: ${offered}.` },
  );
}

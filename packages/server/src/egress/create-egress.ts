import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/schema.ts";
import { gatewayUser } from "../lib/gateway-user.ts";
import type { Secret } from "../lib/secret.ts";
import type { Egress, EgressWall } from "./egress.ts";
import { createGateway, type GatewayOptions, noEgress } from "./gateway.ts";
import { networksOf } from "./networks.ts";
import { sandboxKeys } from "./sandbox-keys.ts";

export interface EgressOptions extends Pick<GatewayOptions, "clock" | "onDecision" | "onEnd"> {
  readonly config: Config["network"];
  /** Of running sandboxes. */
  readonly stateDir: string;
  readonly nativeDir: string;
  /** What sandboxes' authorities and placeholders are made from: this host's own, and the same after each start. */
  readonly hostKey: Secret;
  /** Puts up the second wall for the gateway's user; not called where the server isn't root, and so can't. */
  readonly raiseWall: (wall: EgressWall) => Promise<void>;
}

/** The way out as the operator configured it. */
export function createEgress({ config, stateDir, nativeDir, hostKey, raiseWall, ...options }: EgressOptions): Egress {
  const { mode, allow, deny } = config;
  if (mode === "none") return noEgress;
  const user = gatewayUser(stateDir);
  const isRoot = process.geteuid?.() === 0;
  const { resolvers, open } = networksOf(config);
  return createGateway({
    ...options,
    programPath: join(nativeDir, "stacyvm-egress"),
    serverPolicy: { mode, allow, deny, inject: [] },
    resolvers,
    open,
    limits: config.limits,
    keys: sandboxKeys(hostKey),
    roots: config.caFile === "" ? "" : readFileSync(config.caFile, "utf8"),
    user: isRoot ? user : undefined,
    beforeStart: async () => {
      if (isRoot) await raiseWall({ uid: user, open, resolvers });
    },
  });
}

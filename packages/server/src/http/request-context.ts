import type { Operation } from "@stacyvm/contract";
import type { Identity } from "./identity.ts";
import type { ServedRequest } from "./in-flight.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Set by the front door before any handler runs. */
    identity: Identity;
    served: ServedRequest;
  }
  interface FastifyContextConfig {
    /** The row of the route; undefined where no route is. */
    operation?: Operation;
  }
}

import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import type { Operation } from "@stacyvm/contract";
import type { FastifyInstance } from "fastify";
import pino from "pino";
import { FailurePenalties } from "../auth/failure-penalties.ts";
import { Tenancy } from "../auth/tenancy.ts";
import type { TokenVerifier } from "../auth/token-verifier.ts";
import { systemClock } from "../lib/clock.ts";
import { parseNetworks } from "../lib/networks.ts";
import { type AppOptions, createApp } from "./app.ts";
import { createClientAddress } from "./client-address.ts";
import { type Credentials, createAuthenticator } from "./identity.ts";
import { createInFlight, type DrainTimes } from "./in-flight.ts";

/** Collects what the server logs, one object a line. */
export const collectLog = () => {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { lines, log };
};

export type TestAppOptions = Partial<AppOptions> & {
  readonly operations: readonly Operation[];
  readonly handlers: object;
  readonly apiKey?: string;
  readonly adminKey?: string;
  readonly adminFallback?: boolean;
  readonly tokens?: TokenVerifier;
  readonly named?: Credentials["named"];
  readonly tenancy?: Credentials["tenancy"];
  readonly drainTimes?: DrainTimes;
};

const noTenants = {
  any: async () => false,
  get: async () => undefined,
  getProject: async () => undefined,
  membershipsOf: async () => [],
};

/** An application on a loopback rule set, with answers checked against their rows. */
export const testApp = ({
  apiKey = "",
  adminKey = "",
  adminFallback = false,
  tokens,
  named,
  tenancy = new Tenancy({ store: noTenants, clock: systemClock }),
  drainTimes,
  ...options
}: TestAppOptions) =>
  createApp({
    inFlight: createInFlight(drainTimes),
    authenticator: createAuthenticator({
      apiKey,
      adminKey,
      adminFallback,
      ...(tokens && { tokens }),
      ...(named && { named }),
      tenancy,
    }),
    hosts: { loopback: true, names: [], authorities: [], secure: false },
    corsAllowedOrigins: [],
    rates: {
      limiter: undefined,
      keyBy: "owner",
      penalties: new FailurePenalties(systemClock),
      addressOf: createClientAddress(parseNetworks([])),
    },
    log: collectLog().log,
    newRequestId: randomUUID,
    validateResponses: true,
    ...options,
  });

/** Listens on a free loopback port. */
export const listen = async (app: FastifyInstance): Promise<number> => {
  await app.listen({ host: "127.0.0.1", port: 0 });
  return (app.server.address() as AddressInfo).port;
};

import { z } from "zod";
import { defineOperation, json } from "../operation.ts";
import { oneOf, timestamp } from "../wire.ts";
import { networkPolicy, policyAnswer } from "./sandbox-spec.ts";
import { sandboxParams } from "./sandboxes.ts";

export const Network = z
  .strictObject({
    ...policyAnswer,
    level: z.enum(["none", "transparent", "proxy"]).meta({
      description:
        "transparent: every TCP connection and every name goes through the gateway. proxy: what programs ask of the HTTP proxy inside does; " +
        "programs that don't read its variables (HTTPS_PROXY and so on) reach nothing.",
    }),
    server: z
      .strictObject(policyAnswer)
      .meta({ description: "The operator's policy: what it does not permit, no sandbox may reach." }),
    counts: z
      .strictObject({
        open: z.int(),
        allowed: z.int(),
        denied: z.int(),
        failed: z.int(),
        sent: z.int().meta({ description: "Bytes out of the sandbox." }),
        received: z.int(),
      })
      .optional()
      .meta({ description: "Since the gateway started; absent where there is none." }),
    cut: z.int().optional().meta({ description: "Connections that the change ended." }),
  })
  .meta({ id: "Network" });
export type Network = z.output<typeof Network>;

export const NetworkDecision = z
  .strictObject({
    at: timestamp,
    type: z
      .enum(["decision", "closed", "missed", "live"])
      .meta({ description: "closed: how a connection ended. missed: more than were told. live: what follows is new." }),
    flow: z.int().optional().meta({ description: "Joins a connection's decision and its end." }),
    kind: z.enum(["connect", "resolve", "query", "request", "response"]).optional(),
    host: z.string().optional(),
    address: z.string().optional().meta({ description: "What was dialled, or would have been." }),
    port: z.int().optional(),
    decision: z.enum(["allowed", "denied", "failed", "masked"]).optional().meta({
      description: "masked: an answer held a secret, and stars came in its place.",
    }),
    reason: z.string().optional(),
    rule: z.string().optional(),
    policy: z.string().optional().meta({ description: "Whose rule or mode it was: server or sandbox." }),
    method: z.string().optional(),
    path: z.string().optional().meta({ description: "Of a request, without its query." }),
    secrets: z.array(z.string()).optional().meta({ description: "Names of secrets that were put in, or masked." }),
    sent: z.int().optional(),
    received: z.int().optional(),
    count: z.int().optional(),
  })
  .meta({ id: "NetworkDecision" });
export type NetworkDecision = z.output<typeof NetworkDecision>;

const errors = ["sandbox_not_found", "sandbox_destroyed", "provider_unavailable"] as const;

export const getNetwork = defineOperation({
  id: "network.get",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/network",
  summary: "What a sandbox may reach, and what it has",
  permission: "sandbox:read",
  auditClass: "read",
  auditFields: { id: "public" },
  errors,
  stream: "none",
  params: sandboxParams,
  answers: { 200: json(Network) },
});

export const putNetwork = defineOperation({
  id: "network.put",
  method: "PUT",
  path: "/api/v1/sandboxes/{id}/network",
  summary: "Change what a sandbox may reach; connections that are no longer allowed end",
  permission: "sandbox:write",
  auditClass: "write",
  auditFields: { id: "public", mode: "public", allow: "public", deny: "public", inject: "public" },
  errors: [...errors, "not_supported", "state_conflict"],
  stream: "none",
  params: sandboxParams,
  body: networkPolicy,
  answers: { 200: json(Network) },
});

export const networkLog = defineOperation({
  id: "network.log",
  method: "GET",
  path: "/api/v1/sandboxes/{id}/network/log",
  summary: "Decisions on what the sandbox wanted to reach, oldest first, one JSON object a line",
  permission: "sandbox:read",
  auditClass: "read",
  auditFields: { id: "public", limit: "public", follow: "public" },
  errors,
  stream: "ndjson",
  untrusted: true,
  params: sandboxParams,
  query: z.strictObject({
    limit: z
      .int()
      .min(0, "cannot be negative")
      .max(1000, "must be 1000 or less")
      .optional()
      .meta({ description: "The last so many; 1000 are kept at most." }),
    follow: oneOf(["true", "false"]).optional().meta({ description: "Goes on with what comes." }),
  }),
  answers: { 200: { "application/x-ndjson": NetworkDecision } },
});

export const networkOperations = [getNetwork, putNetwork, networkLog] as const;

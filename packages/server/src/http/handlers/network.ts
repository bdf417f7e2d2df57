import type { Network, NetworkDecision, networkOperations, networkPolicy } from "@stacyvm/contract";
import type { z } from "zod";
import { type Decision, decisionsMax } from "../../egress/egress.ts";
import type { Clock } from "../../lib/clock.ts";
import type { SandboxNetwork } from "../../orchestrator/network.ts";
import type { UseCases } from "../../orchestrator/use-cases.ts";
import type { NetworkPolicy } from "../../sandbox/network-policy.ts";
import { secretMark } from "../../sandbox/secret-use.ts";
import type { HandlersOf } from "../handler.ts";
import { callerOf } from "./caller.ts";
import { rfc3339 } from "./wire-time.ts";

export const policyOf = ({
  mode,
  allow = [],
  deny = [],
  inject = [],
}: z.output<typeof networkPolicy>): NetworkPolicy => ({
  mode,
  allow,
  deny,
  inject: inject.map((rule) => ({ ...rule, value: rule.value ?? secretMark })),
});

/** The wire's shape of a policy. */
export const wirePolicy = ({ mode, allow, deny, inject }: NetworkPolicy) => ({
  mode,
  allow: [...allow],
  deny: [...deny],
  inject: [...inject],
});

const wireNetwork = ({ policy, level, server, counts, cut }: SandboxNetwork): Network => ({
  ...wirePolicy(policy),
  level,
  server: wirePolicy(server),
  ...(counts === undefined ? {} : { counts }),
  ...(cut === undefined ? {} : { cut }),
});

async function* lines(decisions: AsyncIterable<Decision | "live">, clock: Clock): AsyncGenerator<string> {
  for await (const told of decisions) {
    const { atMs, secrets, ...rest }: Decision | { type: "live"; atMs: number; secrets?: undefined } =
      told === "live" ? { type: told, atMs: clock.now() } : told;
    const line: NetworkDecision = {
      at: rfc3339(atMs),
      ...rest,
      ...(secrets === undefined ? {} : { secrets: [...secrets] }),
    };
    yield `${JSON.stringify(line)}\n`;
  }
}

export const networkHandlers = ({
  useCases,
  clock,
}: {
  readonly useCases: UseCases;
  readonly clock: Clock;
}): HandlersOf<typeof networkOperations> => ({
  "network.get": async ({ params, identity, signal }) => ({
    status: 200,
    body: wireNetwork(await useCases.network.get(params.id, callerOf(identity), signal)),
  }),
  "network.put": async ({ params, body, identity, signal }) => ({
    status: 200,
    body: wireNetwork(await useCases.network.put(params.id, policyOf(body), callerOf(identity), signal)),
  }),
  "network.log": async ({ params, query, identity, signal }) => {
    const wanted = { limit: query.limit ?? decisionsMax, follow: query.follow === "true" };
    const decisions = await useCases.network.log(params.id, wanted, callerOf(identity), signal);
    const headers = { "Cache-Control": "no-cache", "X-Accel-Buffering": "no" };
    return { status: 200, contentType: "application/x-ndjson", headers, stream: lines(decisions, clock) };
  },
});

import { expect, test } from "vitest";
import { noEgress } from "../egress/gateway.ts";
import type { NetworkMode, Provider } from "../providers/provider.ts";
import { closedPolicy, publicPolicy } from "../sandbox/network-policy.ts";
import { networkOf } from "./network-choice.ts";

const on = (...networks: readonly NetworkMode[]) => ({ name: "it", capabilities: { networks } }) as unknown as Provider;
const gateway = { egress: { ...noEgress, serverPolicy: publicPolicy } };
const closed = { egress: noEgress };
const allowlist = { mode: "allowlist", allow: ["api.example.com:443"], deny: [], inject: [] } as const;
const nothing = { networkMode: "none", network: undefined };
const wide = { networkMode: "egress", network: publicPolicy };

test.each([
  [gateway, on("none", "egress"), {}, wide],
  [gateway, on("none", "egress"), { networkMode: "bridge" }, wide],
  [gateway, on("none", "egress"), { networkMode: "public" }, wide],
  [gateway, on("none", "egress"), { networkMode: "none" }, nothing],
  [gateway, on("none", "egress"), { network: closedPolicy }, nothing],
  [gateway, on("none", "egress"), { network: allowlist }, { networkMode: "egress", network: allowlist }],
  [gateway, on("none"), {}, nothing],
  [gateway, on("none", "bridge"), {}, nothing],
  [gateway, on("none", "bridge"), { networkMode: "bridge" }, { networkMode: "bridge", network: undefined }],
  [gateway, on("host"), {}, { networkMode: "host", network: undefined }],
  [closed, on("none", "egress"), {}, nothing],
] as const)(
  "what is asked for decides, and what the provider and the operator offer: %#",
  (context, provider, asked, choice) => {
    expect(networkOf(context, provider, asked)).toEqual(choice);
  },
);

test("a provider that has no way to the gateway says why", () => {
  const provider = { name: "it", capabilities: { networks: ["none"], noEgress: "no TUN here" } } as unknown as Provider;
  expect(() => networkOf(gateway, provider, { network: publicPolicy })).toThrow("here, but none (no TUN here)");
  expect(networkOf(gateway, provider, {})).toEqual(nothing);
});

test.each([
  [gateway, on("none"), { network: publicPolicy }, "not_supported", /does not offer network "public" here, but none/],
  [gateway, on("none"), { networkMode: "bridge" }, "not_supported", /but none/],
  [gateway, on("none", "egress"), { networkMode: "host" }, "not_supported", /this server too/],
  [gateway, on("none", "egress"), { networkMode: "x" }, "not_supported", /but none, public, allowlist/],
  [closed, on("none", "egress"), { network: allowlist }, "policy_denied", /network.mode is none/],
  [gateway, on("none", "egress"), { networkMode: "none", network: publicPolicy }, "invalid_input", /give one/],
  [gateway, on("none", "egress"), { network: { ...closedPolicy, allow: ["a"] } }, "invalid_input", /mode is none/],
  [
    gateway,
    on("none", "egress"),
    { network: { ...publicPolicy, deny: ["a", "b:x"] } },
    "invalid_input",
    /network.deny\[1\] "b:x", column 3/,
  ],
] as const)("what can't be is refused: %#", (context, provider, asked, reason, message) => {
  const choose = () => networkOf(context, provider, asked);
  expect(choose).toThrow(message);
  expect(choose).toThrow(expect.objectContaining({ reason }));
});

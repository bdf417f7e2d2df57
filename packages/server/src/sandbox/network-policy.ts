import { StacyError } from "@stacyvm/contract";
import { type NetworkRule, parseRule, RuleError } from "../lib/network-rule.ts";
import { checkInjectRules, type InjectRule } from "./secret-use.ts";

/** `public`: the Internet over TCP. `allowlist`: what a rule allows. */
export const networkModes = ["none", "public", "allowlist"] as const;
export type PolicyMode = (typeof networkModes)[number];

/** What a sandbox may reach. Deny counts before allow, allow before the mode. */
export interface NetworkPolicy {
  readonly mode: PolicyMode;
  /** Rules as they were written. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** Headers that requests get on their way out. */
  readonly inject: readonly InjectRule[];
}

/** The same with its rules read; what the gateway decides by. */
export interface CompiledPolicy {
  readonly name: "server" | "sandbox";
  readonly mode: PolicyMode;
  readonly allow: readonly NetworkRule[];
  readonly deny: readonly NetworkRule[];
}

export const publicPolicy: NetworkPolicy = { mode: "public", allow: [], deny: [], inject: [] };
export const closedPolicy: NetworkPolicy = { mode: "none", allow: [], deny: [], inject: [] };

/** Throws invalid_input that names the rule and the column in it. */
export function compilePolicy(name: CompiledPolicy["name"], policy: NetworkPolicy): CompiledPolicy {
  return {
    name,
    mode: policy.mode,
    allow: compileRules("network.allow", policy.allow),
    deny: compileRules("network.deny", policy.deny),
  };
}

/** Whether what is said with some host is looked into for a rule's sake. */
export const inspects = ({ allow, deny }: Pick<CompiledPolicy, "allow" | "deny">): boolean =>
  [...allow, ...deny].some(({ inspect }) => inspect);

export function compileRules(list: string, rules: readonly string[]): readonly NetworkRule[] {
  return rules.map((text, at) => {
    try {
      return parseRule(text);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      throw new StacyError("invalid_input", `invalid input: ${list}[${at}] ${JSON.stringify(text)}, ${error.message}`, {
        remediation:
          'Write a rule like "api.example.com:443", "*.example.com", "GET api.example.com/v1/*" or "203.0.113.0/24:80,8000-8100".',
      });
    }
  });
}

/** Throws invalid_input for a policy that contradicts itself, and for rules that can't be read. */
export function checkPolicy(policy: NetworkPolicy): NetworkPolicy {
  compilePolicy("sandbox", policy);
  checkInjectRules(policy.inject);
  if (policy.mode === "none" && policy.allow.length > 0) {
    throw new StacyError("invalid_input", "invalid input: network.allow has rules, but network.mode is none", {
      remediation: "Ask for mode allowlist, or leave the rules out.",
    });
  }
  return policy;
}

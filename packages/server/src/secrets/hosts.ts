import { StacyError } from "@stacyvm/contract";
import { parseRule, RuleError } from "../lib/network-rule.ts";

const defaultPort = 443;

const wrong = (text: string, why: string): StacyError =>
  new StacyError("invalid_input", `invalid input: hosts: ${JSON.stringify(text)} ${why}`, {
    remediation: 'Name each host exactly, like "api.example.com" or "api.example.com:8443".',
  });

/** `host:port`, lower case and ASCII; port 443 where none is written. Throws invalid_input. */
const hostOf = (text: string): string => {
  const { host, ports } = parsed(text);
  if (host === undefined) throw wrong(text, "is an address: a certificate is checked for a name");
  if (host.startsWith("*.")) throw wrong(text, "stands for many names: a secret is sent to named hosts only");
  const [range = [defaultPort, defaultPort] as const, ...more] = ports;
  if (more.length > 0 || range[0] !== range[1]) throw wrong(text, "has more than one port");
  return `${host}:${range[0]}`;
};

const parsed = (text: string) => {
  try {
    return parseRule(text);
  } catch (error) {
    if (!(error instanceof RuleError)) throw error;
    throw wrong(text, error.message);
  }
};

/** Each once, in order. Throws invalid_input. */
export const secretHosts = (texts: readonly string[]): readonly string[] => [...new Set(texts.map(hostOf))].toSorted();
